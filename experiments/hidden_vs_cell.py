"""Hidden state against cell: which of the two tells what has been, and which what will be needed?"""

from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from gradreach.study import (
    Answer,
    Claim,
    Quantity,
    Results,
    Study,
    by_run,
    computed,
    contrast,
    effect_of,
    figure,
    measure,
    number,
    table,
    value,
)

MARGIN = 0.02
"""Differences of R² up to this count as equal."""
LSTM, SOLVED = "lstm b=1", {"solved": True}
TASKS = ("recall", "adding")
STAGES = {"start": "before training", "end": "after training"}
PARTS = {"h": "hidden state", "c": "cell"}
STATEMENTS = {"inputs": ("h", "c", "past inputs"), "target": ("c", "h", "the target before the end")}
"""What is decoded, which part of the state should tell more of it than which, and its name."""


def excess(what: str, stage: str, **options: Any) -> Quantity:
    """Return how much more R² the part has that should tell more."""
    more, less, of = STATEMENTS[what]
    metric, reference = (f"gradient/{stage}/{part}.decoded_{what}" for part in (more, less))
    return contrast(metric, reference, LSTM, label=f"R² of {of}, {PARTS[more]} − {PARTS[less]}", **options)


def told(results: Results) -> pd.DataFrame:
    """Return R² by run, stage, part of the state, and lag or position."""
    runs = results.finished
    known = by_run(results.decoding, list(runs["run_id"]))
    return known.assign(task=known["run_id"].map(runs.set_index("run_id")["task"]))


def lag_by_lag(results: Results) -> list[dict[str, Any]]:
    """Return by how much more the hidden state tells of past inputs than the cell, for each task and stage."""
    rows = []
    for (task, stage), known in told(results).groupby(["task", "stage"], sort=False):
        parts = known.pivot_table(index=["lag", "run_id"], columns="quantity", values="r2")
        lags = (parts["h"] - parts["c"]).groupby("lag")
        effects = {f"{lag:g}": effect_of("", values.to_numpy(float)) for lag, values in lags}
        more = {
            "h": [lag for lag, effect in effects.items() if effect.low > 0],
            "c": [lag for lag, effect in effects.items() if effect.high < 0],
        }
        said = (f"{part} tells more at lag {', '.join(lags)}" for part, lags in more.items() if lags)
        words = "; ".join(said) or "no significant difference at any lag"
        cells = {
            f"lag {lag}": f"{number(e.value, '.3f')} ± {number(e.high - e.value, '.3f')}" for lag, e in effects.items()
        }
        rows.append({"task": task, "when": STAGES[str(stage)], **cells, "in words": words})
    return rows


def lags(results: Results, task: str) -> str:
    """Say what the mean over lags hides."""
    rows = lag_by_lag(results.where({"task": task}))
    return next((row["in words"] for row in rows if row["when"] == STAGES["end"]), "nothing is known")


def beside(what: str, task: str) -> dict[str, Any]:
    """Return what stands beside a part: R² of either, and what the mean over lags hides."""
    of = {
        name: value(f"gradient/end/{part}.decoded_{what}", LSTM, where={"task": task}) for part, name in PARTS.items()
    }
    return of | ({"by lag:": partial(lags, task=task)} if what == "inputs" else {})


def differences(results: Results) -> pd.DataFrame:
    """Tabulate who tells more, before and after training; of all runs, and of those that have solved their task."""
    rows = []
    for (what, (more, less, of)), task, which in product(STATEMENTS.items(), TASKS, ("all", "solved")):
        runs = results.where(SOLVED) if which == "solved" else results
        row: dict[str, object] = {
            "quantity": of,
            "difference": f"{PARTS[more]} − {PARTS[less]}",
            "task": task,
            "runs": which,
        }
        for stage, when in STAGES.items():
            _, middle, low, high, n, *_ = excess(what, stage, where={"task": task}).of(runs)
            row |= {when: middle, f"{when}, from": low, f"{when}, to": high, "n": n}
        rows.append(row)
    return pd.DataFrame(rows)


def means(results: Results, by: str, head: str) -> pd.DataFrame:
    """Tabulate mean R² over runs: a row for each task, stage and part of the state, a column for each place."""
    rows = []
    for (task, stage, part), known in told(results).groupby(["task", "stage", "quantity"], sort=False):
        cells = {head.format(at): r2 for at, r2 in known.groupby(by)["r2"].mean().items()}
        rows.append({"task": task, "read from": f"{PARTS[str(part)]}, {STAGES[str(stage)]}", **cells})
    return pd.DataFrame(rows)


