"""All settings of a run, typed, and its identity."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    StrictBool,
    StrictFloat,
    StrictInt,
)

from gradreach.config.components import Component, LoggerTarget, Settings, Target
from gradreach.config.published import Paper
from gradreach.config.tracking import TrackingSettings
from gradreach.errors import ConfigError
from gradreach.schedule import MOST, Schedule, checked_schedule

ROUND = 10_000
"""Training examples of a generated task by default: the length of an epoch if nothing else is known."""
IDENTITY_VERSION = 3
"""Incremented when a code change makes equal configurations give different numbers.

Version 3 is open until release 0.2.0: until then what it stands for may change without another number.
"""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
# far beyond any use: larger values are mistakes, and must not become another name for "all"
Count = Annotated[int, Field(gt=0, le=MOST)]
Examples = Annotated[int, Field(gt=0, le=100_000_000)]


def _is_none(value: object) -> bool:
    return value is None


def _is_false(value: object) -> bool:
    return value is False


def _is_one(value: object) -> bool:
    return value == 1


def _is_four(value: object) -> bool:
    return value == 4


def _is_without(value: object) -> bool:
    return value == "none"


def _is_best(value: object) -> bool:
    return value == "best"


def _is_zero(value: object) -> bool:
    return value == 0


def _is_all(value: object) -> bool:
    return value == "all"


def _is_torch(value: object) -> bool:
    return value == "torch"


def _is_empty(value: object) -> bool:
    return value == {}


class ModelSettings(Component):
    """An encoder, and what comes before and after it."""

    readout: Literal["last", "mean", "max", "attention", "flatten", "each_step"]
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    head_max_norm: PositiveFloat | None = None
    embedding: Literal["trainable", "frozen"] = "trainable"
    embedding_size: Annotated[int, Field(gt=0, le=65_536)] | None = None
    # what came later and is not used is not part of the identity: runs of before it keep theirs
    embedding_ngrams: Annotated[int, Field(ge=1, le=5)] = Field(default=1, exclude_if=_is_one)
    match_params: Annotated[int, Field(gt=0, le=10**9)] | None = None
    block: Literal["none", "prenorm"] = Field(default="none", exclude_if=_is_without)
    block_expansion: Annotated[int, Field(ge=0, le=64)] = Field(default=4, exclude_if=_is_four)

    layer_defaults: Literal["torch", "keras"] = Field(default="torch", exclude_if=_is_torch)

    def ends(self) -> dict[str, Any]:
        """Return all settings that are not arguments of the encoder."""
        return self.model_dump(include=set(ModelSettings.model_fields) - set(Component.model_fields))


def checked_warmup(value: object) -> object:
    """Return a valid warm-up; 1.0 is invalid: as a fraction it would be all steps, as a number one step.

    Raises:
        ValueError: it is not.
    """
    number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
    share = isinstance(value, float) and 0 <= value < 1
    if number or share:
        return value or 0
    raise ValueError(
        "must be a number of steps such as 2000, 0 for none, or a fraction of all steps below 1 such as 0.1"
    )


Warmup = Annotated[int | float, BeforeValidator(checked_warmup)]
HALF, PATIENCE, ALPHA = 0.5, 50, 0.99


class OptimizerSettings(Settings):
    """How the weights are updated.

    - ``alpha``: how much of RMSprop's mean square is kept at each step.
    - ``decay``: what weight decay applies to: ``all`` parameters, or ``weights``: not vectors, such as biases and
      norms, nor the parameters of eigenvalues.
    - ``schedule``: ``cosine`` falls to ``min_lr`` at the last step; ``plateau`` multiplies the rate by ``factor`` after
      ``patience`` epochs none of which had a lower loss, down to ``min_lr``.
    - ``monitor``: whose loss a plateau is of, ``train`` or ``val``.
    - ``warmup``: in this many steps, or this fraction of all, the rate first rises linearly; cosine begins after it.
    """

    name: Literal["adam", "adamw", "rmsprop", "sgd", "adadelta"]
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    schedule: Literal["constant", "cosine", "plateau"]
    # what came later and is not used is not part of the identity: runs of before it keep theirs
    alpha: Annotated[float, Field(ge=0, lt=1)] = Field(default=ALPHA, exclude_if=lambda value: value == ALPHA)
    decay: Literal["all", "weights"] = Field(default="all", exclude_if=_is_all)
    warmup: Warmup = Field(default=0, exclude_if=_is_zero)
    min_lr: NonNegativeFloat = Field(default=0.0, exclude_if=_is_zero)
    factor: Annotated[float, Field(gt=0, lt=1)] = Field(default=HALF, exclude_if=lambda value: value == HALF)
    patience: Count = Field(default=PATIENCE, exclude_if=lambda value: value == PATIENCE)
    monitor: Literal["train", "val"] = Field(default="train", exclude_if=lambda value: value == "train")

    @property
    def moves(self) -> bool:
        """Whether the learning rate changes during training."""
        return self.schedule != "constant" or self.warmup > 0

    def check(self) -> None:
        """Refuse settings that are invalid, or have no effect beside another one.

        Raises:
            ConfigError: naming the setting, and the other one.
        """

        def refuse(setting: str, why: str, hint: str, **others: object) -> None:
            named = {f"optimizer.{name}": value for name, value in others.items()}
            raise ConfigError(f"optimizer.{setting}", getattr(self, setting), why, hint, others=named)

        if self.alpha != ALPHA and self.name != "rmsprop":
            refuse("alpha", "only rmsprop has it", f"choose name=rmsprop, or alpha={ALPHA}", name=self.name)
        if self.decay != "all" and not self.weight_decay:
            refuse("decay", "has no effect", "choose a weight_decay, or decay=all", weight_decay=self.weight_decay)
        if self.min_lr >= self.lr:
            refuse("min_lr", "must be below the learning rate", "choose a smaller one", lr=self.lr)
        if self.schedule == "constant" and self.min_lr:
            refuse(
                "min_lr", "a constant rate never reaches it", "choose schedule=cosine or plateau", schedule="constant"
            )
        if self.schedule == "plateau" and self.warmup:
            refuse("warmup", "schedule=plateau has no warm-up", "set warmup=0", schedule="plateau")
        for setting, usual in (("factor", HALF), ("patience", PATIENCE), ("monitor", "train")):
            if self.schedule != "plateau" and getattr(self, setting) != usual:
                hint = f"choose schedule=plateau, or {setting}={usual}"
                refuse(setting, "only schedule=plateau uses it", hint, schedule=self.schedule)


def checked_limit(value: object) -> object:
    """Return a valid limit of batches; 1.0 is invalid: Lightning reads it as all, we would read it as one.

    Raises:
        ValueError: it is not.
    """
    number = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST
    share = isinstance(value, float) and 0 < value < 1
    if value is None or number or share:
        return value
    raise ValueError("must be null (all), a number of batches such as 10, or a fraction below 1 such as 0.1")


STOPPING = re.compile("(train|val)/(loss|accuracy|mse)")


def checked_stop(value: object) -> object:
    """Return a valid stopping condition, bounds as floats.

    Raises:
        ValueError: it cannot.
    """
    if value is None:
        return None
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, bound),) = value.items()
        if isinstance(bound, int | float) and not isinstance(bound, bool) and 0 <= bound < math.inf:
            if name == "steps" and MOST >= bound == int(bound) > 0:
                return {name: int(bound)}
            if STOPPING.fullmatch(str(name)) and (bound <= 1 or not str(name).endswith("accuracy")):
                return {name: float(bound)}
    raise ValueError(
        "must be null, or one bound on a training or validation metric, or on steps: {train/accuracy: 0.99}, "
        "{val/mse: 0.01}, {steps: 5000}"
    )


Limit = Annotated[int | float | None, BeforeValidator(checked_limit)]
StopBound = Annotated[dict[str, int | float] | None, BeforeValidator(checked_stop)]


class TrainerSettings(Settings):
    """Length of training, batches, and what is kept; named as in Lightning's Trainer where it has the setting.

    Settings that only keep files do not change numbers, so they are not part of the identity.

    - ``epochs``: None: as many as ``max_steps`` take.
    - ``max_steps``: ends training, and a schedule, however many epochs there are.
    - ``stop_when``: ends training with the epoch in which a figure reaches its bound, or at a step; schedules still
      follow the budget.
    - ``select``: which epoch's weights are tested: of the best validation score, the last, or of the lowest training
      loss (its mean over the epoch, dropout included), as Keras's checkpoints with ``monitor="loss"``.
    - ``overfit_batches``: learn from this many batches of the training split, and choose by them.
    - ``gradient_horizon``: the largest lag to which a loss is sent back, in steps from the last one; None: all.
    - ``kernels``: the implementation of recurrent layers that ``kernels=auto`` resolves to for this model and machine.
    """

    epochs: Count | None
    batch_size: Examples
    clip_norm: PositiveFloat | None
    precision: Literal["32-true", "64-true", "bf16-mixed", "16-mixed"] = "32-true"
    accumulate_grad_batches: Examples = 1
    # of these, what is off is not a column of a table: no other value means the same
    max_steps: Count | None = Field(default=None, exclude_if=_is_none)
    stop_when: StopBound = Field(default=None, exclude_if=_is_none)
    select: Literal["best", "last", "train_loss"] = Field(default="best", exclude_if=_is_best)
    limit_train_batches: Limit = Field(default=None, exclude_if=_is_none)
    limit_val_batches: Limit = Field(default=None, exclude_if=_is_none)
    limit_test_batches: Limit = Field(default=None, exclude_if=_is_none)
    overfit_batches: Examples | None = Field(default=None, exclude_if=_is_none)
    kernels: Literal["compiled", "torch"] = Field(default="torch", exclude_if=_is_torch)
    gradient_horizon: Count | None = Field(default=None, exclude_if=_is_none)
    fast_dev_run: StrictBool = Field(default=False, exclude_if=_is_false)
    checkpoint_seconds: NonNegativeFloat = Field(default=60.0, exclude=True)
    keep_checkpoint: bool = Field(default=False, exclude=True)
    keep_weights: bool = Field(default=False, exclude=True)

    def check(self) -> None:
        """Refuse training without an end.

        Raises:
            ConfigError: naming both settings that could end it.
        """
        if self.epochs is None and self.max_steps is None:
            endless, hint = "training would never end", "set one of them"
            raise ConfigError("trainer.epochs", "null", endless, hint, others={"trainer.max_steps": "null"})

    @property
    def passes(self) -> int:
        """How long training is, in epochs or, where steps are its budget, in rounds of ten thousand examples."""
        if self.epochs is not None:
            return self.epochs
        return -(-(self.max_steps or 0) * self.batch_size * self.accumulate_grad_batches // ROUND)


When = Annotated[Schedule, BeforeValidator(checked_schedule)]


class DiagnosticsSettings(Settings):
    """What is measured of gradients and states, when, and on how many examples.

    - ``own``: when quantities of somebody else's are measured, by the dotted names of their functions.
    """

    name: Literal["off", "standard", "full"]
    examples: Examples
    exponents: Annotated[int, Field(gt=0, le=65_536)]
    profile: When
    gates: When
    histograms: When
    lyapunov: When
    bptt: When
    jacobians: When
    receptive_field: When
    # what came later and is not used is not part of the identity: runs of before it keep theirs
    decoding: When = Field(default=None, exclude_if=_is_none)
    sensitivity: When = Field(default=None, exclude_if=_is_none)
    own: dict[str, When] = Field(default={}, exclude_if=_is_empty)

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Return when each quantity is measured; those of ``own`` are called by their dotted names."""
        apart = ("name", "examples", "exponents", "own")
        return {name: value for name, value in self if name not in apart} | self.own


