"""The colours there are: shades of a few hues, each with a lighter form for dark pages.

Hues belong to families: ``r`` recurrent, ``l`` LSTM and ``g`` GRU, ``c`` convolutional, ``s`` linear recurrences and state
spaces, ``a`` attention, ``d`` networks without memory; ``u`` is for what is no architecture. The shades were found by
search: those that stand in one panel differ for normal eyes, for deuteranopia, and in grey (``tests/test_look.py``).
"""

SHADES = {
    "r0": ("#ca1600", "#ff6844"),
    "r1": ("#ac7173", "#de9fa1"),
    "r2": ("#fca58d", "#ffd6ca"),
    "l0": ("#005c88", "#5392c1"),
    "l1": ("#5f97a7", "#8bc4d4"),
    "l2": ("#aeb7ff", "#dbddff"),
    "l3": ("#1f80fc", "#96aeff"),
    "g0": ("#61334b", "#9e6b84"),
    "g1": ("#fd55c1", "#fea8d9"),
    "g2": ("#533db8", "#9272f6"),
    "c0": ("#14571f", "#519053"),
    "c1": ("#73c12a", "#9be953"),
    "c2": ("#36a682", "#67d3ac"),
    "s0": ("#dea000", "#ffc96d"),
    "s1": ("#866b00", "#bd9c3c"),
    "s2": ("#c9b9a0", "#eeddc3"),
    "s3": ("#48361e", "#856f54"),
    "a0": ("#c57987", "#f5a5b3"),
    "a1": ("#752e43", "#b4677a"),
    "d0": ("#898e8b", "#b5bab7"),
    "d1": ("#3f4347", "#777b80"),
    "u0": ("#308679", "#64b7a9"),
    "u1": ("#243f3c", "#5c7975"),
    "u2": ("#675825", "#9f8d57"),
    "u3": ("#c1b596", "#e7daba"),
    "u4": ("#a795d5", "#d1beff"),
}
"""Each shade on paper and on a dark page."""

RAMP = ("#1b2a4e", "#4d5d7c", "#7f8478", "#b5a766", "#ead96b")
"""For groups that one number tells apart, from small to large: both hue and lightness grow."""


def palette_css() -> str:
    """Return the shades as CSS variables, such as ``--l0``: light, and dark where a screen asks for it."""
    light, dark = (" ".join(f"--{name}: {shade[theme]};" for name, shade in SHADES.items()) for theme in (0, 1))
    return f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
