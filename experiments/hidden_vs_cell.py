"""Hidden state against cell: which of the two tells what has been, and which what will be needed?"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Picture

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures.captions import READING
from gradreach.analysis.figures.chosen import chosen_results
from gradreach.analysis.figures.decoding_by_lag import by_run, decoding_by_lag
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE, named, number
from gradreach.analysis.results import Results, selected
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, effect_of, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Computed, Measure, Table

MARGIN = 0.02
"""Of R²: who tells no more than this more tells the same."""
BY = ["architecture"]
ACCURATE, OF_CHANCE = 0.9, 0.1
SOLVED = {**CHOSEN, "solved": True}
TASKS = ("recall", "adding")
STAGES = {"start": "before training", "end": "after training"}
PARTS = {"h": "hidden state", "c": "cell"}
STATEMENTS = {"inputs": ("h", "c", "past inputs"), "target": ("c", "h", "the target before the end")}
"""What is decoded; which part of the state should tell more of it than which; and what it is called."""


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Choose learning rates, see who has solved the task, and subtract what one part tells from what the other does."""
    runs = choose(runs.assign(architecture=named(runs, {"task": "· {}"})), BY)
    accurate = runs["val/accuracy"] >= ACCURATE if "val/accuracy" in runs else False
    near = runs["val/mse"] <= OF_CHANCE * runs["chance"] if "val/mse" in runs else False
    runs = runs.assign(solved=accurate | near)
    for stage in STAGES:
        for what, (more, less, _) in STATEMENTS.items():
            first, second = (f"gradient/{stage}/{part}.decoded_{what}" for part in (more, less))
            if first in runs:
                runs[difference(stage, what)] = runs[first] - runs[second]
    return runs


def difference(stage: str, what: str) -> str:
    """Return the column that holds by how much more the one part tells."""
    return f"gradient/{stage}/decoded_{what}.difference"


def effect(results: Results, task: str, stage: str, what: str) -> Effect:
    """Return by how much more the part that should tell more does, over the runs that have solved a task."""
    more, less, of = STATEMENTS[what]
    runs = selected(results.finished, {**SOLVED, "task": task})
    name = difference(stage, what)
    label = f"R² of {of}, {PARTS[more]} − {PARTS[less]}, {task}, {STAGES[stage]}"
    return effect_of(label, runs[name].to_numpy(float) if name in runs else [])


def of_less(results: Results, task: str, stage: str, what: str) -> float:
    """Return the R² of the part that should tell less; what lies above it up to 1 is all that the other can be ahead."""
    _, less, _ = STATEMENTS[what]
    return level(results.finished, f"gradient/{stage}/{less}.decoded_{what}", {**SOLVED, "task": task}).value


def lag_by_lag(results: Results, task: str, stage: str) -> dict[float, Effect]:
    """Return the R² of the hidden state minus that of the cell, over the runs that have solved a task, for each lag."""
    told = by_run(results.decoding, list(selected(results.finished, {**SOLVED, "task": task})["run_id"]))
    told = told[(told["of"] == "input") & (told["stage"] == stage)]
    if told.empty:
        return {}
    parts = told.pivot_table(index=["lag", "run_id"], columns="quantity", values="r2")
    return {
        float(lag): effect_of(f"lag {lag:g}", values.to_numpy(float))  # type: ignore[arg-type]  # lags are numbers
        for lag, values in (parts["h"] - parts["c"]).groupby("lag")
    }


def who_tells_more(effects: Mapping[float, Effect]) -> str:
    """Say at which lags which part tells more, by whole intervals."""
    more = {
        "h": [lag for lag, effect in effects.items() if effect.low > 0],
        "c": [lag for lag, effect in effects.items() if effect.high < 0],
    }
    said = [f"{part} tells more at lag {', '.join(f'{lag:g}' for lag in lags)}" for part, lags in more.items() if lags]
    return "; ".join(said) or "not told apart at any lag"


