"""What a cell costs: measured where it has been done, estimated before."""

from gradreach.config.published import Cell
from gradreach.published.cells import Found
from gradreach.published.draws import draws_of, identity
from gradreach.rounding import number
from gradreach.run_table.join import ENDED

LEGEND = (
    "Core-minutes are of all seeds together: measured, by the clock, beside whatever else the machine did; after ≈ "
    "estimated, from timed steps where the network is here. Cells of one part cost once."
)


def cost_text(found: Found, name: str) -> str:
    """Return what a cell or a trial costs in minutes of one core; empty where nobody knows."""
    paper = found.redone.paper
    cell = paper.cells.get(name) or paper.tried[name]
    if not cell.planned:
        return _estimated(cell)
    part = paper.part_of(name)
    measured = _drawn(found, part) if part in paper.compute else _trained(found, part)
    if measured is None:
        return _estimated(cell)
    return "< 0.1" if measured < 6 else number(measured / 60, ".2g" if measured < 600 else ",.0f")


def _estimated(cell: Cell) -> str:
    return "" if cell.minutes is None else f"≈ {number(float(cell.minutes), ',g')}"


def _drawn(found: Found, part: str) -> float | None:
    """Return the seconds of all draws of a part; None: not all are there."""
    computation, draws = found.redone.paper.compute[part], found.draws
    if len(draws_of(found.redone, draws, part)) < computation.draws:
        return None
    own = draws[(draws["part"] == part) & (draws["computation"] == identity(computation))]
    return float(own.drop_duplicates("seed")["seconds"].sum())


def _trained(found: Found, part: str) -> float | None:
    """Return the seconds of all runs of a part; None: not all have ended, or not all seconds are known."""
    if found.runs is None or "seconds" not in found.runs:
        return None
    own = found.runs[found.runs["run_id"].isin([run.run_id for run in found.redone.runs[part]])]
    ended = len(own) and own["status"].isin(ENDED).all() and own["seconds"].notna().all()
    return float(own["seconds"].sum()) if ended else None
