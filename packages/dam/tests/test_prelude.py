"""``import dam``: the vocabulary, and that it costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import dam


def imported_for_type_checkers() -> dict[str, str]:
    """Name → module, as they stand under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(dam.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}


def test_type_checkers_and_the_run_time_see_the_same_names() -> None:
    assert dam.__all__ == sorted(imported_for_type_checkers())
    assert set(dam.__all__) <= set(dir(dam))


@pytest.mark.parametrize("name", dam.__all__)
def test_every_name_is_what_its_module_defines(name: str) -> None:
    module = imported_for_type_checkers()[name]
    found = getattr(dam, name)
    assert found is getattr(sys.modules[module], name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dam' has no attribute 'Wrold'"):
        dam.Wrold  # noqa: B018


def test_importing_dam_imports_neither_the_database_toolkit_nor_the_validator() -> None:
    code = "import sys, dam; print([m for m in ('sqlalchemy', 'alembic', 'pydantic', 'asyncio') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_making_a_world_does_not_import_the_migration_toolkit() -> None:
    code = "import sys; from dam import World, create_world_from_components; print('alembic' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
