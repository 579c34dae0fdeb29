"""How far back does a model's gradient reach, and what does that cost in accuracy?"""

from importlib.metadata import version
from typing import Any

__version__ = version("gradreach")


def __getattr__(name: str) -> Any:
    """Import ``load_run``, and with it torch, when it is first used."""
    if name == "load_run":
        from gradreach.weights import load_run

        return load_run
    raise AttributeError(f"module 'gradreach' has no attribute {name!r}")
