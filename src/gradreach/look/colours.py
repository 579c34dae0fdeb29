"""The colours there are: shades of a few hues, each with a lighter form for dark pages.

Hues belong to families: ``r`` recurrent, ``l`` LSTM and ``g`` GRU, ``c`` convolutional, ``s`` linear recurrences and
state spaces, ``a`` attention, ``d`` networks without memory; ``u`` is for what is not an architecture. The shades were
found by search: those that meet in a panel differ for normal eyes, in deuteranopia, in grey (``tests/test_look.py``).
"""

SHADES = {
    "r0": ("#b94604", "#f6793b"),
    "r1": ("#6d1d24", "#aa5354"),
    "r2": ("#fb8e40", "#ffd0b3"),
    "l0": ("#6482a0", "#95b3d3"),
    "l1": ("#5fd0f5", "#dbf4ff"),
    "l2": ("#352c48", "#695e7e"),
    "l3": ("#3ad2fa", "#d8f4ff"),
    "g0": ("#053ed2", "#7372fe"),
    "g1": ("#611248", "#9b4b7d"),
    "g2": ("#ac88cb", "#deb8fe"),
    "c0": ("#59ab83", "#89dcb2"),
    "c1": ("#75ca00", "#a6fa48"),
    "c2": ("#004814", "#407d45"),
    "s0": ("#e39d00", "#ffd296"),
    "s1": ("#3f3800", "#756b34"),
    "s2": ("#9e967b", "#cfc6aa"),
    "s3": ("#946100", "#cd923b"),
    "a0": ("#983f5f", "#d17391"),
    "a1": ("#f970ac", "#febcd5"),
    "d0": ("#403536", "#746869"),
    "d1": ("#908d8d", "#c1bdbd"),
    "u0": ("#72beb2", "#a0ede1"),
    "u1": ("#1a3e38", "#4d726b"),
    "u2": ("#ba8855", "#eeb882"),
    "u3": ("#7b470e", "#b57940"),
    "u4": ("#895f8e", "#bd90c2"),
}
"""Each shade on paper and on a dark page."""

RAMP = ("#17243f", "#1366a2", "#74767c", "#99884c", "#f6bd48")
"""For groups that one number tells apart, from small to large: both hue and lightness grow."""


def palette_css() -> str:
    """Return the shades as CSS variables, such as ``--l0``: light, and dark where a screen asks for it."""
    light, dark = (" ".join(f"--{name}: {shade[theme]};" for name, shade in SHADES.items()) for theme in (0, 1))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
