"""The typed, validated configuration of a run, and its identity."""

from gradreach.config.components import Component, resolve, signature_of
from gradreach.config.parsing import parse, parts, plain
from gradreach.config.settings import (
    ROUND,
    DiagnosticsSettings,
    Limit,
    ModelSettings,
    OptimizerSettings,
    RunConfig,
    RunEnvironment,
    TrainerSettings,
)
from gradreach.config.tracking import TrackingSettings
from gradreach.config.validation import checked

__all__ = [
    "ROUND",
    "Component",
    "DiagnosticsSettings",
    "Limit",
    "ModelSettings",
    "OptimizerSettings",
    "RunConfig",
    "RunEnvironment",
    "TrackingSettings",
    "TrainerSettings",
    "checked",
    "parse",
    "parts",
    "plain",
    "resolve",
    "signature_of",
]
