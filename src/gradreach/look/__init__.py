"""The look and the name of each model, task and axis: the same everywhere."""

from gradreach.look.colours import INKS, SHADES, on_dark, palette_css
from gradreach.look.looks import FAMILIES, Look, look_of, looks_of
from gradreach.look.words import axis_label, display_name, model_of, panel_title, setting_name, without_unit

__all__ = [
    "FAMILIES",
    "INKS",
    "SHADES",
    "Look",
    "axis_label",
    "display_name",
    "look_of",
    "looks_of",
    "model_of",
    "on_dark",
    "palette_css",
    "panel_title",
    "setting_name",
    "without_unit",
]
