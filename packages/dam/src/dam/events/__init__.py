"""Events: announcements that any number of systems may listen to."""

__all__ = ["Event"]


class Event:
    """Base of what ``World.dispatch_event`` broadcasts; subclasses are dataclasses."""