class RunConfig(Settings):
    """Everything that can change a run's results, and nothing else: its identity is computed from this."""

    task: Component
    model: ModelSettings
    optimizer: OptimizerSettings
    trainer: TrainerSettings
    diagnostics: DiagnosticsSettings
    callbacks: dict[str, Target] = Field(default={}, exclude_if=_is_empty)
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
        """Describe the configuration for people, without its seed."""
        parts = [self.model.name, self.task.name]
        if (seq_len := self.task.arguments().get("seq_len")) is not None:
            parts.append(f"T={seq_len}")
        if (kernel_size := self.model.arguments().get("kernel_size")) is not None:
            parts.append(f"k={kernel_size}")
        return " · ".join(parts)


RESERVED = {"quick", "published", "runs", "wandb", "searches", "logs", "jobs"}
"""Names of results folders that are not experiments."""


def checked_name(name: str) -> str:
    """Return the name of an experiment if it can be that of files and a folder.

    Raises:
        ValueError: it cannot.
    """
    if not re.fullmatch(r"\w[\w.-]{0,127}", name):
        raise ValueError("must be made of letters, digits, '_', '-' and '.', and not begin with '-' or '.'")
    if name in RESERVED:
        raise ValueError(f"must not be one of {', '.join(sorted(RESERVED))}, which are reserved results folders")
    return name


