"""Secrets: settings name where they are, and hold none."""

import os

from dam.core.exceptions import SettingsError
from dam.models.config import Secret


def reveal(secret: Secret, what: str) -> str:
    """The value behind a reference, read anew each time; ``what`` is the setting that messages name. The line end of a file is
    no part of it. Raises ``SettingsError``."""
    if secret.env is not None:
        if secret.env not in os.environ:
            raise SettingsError(f"{what}: there is no environment variable {secret.env}; set it")
        return os.environ[secret.env]
    assert secret.file is not None
    try:
        return secret.file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as e:
        raise SettingsError(f"{what}: the file {secret.file} cannot be read: {e}") from e
