"""Hydra's composed configuration -> a run and its environment; impossible settings are rejected here."""

import inspect
import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from gradreach.config.components import Component, LoggerTarget, Target, loose_signature_of, resolve, signature_of
from gradreach.config.settings import Axes, Kernels, RunConfig, RunEnvironment
from gradreach.config.validation import Model, checked, settled
from gradreach.errors import ConfigError, advise, one_line

UNUSED = {
    **dict.fromkeys(
        ("train_lengths", "test_lengths", "kernel_sizes", "width_multiples", "dropouts", "fold", "delimiter")
    ),
    "folds": 10,
    "start_gain": 1.0,
    "per_step": False,
    "header": True,
    "hold_out": True,
    "stretch": False,
    "criterion": "cross_entropy",
}
"""Arguments of our components that are not used, and so in no identity (their ``exclude_if``), while they are so."""
LATER = {
    "gradreach.models.GRU": {**UNUSED, "chrono": None},
    **{f"gradreach.models.{name}": {**UNUSED, "eigenvalues": "positive"} for name in ("MinGRU", "MinLSTM")},
}
"""The same of the models that were without a setting at first which others always had."""
LOOPS = {"gradreach.models.RNN", "gradreach.models.GRU"}
"""Our models for which there are compiled loops; of others their attribute ``compiled`` says so, which takes torch."""


