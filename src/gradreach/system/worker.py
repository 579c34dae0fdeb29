"""Marks worker processes: a sweep marks the processes that it starts, and stops no others."""

import os
import secrets

DRIVER = "GRADREACH_DRIVER"
"""The environment variable that tells processes which sweep started them."""


_own: str | None = None


def become_driver() -> str:
    """Mark this process, and all that it starts from now on, with a name that no other sweep has; return the name."""
    global _own
    _own = os.environ[DRIVER] = secrets.token_hex(8)
    return _own


def is_driver() -> bool:
    """Return whether a sweep is running in this process."""
    return _own is not None and _own == os.environ.get(DRIVER)


def worker() -> dict[str, str | int]:
    """Return a record's description of its process: ``process``, and the ``driver`` of its sweep, if any."""
    driver = os.environ.get(DRIVER)
    return {"process": os.getpid(), **({"driver": driver} if driver else {})}
