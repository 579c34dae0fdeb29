"""Translation: is what was learned at one place known at another?"""

import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures.chosen import of_chosen
from gradreach.analysis.figures.dots import dots
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS, CHOSEN_RATE
from gradreach.analysis.results import Results
from gradreach.analysis.stats.model_selection import CHOSEN, choose
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, judge_threshold, level
from gradreach.analysis.tables.chosen import chosen_rates
from gradreach.analysis.tables.specification import Measure, Table

BY = ["architecture"]
INVARIANT = 5.0
"""Points of accuracy."""
HEADS = {"max": "max over time", "mean": "mean over time", "flatten": "flatten"}


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name networks, choose learning rates, and say what is lost from left to right."""
    cnn = runs["model"] == "cnn"
    details = "cnn, " + runs["model.readout"].map(HEADS) + ", " + runs["model.padding"].astype(str)
    details += runs["model.stride"].map(lambda stride: ", stride 2" if stride == 2 else "")
    runs = choose(runs.assign(architecture=runs["model"].mask(cnn, details)), BY)
    if "val/accuracy" in runs:
        runs["shift/loss"] = runs["val/accuracy"] - runs["test/accuracy"]
    return runs


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs[results.runs["chosen"]]

    def loss(name: str) -> Effect:
        return level(
            runs,
            "shift/loss",
            {"architecture": name},
            label=f"accuracy lost by the shift, {name}",
            scale=100,
            unit="points",
        )

    both = {
        f"invariant with sharing and pooling (padding {padding})": judge_threshold(
            loss(f"cnn, max over time, {padding}"), supported_below=INVARIANT, refuted_above=INVARIANT
        )
        for padding in ("none", "same", "circular")
    }
    lacking = {
        f"tied to the place with {words}": judge_threshold(
            loss(name), supported_above=INVARIANT, refuted_below=INVARIANT
        )
        for name, words in (
            ("cnn, flatten, circular", "sharing but no pooling"),
            ("locally_connected", "unshared windows"),
            ("mlp", "neither"),
        )
    }
    return combine_named({**both, **lacking})


EXPERIMENT = Experiment(
    title="Is a pattern that was learned on the left known on the right?",
    question=(
        "In training one of four patterns stands in the left half of a noisy sequence; in the test it stands in the "
        "right half. Who still knows it?"
    ),
    claim=Claim(
        "C9",
        "1.3",
        "平移不变性是由于参数共享和池化所带来的",
        "Translation invariance comes from parameter sharing and pooling.",
    ),
    prediction=Prediction(
        "Sharing gives equivariance: features move with the pattern. Invariance takes global pooling. A head on all "
        "steps side by side, weights that are not shared, or an MLP do not have it.",
        "I. Goodfellow et al. 2016, Deep Learning, §9.2–9.4; O. Kayhan and J. van Gemert 2020",
    ),
    rule=(
        "Accuracy on the left (validation) minus on the right (test). Supported where a network with both, sharing "
        f"and a maximum over time, loses less than {INVARIANT:g} points (three paddings, three parts), and where one "
        "that lacks either loses more than that (flatten head; locally connected; MLP; three parts). Whole 95 % "
        "intervals over seeds."
    ),
    beyond=(
        "What is lost without padding is lost at the edge, where fewer windows see the pattern (C6 measures that): the claim, which is about sharing and pooling, stands."
    ),
    judge=judge,
    caveat=(
        "Three layers of kernel 5 and 16 channels (locally connected and MLP as by default), 48 steps, 500 steps of "
        "Adam; learning rates 0.003 and 0.01 were tried for each network, chosen on the left. What is lost says "
        "nothing where little was learned on the left: the table has both. The GRU stands beside them; the pattern "
        "is nearer to its last step in the test. With padding `none` the windows do not go beyond the ends, so that steps "
        "near an end are seen by fewer of them, and near the right end by others than near the left: what is lost there is "
        "an effect of the edge (C6 measures it), not of sharing or pooling. `circular` treats the edges like all other "
        f"steps. Run anew with ten seeds when six had been seen; no verdict changed. {ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Table(
            "shift",
            "Accuracy in per cent, left (as trained) and right.",
            f"{CELLS} {CHOSEN_RATE} Left: validation; right: test; lost: the difference, by seed.",
            (
                Measure("val/accuracy", "left", scale=100),
                Measure("test/accuracy", "right", scale=100),
                Measure("shift/loss", "lost, points", scale=100),
            ),
            rows=("architecture", "tried"),
            columns=(),
            where=CHOSEN,
        ),
        chosen_rates(BY),
    ),
    figures=(
        Figure(
            "lost",
            "Points of accuracy that are lost where the pattern stands on the other side: mean of the seeds with "
            "its 95 % interval; small points are seeds. Zero: invariant.",
            of_chosen(
                lambda results, stem: dots(
                    results,
                    stem,
                    by="architecture",
                    beside="task",
                    measure=Measure("shift/loss", "accuracy lost (points)", scale=100),
                    line=(INVARIANT, "threshold of the rule"),
                )
            ),
        ),
    ),
)
