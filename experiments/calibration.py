"""Calibration: does the instrument read true?"""

import math

import numpy as np
import pandas as pd

from gradreach.analysis.experiment import Claim, Experiment, Prediction
from gradreach.analysis.figures.against_known import against_known
from gradreach.analysis.figures.specification import Figure
from gradreach.analysis.naming import CELLS
from gradreach.analysis.results import Results
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.stats.verdict import Verdict, combine_named, judge_threshold, level
from gradreach.analysis.tables.specification import Computed, Measure, Table

KNOWN = {
    "gate 0.5": 0.5,
    "gate 0.9": 0.9,
    "gate 0.99": 0.99,
    "rnn width 256": 1 / math.sqrt(3),
    "rnn width 1024": 1 / math.sqrt(3),
    "rnn identity": 1.0,
}
"""By what one step multiplies the gradient: |λ| of a diagonal recurrence; the spectral radius of a matrix of entries
U(±1/√width), which at small states is all that counts; 1 of an orthogonal matrix at tiny states."""
PUBLISHED = {
    ("linear", False): (32.0, 31.5),
    ("residual_mlp", False): (68.0, 65.1),
    ("cnn", False): (94.0, 92.3),
    ("gru", False): (91.0, 89.1),
    ("linear", True): (32.0, 31.5),
    ("residual_mlp", True): (68.0, 66.0),
    ("cnn", True): (56.0, 58.7),
    ("gru", True): (57.0, 53.3),
}
"""Test accuracy of MNIST-1D in per cent: the README's table, and the run that its notebook holds."""
NAMES = {"linear": "logistic regression", "residual_mlp": "MLP", "cnn": "CNN", "gru": "GRU"}
BESIDE = ("rnn width 1024",)
"""What was added after the first runs, to see how fast the limit is approached, and decides nothing."""
TOLERANCE = 0.02
MARGIN = 2.0
FACTOR = "gradient/start/h.decay"


def prepare(runs: pd.DataFrame) -> pd.DataFrame:
    """Name the layers by what is known of them, and say how far the measured factor is from it."""
    runs = runs.copy()
    layer = runs["task"] == "recall"
    kind = runs["model"].where(runs["model"] != "lru", "gate " + runs["model.r_max"].map("{:g}".format))
    kind = kind.mask(layer & (runs["model"] == "rnn"), "rnn width " + runs["model.width"].map("{:.0f}".format))
    fewer = ~layer & runs["task.train_size"].notna()
    kind = kind.mask(fewer, kind + ", " + runs["task.train_size"].map("{:,.0f} signals".format))
    start = runs["model.start"] if "model.start" in runs else pd.Series("", index=runs.index)
    runs["architecture"] = kind.mask(layer & (start == "identity"), "rnn identity")
    runs["shuffled"] = runs["task.shuffled"].astype("boolean")
    known = runs["architecture"].map(KNOWN)
    measured = runs[FACTOR].astype(float) if FACTOR in runs else pd.Series(np.nan, index=runs.index)
    exponent = "gradient/start/h.lyapunov"
    by_qr = runs[exponent].astype(float).map(math.exp) if exponent in runs else measured
    return runs.assign(
        **{
            "factor/known": known.where(layer),
            "factor/deviation": (measured / known - 1).abs().where(layer),
            "factor/by_qr": by_qr.where(layer),
            "factor/of_both": (measured / by_qr - 1).abs().where(layer),
        }
    )


def published(results: Results) -> pd.DataFrame:
    """Put the published accuracies beside ours."""
    rows = []
    signals = results.runs[results.runs["task"] == "mnist1d"]
    for (model, shuffled), some in signals.groupby(["architecture", "shuffled"], sort=False):
        ours = level(some, "test/accuracy", {}, scale=100) if "test/accuracy" in some else None
        readme, notebook = PUBLISHED.get((str(model), bool(shuffled)), (math.nan, math.nan))
        rows.append(
            {
                "model": model,
                "signals": "shuffled" if shuffled else "as published",
                "parameters": _parameters(some),
                "ours, %": ours.value if ours else math.nan,
                "95 % from": ours.low if ours else math.nan,
                "to": ours.high if ours else math.nan,
                "seeds": f"{ours.n if ours else 0}/{len(some)}",
                "README, %": readme,
                "notebook, %": notebook,
            }
        )
    return pd.DataFrame(rows).sort_values(["signals", "README, %", "model"], ignore_index=True)


def _parameters(some: pd.DataFrame) -> str:
    known = some["parameters"].dropna().unique()
    return f"{int(known[0]):,}" if len(known) else "–"


