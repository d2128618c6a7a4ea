"""Answers to what running systems ask: by a person at the terminal, or by nobody."""

import asyncio
import sys
from getpass import getpass

from dam.core.executor import Answers
from dam.system_events.requests import PasswordRequest, PasswordResponse
from dam_app.output import safe


def answers() -> Answers:
    """The table for this process: empty without a terminal, so that a request is an error and never a wait."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return {}
    return {PasswordRequest: _ask_password}


async def _ask_password(request: PasswordRequest) -> PasswordResponse:
    """An empty answer is no password."""
    given = await asyncio.to_thread(getpass, f"{safe(request.message)}: ", sys.stderr)
    return PasswordResponse(given or None)
