"""Errors of the command line."""

from dam.core.exceptions import DamError


class NewPluginError(DamError):
    """No plugin can be written under that name or at that place; the message says why: choose another."""

    code = "DAM403"
