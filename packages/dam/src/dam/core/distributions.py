"""What installed distributions say of themselves: where an entry point is from, and what is required."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution

_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?P<extras>\[[^]]*\])?\s*\(?(?P<versions>[^;@)]*)\)?[^;]*(?P<marker>.*)"
)
_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w.-]+)['"]""")


@dataclass(frozen=True)
class Requirement:
    """One line of ``Requires-Dist``. ``extra`` is the one that asks for it; ``conditional`` is what not every machine needs."""

    name: str
    wanted: str
    extra: str | None
    conditional: bool

    @property
    def is_installed(self) -> bool:
        try:
            distribution(self.name)
        except PackageNotFoundError:
            return False
        return True


def origin_of(entry: EntryPoint) -> str:
    """Distribution, version and what the entry point names."""
    return f"{entry.dist.name} {entry.dist.version} ({entry.value})" if entry.dist else entry.value


def remedy(needy: Distribution | None, module: str) -> str:
    """How a module is installed that a distribution imports and that is not there."""
    found = _bringing(module, list(_requirements(needy))) if needy else None
    if needy is None or found is None:
        who = needy.name if needy else "its distribution"
        return f"no requirement of {who} has that name; install what brings it, and tell the author to require it"
    wanted = shlex.quote(f"{needy.name}[{found.extra}]" if found.extra else found.wanted)
    return f"where dam is installed, run: uv pip install {wanted} (or: python -m pip install {wanted})"


def _requirements(needy: Distribution) -> Iterator[Requirement]:
    for line in needy.requires or ():
        if match := _REQUIREMENT.match(line):
            extra = _EXTRA.search(match["marker"])
            rest = _EXTRA.sub("", match["marker"]).strip(" ;()")
            wanted = f"{match['name']}{match['extras'] or ''}{match['versions'].strip()}"
            yield Requirement(match["name"], wanted, extra[1] if extra else None, bool(rest))


def _bringing(module: str, requirements: list[Requirement]) -> Requirement | None:
    """The one that is called like the module; else the one that is not there, as Pillow, which brings ``PIL``."""
    requirements.sort(key=lambda each: each.extra is not None)
    top = _flat(module.partition(".")[0])
    absent = [each for each in requirements if not each.conditional and not each.is_installed]
    for suspects in (
        [each for each in requirements if _flat(each.name) == top][:1],
        [each for each in absent if top in _flat(each.name) or _flat(each.name) in top],
        [each for each in absent if each.extra is None],
        absent,
    ):
        if len(suspects) == 1:
            return suspects[0]
    return None


def _flat(name: str) -> str:
    return re.sub(r"[-_.]", "", name.lower())
