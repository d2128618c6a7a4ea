"""Requests to whoever runs a command, and the answers to them."""

from dataclasses import dataclass, field

from dam.system_events.base import BaseRequest, BaseSystemEvent


@dataclass
class PasswordRequest(BaseRequest):
    """Asks for a password; answered by a ``PasswordResponse``, or by ``None`` where nobody knows one."""

    message: str = "Password required"


@dataclass
class PasswordResponse(BaseSystemEvent):
    """The answer to a ``PasswordRequest``."""

    password: str | None = field(default=None, repr=False)
