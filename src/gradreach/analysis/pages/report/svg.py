"""Matplotlib figures as parts of a page: small, in its colours, points readable by pointer, keyboard, screen reader."""

import html
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from gradreach.analysis.figures.common import HEAD, HEAD_HEIGHT, TIP
from gradreach.analysis.pages.report.columns import POINTS, columns_of, keys_of
from gradreach.drawing import INK, as_svg
from gradreach.look import SHADES

SPACE = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
LEFT_OUT = ("metadata", "style", "title")
GEOMETRY = ("d", "x", "y", "width", "height", "points", "transform")
SILENT = ("matplotlib.axis", "legend")
"""Groups that nobody needs to hear: a point's name says where it stands and of what."""
DEFAULT = ("font-family", "font-size: 9px", "stroke-dashoffset: 0")
"""Styles that the page sets itself, or that are those of the browser."""
VARIABLES = {light.lower(): f"--{name}" for name, (light, _) in SHADES.items()}
HEX = re.compile("#[0-9a-f]{6}")
FAINT = 0.14
"""The luminance below which a colour has too little contrast with a dark page."""
STYLE = re.compile(r' style="([^"]*)"')
REFERENCE = re.compile(r'(?<=href="#)[^"]+|(?<=url\(#)[^)]+')


@dataclass(frozen=True)
class Drawing:
    """A figure for the inside of an HTML page.

    - ``svg``: the elements, one for each column of panels and one for each key.
    - ``shared``: what it refers to, by ids that are the same where the content is: markers, clip paths.
    """

    svg: str
    shared: dict[str, str]


@dataclass(frozen=True)
class Sheet:
    """All figures of a page, which share styles and markers.

    - ``css``: the styles that occur.
    - ``shared``: markers and clip paths, for a hidden ``<svg>``.
    - ``figures``: the elements, in their order.
    """

    css: str
    shared: str
    figures: list[str]


def inline_svg(figure: Figure, label: str, numbers: Mapping[str, int] | None = None) -> Drawing:
    """Return a figure as ``<svg>`` elements, one a column, for the inside of an HTML page; before them its head.

    Args:
        figure: what was drawn.
        label: what those hear who do not see it, before its points.
        numbers: of runs by their ids; a point names its runs by them.
    """
    root = ElementTree.fromstring(as_svg(figure))
    shared: dict[str, str] = {}
    height = float(root.attrib["viewBox"].split()[3])
    parts = {
        node.get("id", ""): _markup(node, shared, numbers or {}) for child in root for node in _parts(child, shared)
    }
    title = figure.get_suptitle()
    top = POINTS * HEAD_HEIGHT if title else 0
    found = [f'<p class="above">{html.escape(title)}</p>'] if title else []
    columns, keys = columns_of(figure), keys_of(figure)
    drawn = [
        (
            "".join(parts.pop(f"axes_{i + 1}", "") for i in column.axes),
            (column.left, top, column.right - column.left, height - top),
        )
        for column in columns
    ]
    drawn += [(parts.pop(f"legend_{i + 1}", ""), box) for i, box in enumerate(keys)]
    rest = "".join(parts.values())  # belongs to no panel: stands with the last
    for i, (inside, (x, y, width, tall)) in enumerate(drawn):
        inside += rest if i == len(columns) - 1 else ""
        found.append(
            f'<svg role="group" aria-label="{html.escape(label)}" '
            f'viewBox="{x:.0f} {y:.0f} {width:.0f} {tall:.0f}" style="--width:{width:.0f}">{inside}</svg>'
        )
    return Drawing("".join(found), shared)


def _parts(node: ElementTree.Element, shared: dict[str, str]) -> Iterator[ElementTree.Element]:
    """Give the panels of a figure and what stands beside them, but not its head."""
    if node.tag == f"{SPACE}defs":
        _markup(node, shared, {})
    elif node.tag == f"{SPACE}g":
        yield from (child for child in node if child.get("id") != HEAD)


def share(drawings: Sequence[Drawing]) -> Sheet:
    """Return figures that have their styles and markers in common; it is more than half of what they are made of."""
    shared = {name: markup for drawing in drawings for name, markup in drawing.shared.items()}
    ids = {name: f"m{_short(i)}" for i, name in enumerate(shared)}
    classes: dict[str, str] = {}

    def style(found: re.Match[str]) -> str:
        if found[1].startswith("--"):
            return found[0]
        name = classes.setdefault(found[1], f"f{_short(len(classes))}")
        return f' class="{name}"'

    def compact(text: str) -> str:
        return REFERENCE.sub(lambda found: ids.get(found[0], found[0]), STYLE.sub(style, text))

    markers = "".join(compact(markup.replace(" id", f' id="{ids[name]}"', 1)) for name, markup in shared.items())
    figures = [compact(drawing.svg) for drawing in drawings]
    return Sheet("\n".join(f".{name}{{{rule}}}" for rule, name in classes.items()), markers, figures)


