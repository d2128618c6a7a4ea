"""The base of all commands, where the core's own modules are looked for."""

from dam.commands.core import BaseCommand

__all__ = ["BaseCommand"]
