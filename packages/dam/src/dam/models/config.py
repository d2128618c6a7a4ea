"""Settings: validated when read, stored as components, one definition for both forms."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator
from sqlalchemy import JSON, Boolean, Float, String
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeEngine

from dam.models.core.base_component import UniqueComponent
from dam.models.core.fields import HIDDEN
from dam.models.core.types import ID


def expanded(path: Path) -> Path:
    """With the home folder for ``~``. Raises ``ValueError`` where there is none."""
    try:
        return path.expanduser()
    except RuntimeError as e:
        raise ValueError(f"there is no home folder {path.parts[0]!r}") from e


def _resolve(path: Path, info: ValidationInfo) -> Path:
    base = (info.context or {}).get("base")
    path = expanded(path)
    return Path(base) / path if base is not None else path


SettingsPath = Annotated[Path, AfterValidator(_resolve)]
"""A path in settings: ``~`` is the home folder, and a relative path is relative to the file that says it."""


class SettingsModel(BaseModel):
    """What a plugin can be told. Unknown keys are errors; values do not change while a world lives."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Secret(SettingsModel):
    """Where a password or a key is: settings are stored and shown, so they hold none. Either ``env`` or ``file``."""

    env: str | None = None
    """The environment variable that has it."""
    file: SettingsPath | None = None
    """The file that has it, and nothing else."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("write where it is, { env = 'NAME' } or { file = 'PATH' }")
        return self


def is_secret(model: type[BaseModel], name: str) -> bool:
    """Whether what is written for that setting may be a secret by mistake, and must not be shown."""
    field = model.model_fields.get(name)
    return field is not None and Secret in (field.annotation, *get_args(field.annotation))


def meanings(model: type) -> dict[str, str]:
    """The docstrings below a model's fields. Pydantic could keep them, at the price of parsing sources at every start."""
    import ast
    import textwrap
    from itertools import pairwise

    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


class ConfigComponent(UniqueComponent, hides_entity=True):
    """Settings stored as a component: the columns are derived from ``class X(ConfigComponent, settings=XSettings)``.

    Numbers, texts and booleans get typed columns, all else is kept as JSON; NULL means that the default holds.
    """

    __abstract__ = True
    __settings__: ClassVar[type[SettingsModel]] = SettingsModel

    def __init_subclass__(cls, settings: type[SettingsModel] | None = None, **kw: Any) -> None:
        if settings is not None:
            cls.__settings__ = settings
            annotations = dict(inspect.get_annotations(cls))
            for name, column_type in _columns(settings):
                annotations[name] = Mapped[Any]
                setattr(cls, name, mapped_column(column_type, nullable=True, default=None, info=HIDDEN))
            cls.__annotations__ = annotations
        super().__init_subclass__(**kw)

    @classmethod
    def from_settings(cls, settings: SettingsModel) -> Self:
        """The stored form: only what was set, so that later defaults reach stored worlds as well."""
        return cls(**settings.model_dump(mode="json", exclude_unset=True))

    def to_settings(self, base: Path | None = None, model: type[SettingsModel] | None = None) -> SettingsModel:
        """The validated form; relative paths are taken from ``base``. Raises ``pydantic.ValidationError``.

        ``model`` is the plugin's, where the component was declared without one: an empty component may be.
        """
        values = {name: getattr(self, name) for name in self.__settings__.model_fields}
        given = {name: value for name, value in values.items() if value is not None}
        return (model or self.__settings__).model_validate(given, context={"base": base})


_COLUMN_TYPES: dict[type, TypeEngine[Any]] = {bool: Boolean(), int: ID, float: Float(), str: String(), Path: String()}


def _columns(settings: type[SettingsModel]) -> Iterator[tuple[str, TypeEngine[Any]]]:
    for name, field in settings.model_fields.items():
        hint: Any = field.annotation
        if get_origin(hint) in (Union, UnionType):
            (hint, *more) = [a for a in get_args(hint) if a is not type(None)]
            hint = object if more else hint
        yield name, _COLUMN_TYPES.get(hint, JSON(none_as_null=True))


class WorldConfig(SettingsModel):
    """The core's own settings of one world."""

    name: str
    """What the world is called."""
    database_url: str = ""
    """``sqlite+aiosqlite:///FILE``, or ``postgresql+asyncpg://USER@HOST/DATABASE``, which needs asyncpg."""
    database_password: Secret | None = None
    """Where the password of a database server is: ``{ env = "NAME" }`` or ``{ file = "PATH" }``."""
    folder: SettingsPath | None = None
    """Where plugins keep files of this world unless they are told another place; beside an embedded database unless set."""
    analysis_workers: int | None = Field(default=None, ge=1, le=256)
    """Processes that decode files; as many as there are processors unless set."""
    analysis_time_limit: float = Field(default=60, gt=0)
    """Seconds one analysis of one file may take."""
    analysis_cpu_limit: float = Field(default=30, gt=0)
    """Seconds of processor time one analysis of one file may use."""
    analysis_memory_mb: int = Field(default=2048, ge=256)
    """Megabytes an analysing process may hold."""


class WorldConfigComponent(ConfigComponent, settings=WorldConfig):
    """A world's core settings, stored."""

    __tablename__ = "dam_world_config"
