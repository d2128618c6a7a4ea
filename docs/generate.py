"""Writes the pages below ``docs/reference`` from the code they describe: ``uv run python docs/generate.py``."""

import ast
import inspect
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from sqlalchemy import UniqueConstraint

import dam
import dam_app
from dam.core.analyzers import Analyzer
from dam.core.exceptions import DamError
from dam.core.plugin import Plugin, discover
from dam.core.systems import compile_system, system
from dam.core.world import World
from dam.core.world_registrar import register_core_systems
from dam.models.config import ConfigComponent, Secret, SettingsModel, WorldConfig, meanings
from dam.models.core.base_component import (
    BaseComponent,
    Component,
    LayeredComponent,
    MarkerComponent,
    RelationComponent,
    UniqueComponent,
)
from dam.models.core.fields import fields_of
from dam_app.cli import app
from dam_app.config import load_configuration
from dam_app.exits import Exit, exit_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
NOTICE = "<!-- made by docs/generate.py; change the code or that file, not this one -->\n"


def pages() -> dict[str, str]:
    """File name → content of every generated page."""
    return {
        "analyzers.md": analyzers_page(),
        "commands.md": commands_page(),
        "components.md": components_page(),
        "errors.md": errors_page(),
        "exit-codes.md": exit_codes_page(),
        "python.md": python_page(),
        "settings.md": settings_page(),
    }


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTICE.strip(), *(part.strip("\n") for part in parts if part)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def prose(thing: Any) -> str:
    """A docstring as one paragraph of Markdown."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].replace("``", "`").split())


def code(text: object) -> str:
    return f"`{text}`" if str(text) else ""


# -- what there is


def plugins() -> dict[str, type[Plugin]]:
    """The plugins of this repository; others that happen to be installed are not ours to describe."""
    found = {report.name: report.plugin for report in discover().values() if report.plugin is not None}
    return {name: plugin for name, plugin in sorted(found.items()) if _is_ours(plugin)}


def _is_ours(cls: type) -> bool:
    file = getattr(sys.modules[cls.__module__], "__file__", None)
    return file is not None and ROOT / "packages" in Path(file).resolve().parents


def complete_world() -> World:
    """A world with every plugin of this repository; nothing is opened."""
    world = World(WorldConfig(name="reference", database_url="sqlite+aiosqlite:///reference.db"))
    register_core_systems(world)
    for plugin in plugins().values():
        world.add_plugin(plugin)
    return world


# -- analyzers


def analyzers_page() -> str:
    sections = [
        f"## {each.algorithm.name}\n\n"
        f"{prose(each.compute.load())}\n\n"
        f"Version {each.algorithm.version}; {_when(each)}; gives {', '.join(code(c.__name__) for c in each.produces)}.\n\n"
        f"Reads {', '.join(map(code, each.accepts))}."
        for each in sorted(complete_world().analyses, key=lambda each: each.algorithm.name)
    ]
    return page(
        "Analyzers",
        "What dam reads of a file beyond its size and digests, and of which media types. The media type is told from content, "
        "not from the name. The name of an analyzer is what [`reprocess`](commands.md#reprocess) takes.",
        *sections,
    )


def _when(each: Analyzer[Any]) -> str:
    return "runs while a file is added" if each.stage is None else "runs after files were added"


# -- commands


def commands_page() -> str:
    root: Any = typer.main.get_command(app)
    return page(
        "Commands",
        "`dam-cli [OPTIONS] COMMAND …`. The options of `dam-cli` itself stand before the command; `--json` may also stand "
        "after it. How a command ended is told by its [exit code](exit-codes.md).",
        "## Options of every command",
        _options(root),
        *_command_sections(root, "dam-cli"),
    )


def _command_sections(group: Any, prefix: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        full = f"{prefix} {name}"
        if hasattr(command, "commands"):
            yield from _command_sections(command, full)
            continue
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        shown = "".join(f" {_metavar(p)}" if p.required else f" [{_metavar(p)}]" for p in arguments)
        example = (command.epilog or "").removeprefix("Example: ")
        yield f"## {full.removeprefix('dam-cli ')}"
        yield " ".join((command.help or "").split())
        yield f"```text\n{full} [OPTIONS]{shown}\n```"
        yield _options(command)
        yield f"Example: `{example}`" if example else ""


def _metavar(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper()).removesuffix("…")
    return f"{name}…" if parameter.nargs == -1 else name


def _options(command: Any) -> str:
    rows = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            rows.append([code(_metavar(parameter)), parameter.help or ""])
            continue
        names = ", ".join([*parameter.opts, *parameter.secondary_opts])
        value = "" if parameter.is_flag else f" {_metavar(parameter)}"
        default = parameter.default
        said = f" (default `{default}`)" if isinstance(default, (int, str)) and not isinstance(default, bool) else ""
        rows.append([code(names + value), (parameter.help or "") + said])
    return table(["", ""], rows)


# -- settings

VARIABLES = {
    "DAM_CONFIG": "The `dam.toml` to use, as `--config` does. Not read from a `.env`.",
    "DAM_HOME": "The folder of the built-in default world, and of worlds that name no database. "
    "Without it: the data folder that the system has for a user's programs (`~/.local/share/dam` on Linux).",
    "DAM_LOG_LEVEL": "What is logged on stderr: `DEBUG`, `INFO`, `WARNING` (the default), `ERROR` or `CRITICAL`. "
    "Not read from a `.env`.",
    "DAM_WORLD": "The world to use, as `--world` does.",
}


def settings_page() -> str:
    core = [(name, field) for name, field in WorldConfig.model_fields.items() if name != "name"]
    sections = []
    for name, plugin in plugins().items():
        sections.append(f"## Plugin {name}")
        sections.append(prose(plugin.Settings) + f" Table `[worlds.NAME.settings.{name}]`.")
        prefix = f"DAM_WORLDS__NAME__SETTINGS__{name.replace('-', '_').upper()}__"
        sections.append(_settings_table(plugin.Settings, plugin.Settings.model_fields.items(), prefix))
    return page(
        "Settings",
        "Settings stand in `dam.toml`, in the environment, or in a `.env` file beside `dam.toml`; the environment wins. "
        "How a `dam.toml` is written and found: [several worlds](../how-to/several-worlds.md). A wrong setting is "
        "[DAM401](errors.md#dam401), and the message says what is allowed.",
        "In the names of variables, `NAME` is the world's name in capitals.",
        "## Of one process",
        table(["variable", "meaning"], [[code(name), text] for name, text in VARIABLES.items()]),
        "## Of dam.toml",
        table(
            ["key", "variable", "meaning"],
            [
                ["`default_world`", "`DAM_DEFAULT_WORLD`", "The world that is used when none is named."],
                [
                    "`[worlds.NAME] plugins`",
                    "`DAM_WORLDS__NAME__PLUGINS`",
                    "A list of plugins; all that are installed unless set.",
                ],
            ],
        ),
        "## Of a world",
        prose(WorldConfig) + " Table `[worlds.NAME]`.",
        _settings_table(WorldConfig, core, "DAM_WORLDS__NAME__"),
        *sections,
    )


def _settings_table(model: type[SettingsModel], fields: Iterable[tuple[str, Any]], prefix: str) -> str:
    said = meanings(model)
    rows = [
        [
            code(name),
            _type(field.annotation),
            "" if field.default in (None, "") else code(field.default),
            _range(field),
            " ".join(said.get(name, "").replace("``", "`").split()),
            code(prefix + name.upper()),
        ]
        for name, field in fields
    ]
    return table(["key", "type", "default", "allowed", "meaning", "variable"], rows)


def _type(hint: Any) -> str:
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Path: "path",
        Secret: "place of a secret",
    }
    if get_origin(hint) is Annotated:
        return _type(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_type(part) for part in get_args(hint) if part is not type(None))
    return names.get(hint, str(getattr(hint, "__name__", hint)))


def _range(field: Any) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    found = [f"{text} {getattr(m, key)}" for m in field.metadata for key, text in words.items() if hasattr(m, key)]
    return ", ".join(found)


# -- components

SHAPES: dict[type[Component], str] = {
    ConfigComponent: "settings, one per entity",
    MarkerComponent: "marker",
    RelationComponent: "relation, many per entity",
    LayeredComponent: "layered, one per entity and layer",
    UniqueComponent: "one per entity",
    BaseComponent: "many per entity",
    Component: "its own key",
}


def components_page() -> str:
    world = complete_world()
    kinds = sorted((c for c in world.components if not issubclass(c, ConfigComponent)), key=lambda c: c.__table__.name)
    configs: list[Any] = sorted(world.components.keys() - kinds, key=lambda c: c.__table__.name)
    return page(
        "Components",
        "Every fact that this version can store. A *field* is a column with a name of its own: namespace, dot, column, "
        "or one of the column's aliases. The query language to come will use these names; today Python does. "
        "*Indexed* fields are found without a scan. What is no field (keys of look-ups) "
        "is not listed. Every row also has a `run_id`, the run that wrote it last "
        "([decision 4](../decisions/0004-rows-name-their-run.md)).",
        *(_component_section(c) for c in kinds),
        "## Settings",
        "A plugin's settings can be stored as a component of an entity. Its columns are the keys of the "
        "[settings](settings.md).",
        table(
            ["component", "table", "settings"],
            [[code(c.__name__), code(c.__table__.name), code(c.__settings__.__name__)] for c in configs],
        ),
    )


def _component_section(component: type[Component]) -> str:
    shape = next(text for base, text in SHAPES.items() if issubclass(component, base))
    hidden = "; entities that have it stay out of listings" if component.__hides_entity__ else ""
    where = f"`{component.__module__.partition('.')[0]}`"
    fields = fields_of(component)
    rows = [
        [
            code(field.name),
            ", ".join(code(f"{field.namespace}.{alias}") for alias in field.names[1:]),
            _column_type(field.column),
            "yes" if _is_indexed(component, field.column) else "",
        ]
        for field in fields
    ]
    place = f"Namespace `{component.__namespace__}`; table `{component.__table__.name}` of {where}; {shape}{hidden}."
    head = f"## {component.__name__}\n\n{prose(component)}\n\n{place}"
    return head + ("\n\n" + table(["field", "aliases", "type", "indexed"], rows) if rows else "")


def _column_type(column: Any) -> str:
    name = type(column.type).__name__
    names = {"PathType": "path (bytes)", "UtcDateTime": "moment in UTC", "LargeBinary": "bytes", "Text": "text"}
    names |= {"String": "text", "Integer": "whole number", "BigInteger": "whole number", "Boolean": "true or false"}
    length = getattr(column.type, "length", None)
    return (
        names.get(name, name)
        + (f", at most {length}" if length else "")
        + (", may be empty" if column.nullable else "")
    )


def _is_indexed(component: type[Component], column: Any) -> bool:
    indexes = [list(index.columns) for index in component.__table__.indexes]
    keys = [list(c.columns) for c in component.__table__.constraints if isinstance(c, UniqueConstraint)]
    return bool(column.unique) or any(columns[:1] == [column] for columns in [*indexes, *keys])


# -- errors

ADVICE = {
    "DAM100": "Read the message; it says what is wrong and what helps. Every error below is a `DamError` too.",
    "DAM101": "A correct plugin class is shown in [the tutorial](../tutorial/first-plugin.md).",
    "DAM102": "A plugin that the world does not need can be left out with `plugins = [...]` in its table of `dam.toml`.",
    "DAM107": "A world can have one of them: `plugins = [...]` in its table of `dam.toml`. "
    "[What two plugins cannot both have](../how-to/new-plugin.md#what-two-plugins-cannot-both-have).",
    "DAM403": "How it goes on: [a plugin from the template](../how-to/new-plugin.md).",
    "DAM210": "Mend what the cause says and execute the stage again; it goes on with what is still marked.",
    "DAM211": "Mend the listener. What must not be missed is better a marker than an event: "
    "[systems](../explanation/architecture.md#systems).",
    "DAM203": "Why it is so: [transactions](../explanation/architecture.md#transactions).",
    "DAM301": "What is in the database stays; the tables are brought up to date in one transaction.",
    "DAM401": "All settings: [settings](settings.md).",
    "DAM402": "How worlds are configured: [several worlds](../how-to/several-worlds.md).",
    "DAM501": "So a missing disk never looks like an empty world: [durability](../explanation/durability.md).",
    "DAM503": "Then [run the same command again](../how-to/recover.md).",
    "DAM505": "Correct the path, or add `-r`.",
}

MADE_BY_PARTS = {
    "DAM210": "METADATA_EXTRACTION: dam_colours.systems.tidy failed with ValueError: …",
    "DAM211": "AssetsAddedEvent: dam_colours.systems.tell failed with ValueError: …",
    "DAM304": "another process held the database's write lock for 60 seconds; run the command again when it is done",
}
"""Messages that no single text in the code shows; a test compares their words with the code."""

VALUES = {
    "command.__name__": "ExtractColourCommand",
    "type(command).__name__": "ExtractColourCommand",
    "self.name": "photos",
    "world": "photos",
    "world.name": "photos",
    "chosen": "photos",
    "self.root": "/disk/photos-store",
    "files.root": "/disk/photos-store",
    "path": "holiday",
    "value": "abc",
    "2 * length": "64",
    "candidate.algorithm.name": "dam_colours.dominant",
    "called": "dam_colours.dominant",
    "package": "dam-colours",
    "cls.__name__": "ColourComponent",
    "cls.__qualname__": "ColoursPlugin",
    "component.__name__": "DominantColourComponent",
    "tree.owner": "dam-colours",
    "tree.package": "dam_colours",
    "MAX_DEPTH": "16",
}
"""What stands in example messages for the values that the code puts in; everything else is shown as ``…``."""


def error_classes() -> list[type[DamError]]:
    """Every class with a code of its own, by code."""
    complete_world()  # which imports the plugins
    found: dict[str, type[DamError]] = {}
    pending: list[type[DamError]] = [DamError]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if "code" in cls.__dict__ and _is_ours(cls):
            found[cls.code] = cls
    return [found[key] for key in sorted(found)]


def errors_page() -> str:
    messages = raised_messages()
    return page(
        "Errors",
        "Every error that dam raises on purpose has a number, which stays the same when its words change. "
        "All are subclasses of `dam.DamError`. On a shell the number is in the output of `--json`, as `code`. "
        "In the messages below `…` stands for what differs.",
        *(_error_section(cls, messages.get(cls.__name__, [])) for cls in error_classes()),
    )


def _error_section(cls: type[DamError], messages: list[str]) -> str:
    meaning, semicolon, advice = prose(cls).partition("; ")
    advice = advice[:1].upper() + advice[1:]
    if not semicolon and cls.code not in ADVICE:
        raise SystemExit(f"{cls.__name__} does not say what to do; write '…; do this.' in its docstring")
    if cls.code in MADE_TO_FAIL:
        messages = [MADE_TO_FAIL[cls.code]()]
    elif cls.code in MADE_BY_PARTS:
        messages = [MADE_BY_PARTS[cls.code]]
    if not messages:
        raise SystemExit(
            f"no message of {cls.__name__} was found in the code; write one into MADE_BY_PARTS of {__file__}"
        )
    exit_code = exit_of(cls.__new__(cls))
    parts = [
        f'<a id="{cls.code.lower()}"></a>',
        f"## {cls.code}: {cls.__name__}",
        meaning.rstrip(".") + ".",
        "**What to do.** " + " ".join(text for text in (advice, ADVICE.get(cls.code, "")) if text),
        "```text\n" + "\n\n".join(messages) + "\n```",
        f"Exit code {exit_code.value}.",
    ]
    return "\n\n".join(parts)


def raised_messages() -> dict[str, list[str]]:
    """Error class → the texts with which the code raises it, with examples for the values in them."""
    found: dict[str, list[str]] = {}
    for file in sorted((ROOT / "packages").glob("*/src/**/*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
                text = _text(node.args[0]) if node.args else None
                texts = found.setdefault(node.func.id, [])
                if text and text.strip("… ") and text not in texts:
                    texts.append(text)
    return {name: texts[:3] for name, texts in found.items()}


def _text(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return re.sub(r"(…\s*)+…", "…", "".join(_piece(part) for part in node.values))
    return None


def _piece(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    value = VALUES.get(ast.unparse(node.value), "…")
    return f"'{value}'" if node.conversion == ord("r") else value


def _system_error() -> str:
    class WorldTransacton:
        """A misspelt name, as far as a system's author is concerned."""

    async def extract_colour(size: int, transacton: WorldTransacton) -> None: ...

    del extract_colour.__annotations__["size"]
    extract_colour.__annotations__["transacton"] = WorldTransacton
    extract_colour.__module__, extract_colour.__qualname__ = "dam_colours.systems", "extract_colour"
    declared = system(on_command=dam.AnalysisCommand)(extract_colour)
    try:
        compile_system(declared, complete_world().providers)
    except DamError as e:
        return re.sub(r"\(\w+\.py:\d+\)", "(systems.py:14)", e.message)
    raise AssertionError("it was to fail")