def _short(i: int) -> str:
    """Return a number in as few letters as may be."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return digits[i] if i < 36 else _short(i // 36) + digits[i % 36]


def _markup(node: ElementTree.Element, shared: dict[str, str], numbers: Mapping[str, int]) -> str:
    """Return an element and all within it; what others refer to goes to ``shared``."""
    tag = node.tag.removeprefix(SPACE)
    if tag in LEFT_OUT:
        return ""
    if tag == "defs":
        for child in node:
            _define(child, shared, numbers)
        return ""
    name, style = node.get("id", ""), _style(node, shared)
    if tag in ("path", "use") and style == "fill: none":
        return ""  # a ground that is not there
    inside = (node.text or "").strip() + "".join(
        _markup(child, shared, numbers) + (child.tail or "").strip() for child in node
    )
    attributes = dict(_attributes(node))
    if style:
        attributes["style"] = style
    if tag != "g":
        return _element(tag, attributes, inside)
    if not inside:
        return ""
    if name.startswith(TIP):
        said, runs = _with_runs(name.removeprefix(TIP), numbers)
        told = {"class": "tip", "role": "img"} | ({"data-runs": runs} if runs else {}) | attributes
        return _element("g", told, f"<title>{html.escape(said, quote=False)}</title>{inside}")
    if name.startswith(SILENT):
        attributes["aria-hidden"] = "true"
    return _element("g", attributes, inside) if attributes else inside


def _define(node: ElementTree.Element, shared: dict[str, str], numbers: Mapping[str, int]) -> None:
    """Keep what others refer to."""
    name = node.attrib.pop("id", "")
    markup = _markup(node, shared, numbers)
    if name and markup:
        tag = node.tag.removeprefix(SPACE)
        shared.setdefault(name, markup.replace(f"<{tag}", f"<{tag} id", 1))


def _element(tag: str, attributes: Mapping[str, str], inside: str) -> str:
    said = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{tag}{said}>{inside}</{tag}>" if inside else f"<{tag}{said}/>"


def _attributes(node: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for key, value in node.attrib.items():
        if key in GEOMETRY:
            value = _rounded(value, 2 if key == "transform" else 1)
            if value.startswith("rotate(0 ") or (value == "0" and node.tag == f"{SPACE}use"):
                continue
        elif key in ("id", "style", "class") or key.startswith("{http://www.w3.org/XML"):
            continue
        yield ("href" if key == LINK else key.rpartition("}")[2]), value


def _style(node: ElementTree.Element, shared: Mapping[str, str]) -> str:
    """Return the style of an element in the page's colours, without what the marker it shows says itself."""
    parts = [each.partition(":")[::2] for each in node.get("style", "").split(";") if each.strip()]
    said = {key.strip(): _colour(value.strip()) for key, value in parts}
    marker = shared.get(node.get(LINK, "#")[1:], "")
    known = {*DEFAULT, *(found[1] if (found := STYLE.search(marker)) else "").split("; ")}
    return "; ".join(f"{key}: {value}" for key, value in said.items() if not {key, f"{key}: {value}"} & known)


def _colour(value: str) -> str:
    """Return a colour as one that follows the page's: a shade by its name, another dark one lighter on a dark page."""
    if value == INK.lower():
        return "currentColor"
    if value in VARIABLES:
        return f"var({VARIABLES[value]})"
    return f"color-mix(in oklab, {value}, white var(--lift))" if _dark(value) else value


def _dark(value: str) -> bool:
    """Return whether a colour is lost on a dark page."""
    if not HEX.fullmatch(value):
        return False
    red, green, blue = (float(int(value[i : i + 2], 16)) / 255 for i in (1, 3, 5))
    return math.fsum((0.2126 * red**2.2, 0.7152 * green**2.2, 0.0722 * blue**2.2)) < FAINT


def _rounded(geometry: str, digits: int) -> str:
    """Return numbers with few digits: a tenth of a point is less than anybody sees."""
    rounded = re.sub(
        r"-?\d+\.\d+",
        lambda found: f"{float(found[0]):.{digits}f}".rstrip("0").rstrip(".").replace("-0.", "-."),
        geometry,
    )
    rounded = re.sub(r"(?<![\d.])-0(?![\d.])", "0", rounded)
    return re.sub(r"\s*([MLCQZz])\s*", r"\1", re.sub(r"\s+", " ", rounded)).strip()


def _with_runs(said: str, numbers: Mapping[str, int]) -> tuple[str, str]:
    """Return what a point says without the ids of its runs at the end, and these as numbers."""
    told, _, ids = said.rpartition(": ")
    found = [numbers[each] for each in ids.split() if each in numbers]
    return (told, ranges(found)) if found and len(found) == len(ids.split()) else (said, "")


def ranges(values: Sequence[int]) -> str:
    """Return whole numbers in few letters.

    >>> ranges([3, 1, 2, 7])
    '1-3 7'
    """
    parts: list[list[int]] = []
    for value in sorted(values):
        if parts and value == parts[-1][1] + 1:
            parts[-1][1] = value
        else:
            parts.append([value, value])
    return " ".join(f"{low}-{high}" if high > low else str(low) for low, high in parts)
