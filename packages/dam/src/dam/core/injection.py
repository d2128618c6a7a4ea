"""Dependency injection: one table of providers, read once for each system.

A parameter is a *need*. When a system is registered its needs are read from its signature and matched with the table; when
it runs, each provider's context manager is entered, in the order in which the providers were registered.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from dam.core.runs import RunRecord
    from dam.core.system_params import MarkedEntityList
    from dam.core.world import World
    from dam.events import Event
    from dam.models.core.base_component import MarkerComponent

Lifetime = Literal["scope", "call"]


class Trigger:
    """The key under which the command, event or stage that a system runs for is provided."""


@dataclass(frozen=True)
class Need:
    """What one parameter asks for: a type, its generic arguments, and the marker of an ``Annotated``."""

    type: Any
    arguments: tuple[Any, ...] = ()
    marker: Any = None

    @classmethod
    def of(cls, hint: Any) -> "Need":
        if get_origin(hint) is Annotated:
            inner, marker, *_ = get_args(hint)
            return cls(get_origin(inner) or inner, get_args(inner), marker)
        return cls(get_origin(hint) or hint, get_args(hint))

    @property
    def name(self) -> str:
        return str(getattr(self.type, "__name__", self.type))


@dataclass
class Scope:
    """What lives exactly as long as one dispatch. A nested dispatch has a scope of its own that sees its parent's."""

    world: "World"
    trigger: object
    run: "RunRecord"
    parent: "Scope | None" = None
    whole: bool = False  # nothing of the run comes after this scope
    idle: bool = True  # none of its systems had anything to do
    batches: "dict[type[MarkerComponent], MarkedEntityList[Any]]" = field(default_factory=dict)
    announcements: "list[Event]" = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    afterwards: AsyncExitStack = field(default_factory=AsyncExitStack)  # what is let go of when the transaction is over
    instances: dict[Need, Any] = field(default_factory=dict)

    def begun(self) -> "Scope":
        """As it was made: what an earlier attempt has left in it is gone."""
        self.idle, self.stack, self.afterwards = True, AsyncExitStack(), AsyncExitStack()
        for held in (self.batches, self.announcements, self.instances):
            held.clear()
        return self

    def find(self, need: Need) -> Any | None:
        """The instance that this scope, or one around it, holds already."""
        if need in self.instances:
            return self.instances[need]
        return self.parent.find(need) if self.parent else None

    async def get(self, need: Need) -> Any:
        """The scope's instance, made when first asked for."""
        if (found := self.find(need)) is None:
            provider = self.world.providers.find(need)
            if provider is None:
                raise LookupError(f"nothing provides {need.name}")
            found = self.instances[need] = await self.stack.enter_async_context(provider.open(self, need))
        return found


Open = Callable[[Scope, Need], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True)
class Provider:
    """How one kind of need is met, and for how long the same instance serves: a whole scope, or one call."""

    open: Open
    lifetime: Lifetime
    rank: int
    name: str
    problem: "Callable[[World, Need], str | None] | None" = None


class ProviderTable:
    """Key → provider. Keys are tried from the most special: marker, generic origin or exact type, base classes."""

    def __init__(self) -> None:
        self._providers: dict[Any, Provider] = {}

    def add(
        self,
        key: Any,
        opening: Open,
        lifetime: Lifetime,
        problem: "Callable[[World, Need], str | None] | None" = None,
        name: str | None = None,
    ) -> None:
        """``problem`` says, once the world is complete, why a need cannot be met there; ``name`` is what a signature writes
        where that is not the key's own name."""
        self._providers[key] = Provider(opening, lifetime, len(self._providers), name or key.__name__, problem)

    def find(self, need: Need) -> Provider | None:
        if need.marker is not None:  # a marker says more than the type beneath it
            return self._providers.get(type(need.marker))
        keys = getattr(need.type, "__mro__", (need.type,))
        return next((self._providers[key] for key in keys if key in self._providers), None)

    def names(self) -> list[str]:
        """What a signature can ask for, as it is written there."""
        return sorted(provider.name for key, provider in self._providers.items() if key is not Trigger)


@dataclass(frozen=True)
class Plan:
    """A system's parameters with the providers that meet them, in the order in which they are entered."""

    needs: Mapping[str, Need]
    providers: Mapping[str, Provider]

    async def arguments(self, scope: Scope, call: AsyncExitStack) -> dict[str, Any]:
        return {
            name: await (
                scope.get(self.needs[name])
                if provider.lifetime == "scope"
                else call.enter_async_context(provider.open(scope, self.needs[name]))
            )
            for name, provider in self.providers.items()
        }


MISSING: Final = inspect.Parameter.empty


def compile_plan(fn: Callable[..., Any], trigger: type | None, table: ProviderTable) -> tuple[Plan, list[str]]:
    """The plan of ``fn``, and a line for each parameter that cannot be met."""
    hints, unresolved = resolved_hints(fn)
    needs, providers, problems = {}, {}, []
    for name, parameter in inspect.signature(fn).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            problems.append(f"parameter {name!r} takes any number of arguments; name what the system needs, one by one")
        elif name in unresolved:
            problems.append(f"parameter {name!r}: {_unresolved(unresolved[name], trigger, table)}")
        elif name not in hints:
            problems.append(f"parameter {name!r} has no type annotation")
        else:
            need = _as_trigger(Need.of(hints[name]), trigger)
            if provider := table.find(need):
                needs[name], providers[name] = need, provider
            elif parameter.default is MISSING:
                problems.append(f"parameter {name!r}: {_nothing_provides(need, trigger, table)}")
    ranked = dict(sorted(providers.items(), key=lambda item: item[1].rank))
    return Plan(needs, ranked), problems


def resolved_hints(fn: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The annotations of ``fn`` as types; and of those that mean nothing at run time, the name that is missing."""
    hints: dict[str, Any] = {}
    unresolved: dict[str, str] = {}
    for name, annotation in inspect.get_annotations(
        fn
    ).items():  # one by one, so that one mistake does not hide the next
        alone = SimpleNamespace(__annotations__={name: annotation})
        try:
            hints |= get_type_hints(alone, inspect.unwrap(fn).__globals__, include_extras=True)
        except (NameError, AttributeError) as e:
            unresolved[name] = e.name or str(annotation)
        except (SyntaxError, TypeError):
            unresolved[name] = str(annotation)
    return hints, unresolved


def _as_trigger(need: Need, trigger: type | None) -> Need:
    is_trigger = (
        trigger is not None
        and isinstance(need.type, type)
        and need.type is not object
        and issubclass(trigger, need.type)
    )
    return Need(Trigger) if is_trigger and need.marker is None else need


def _nothing_provides(need: Need, trigger: type | None, table: ProviderTable) -> str:
    names = _provided(trigger, table)
    near = difflib.get_close_matches(need.name, names, 1, 0.6)
    hint = f" (did you mean {near[0]}?)" if near else f"; provided are {', '.join(sorted(names))}"
    return f"nothing provides {need.name}{hint}"


def _unresolved(name: str, trigger: type | None, table: ProviderTable) -> str:
    near = difflib.get_close_matches(name, _provided(trigger, table), 1, 0.6)
    if near and near[0] != name:
        return f"nothing provides {name} (did you mean {near[0]}?)"
    return unresolvable(name)


def unresolvable(name: str) -> str:
    return f"the annotation {name!r} cannot be resolved at run time; import it at module level, not under TYPE_CHECKING"


def _provided(trigger: type | None, table: ProviderTable) -> list[str]:
    return [*table.names(), *([trigger.__name__] if trigger is not None else [])]
