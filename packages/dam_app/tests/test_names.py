"""``import dam_app``: the names for scripts and verbs."""

import ast
import sys
from pathlib import Path

import pytest

import dam_app


def imported_for_type_checkers() -> dict[str, str]:
    """Name → module, as they stand under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(dam_app.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}


def test_type_checkers_and_the_run_time_see_the_same_names() -> None:
    assert dam_app.__all__ == sorted(imported_for_type_checkers())
    assert set(dam_app.__all__) <= set(dir(dam_app))


@pytest.mark.parametrize("name", dam_app.__all__)
def test_every_name_is_what_its_module_defines(name: str) -> None:
    found = getattr(dam_app, name)
    assert found is getattr(sys.modules[imported_for_type_checkers()[name]], name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dam_app' has no attribute 'open_wrold'"):
        dam_app.open_wrold  # noqa: B018
