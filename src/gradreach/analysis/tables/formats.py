"""A frame of texts, and which of its cells are bold, as Markdown, LaTeX, HTML, or in the terminal."""

import html as escaping
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from rich.table import Table as RichTable

LATEX = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "&": "\\&",
    "%": "\\%",
    "$": "\\$",
    "#": "\\#",
    "_": "\\_",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": "$\\pm$",
    "–": "--",
    "−": "$-$",
    "≥": "$\\geq$",
    "≤": "$\\leq$",
    "‖": "$\\|$",
    "²": "$^2$",
    "·": "$\\cdot$",
    "×": "$\\times$",
    "÷": "$\\div$",
    "→": "$\\to$",
    "∞": "$\\infty$",
    "λ": "$\\lambda$",
    "∂": "$\\partial$",
    "√": "$\\surd$",
    "≈": "$\\approx$",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": "\\dots{}",
    "ï": '\\"i',
    "é": "\\'e",
}
SIGNS = str.maketrans(LATEX)
TAG = re.compile(r"<(?=[A-Za-z/!?])")
CODE = re.compile(r"`([^`]+)`")
FOLDED = 32
"""In a narrow terminal, cells with more characters than this are folded."""


def markdown(text: pd.DataFrame, marked: np.ndarray | None = None) -> str:
    """Return a Markdown table."""
    cells = _cells(text, marked, _in_markdown, "**{}**")
    lines = [[_in_markdown(str(name)) for name in text], ["---"] * text.shape[1], *cells]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _in_markdown(cell: str) -> str:
    return without_tags(cell).replace("|", "\\|")


def without_tags(text: str) -> str:
    """Return Markdown whose ``<`` does not begin HTML; in backticks it never does.

    >>> without_tags("<b>5</b> < 6, `<b>`")
    '&lt;b>5&lt;/b> < 6, `<b>`'
    """
    return "".join(f"`{part}`" if i % 2 else TAG.sub("&lt;", part) for i, part in enumerate(CODE.split(text)))


def _with_code(text: str, escape: Callable[[str], str], code: str) -> str:
    """Escape a text, and put what it has in backticks into the form for code."""
    return "".join(code.format(escape(p)) if i % 2 else escape(p) for i, p in enumerate(CODE.split(text)))


def tex(text: str) -> str:
    """Return a text as LaTeX: signs beyond ASCII are commands."""
    return _with_code(text, lambda part: part.translate(SIGNS), "\\texttt{{{}}}")


def prose(text: str) -> str:
    """Return a text as HTML."""
    return _with_code(text, escaping.escape, "<code>{}</code>")


def latex(text: pd.DataFrame, marked: np.ndarray | None, caption: str, label: str) -> str:
    """Return a LaTeX table for the packages booktabs and graphicx: small, and scaled down where wider than the text."""
    cells = _cells(text, marked, tex, "\\textbf{{{}}}")
    head = [tex(str(name)) for name in text]
    lines = [" & ".join(line) + " \\\\" for line in [head, *cells]]
    return "\n".join(
        [
            "\\begin{table}[tb]",
            f"\\caption{{{tex(caption)}}}",
            f"\\label{{{label}}}",
            "\\small",
            "\\resizebox{\\ifdim\\width>\\textwidth\\textwidth\\else\\width\\fi}{!}{%",
            f"\\begin{{tabular}}{{{'l' * text.shape[1]}}}",
            "\\toprule",
            lines[0],
            "\\midrule",
            *lines[1:],
            "\\bottomrule",
            "\\end{tabular}}",
            "\\end{table}\n",
        ]
    )


def html(text: pd.DataFrame, marked: np.ndarray | None = None, caption: str = "") -> str:
    """Return an HTML table."""
    rows = _cells(text, marked, prose, "<strong>{}</strong>")
    head = "".join(f'<th scope="col">{prose(str(name))}</th>' for name in text)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{prose(caption)}</caption>\n" if caption else ""
    return f"<table>\n{title}<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def terminal(text: pd.DataFrame, marked: np.ndarray, keys: Sequence[str], width: int) -> list["RichTable"]:
    """Return a table for rich; several below each other where its columns do not fit beside each other.

    Args:
        text: the table.
        marked: which of its cells are bold.
        keys: the columns that tell what a line is about; every part begins with them.
        width: of the terminal, in characters.
    """
    whole = {str(name): max([len(str(name)), *map(len, text[name])]) for name in text}
    least = {name: max([1, *map(len, name.split()), *(min(len(c), FOLDED) for c in text[name])]) for name in whole}
    if _across(whole, whole) <= width:
        return [_part(text, marked, whole)]
    parts = [list(keys)]
    for name in (name for name in whole if name not in keys):
        if len(parts[-1]) > len(keys) and _across([*parts[-1], name], least) > width:
            parts.append(list(keys))
        parts[-1].append(name)
    shown = []
    for part in parts:
        widths, spare = {}, width - _across(part, least)
        for name in part:
            widths[name] = least[name] + max(0, min(spare, whole[name] - least[name]))
            spare -= widths[name] - least[name]
        shown.append(_part(text[part], marked[:, [list(whole).index(name) for name in part]], widths))
    return shown


def _across(columns: Iterable[str], widths: Mapping[str, int]) -> int:
    """Return the width of a table: each column has a space on either side, and a line after it."""
    return 1 + sum(widths[name] + 3 for name in columns)


def _part(text: pd.DataFrame, marked: np.ndarray, widths: Mapping[str, int]) -> "RichTable":
    """Return one table for rich; lines of one group stand together."""
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for name, width in widths.items():
        shown.add_column(Text(name), width=width)
    first = text.iloc[:, 0].tolist() if len(text) else []
    for row, marks, own, following in zip(
        text.to_numpy().tolist(), marked.tolist(), first, [*first[1:], None][: len(first)], strict=True
    ):
        cells = [Text(str(cell), style="bold" if mark else "") for cell, mark in zip(row, marks, strict=True)]
        shown.add_row(*cells, end_section=own != following and len(set(first)) < len(first))
    return shown


def _cells(text: pd.DataFrame, marked: np.ndarray | None, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    best = np.zeros(text.shape, dtype=bool) if marked is None else marked
    return [
        [bold.format(escape(str(cell))) if mark else escape(str(cell)) for cell, mark in zip(row, marks, strict=True)]
        for row, marks in zip(text.to_numpy().tolist(), best.tolist(), strict=True)
    ]
