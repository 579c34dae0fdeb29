"""A matplotlib figure as a part of a page: it takes the page's colours, and tells its values where one points."""

import html
import re

from matplotlib.figure import Figure

from gradreach.analysis.figures.common import TIP
from gradreach.drawing import INK, as_svg
from gradreach.look import SHADES

GEOMETRY = re.compile(r' (d|x|y|width|height|transform)="([^"]*)"')
FONT = re.compile(r"font-family: [^;\"]*;? ?|font-size: 9px;? ?")


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """Return a figure as an ``<svg>`` element for the inside of an HTML page.

    Args:
        figure: what was drawn.
        name: unlike that of any other figure of the page; the ids inside begin with it.
        label: what those hear who do not see it.
    """
    text = as_svg(figure)
    text = text[text.index("<svg ") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(rf'<g id="{TIP}([^"]*)">', r'<g class="tip"><title>\1</title>', text)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", text)
    for shade, (light, _) in SHADES.items():
        text = text.replace(light, f"var(--{shade})")
    text = text.replace(INK, "currentColor")
    text = FONT.sub("", text).replace(' style=""', "")
    text = GEOMETRY.sub(lambda found: f' {found[1]}="{_short(found[2])}"', text)
    text = re.sub(r">\s+<", "><", text)
    size = re.match(r'<svg [^>]*viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>', text)
    assert size is not None
    head = (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {size[1]} {size[2]}" '
        f'style="--width:{float(size[1]):.0f}" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return head + text[size.end() :].strip()


def _short(geometry: str) -> str:
    """Return numbers with two decimals: a hundredth of a point is less than anybody sees."""
    rounded = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), geometry)
    return re.sub(r"\s+", " ", rounded).strip()
