"""All colours: shades of a few hues, each with a lighter form for dark pages.

Hues belong to families: ``r`` recurrent, ``l`` LSTM and ``g`` GRU, ``c`` convolutional, ``s`` linear recurrences and
state spaces, ``a`` attention, ``d`` networks without memory; ``u`` is for what is not an architecture, ``n`` for
numbers. The shades were found by search: each has a contrast of 3:1 to its page, and those that meet in a panel differ
for normal eyes, in deuteranopia, in grey (``tests/test_look.py``).
"""

import re

HEX = re.compile("#[0-9a-fA-F]{6}")
SHADES = {
    "r0": ("#b84604", "#feaa88"),
    "r1": ("#3e0202", "#99554d"),
    "r2": ("#874551", "#e196a2"),
    "l0": ("#537f87", "#a7d5de"),
    "l1": ("#4f7dff", "#ccdcfe"),
    "l2": ("#19263f", "#61718e"),
    "l3": ("#0198f9", "#ddedfd"),
    "g0": ("#3c1ace", "#7f8bff"),
    "g1": ("#430a3e", "#95598d"),
    "g2": ("#464784", "#9498dc"),
    "c0": ("#6aa07a", "#c0fad0"),
    "c1": ("#18430c", "#65925a"),
    "c2": ("#01a879", "#a0fed5"),
    "c3": ("#2a6949", "#7ebd99"),
    "s0": ("#1f2304", "#676c4b"),
    "s1": ("#535f01", "#a3b362"),
    "s2": ("#85796e", "#dccec2"),
    "s3": ("#c17913", "#fddab7"),
    "a0": ("#82484e", "#db999f"),
    "a1": ("#b17a96", "#fcd7e9"),
    "d0": ("#2b2e36", "#767983"),
    "d1": ("#575258", "#a8a3a9"),
    "u0": ("#6085bf", "#c5dcfe"),
    "u1": ("#072c17", "#53785e"),
    "u2": ("#9d626f", "#f7b6c3"),
    "u3": ("#525711", "#a2a967"),
    "u4": ("#43386c", "#9086c1"),
    "n0": ("#2f0d5c", "#775eb1"),
    "n1": ("#494647", "#999596"),
    "n2": ("#8e4916", "#e89c6c"),
    "n3": ("#8067cf", "#cfc6fc"),
    "n4": ("#eb6543", "#fde0d9"),
}
"""Each shade on paper and on a dark page."""

INKS = ("#000000", "#e6edf3")
"""Axes, texts and lines to compare with, on paper and on a dark page; no series has it."""

RAMP = tuple(light for name, (light, _) in SHADES.items() if name[0] == "n")
"""For groups that differ in one number, from small to large: both hue and lightness change."""


def on_dark(text: str) -> str:
    """Return an SVG, or any text that names colours, with each shade in its form for a dark page."""
    dark = dict([*SHADES.values(), INKS])
    return HEX.sub(lambda found: dark.get(found[0].lower(), found[0]), text)


def palette_css() -> str:
    """Return the shades as CSS variables, such as ``--l0``: light, and dark where a screen asks for it."""
    light, dark = (" ".join(f"--{name}: {shade[theme]};" for name, shade in SHADES.items()) for theme in (0, 1))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