def judge(results: Results) -> Verdict:
    """Apply the rule."""
    runs = results.runs
    layers = {
        name: judge_threshold(
            level(runs, "factor/deviation", {"architecture": name}, label=f"{name}, |measured ÷ known − 1|"),
            supported_below=TOLERANCE,
            refuted_above=TOLERANCE,
        )
        for name in KNOWN
        if name not in BESIDE
    }
    tables = {}
    for (model, shuffled), values in PUBLISHED.items():
        words = f"{NAMES[model]} on {'shuffled ' * shuffled}MNIST-1D"
        ours = level(
            runs,
            "test/accuracy",
            {"task": "mnist1d", "architecture": model, "shuffled": shuffled},
            label=f"accuracy, {words}, ours − published",
            scale=100,
            unit="points",
        )
        least = min(values)
        gap = ours._replace(value=ours.value - least, low=ours.low - least, high=ours.high - least)
        tables[words] = judge_threshold(gap, supported_above=-MARGIN, refuted_below=-MARGIN)
    return combine_named({**layers, **tables})


EXPERIMENT = Experiment(
    title="Calibration: does the instrument read true?",
    question=(
        "Does the gradient profile give the decay that is known of a layer, and do our training and data give the "
        "accuracies that others have published?"
    ),
    claim=Claim(
        "C16", "–", "（笔记中没有这一条。）", "The instrument reads true (not of the notes; all else rests on it)."
    ),
    prediction=Prediction(
        "A diagonal linear recurrence multiplies the gradient by |λ| each step, exactly; a matrix of entries "
        "U(±1/√n) has spectral radius 1/√3; MNIST-1D gives 32, 68, 94 and 91 % to logistic regression, MLP, CNN and "
        "GRU.",
        "A. Orvieto et al. 2023; V. Girko's circular law; S. Greydanus and D. Kobak 2020",
    ),
    rule=(
        f"Supported if the measured factor of one step lies within {TOLERANCE:.0%} of the known one for every layer, "
        f"and if the test accuracy of every published model lies no more than {MARGIN:g} points below the lower of "
        "its two published values; each by its whole 95 % interval over seeds."
    ),
    judge=judge,
    caveat=(
        "Changed after the first 180 runs: the published MLP adds its second layer to its first, as its source shows; the "
        "rule now judges that one (“residual_mlp”), no longer one without (“mlp”). The rows of 3,240 signals and of width "
        "1,024 came with it: they decide nothing, and say what fewer signals and wider matrices change. The rule is "
        f"lenient with MNIST-1D: of the two published values it takes the lower, and {MARGIN:g} points below that still "
        "pass. The published MNIST-1D numbers are of one seed each and of the last step; ours are of the epoch that "
        "validation chose, from 3,601 training signals where theirs had 4,000; what a tenth of the signals is worth to "
        "the MLP stands in the table: about what it is behind the lower of the two published values; the distance to the "
        "higher one we cannot explain. The GRU is read as published: both directions, all steps side by side, so it "
        "need not remember. 1/√3 is the limit of wide matrices; the largest eigenvalue of each drawn matrix is another, "
        "which the exponent by QR, of the same matrices, takes in, and the limit does not. "
        f"{ONE_DRAW}"
    ),
    prepare=prepare,
    tables=(
        Table(
            "factor",
            "By what one step back multiplies the gradient, before training.",
            f"{CELLS} Measured: slope of ln ‖dL/dh_t‖ against lag, of 100 steps. By QR: e to the largest Lyapunov "
            "exponent, found by another computation, forwards and without a loss. Deviations are of each run from "
            "its own reference.",
            (
                Measure("factor/known", "known", digits=4),
                Measure(FACTOR, "measured", digits=4),
                Measure("factor/deviation", "deviation, %", digits=3, scale=100),
                Measure("factor/by_qr", "by QR", digits=4),
                Measure("factor/of_both", "measured from QR, %", digits=2, scale=100),
            ),
            columns=(),
            where={"task": "recall"},
        ),
        Computed(
            "mnist1d",
            "MNIST-1D, test accuracy in per cent: ours beside the published ones.",
            "Ours: mean over seeds with its 95 % interval (Student's t). LSTM and RNN are not in the published "
            "table; they have the GRU's width, both directions and readout. Chance: 10 %.",
            published,
        ),
    ),
    figures=(
        Figure(
            "against_known",
            "Each point is one layer: the factor by which a step back multiplies the gradient, as measured (mean of "
            "the seeds) against what is known (filled) or, where there is no closed form, what the Lyapunov "
            "exponent says (hollow). A true instrument puts all of them on the diagonal.",
            against_known,
        ),
    ),
)
