"""Components of a configuration: classes by dotted name, arguments checked against their signatures."""

import inspect
import pkgutil
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, create_model

from gradreach.errors import ConfigError


class Settings(BaseModel):
    """A group of settings; unknown settings are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Target(BaseModel):
    """A class to construct: ``_target_`` names it, every other key is an argument of its constructor."""

    model_config = ConfigDict(extra="allow", frozen=True)

    target: str = Field(alias="_target_")

    def arguments(self) -> dict[str, Any]:
        """Return the arguments."""
        return dict(self.model_extra or {})

    def make(self, **defaults: Any) -> Any:
        """Construct the object; arguments that are not configured may have defaults."""
        return resolve(self.target)(**{**defaults, **self.arguments()})


class Component(Target):
    """A class to construct, with a name of its own; its arguments are checked against the constructor's signature."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="made of letters, digits, '_', '.' and '-'")


class LoggerTarget(Target):
    """A logger of Lightning's, and the package that must be installed for it."""

    package: str | None = None


def resolve(target: str, setting: str = "_target_") -> Any:
    """Return the class that a dotted name stands for.

    Raises:
        ConfigError: it cannot be imported; ``setting`` is what named it.
    """
    try:
        return pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(setting, target, f"cannot be imported ({error})") from None


@cache
def loose_signature_of(constructor: Any) -> type[BaseModel]:
    """Make a schema of the arguments of a foreign class: arguments with a usable annotation are checked.

    A default of None allows None, whatever the annotation.
    """
    try:
        hints = get_type_hints(constructor.__init__)
    except (NameError, TypeError):
        hints = {}
    fields: dict[str, Any] = {}
    parameters = inspect.signature(constructor).parameters.values()
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            kind = hints.get(parameter.name, Any)
            kind = kind | None if parameter.default is None else kind
            fields[parameter.name] = (_known(kind), ... if parameter.default is parameter.empty else parameter.default)
    others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    config = ConfigDict(extra="allow" if others else "forbid", allow_inf_nan=False, protected_namespaces=())
    return create_model(constructor.__name__, __config__=config, **fields)


def _known(kind: Any) -> Any:
    """Return an annotation if pydantic can check it, otherwise Any."""
    try:
        TypeAdapter(kind)
    except PydanticUserError:
        return Any
    return kind


@cache
def signature_of(constructor: type, setting: str = "_target_") -> type[BaseModel]:
    """Make a schema of a constructor's keyword-only arguments from their annotations and defaults.

    Raises:
        ConfigError: it is not a class, or an argument lacks a usable annotation; ``setting`` named it.
    """
    if not inspect.isclass(constructor):
        raise ConfigError(setting, str(constructor), "must be a class")
    name = f"{constructor.__module__}.{constructor.__qualname__}"
    try:
        hints = get_type_hints(constructor.__init__, include_extras=True)
        parameters = inspect.signature(constructor).parameters
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(setting, name, f"its constructor cannot be read ({error})") from None
    fields: dict[str, Any] = {}
    for argument, parameter in parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            if argument not in hints:
                hint = f"write it as {argument}: PositiveInt"
                raise ConfigError(setting, name, f"its argument {argument} has no type annotation", hint)
            fields[argument] = (hints[argument], ... if parameter.default is parameter.empty else parameter.default)
    return create_model(constructor.__name__, __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **fields)
