"""Adding pictures with their hashes and camera facts: beside decoding them, beside ``imagehash``, and what isolation costs."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from measuring import DAM_CLI, Line, Setting, alternately, output_of, python, written_to
from trees import photographs

CHILD = str(Path(__file__).with_name("timed_pictures.py"))
INGESTS = ("ingest", "ingest by imagehash")
OTHERS = ("decode", "imagehash", "workers", "processes", "threads")


def pictures(setting: Setting) -> Iterator[Line]:
    """Photographs that are added with all that is computed of them, and the same files looked at without dam."""
    count = setting.either(400, 80)
    tree = photographs(setting.folder / "photographs", count)
    candidates: dict[str, Callable[[], float]] = {
        **{way: partial(_in_new_world, setting, tree, way) for way in INGESTS},
        **{way: partial(_seconds, tree, way) for way in OTHERS},
    }
    taken = alternately(3, candidates)
    rate = {way: count / seconds for way, seconds in taken.items()}

    def line(name: str, way: str, against: str, shown: str, target: float | None = None) -> Line:
        return Line(name, "assets/s", rate[way], rate[against], shown, rate[way] / rate[against], target)

    yield line("pictures", "ingest", "decode", "decode only", 0.5)
    yield line("pictures", "ingest", "ingest by imagehash", "imagehash in its place", 1.5)
    yield line("pictures", "ingest", "imagehash", "imagehash alone")
    yield line("hashes alone, in workers", "workers", "processes", "in bare processes")
    yield line("hashes alone, in workers", "workers", "threads", "in threads")


def _in_new_world(setting: Setting, tree: Path, way: str) -> float:
    with written_to(setting) as home:
        output_of([DAM_CLI, "--quiet", "setup-db"], DAM_HOME=str(home))
        return _seconds(tree, way, DAM_HOME=str(home))


def _seconds(tree: Path, way: str, **more: str) -> float:
    return float(output_of(python(CHILD, way, str(tree)), **more))