STUDY = Study(
    question="Does the hidden state tell what has been, and the cell what will be needed?",
    about="What can a linear map read from h, and what from c: the inputs some steps back, and the target at the end?",
    answer=Answer("On adding: h yes, cell no; recall open.", "open, supported, open, refuted"),
    architecture={"model.forget_bias": "b={:g}"},
    solved={"val/accuracy": 90, "val/mse": 0.017},
    choose="optimizer.lr",
    claim=Claim(
        "The hidden state stores all information up to the present step; the cell stores what later steps may need.",
        id="C4",
        title="Hidden: past; cell: need",
        section="3",
        source="founding notes",
        original="hidden存储到当前时间步的所有信息，cell存储将来的时间步中可能需要的特定信息。",
        expect=(
            "Open: we know of no measurement. But h = o ∘ tanh(c) is what the output gate shows of the cell, and it "
            "keeps back what is not needed now. So the cell should tell more of the target before the end, h hardly more "
            "of the past, but for the present input, which the output gate sees too."
        ),
        expect_source="S. Hochreiter and J. Schmidhuber 1997, on output gates; the method: G. Alain and Y. Bengio 2016",
        parts={
            f"the {PARTS[more]} tells more of {of} ({task})": excess(
                what, "end", where={"task": task}, beside=beside(what, task)
            ).above(MARGIN)
            for (what, (more, _, of)), task in product(STATEMENTS.items(), TASKS)
        },
    ),
    looks=[12, 18, 24],
    show=[
        computed(
            "differences",
            differences,
            "By how much the R² of the part that should tell more exceeds that of the other.",
            f"Middle of the differences within runs, with its 95 % interval (signed ranks). Above {MARGIN}: as the notes say.",
        ),
        table(
            *(
                measure(f"gradient/{stage}/{part}.decoded_{what}", STAGES[stage], line=f"{what}, from {part}")
                for what, part, stage in product(STATEMENTS, PARTS, STAGES)
            ),
            name="decoded",
            caption="R² of a linear map from h and from c, on examples that it was not fitted to.",
            note="Inputs: mean over lags and positions; target: over the positions before the end.",
            rows="task",
            lines="quantity",
        ),
        computed("by_lag", partial(means, by="lag", head="lag {:g}"), "R² of the input some steps back."),
        computed(
            "by_lag_differences",
            lambda results: pd.DataFrame(lag_by_lag(results)),
            "R² of the input some steps back: hidden state minus cell.",
            "Within each run: mean ± the half-width of the 95 % interval. In words: where the whole interval says so.",
        ),
        computed(
            "by_position",
            partial(means, by="position", head="{:.0%}"),
            "R² of the target, by how much of the sequence has passed.",
        ),
        table(
            measure("test/accuracy", "accuracy, %", best=None),
            measure("test/mse", "squared error", best=None),
            measure("solved", "solved, %"),
            name="trained",
            caption="Scores; adding: squared error, chance 1/6.",
            rows="task",
        ),
        figure(
            "decoding_by_lag",
            name="decoding",
            about="Were the notes right, solid circles (h) would lie above solid triangles (c) on the left, below them on the right.",
        ),
    ],
    caveats=[
        "We read “stores” as: a linear map finds it. A state can hold more; but an LSTM too reads h and c by matrices.",
        (
            "All seeds count, also those that have not solved their task (90 % accuracy, or a tenth of chance's squared "
            "error): leaving them out would be selecting by the outcome. The first table has the solved ones alone."
        ),
        (
            "In recall the target is also a past input, the first; none of the lags falls on it. A network that solves it keeps "
            "the target in h as well as in c; one that does not yet may keep it in c alone, so that a few failing seeds can "
            "keep the part open."
        ),
        "In adding the target is not known before both marks have passed, which caps R² for both h and c.",
        (
            "One cell, one initialization (forget bias 1), one width and two tasks; 30 steps of memory may demand other things "
            "of the state than language, which the notes have in mind."
        ),
        (
            "On recall the plan finds only large effects: whether a few seeds fail to solve it matters more than what the "
            "claim is about. By gradreach decide C4 both parts would need more than 400 seeds: with 24 expect both to stay open."
        ),
        "A mean over lags hides that h tells more at some and c at others: they are listed beside the part.",
    ],
    changed=[
        "2,000 steps and ten seeds; at first 1,500 and eight, with which too few solved recall. All are pilots now.",
        (
            "All seeds count; before, only those that had solved their task did, a selection by the outcome. A part on recall was refuted "
            "at an R² of 0.998, where there is no room."
        ),
    ],
)
