"""What is measured is called this, and may cost so much: the table of budgets, in the order of the page."""

from typing import NamedTuple

AT_MOST, AT_LEAST = "≤", "≥"

STEP = "a step ÷ the loop"
RUN = "a default run, all on ÷ the loop"
SWEEP = "the loop in sequence ÷ a sweep on all cores"
SINGLE = "one command, start-up included ÷ lightning-hydra-template"
DIAGNOSTICS = "gradient diagnostics ÷ training"
MET = "a finished run met again"
FINISHED = "a finished sweep met again"
PLANNING = "planning a sweep, a run"
STATUS = "10,000 finished runs"
TABLES = "gradreach tables, the first time"
TABLES_AGAIN = "gradreach tables, records known"
HELP = "--help"


class Budget(NamedTuple):
    """How good a figure has to be, and how good the first edition was, as people write it."""

    bound: float
    landed: str = "–"
    sign: str = AT_MOST


BUDGETS: dict[tuple[str, str], Budget] = {
    (STEP, "lstm, T = 200"): Budget(0.18, "1.00"),
    (STEP, "gru, T = 200"): Budget(0.20, "0.91"),
    (STEP, "rnn, T = 200"): Budget(0.27, "0.98"),
    (STEP, "lstm, T = 64"): Budget(1.15, "1.02"),
    (STEP, "gru, T = 64"): Budget(0.40, "1.02"),
    (STEP, "rnn, T = 64"): Budget(0.60, "0.96"),
    (STEP, "cnn, default run"): Budget(1.15),
    (RUN, "gru"): Budget(0.50, "1.05"),
    (RUN, "rnn"): Budget(0.75, "1.17"),
    (RUN, "cnn"): Budget(1.20, "1.12"),
    (RUN, "lstm"): Budget(1.25, "1.25"),
    (SWEEP, "24 default runs"): Budget(1.7, "1.27", AT_LEAST),
    (SWEEP, "12 runs, T = 200"): Budget(4, "1.56", AT_LEAST),
    (SWEEP, "24 runs, width 64, T = 128"): Budget(6, "–", AT_LEAST),
    (SINGLE, "lstm on digits, 15 epochs"): Budget(0.9, "1.09"),
    **{(DIAGNOSTICS, model): Budget(5) for model in ("lstm", "gru", "rnn", "cnn")},
    (MET, "in a sweep"): Budget(0.03, "0.025"),
    (MET, "alone, start-up included"): Budget(1.0, "5.7"),
    (PLANNING, "of 500"): Budget(3, "10"),
    (STATUS, "gradreach status"): Budget(10),
    (STATUS, "the same line again"): Budget(10),
    (TABLES_AGAIN, "10,000 records"): Budget(5, "8.7"),
    (TABLES_AGAIN, "10,000 records, memory"): Budget(1024),
    (TABLES_AGAIN, "100,000 records"): Budget(20, "86"),
    (TABLES_AGAIN, "100,000 records, memory"): Budget(2048, "3,994"),
    (HELP, "python run.py --help"): Budget(0.5, "0.33"),
    (HELP, "gradreach --help"): Budget(0.5, "0.16"),
}
"""By what is measured and in which case. Bounds are those of the design; what landed was measured on other processors,
where denormal numbers cost several times as much."""


def flushed(what: str) -> str:
    """Return what the same is called against the loop with flushing.

    >>> flushed(STEP)
    'a step ÷ the loop with flushing'
    """
    return what.replace("the loop", "the loop with flushing")
