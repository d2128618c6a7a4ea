"""What the commands of ``dam-cli`` have in common as parts of a Typer application."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class UsageError(typer.BadParameter):
    """A mistake in the whole of a command line, not in the value of one parameter."""

    def format_message(self) -> str:
        return self.message


class Command(TyperCommand):
    """A command that knows the options which stand before it, and whose help does not call a switch a ``<bool>``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.Exit:
            raise
        except Exception as e:
            theirs = {option for parameter in self.params for option in parameter.opts}
            globals_ = {option for parameter in ctx.find_root().command.params for option in parameter.opts} - theirs
            words = words[: words.index("--")] if "--" in words else words
            misplaced = next((word for word in words if word.partition("=")[0] in globals_), None)
            if misplaced is None:
                raise
            program, _, command = ctx.command_path.partition(" ")
            raise UsageError(
                f"{misplaced} stands before the command: {program} {misplaced} … {command}", ctx=ctx
            ) from e

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_switches(super().get_params(ctx))


class Group(TyperGroup):
    """A command of commands, whose help is like that of a ``Command``."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types_of_switches(super().get_params(ctx))


class GroupWithDefault(Group):
    """A command of commands whose first one needs no name: ``plugins dam-fs`` is ``plugins list dam-fs``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and args[0] in (*self.commands, *ctx.help_option_names)
        return super().parse_args(ctx, args if named else [next(iter(self.commands)), *args])


def _without_types_of_switches(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters
