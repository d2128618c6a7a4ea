"""Errors of the picture plugin."""

from dam.core.exceptions import DamError


class NotAPictureError(DamError):
    """The file is no picture that can be hashed; give one, the message says what is wrong with this."""

    code = "DAM601"


class UndecodablePictureError(DamError):
    """The picture is damaged, too much for the limits of a worker, or of a format whose library is not installed; the message
    says which."""

    code = "DAM604"


class InvalidThresholdError(DamError):
    """A threshold or a way to match is not known; write a number of bits from 0 to 64, and any, two or all."""

    code = "DAM602"


class FlatPictureError(DamError):
    """The picture is of one shade, and like every other that is; look for it by its hash of content instead."""

    code = "DAM603"