def _settings_error() -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "dam.toml")
        file.write_text("[worlds.photos]\nanalysis_memory_mb = 1\ncolour = 'red'\n", encoding="utf-8")
        try:
            load_configuration(str(file)).describe("photos")
        except DamError as e:
            return e.message.replace(str(file), "/home/me/dam.toml")
    raise AssertionError("it was to fail")


MADE_TO_FAIL = {"DAM103": _system_error, "DAM401": _settings_error}
"""Errors whose message is shown as it comes."""


# -- exit codes

EXITS = {
    Exit.DONE: "Done. An empty listing is done as well.",
    Exit.FAILED: "It failed; the message says why.",
    Exit.USAGE: "The command line or a setting is wrong. Nothing was done.",
    Exit.SOME_FAILED: "Some items failed, and each was named; all others are done.",
    Exit.NOTHING_FOUND: "A look-up found nothing.",
    Exit.DAMAGE: "Damage was found, or could not be mended.",
    Exit.NO_WORLD: "There is no such world, or its database or store is not there.",
    Exit.LOCKED: "Another process kept the database locked.",
    Exit.PASSWORD: "A password is needed, and there is nobody to ask.",
    Exit.MIGRATION: "The database has to be upgraded: run `dam-cli setup-db`.",
    Exit.LIMIT: "Stopped at a limit that the user set; run the same command again to continue.",
    Exit.INTERRUPTED: "Interrupted with Ctrl-C; run the same command again to continue.",
    Exit.CLOSED_PIPE: "Whoever read the output stopped reading, as `head` does.",
}


