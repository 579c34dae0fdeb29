"""The look and the name of each model, task and axis: the same everywhere."""

from gradreach.look.colours import SHADES, palette_css
from gradreach.look.looks import FAMILIES, Look, look_of, looks_of
from gradreach.look.words import axis_label, display_name, model_of, panel_title, without_unit

__all__ = [
    "FAMILIES",
    "SHADES",
    "Look",
    "axis_label",
    "display_name",
    "look_of",
    "looks_of",
    "model_of",
    "palette_css",
    "panel_title",
    "without_unit",
]
