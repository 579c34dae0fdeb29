"""The types of values a record may have: foreign or damaged ones are reported before anything relies on them."""

from collections.abc import Mapping
from typing import Any

STATES = ("running", "interrupted", "finished", "diverged", "failed")
DEEPEST = 12
"""The most nested levels of a record."""
GREATEST = 2**63
TEXTS = ("group_id", "label", "experiment", "started", "revision", "code", "error", "traceback")
MORE_TEXTS = ("metric", "caveat", "stopped", "untracked", "page", "kernels")
WHOLE = ("schema_version", "width", "parameters", "multiply_adds", "receptive_field", "best_epoch", "steps")
NUMBERS = ("chance", "seconds", "training_seconds", "diagnostics_seconds", "steps_per_second")
GROUPS = ("task", "model", "optimizer", "trainer", "diagnostics", "callbacks")


def flaw(record: Mapping[str, Any]) -> str | None:
    """Name a value of a record with the wrong type; None if all are right. Missing values are not a flaw.

    >>> flaw({"run_id": "a", "status": "finished", "config": {}, "metrics": {"test/accuracy": 0.5}})
    >>> flaw({"run_id": "a", "status": "finished", "config": {}, "metrics": [0.5]})
    'metrics is not a mapping'
    """
    if not _shallow(record, DEEPEST):
        return "it is nested too deeply"
    if record.get("status") not in STATES:
        return f"there is no status {str(record.get('status'))[:40]!r}"
    mappings = {name: record[name] for name in ("config", "metrics", "host", "versions", "files") if name in record}
    wrong = next((name for name, held in mappings.items() if not isinstance(held, Mapping)), None)
    if wrong is not None:
        return f"{wrong} is not a mapping"
    mappings = {name: mappings.get(name, {}) for name in ("metrics", "host", "versions", "files")}
    return _in_config(record["config"]) or _in_facts(record) or _in_mappings(mappings)


def _in_config(config: Mapping[str, Any]) -> str | None:
    for name in GROUPS:
        if not isinstance(config.get(name, {}), Mapping):
            return f"config.{name} is not a mapping"
    named = {f"config.{group}.name": config.get(group, {}).get("name", "") for group in ("task", "model")}
    for name, held in named.items():
        if not isinstance(held, str):
            return f"{name} is not text"
    axes = {f"config.{name}": config[group].get(axis) for name, group, axis in AXES if group in config}
    for name, held in (axes | {"config.seed": config.get("seed")}).items():
        if not (held is None or _whole(held)):
            return f"{name} is not a whole number"
    for group in (config, *(held for held in config.values() if isinstance(held, Mapping))):
        for name, held in group.items():
            if type(held) is int and not _whole(held):
                return f"config: {name} is too large a number"
    return None


AXES = (("task.seq_len", "task", "seq_len"), ("model.kernel_size", "model", "kernel_size"))


def _in_facts(record: Mapping[str, Any]) -> str | None:
    for name in (*TEXTS, *MORE_TEXTS):
        if not isinstance(record.get(name), str | None):
            return f"{name} is not text"
    for name in WHOLE:
        if not (record.get(name) is None or _whole(record[name])):
            return f"{name} is not a whole number"
    for name in NUMBERS:
        if not _number(record.get(name)):
            return f"{name} is not a number"
    told = record.get("warnings", [])
    if not (isinstance(told, list) and all(isinstance(each, str) for each in told)):
        return "warnings is not a list of texts"
    return None


def _in_mappings(mappings: Mapping[str, Mapping[str, Any]]) -> str | None:
    for name, held in mappings["metrics"].items():
        if not _number(held):
            return f"metrics.{name} is not a number"
    for group in ("host", "versions"):
        for name, held in mappings[group].items():
            if not isinstance(held, str | int | float | None):
                return f"{group}.{name} is neither text nor a number"
    if not (mappings["host"].get("process") is None or _whole(mappings["host"]["process"])):
        return "host.process is not a whole number"
    for name, held in mappings["files"].items():
        right = isinstance(held, Mapping) and _whole(held.get("bytes")) and isinstance(held.get("sha256"), str)
        if not right or "/" in name or name.startswith("."):
            return f"files.{name[:40]} lacks the size and the checksum of a file"
    return None


def _shallow(value: Any, levels: int) -> bool:
    if isinstance(value, Mapping | list):
        held = value.values() if isinstance(value, Mapping) else value
        return levels > 0 and all(_shallow(each, levels - 1) for each in held if isinstance(each, Mapping | list))
    return True


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < GREATEST


def _number(value: Any) -> bool:
    """Return whether a value is a number, None, or the text that stands for a number that JSON lacks."""
    if value is None or isinstance(value, float):
        return True
    return value in ("inf", "-inf", "nan") if isinstance(value, str) else _whole(value)