def exit_codes_page() -> str:
    if set(EXITS) != set(Exit):
        raise SystemExit(f"describe the exit codes {set(EXITS) ^ set(Exit)} in EXITS of {__file__}")
    by_code: dict[Exit, list[str]] = {}
    for cls in error_classes():
        by_code.setdefault(exit_of(cls.__new__(cls)), []).append(f"[{cls.code}](errors.md#{cls.code.lower()})")
    rows = [[str(each.value), text, ", ".join(by_code.get(each, []))] for each, text in EXITS.items()]
    return page(
        "Exit codes",
        "What `dam-cli` tells a shell. The numbers do not change; [cron and scripts](../how-to/scripts.md) uses them.",
        table(["code", "meaning", "errors"], rows),
    )


# -- Python

GROUPS = {
    "Plugins and worlds": (
        "Plugin",
        "SettingsModel",
        "ConfigComponent",
        "World",
        "create_world_from_components",
        "CopyEntitiesCommand",
    ),
    "Facts": (
        "Entity",
        "BaseComponent",
        "UniqueComponent",
        "MarkerComponent",
        "RelationComponent",
        "LayeredComponent",
        "EntityId",
    ),
    "Systems": ("system", "listens_for", "BaseCommand", "AnalysisCommand", "Event", "SystemStage", "Result"),
    "What a system may ask for": (
        "WorldTransaction",
        "WorldSession",
        "WorldContext",
        "WorldConfig",
        "Resource",
        "MarkedEntityList",
    ),
    "Analyzers": ("analyzer", "Algorithm", "Blob", "ref"),
    "Queries": ("query", "With", "Without", "Stale"),
    "Errors": ("DamError",),
}
ALIASES = {
    "add_resource": "Adds a service that systems ask for with `Resource[T]`; `T` is its class, or `as_type`.",
    "EntityId": "The type of a column that holds an entity's id: `other: Mapped[EntityId]`.",
    "Resource": "`Resource[T]`: the world's one instance of that type.",
    "WorldSession": "A database session for reading.",
}
OF_APP = ("open_world", "Command", "Group", "UsageError", "Globals", "JsonOption", "in_world", "Output", "Exit")
OF_DAM_APP = {"JsonOption": "The type of a parameter for `--json` after the command, for those who write it there."}
SHOWN_IN_FULL = ("World", "WorldTransaction")
PLUMBING = {"awaits", "bound", "check_systems", "commit", "doom", "release"}
"""Methods that the core calls itself."""