def remark(results: Results, task: str, what: str) -> str:
    """Say of a part of the verdict what its mean hides: which lags, or that there is no room for a difference."""
    if what == "inputs":
        return who_tells_more(lag_by_lag(results, task, "end"))
    other = of_less(results, task, "end", what)
    return f"that of the hidden state: {number(other, '.3f')}{', no room for more' * (1 - other < MARGIN)}"


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    parts = {}
    for what, (more, _, of) in STATEMENTS.items():
        for task in TASKS:
            found = effect(results, task, "end", what)
            parts[f"the {PARTS[more]} tells more of {of} ({task})"] = judge_threshold(
                found._replace(label=f"{found.label} ({remark(results, task, what)})"),
                supported_above=MARGIN,
                refuted_below=MARGIN,
            )
    return combine_named(parts)


def differences(results: Results) -> pd.DataFrame:
    """Tabulate who tells more, before and after training."""
    rows = []
    for what, (more, less, of) in STATEMENTS.items():
        for task in TASKS:
            row: dict[str, object] = {"of": of, "difference": f"{PARTS[more]} − {PARTS[less]}", "task": task}
            for stage, when in STAGES.items():
                _, mean, low, high, n, _ = effect(results, task, stage, what)
                row |= {when: mean, f"{when}, ±": (high - low) / 2, "runs": n}
            rows.append(row)
    return pd.DataFrame(rows)


def solved(results: Results) -> Results:
    """Return the results of the runs that the rule is about."""
    chosen = chosen_results(results)
    return replace(chosen, runs=selected(chosen.finished, SOLVED))


def draw(results: Results, stem: Path) -> Picture:
    """Draw them."""
    return decoding_by_lag(solved(results), stem)


def told(results: Results, of: str, by: str, head: str) -> pd.DataFrame:
    """Tabulate mean R² over runs: a row for each task, stage and part of the state, a column for each lag or position."""
    runs = solved(results).runs
    tables = [by_run(results.decoding, list(runs.loc[runs["task"] == task, "run_id"])) for task in TASKS]
    known = pd.concat([table.assign(task=task) for task, table in zip(TASKS, tables, strict=True)])
    known = known[known["of"] == of]
    rows = []
    for task in TASKS:
        for stage, when in STAGES.items():
            for part, name in PARTS.items():
                mine = known[(known["task"] == task) & (known["stage"] == stage) & (known["quantity"] == part)]
                means = mine.groupby(by)["r2"].mean()
                rows.append(
                    {"task": task, "read from": f"{name}, {when}"} | {head.format(at): v for at, v in means.items()}
                )
    return pd.DataFrame(rows)


def by_lag(results: Results) -> pd.DataFrame:
    """Tabulate R² of past inputs."""
    return told(results, "input", "lag", "lag {:g}")


def by_lag_differences(results: Results) -> pd.DataFrame:
    """Tabulate by how much more R² of past inputs the hidden state has than the cell, lag by lag."""
    rows = []
    for task in TASKS:
        for stage, when in STAGES.items():
            effects = lag_by_lag(results, task, stage)
            cells = {
                each.label: f"{number(each.value, '.3f')} ± {each.high - each.value:.3f}" for each in effects.values()
            }
            rows.append({"task": task, "when": when, **cells, "in words": who_tells_more(effects)})
    return pd.DataFrame(rows)


def by_position(results: Results) -> pd.DataFrame:
    """Tabulate R² of the target."""
    return told(results, "target", "position", "{:.0%}")


