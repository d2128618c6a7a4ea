"""Run as a process by the benchmarks: opens the default world and adds a tree twice; prints the seconds that each took."""

import asyncio
import json
import sys
import time
from collections import Counter

from dam.core.world import World
from dam_app import open_world
from dam_app.services import addition
from dam_fs.commands import AssetOutcome


async def add(world: World, tree: str, expected: str) -> float:
    began = time.perf_counter()
    statuses: Counter[str] = Counter()
    async with world.dispatch_command(addition([tree], recursive=True)) as events:
        async for event in events:
            if isinstance(event, AssetOutcome):
                statuses[event.status.value] += 1
    if set(statuses) != {expected}:
        raise SystemExit(f"expected every file to be {expected}, and they are {dict(statuses)}")
    return time.perf_counter() - began


async def main(tree: str) -> None:
    async with open_world() as world:
        print(json.dumps({"first": await add(world, tree, "added"), "again": await add(world, tree, "known")}))


asyncio.run(main(sys.argv[1]))
