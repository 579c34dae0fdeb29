"""Errors in a ``gradreach`` command line, as ours: typer would draw a box of six lines."""

import re
import sys
from typing import Any, NoReturn

import typer

from gradreach.errors import ConfigError, refuse

UsageError: Any = typer.BadParameter.__base__
"""The click that typer is built on: older versions use click itself, newer ones their own copy."""


def call(app: typer.Typer) -> NoReturn:
    """Do what the command line says, and exit."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except UsageError as error:
        if error.format_message():  # else it is the help, which has been printed
            refuse(explained(error))
        sys.exit(2)


def explained(error: Any) -> ConfigError:
    """Return the message of a usage error, with the allowed values."""
    context, said = error.ctx, error.message
    path = context.command_path if context is not None else "gradreach"
    hint = f"'{path} --help' lists them"
    if (unknown := getattr(error, "option_name", None)) is not None:
        if context is None or "requires" in said:
            return ConfigError(unknown, allowed="needs a value", hint=hint)
        return ConfigError(unknown, allowed="there is no such option", choices=_options(context))
    if command := re.match("No such command '(.*?)'", said):
        return ConfigError(command[1], allowed="there is no such command", choices=list(context.command.commands))
    if (parameter := getattr(error, "param", None)) is not None:
        name = next((word for word in parameter.opts if word.startswith("--")), parameter.name)
        return ConfigError(name, allowed=_decapitalized(said) or "is missing", hint=hint)
    return ConfigError(path, allowed=_decapitalized(said), hint=hint)


def _options(context: Any) -> list[str]:
    words = (word for parameter in context.command.get_params(context) for word in parameter.opts)
    return [word for word in words if word.startswith("--")]


def _decapitalized(said: str) -> str:
    text = said.removeprefix("Value error, ").rstrip(".")
    return text[:1].lower() + text[1:]