def python_page() -> str:
    grouped = {name for names in GROUPS.values() for name in names}
    if set(OF_APP) != set(dam_app.__all__):
        raise SystemExit(f"put {sorted(set(OF_APP) ^ set(dam_app.__all__))} into OF_APP of {__file__}")
    if grouped != set(dam.__all__):
        raise SystemExit(f"put {sorted(grouped ^ set(dam.__all__))} into GROUPS of {__file__}")
    from dam.core.executor import SystemExecutor

    return page(
        "Python",
        "The names of `import dam`. They are the vocabulary of plugins and scripts, and everything else may change. "
        "How they are used: [write a plugin](../tutorial/first-plugin.md), [write a script](../how-to/python-script.md).",
        *(
            part
            for title, names in GROUPS.items()
            for part in (f"## {title}", table(["name", "what it is"], [_python_row(name) for name in names]))
        ),
        *(part for cls in (*(getattr(dam, n) for n in SHOWN_IN_FULL), SystemExecutor) for part in _methods(cls)),
        "## Names of dam_app",
        "`async with open_world() as world: …` is for scripts; the others are what [a plugin's verb](../how-to/new-plugin.md) is "
        "written with.",
        table(
            ["name", "what it is"],
            [[code(name), OF_DAM_APP.get(name) or prose(getattr(dam_app, name))] for name in OF_APP],
        ),
    )


def _python_row(name: str) -> list[str]:
    thing = getattr(dam, name)
    text = ALIASES.get(name) or prose(thing)
    return [code(name), text]


def _methods(cls: type) -> Iterator[str]:
    yield f"## Methods of {cls.__name__}"
    members = [(name, member) for name, member in vars(cls).items() if not name.startswith("_")]
    rows = [
        [code(f"{name}{_parameters(member)}"), prose(member) or ALIASES[name]]
        for name, member in members
        if inspect.isfunction(member) and name not in PLUMBING
    ]
    yield table(["method", "what it does"], rows)


def _parameters(function: Any) -> str:
    parameters = [p for name, p in inspect.signature(function).parameters.items() if name != "self"]
    shown: list[str] = []
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and "*" not in shown and not any(s.startswith("*") for s in shown):
            shown.append("*")
        star = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
        default = (
            "" if p.default is p.empty else f"={p.default.name if isinstance(p.default, Enum) else repr(p.default)}"
        )
        shown.append(f"{star}{p.name}{default}")
    return f"({', '.join(shown)})"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in pages().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