EXPERIMENT = Experiment(
    title="Does the hidden state tell what has been, and the cell what will be needed?",
    question=(
        "An LSTM carries two vectors from step to step, h and c. The notes give each a job of its own: h holds what "
        "has been seen, c what will be needed. What does a linear map read from either: the inputs some steps back, "
        "and the answer that the loss will ask for at the end?"
    ),
    claim=Claim(
        "C4",
        "3",
        "hidden存储到当前时间步的所有信息，cell存储将来的时间步中可能需要的特定信息。",
        "The hidden state stores all information up to the present step; the cell stores what later steps may need.",
    ),
    prediction=Prediction(
        "Open: we know of no measurement. But h = o ∘ tanh(c) is what the output gate shows of the cell, and that gate "
        "is there to keep from the rest of the network what is not needed now. So the cell should tell more of the target "
        "before the end; and of the past, h should hardly tell more than the cell that it is made from, the present input "
        "excepted, which the output gate sees too.",
        "S. Hochreiter and J. Schmidhuber 1997, on output gates; the method is that of G. Alain and Y. Bengio 2016",
    ),
    rule=(
        "R² of a linear map from the state, on examples that it was not fitted to. Past inputs (lags 0, 1, 2, 5, 10, 20; "
        "mean over lags and over eight positions along the sequence): supported if the hidden state's R² is more than "
        f"{MARGIN} above the cell's, refuted if it is not. The target (mean over the seven positions before the end): "
        f"supported if the cell's R² is more than {MARGIN} above the hidden state's, refuted if it is not. Differences "
        "within each run, by their whole 95 % interval over seeds, after training; four parts, as there are two tasks. "
        f"Only runs that have solved their task count (validation accuracy at least {100 * ACCURATE:g} %, squared error at "
        f"most {100 * OF_CHANCE:g} % of chance): of others nothing says what they would need."
    ),
    judge=judge,
    caveat=(
        "“Stores” is read as: a linear map finds it. A state can hold more than that, in forms that take more than one "
        "matrix to read; but what reads h and c within an LSTM is a matrix too. One LSTM of 32 units with forget "
        "bias 1, 30 steps, 2,000 steps of Adam. In recall the target is a past input as well, the first; none of the "
        "lags falls on it. In adding it is not known before both marks have passed, which caps R² until then, for both "
        "alike. In every comparison h and c have the same size, the same examples and the same choice of ridge. A mean over "
        "lags hides that the two parts need not differ alike at all of them: the table of differences by lag tells where "
        "h and where c tells more. Where the hidden state tells nearly all of the target there is no room for the cell to "
        f"tell {MARGIN} more, and “refuted” decides nothing about it: its part says so. Changed after the first runs: "
        "2,000 steps and ten seeds; at first 1,500 and eight, with which too few solved recall. The rule stayed as it "
        f"was. {ONE_DRAW}"
    ),
    prepare=prepare,
    profiles_of=SOLVED,
    tables=(
        Computed(
            "differences",
            "By how much more R² the part tells that should tell more.",
            "Of the runs that have solved their task; ± is the half-width of the 95 % interval. Above "
            f"{MARGIN}: as the notes say. The verdict is about the weights after training.",
            differences,
        ),
        Table(
            "decoded",
            "R² of a linear map from h and from c, on examples that it was not fitted to.",
            f"{CELLS} {CHOSEN_RATE} Of the runs that have solved their task. Inputs: mean over lags and positions; target: over the positions before the end. "
            "1 is perfect; 0 as good as knowing nothing.",
            tuple(
                Measure(f"gradient/{stage}/{part}.decoded_{what}", f"{what} from {part}, {when}", digits=3)
                for what in STATEMENTS
                for stage, when in STAGES.items()
                for part in PARTS
            ),
            rows=("architecture", "tried"),
            columns=(),
            where=SOLVED,
        ),
        Computed(
            "by_lag",
            "R² of the input some steps back.",
            "Mean over the runs that have solved their task, and over those of eight positions that lie so far from the "
            "start.",
            by_lag,
        ),
        Computed(
            "by_lag_differences",
            "R² of the input some steps back: hidden state minus cell.",
            "Within each run, mean over the runs that have solved their task ± the half-width of the 95 % interval. Above "
            "0 the hidden state tells more, below 0 the cell; in words: where the whole interval says so.",
            by_lag_differences,
        ),
        Computed(
            "by_position",
            "R² of the target, by how much of the sequence has passed.",
            "Mean over the runs that have solved their task.",
            by_position,
        ),
        Table(
            "trained",
            "What was learned.",
            f"{CELLS} Accuracy in per cent, of adding the mean squared error (chance: 1/6).",
            (
                Measure("test/accuracy", "accuracy, %", scale=100),
                Measure("test/mse", "squared error", digits=4),
                Measure("solved", "solved, %", scale=100, digits=0),
            ),
            rows=("architecture", "tried"),
            columns=(),
            where=CHOSEN,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "decoding",
            "Were the notes right, the solid blue line would lie above the solid orange one on the left, and below it on "
            "the right; where one is hidden, both tell the same. Of the runs that have solved their task. "
            f"{READING[decoding_by_lag]}",
            draw,
        ),
    ),
)