def plain(composed: DictConfig) -> dict[str, Any]:
    """Return Hydra's composed configuration as plain values, interpolations resolved, without Hydra's own part."""
    own = composed
    if "hydra" in composed:
        own = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    values = OmegaConf.to_container(own, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def parse(composed: Mapping[str, Any]) -> tuple[RunConfig, RunEnvironment]:
    """Check a composed configuration (plain values, interpolations resolved).

    Raises:
        ConfigError: naming the first unknown or invalid setting.
    """
    run, environment = _groups(composed)
    model = _with_checked_arguments("model", run.model)
    task = _with_checked_arguments("task", run.task)
    for name in run.diagnostics.own:
        if not callable(resolve(name, "diagnostics.own")):
            raise ConfigError("diagnostics.own", name, "must be a function (instrument, traced) -> (scalars, tables)")
    callbacks, loggers = dict[str, Target](), dict[str, LoggerTarget]()
    for name, callback in run.callbacks.items():
        callback = callbacks[name] = _checked_plugin(f"callbacks.{name}", callback, "pytorch_lightning.Callback")
        try:
            json.dumps(callback.arguments(), allow_nan=False)
            callback.make()
        except Exception as error:
            raise ConfigError(f"callbacks.{name}", allowed=one_line(error)) from None
    for name, logger in environment.logger.items():  # not made here: some open a file or a connection
        if logger.package is not None and find_spec(logger.package) is None:
            raise ConfigError("logger", name, f"needs {logger.package}", f"pip install {logger.package}")
        loggers[name] = _checked_plugin(f"logger.{name}", logger, "pytorch_lightning.loggers.Logger")
    run = run.model_copy(update={"model": model, "task": task, "callbacks": callbacks})
    return run, environment.model_copy(update={"logger": loggers})


def parts(composed: Mapping[str, Any]) -> tuple[RunConfig, RunEnvironment]:
    """Check a composed configuration but for the arguments of its components, which takes their classes.

    Raises:
        ConfigError: naming the first unknown or invalid setting.
    """
    run, environment = _groups(composed)
    known = {"model": _without_unused(run.model), "task": _without_unused(run.task)}
    return run.model_copy(update=known), environment


def _groups(composed: Mapping[str, Any]) -> tuple[RunConfig, RunEnvironment]:
    groups = (Axes, Kernels, RunConfig, RunEnvironment)
    known = {field for group in groups for field in group.model_fields}
    for key in composed:
        if key not in known:
            raise ConfigError(str(key), allowed="there is no such setting", choices=known)
    _part(Axes, composed)
    if "kernels" in (composed.get("trainer") or {}):
        given = composed["trainer"]["kernels"]
        raise ConfigError("trainer.kernels", given, "is set by kernels", "set kernels=torch")
    run, environment = settled(_part(RunConfig, composed)), _part(RunEnvironment, composed)
    run.optimizer.check()
    run.trainer.check()
    if environment.published is not None and not environment.published.trains:
        name = environment.experiment
        hint = f"run gradreach reproduce {name}, which computes its cells"
        raise ConfigError("published", name, "it has no cell that needs training", hint)
    trainer = run.trainer.model_copy(update={"kernels": _kernels(_part(Kernels, composed).kernels, run, environment)})
    return run.model_copy(update={"trainer": trainer}), environment


def _without_unused(component: "SomeComponent") -> "SomeComponent":
    """Leave out what our own classes have in no identity, so that a run's is known before its classes are imported."""
    given, unused = component.model_dump(by_alias=True), LATER.get(component.target, UNUSED)
    kept = {name: value for name, value in given.items() if name not in unused or repr(value) != repr(unused[name])}
    return type(component).model_validate(kept) if component.target.startswith("gradreach.") else component


def _kernels(asked: str, run: RunConfig, environment: RunEnvironment) -> str:
    """Return what the recurrent layers of a run go through; of a model that has none for which there are loops, torch.

    Raises:
        ConfigError: compiled loops are asked for where there can be none.
    """
    target = run.model.target
    own = target.startswith("gradreach.")
    compiled = target in LOOPS if own else getattr(resolve(target, "model._target_"), "compiled", False)
    if asked == "torch" or not compiled:
        return "torch"
    instead = "set kernels=torch for torch's own layers, or kernels=auto"
    if environment.device != "cpu" or run.trainer.precision != "32-true":
        if asked == "compiled":
            here = {"device": environment.device, "trainer.precision": run.trainer.precision}
            raise ConfigError(
                "kernels", asked, "works only with device=cpu and trainer.precision=32-true", instead, others=here
            )
        return "torch"
    if find_spec("numba") is None:
        if asked == "compiled":
            raise ConfigError("kernels", asked, "needs numba", f"pip install numba, or {instead}")
        advise("kernels=auto: numba is not installed, so recurrent layers use torch's slower loops (pip install numba)")
        return "torch"
    return "compiled"


def _part(group: type[Model], composed: Mapping[str, Any]) -> Model:
    return checked(group, {key: composed[key] for key in group.model_fields if key in composed})


SomeComponent = TypeVar("SomeComponent", bound=Component)


def _with_checked_arguments(group: str, component: SomeComponent) -> SomeComponent:
    setting = f"{group}._target_"
    constructor = resolve(component.target, setting)
    if not isinstance(constructor, type):
        raise ConfigError(setting, component.target, "must be a class")
    schema = signature_of(constructor, setting)
    arguments = settled(checked(schema, component.arguments(), group), group)
    own = component.model_dump(by_alias=True, include=set(type(component).model_fields))
    return type(component).model_validate({**own, **arguments.model_dump()})


PlainTarget = TypeVar("PlainTarget", bound=Target)


def _checked_plugin(key: str, target: PlainTarget, base: str) -> PlainTarget:
    """Return what names a subclass of the base, with arguments that its constructor can take.

    Raises:
        ConfigError: it is not such a subclass, or has no such argument.
    """
    constructor = resolve(target.target, f"{key}._target_")
    fits = inspect.isclass(constructor) and issubclass(constructor, resolve(base))
    if not fits:
        raise ConfigError(f"{key}._target_", target.target, f"must be a subclass of {base}")
    given = target.arguments()
    found = settled(checked(loose_signature_of(constructor), given, key), key)
    plainly = {name: value for name, value in found if name in given and isinstance(value, bool | int | float | str)}
    return target.model_copy(update=plainly)
