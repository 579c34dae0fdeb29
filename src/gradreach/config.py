"""The typed, validated configuration of a run, and its identity."""

import hashlib
import inspect
import json
import pkgutil
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gradreach.errors import ConfigError
from gradreach.schedule import Schedule, checked_schedule

IDENTITY_VERSION = 2
"""Raised when a change of the code makes equal configurations yield other numbers."""

Model = TypeVar("Model", bound=BaseModel)


Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Settings(BaseModel):
    """A group of settings; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Component(BaseModel):
    """A class to construct: ``_target_`` names it, every other key is an argument of its constructor."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="made of letters, digits, '_', '.' and '-'")
    target: str = Field(alias="_target_")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments, checked against the constructor's signature."""
        return dict(self.model_extra or {})

    def make(self, *positional: Any) -> Any:
        """Make the object."""
        return resolve(self.target)(*positional, **self.arguments())


def _is_none(value: object) -> bool:
    return value is None


def _is_one(value: object) -> bool:
    return value == 1


class ModelSettings(Component):
    """An encoder, and what stands before and after it."""

    readout: Literal["last", "mean", "max", "attention", "flatten", "each_step"]
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    head_max_norm: PositiveFloat | None = None
    embedding: Literal["trainable", "frozen"] = "trainable"
    embedding_size: PositiveInt | None = None
    # what came later and is not used is no part of the identity: runs of before it keep theirs
    embedding_ngrams: Annotated[int, Field(ge=1, le=5)] = Field(default=1, exclude_if=_is_one)
    match_params: PositiveInt | None = None

    def ends(self) -> dict[str, Any]:
        """Return all that is no argument of the encoder."""
        return self.model_dump(include=set(ModelSettings.model_fields) - set(Component.model_fields))


class OptimizerSettings(Settings):
    """How the weights are moved."""

    name: Literal["adam", "adamw", "rmsprop", "sgd"]
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    schedule: Literal["constant", "cosine"]


class TrainerSettings(Settings):
    """How long, in what portions, and what is kept.

    What is kept changes no number, so it is no part of the identity.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    clip_norm: PositiveFloat | None
    checkpoint_seconds: NonNegativeFloat = Field(default=60.0, exclude=True)
    keep_checkpoint: bool = Field(default=False, exclude=True)


When = Annotated[Schedule, BeforeValidator(checked_schedule)]


class DiagnosticsSettings(Settings):
    """What is measured of gradient and states, when, on how many examples."""

    name: Literal["off", "standard", "full"]
    examples: PositiveInt
    exponents: PositiveInt
    profile: When
    gates: When
    histograms: When
    lyapunov: When
    bptt: When
    jacobians: When
    receptive_field: When
    # what came later and is not used is no part of the identity: runs of before it keep theirs
    decoding: When = Field(default=None, exclude_if=_is_none)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Return when each quantity is measured."""
        return {name: value for name, value in self if name not in ("name", "examples", "exponents")}


class RunConfig(Settings):
    """All that can change what a run yields, and nothing else: this is what its identity is made of."""

    task: Component
    model: ModelSettings
    optimizer: OptimizerSettings
    trainer: TrainerSettings
    diagnostics: DiagnosticsSettings
    seed: Seed

    def canonical(self) -> dict[str, Any]:
        """Return the configuration as plain values in which equal settings look equal."""
        return self.model_dump(mode="json", by_alias=True)

    @property
    def run_id(self) -> str:
        """The run's identity: 16 hexadecimal digits."""
        return _digest(self.canonical())

    @property
    def group_id(self) -> str:
        """The identity of the configuration without its seed."""
        return _digest({**self.canonical(), "seed": None})

    @property
    def label(self) -> str:
        """Say which configuration this is, for people, without its seed."""
        parts = [self.model.name, self.task.name]
        if (seq_len := self.task.arguments().get("seq_len")) is not None:
            parts.append(f"T={seq_len}")
        if (kernel_size := self.model.arguments().get("kernel_size")) is not None:
            parts.append(f"k={kernel_size}")
        return " · ".join(parts)


class TrackingSettings(Settings):
    """Where W&B sends what it is told; of entity and base_url null leaves the choice to W&B's own environment.

    There is no setting for a key: wandb alone reads it.
    """

    mode: Literal["offline", "online", "off"]
    project: str = Field(
        pattern=r"^[^/\\#?%:]{1,128}$", description="1 to 128 characters, none of which is / \\ # ? % or :"
    )
    entity: str | None
    base_url: str | None = Field(pattern=r"^https?://", description="an address that begins with http:// or https://")


class RunEnvironment(Settings):
    """Where and how a run is done: nothing here can change what it yields."""

    experiment: str | None
    tracking: TrackingSettings
    results_dir: Path
    data_dir: Path
    force: bool
    retry: Literal["failed", "none"]
    threads: PositiveInt
    device: str