ExperimentName = Annotated[str, AfterValidator(checked_name)]


class RunEnvironment(Settings):
    """Where and how a run is executed: nothing here can change its results.

    - ``published``: the paper whose numbers the runs are compared with; see ``conf/published``.
    - ``prune``: set by a search: for each epoch, the worst validation score with which the run goes on; otherwise it is
      interrupted.
    """

    experiment: ExperimentName | None
    published: Paper | None = None
    tracking: TrackingSettings
    logger: dict[str, LoggerTarget] = Field(default={})
    results_dir: Path
    data_dir: Path
    force: bool
    retry: Literal["failed", "none"]
    prune: list[StrictInt | StrictFloat | None] | None = None
    threads: Annotated[int, Field(gt=0, le=1024)]
    device: str


class Axes(Settings):
    """The three axes of the study, at the top of the configuration."""

    seq_len: Annotated[int, Field(gt=0, le=1_000_000)]
    kernel_size: Annotated[int, Field(gt=0, le=1_000_000)]
    seed: Seed


class Kernels(Settings):
    """The requested implementation of recurrent layers; ``TrainerSettings.kernels`` is the resolved one."""

    kernels: Literal["auto", "compiled", "torch"] = "auto"


def _digest(values: Any) -> str:
    text = json.dumps([IDENTITY_VERSION, values], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
