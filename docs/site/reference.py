"""The reference: public names as their docstrings tell them."""

from collections import _tuplegetter  # type: ignore[attr-defined]
from typing import Any

from sphinx.application import Sphinx


def without_fields(app: Sphinx, kind: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples, of which Python says only their numbers: the class tells them."""
    return True if isinstance(member, _tuplegetter) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Make it so."""
    app.connect("autodoc-skip-member", without_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
