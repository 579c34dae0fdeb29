"""A table as Markdown, LaTeX, HTML, or in the terminal. A frame of texts, and which of its cells are bold."""

import html as escaping
from collections.abc import Callable
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


def markdown(text: pd.DataFrame, marked: np.ndarray | None = None) -> str:
    """Return a Markdown table."""
    cells = _cells(text, marked, lambda cell: cell.replace("|", "\\|"), "**{}**")
    lines = [[str(name).replace("|", "\\|") for name in text], ["---"] * text.shape[1], *cells]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def latex(text: pd.DataFrame, marked: np.ndarray | None, caption: str, label: str) -> str:
    """Return a LaTeX table for the package booktabs; signs beyond ASCII are written as commands."""
    cells = _cells(text, marked, lambda cell: cell.translate(SIGNS), "\\textbf{{{}}}")
    head = [str(name).translate(SIGNS) for name in text]
    lines = [" & ".join(line) + " \\\\" for line in [head, *cells]]
    return "\n".join(
        [
            "\\begin{table}[tb]",
            f"\\caption{{{caption.translate(SIGNS)}}}",
            f"\\label{{{label}}}",
            f"\\begin{{tabular}}{{{'l' * text.shape[1]}}}",
            "\\toprule",
            lines[0],
            "\\midrule",
            *lines[1:],
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}\n",
        ]
    )


def html(text: pd.DataFrame, marked: np.ndarray | None = None, caption: str = "") -> str:
    """Return an HTML table."""
    rows = _cells(text, marked, escaping.escape, "<strong>{}</strong>")
    head = "".join(f'<th scope="col">{escaping.escape(str(name))}</th>' for name in text)
    body = "\n".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    title = f"<caption>{escaping.escape(caption)}</caption>\n" if caption else ""
    return f"<table>\n{title}<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>\n"


def terminal(text: pd.DataFrame, marked: np.ndarray | None = None, caption: str = "") -> "RichTable":
    """Return a table for rich; lines of one group stand together."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=Text(caption), title_justify="left", title_style="")
    for name in text:
        shown.add_column(Text(str(name)))
    first = text.iloc[:, 0].tolist() if len(text) else []
    best = np.zeros(text.shape, dtype=bool) if marked is None else marked
    for row, marks, own, following in zip(
        text.to_numpy().tolist(), best.tolist(), first, [*first[1:], None][: len(first)], strict=True
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
