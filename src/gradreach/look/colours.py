"""The colours there are: shades of a few hues, each with a lighter form for dark pages.

Hues belong to families: ``r`` recurrent, ``l`` LSTM and ``g`` GRU, ``c`` convolutional, ``s`` linear recurrences and
state spaces, ``a`` attention, ``d`` networks without memory; ``u`` is for what is not an architecture, ``n`` for numbers. The shades were
found by search: those that meet in a panel differ for normal eyes, in deuteranopia, in grey (``tests/test_look.py``).
"""

SHADES = {
    "r0": ("#ad4d06", "#fdaa7f"),
    "r1": ("#3a0000", "#8e4d43"),
    "r2": ("#83414d", "#dd929d"),
    "l0": ("#517d85", "#a4d3dc"),
    "l1": ("#4e7dfb", "#ccdbfd"),
    "l2": ("#061d37", "#4d6685"),
    "l3": ("#0499f4", "#dbedff"),
    "g0": ("#3a22c5", "#7f8bff"),
    "g1": ("#2f0635", "#7d5183"),
    "g2": ("#9964fc", "#ded4fd"),
    "c0": ("#6c9f78", "#c2f8ce"),
    "c1": ("#163100", "#5f7e4c"),
    "c2": ("#01a87b", "#9cffd5"),
    "c3": ("#1a6948", "#74be98"),
    "s0": ("#1b180c", "#635f51"),
    "s1": ("#614113", "#b59064"),
    "s2": ("#827f72", "#d8d5c6"),
    "s3": ("#91920c", "#e7eb79"),
    "a0": ("#7c4349", "#d49399"),
    "a1": ("#9a7484", "#f4c9db"),
    "d0": ("#1c1c1c", "#636363"),
    "d1": ("#5f5f5f", "#b2b2b1"),
    "u0": ("#485495", "#96a7ef"),
    "u1": ("#482502", "#997050"),
    "u2": ("#8a82d8", "#e2e1fc"),
    "u3": ("#997143", "#f3c696"),
    "u4": ("#060e53", "#435ca6"),
    "n0": ("#241426", "#6e5b70"),
    "n1": ("#44298c", "#8e7ce5"),
    "n2": ("#534a36", "#a49983"),
    "n3": ("#727584", "#c6cada"),
    "n4": ("#5fa152", "#b5faa7"),
}
"""Each shade on paper and on a dark page."""

RAMP = tuple(light for name, (light, _) in SHADES.items() if name[0] == "n")
"""For groups that one number tells apart, from small to large: both hue and lightness grow."""


def palette_css() -> str:
    """Return the shades as CSS variables, such as ``--l0``: light, and dark where a screen asks for it."""
    light, dark = (" ".join(f"--{name}: {shade[theme]};" for name, shade in SHADES.items()) for theme in (0, 1))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
