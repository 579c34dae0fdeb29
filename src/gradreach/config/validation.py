"""Values checked against a schema; the first wrong one gives a one-line error."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gradreach.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

UNICODE = re.compile(r"[^\0\ud800-\udfff]*")
NUMBER = re.compile(r"[-+]?((0|[1-9][0-9_]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
"""How Hydra's command line writes one: elsewhere 010 may be eight."""


SMALLEST, LARGEST = 1e-30, 1e30
"""The range of nonzero numbers: float32 holds both ends and their neighbours."""


def checked(settings: type[Model], values: Mapping[str, Any], prefix: str = "") -> Model:
    """Validate values, or raise a ConfigError about the first wrong one."""
    try:
        found = settings.model_validate(dict(values))
    except ValidationError as error:
        raise _first_mistake(settings, error, prefix) from None
    _refuse_look_alikes(found, values, prefix)
    return found


def settled(group: Model, prefix: str = "") -> Model:
    """Return a group with normalized numbers, so that equal settings have one identity.

    They have 12 digits: 0.30000000000000004, from a range, is 0.3; and minus zero is zero.

    Raises:
        ConfigError: training in single precision would make zero of one, or infinity.
    """
    update = _settled_items({**group.__dict__, **(group.model_extra or {})}, prefix)
    return group.model_copy(update=update) if update else group


def _settled_items(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return those of the values that are settled otherwise than they stand."""
    found = ((name, value, _settled(value, f"{prefix}.{name}" if prefix else name)) for name, value in values.items())
    return {name: new for name, value, new in found if new is not value}


def _settled(value: Any, key: str) -> Any:
    match value:
        case BaseModel():
            return settled(value, key)
        case float() if not math.isfinite(value):
            raise ConfigError(key, value, "must be a finite number")
        case float() if value and not SMALLEST <= abs(value) <= LARGEST:
            raise ConfigError(key, value, f"must be 0, or between {SMALLEST:g} and {LARGEST:g} in size")
        case float():
            return meant if str(meant := float(f"{value:.12g}") + 0.0) != str(value) else value
        case Mapping():
            return {**value, **update} if (update := _settled_items(value, key)) else value
        case list():
            new = [_settled(each, key) for each in value]
            return new if any(one is not other for one, other in zip(new, value, strict=True)) else value
    return value


def _refuse_look_alikes(value: object, given: object, key: str) -> None:
    """Refuse values that pydantic would convert, changing the identity: true or the text 010 for a number, bytes."""
    match value, given:
        case BaseModel(), Mapping():
            for attribute, field in type(value).model_fields.items():
                name = field.alias or attribute
                _refuse_look_alikes(getattr(value, attribute), given.get(name), ".".join(filter(None, [key, name])))
            _refuse_look_alikes(value.model_extra or {}, given, key)
        case Mapping(), Mapping():
            for name, one in value.items():
                _refuse_look_alikes(one, given.get(name), f"{key}.{name}" if key else name)
        case ((list() | tuple()), (list() | tuple())):
            for one, its in zip(value, given, strict=False):
                _refuse_look_alikes(one, its, key)
        case bool(), _:
            pass
        case ((str() | Path()), _) if not UNICODE.fullmatch(str(value)):
            raise ConfigError(key, value, "must be text without null or invalid characters")
        case ((int() | float()), bool()):
            raise ConfigError(key, given, "must be a number, not true or false")
        case ((int() | float()), str()) if not NUMBER.fullmatch(given):
            raise ConfigError(key, given, "must be a number", "write it in decimal, without leading zeros or spaces")


def _first_mistake(settings: type[BaseModel], error: ValidationError, prefix: str) -> ConfigError:
    """Describe the error of the first invalid setting, with all its allowed forms."""
    errors = error.errors()
    group, path = _place(settings, errors[0]["loc"])
    key, given = ".".join([*filter(None, [prefix]), *path]), errors[0]["input"]
    if errors[0]["type"] == "missing":
        return ConfigError(key, allowed="this setting is missing")
    if errors[0]["type"] == "extra_forbidden":
        return ConfigError(key, allowed="there is no such setting", choices=list(_names(group)))
    own = [each for each in errors if _place(settings, each["loc"])[1] == path]
    allowed = " or ".join(dict.fromkeys(_demand(each, _names(group).get(path[-1])) for each in own))
    unquoted = any(each["type"] == "string_type" for each in own) and isinstance(given, int | float)
    hint = f"quote it: \"{key}='{given}'\"" if unquoted else ""
    return ConfigError(key, given, f"must {allowed.replace(' or be ', ' or ')}", hint)


def _place(settings: type[BaseModel], location: Sequence[int | str]) -> tuple[type[BaseModel], list[str]]:
    """Return the group that a setting stands in, and its path: what pydantic adds to it names no setting."""
    group, path = settings, list[str]()
    kind: Any = settings
    for part in map(str, location):
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            group, field = kind, _names(kind).get(part)
            kind = field.annotation if field is not None else None
        else:
            break
        path.append(part)
    return group, path


def _names(group: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the settings of a group by the names that people type."""
    return {field.alias or name: field for name, field in group.model_fields.items()}


def _demand(mistake: ErrorDetails, field: FieldInfo | None) -> str:
    """Return what a setting must be: in the words of its field if pydantic has only a pattern."""
    if mistake["type"] == "string_pattern_mismatch" and field is not None and field.description:
        return f"be {field.description}"
    if mistake["type"] == "int_parsing_size":
        return "be a number with fewer digits"
    message = re.sub(r"^(Value error, must|\w+ should) ", "", mistake["msg"])
    return message.replace("Input is not", "be").partition(" for <class")[0]
