"""The typed, validated configuration of a run, and its identity."""

import hashlib
import inspect
import json
import math
import pkgutil
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
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
    StrictBool,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gradreach.errors import ConfigError, one_line, suggest
from gradreach.schedule import Schedule, checked_schedule

IDENTITY_VERSION = 3
"""Raised when a change of the code makes equal configurations yield other numbers.

Version 3 is open until release 0.2.0: until then what it stands for may change without another number.
"""

Model = TypeVar("Model", bound=BaseModel)


Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Settings(BaseModel):
    """A group of settings; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(BaseModel):
    """A class to construct: ``_target_`` names it, every other key is an argument of its constructor."""

    model_config = ConfigDict(extra="allow", frozen=True)

    target: str = Field(alias="_target_")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments."""
        return dict(self.model_extra or {})

    def make(self, **defaults: Any) -> Any:
        """Make the object; what is not configured may have a default."""
        return resolve(self.target)(**{**defaults, **self.arguments()})


class Component(Target):
    """A class to construct, with a name of its own; its arguments are checked against the constructor's signature."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="made of letters, digits, '_', '.' and '-'")


def _is_none(value: object) -> bool:
    return value is None


def _is_false(value: object) -> bool:
    return value is False


def _is_one(value: object) -> bool:
    return value == 1


class LoggerTarget(Target):
    """A logger of Lightning's, and the package that must be installed for it."""

    package: str | None = None


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


def checked_limit(value: object) -> object:
    """Return a limit of batches if it is one; 1.0 is not: of Lightning it means all, of our numbers one.

    Raises:
        ValueError: it is not.
    """
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    share = isinstance(value, float) and 0 < value < 1
    if value is None or number or share:
        return value
    raise ValueError("must be null (all), a number of batches such as 10, or a share below 1 such as 0.1")


STOPPING = re.compile("(train|val)/(loss|accuracy|mse)")


def checked_stop(value: object) -> object:
    """Return when training stops if that can be, bounds as floats.

    Raises:
        ValueError: it cannot.
    """
    if value is None:
        return None
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, bound),) = value.items()
        if isinstance(bound, int | float) and not isinstance(bound, bool) and 0 <= bound < math.inf:
            if name == "steps" and bound == int(bound) > 0:
                return {name: int(bound)}
            if STOPPING.fullmatch(str(name)) and (bound <= 1 or not str(name).endswith("accuracy")):
                return {name: float(bound)}
    raise ValueError(
        "must be null, or one bound on a figure of training or validation, or on steps: {train/accuracy: 0.99}, "
        "{val/mse: 0.01}, {steps: 5000}"
    )


Limit = Annotated[int | float | None, BeforeValidator(checked_limit)]
StopBound = Annotated[dict[str, int | float] | None, BeforeValidator(checked_stop)]


class TrainerSettings(Settings):
    """How long, in what portions, and what is kept; named as in Lightning's Trainer where it has the setting.

    What is kept changes no number, so it is not part of the identity.

    - ``max_steps``: ends training, and a schedule, however many epochs there are.
    - ``stop_when``: ends training with the epoch in which a figure reaches its bound, or at a step; schedules go by
      the budget all the same.
    - ``overfit_batches``: learn from so many batches of the training split, and choose by them.
    """

    epochs: PositiveInt
    batch_size: PositiveInt
    clip_norm: PositiveFloat | None
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    accumulate_grad_batches: PositiveInt = 1
    # of these, what is off is no column of a table: no other value means the same
    max_steps: PositiveInt | None = Field(default=None, exclude_if=_is_none)
    stop_when: StopBound = Field(default=None, exclude_if=_is_none)
    limit_train_batches: Limit = Field(default=None, exclude_if=_is_none)
    limit_val_batches: Limit = Field(default=None, exclude_if=_is_none)
    limit_test_batches: Limit = Field(default=None, exclude_if=_is_none)
    overfit_batches: PositiveInt | None = Field(default=None, exclude_if=_is_none)
    fast_dev_run: StrictBool = Field(default=False, exclude_if=_is_false)
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
    callbacks: dict[str, Target] = {}
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
    logger: dict[str, LoggerTarget] = {}
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
    for name, callback in run.callbacks.items():
        _check_plugin(f"callbacks.{name}", callback, "pytorch_lightning.Callback")
        try:
            json.dumps(callback.arguments(), allow_nan=False)
            callback.make()
        except Exception as error:
            raise ConfigError(f"callbacks.{name}: {one_line(error)}") from None
    for name, logger in environment.logger.items():  # not made here: some open a file or a connection
        if logger.package is not None and find_spec(logger.package) is None:
            raise ConfigError(f"logger={name}: needs {logger.package}; pip install {logger.package}")
        _check_plugin(f"logger.{name}", logger, "pytorch_lightning.loggers.Logger")
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


def _check_plugin(key: str, target: Target, base: str) -> None:
    """Refuse what is no subclass of the base, or has no such argument."""
    constructor = resolve(target.target)
    if not (inspect.isclass(constructor) and issubclass(constructor, resolve(base))):
        raise ConfigError(f"{key}._target_={target.target}: must be a subclass of {base}")
    known = inspect.signature(constructor).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for argument in target.arguments():
            if argument not in known:
                raise ConfigError(f"{key}.{argument}: there is no such setting; {suggest(argument, known)}")


def _digest(values: Any) -> str:
    text = json.dumps([IDENTITY_VERSION, values], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