class Axes(Settings):
    """The three axes of the study, at the top of the configuration."""

    seq_len: PositiveInt
    kernel_size: PositiveInt
    seed: Seed


def plain(composed: DictConfig) -> dict[str, Any]:
    """Return what Hydra composed as plain values, interpolations resolved, without Hydra's own part."""
    own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    values = OmegaConf.to_container(own, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def parse(composed: Mapping[str, Any]) -> tuple[RunConfig, RunEnvironment]:
    """Check a composed configuration (plain values, interpolations resolved).

    Raises:
        ConfigError: naming the first setting that is unknown or cannot be.
    """
    groups = (Axes, RunConfig, RunEnvironment)
    known = {field for group in groups for field in group.model_fields}
    for key in composed:
        if key not in known:
            raise ConfigError(str(key), allowed="there is no such setting", choices=known)
    _part(Axes, composed)
    run, environment = _part(RunConfig, composed), _part(RunEnvironment, composed)
    model = _with_checked_arguments("model", run.model)
    task = _with_checked_arguments("task", run.task)
    return run.model_copy(update={"model": model, "task": task}), environment


def _part(group: type[Model], composed: Mapping[str, Any]) -> Model:
    return checked(group, {key: composed[key] for key in group.model_fields if key in composed})


def checked(settings: type[Model], values: Mapping[str, Any], prefix: str = "") -> Model:
    """Validate values, or raise a ConfigError about the first that is wrong."""
    try:
        return settings.model_validate(dict(values))
    except ValidationError as error:
        raise _first_mistake(settings, error, prefix) from None


def _first_mistake(settings: type[BaseModel], error: ValidationError, prefix: str) -> ConfigError:
    """Say what is wrong with the first setting that cannot be, in all the forms that it may have."""
    errors = error.errors()
    group, path = _place(settings, errors[0]["loc"])
    key, given = ".".join([*filter(None, [prefix]), *path]), errors[0]["input"]
    if errors[0]["type"] == "missing":
        return ConfigError(key, allowed="this setting is missing")
    if errors[0]["type"] == "extra_forbidden":
        return ConfigError(key, allowed="there is no such setting", choices=_names(group))
    own = [each for each in errors if _place(settings, each["loc"])[1] == path]
    allowed = " or ".join(dict.fromkeys(_demand(each, _names(group)[path[-1]]) for each in own))
    unquoted = own[0]["type"] == "string_type" and isinstance(given, int | float)
    hint = f"quote it: \"{key}='{given}'\"" if unquoted else ""
    return ConfigError(key, given, f"must {allowed.replace(' or be ', ' or ')}", hint)


def _place(settings: type[BaseModel], location: Sequence[int | str]) -> tuple[type[BaseModel], list[str]]:
    """Return the group that a setting stands in, and its path: what pydantic adds to it names no setting."""
    group, path = settings, [str(part) for part in location[:1]]
    for part in location[1:]:
        field = _names(group).get(path[-1])
        inner = field.annotation if field is not None else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            break
        group = inner
        path.append(str(part))
    return group, path


def _names(group: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings of a group by the names that people type."""
    return {field.alias or name: field for name, field in group.model_fields.items()}


def _demand(mistake: ErrorDetails, field: FieldInfo) -> str:
    """Return what a setting must do or be: in the words of its field where pydantic has only a pattern."""
    if mistake["type"] == "string_pattern_mismatch" and field.description:
        return f"be {field.description}"
    message = re.sub(r"^(Value error, must|\w+ should) ", "", mistake["msg"])
    return message.replace("Input is not", "be").partition(" for <class")[0]


def resolve(target: str) -> Any:
    """Return the class that a dotted name stands for."""
    try:
        return pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError("_target_", target, f"cannot be imported ({error})") from None


def signature_of(constructor: type) -> type[BaseModel]:
    """Make a schema of a constructor's keyword-only arguments from their annotations and defaults."""
    hints = get_type_hints(constructor.__init__, include_extras=True)  # type: ignore[misc]
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return create_model(constructor.__name__, __config__=ConfigDict(extra="forbid"), **fields)


SomeComponent = TypeVar("SomeComponent", bound=Component)


def _with_checked_arguments(group: str, component: SomeComponent) -> SomeComponent:
    arguments = checked(signature_of(resolve(component.target)), component.arguments(), prefix=group)
    own = component.model_dump(by_alias=True, include=set(type(component).model_fields))
    return type(component).model_validate({**own, **arguments.model_dump()})


def _digest(values: Any) -> str:
    text = json.dumps([IDENTITY_VERSION, values], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
