"""Gate saturation: is the factor that the notes derive mostly 0 or 1?"""

from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd

from gradreach.study import Answer, Claim, Quantity, Study, arithmetic, column, figure, measure, number, table, value

STAGES = {"start": "before training", "end": "after training"}
FACTORS = {"notes": "tanh'·f", "f": "forget gate", "i": "input gate"}
SHARES = {"closed": "below 0.1", "open": "above 0.9"}
STARTS = {"lstm": "torch's initialization", "lstm b=1": "forget bias 1", "lstm b=3": "forget bias 3"}
TASKS = ("recall", "adding")


def printed(x: np.ndarray) -> np.ndarray:
    """Return the curve whose picture the notes print, tanh'(x) σ(x)."""
    return np.asarray((1 - np.tanh(x) ** 2) / (1 + np.exp(-x)))


GRID = np.linspace(-8, 8, 16_001)
PEAK, AT = float(printed(GRID).max()), float(GRID[printed(GRID).argmax()])
"""The largest value of that curve, and where it lies."""


def saturated(gate: str, stage: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return what adds up the shares of a factor that are near 0 and near 1."""
    name = f"gradient/{stage}/gate_{gate}"
    return lambda runs: runs[f"{name}.closed"] + runs[f"{name}.open"]


def of_factor(gate: str, stage: str, task: str, architecture: str) -> Quantity:
    """Return the share of a factor that is near 0 or 1, with either side beside it."""

    def shares(of: str, beside: dict[str, Quantity]) -> Quantity:
        name = f"gradient/{stage}/gate_{gate}.{of}"
        return value(name, architecture, where={"task": task}, outcome="ranks", beside=beside)

    return shares("saturated", {words: shares(of, {}) for of, words in SHARES.items()})


STUDY = Study(
    question="Is an LSTM's factor of one step mostly 0 or 1?",
    about=(
        "A factor of mostly 0 or 1 would cut some paths of the gradient and keep others. The notes draw the curve "
        "tanh'(x)·σ(x), derive it for a simplified cell, s_j = tanh(f ∘ s_{j−1} + i ∘ x), and say it of the LSTM, whose cell "
        "is multiplied by its forget gate alone. These are three questions."
    ),
    answer=Answer("No, except with a forget bias of 3.", "13 refuted, 4 supported"),
    architecture={"model.forget_bias": "b={:g}"},
    derive={"setting": column(lambda runs: runs["architecture"] + " · " + runs["task"])}
    | {
        f"gradient/{stage}/gate_{gate}.saturated": column(
            saturated(gate, stage), f"{FACTORS[gate]} near 0 or 1, {when}", "%"
        )
        for gate, (stage, when) in product(("notes", "f"), STAGES.items())
    },
    choose="optimizer.lr",
    claim=Claim(
        "The factor of one step of an LSTM, tanh'·σ, is mostly 0 or 1.",
        id="C2",
        title="Step factors are 0 or 1",
        section="4.2",
        source="founding notes",
        original="LSTM与RNN区别就在于tanh变成了tanh'σ(x)，他的图像如下，大部分的数值要么0要么1",
        expect=(
            "No. tanh' is near 1 only around 0, where σ is one half, so that the curve never comes near 1. With torch's "
            "initialization gates stand near 0.5; a forget bias of 3 opens them. Gates near 1, by a bias or by learning, keep the "
            "gradient: that is not a switch between 0 and 1."
        ),
        expect_source="F. Gers et al. 2000; R. Jozefowicz et al. 2015; K. Greff et al. 2017",
        parts={
            "the printed curve, tanh'(x)·σ(x), comes near 1": arithmetic(
                lambda: PEAK > 0.9, f"its maximum is {number(PEAK, '.3f')}, at x = {number(AT, '.3f')}."
            ),
            "the simplified cell's (1 − s²)·f is mostly near 0 or 1": {
                f"{task}, {when}": of_factor("notes", stage, task, "gated_tanh").above(50)
                for task, (stage, when) in product(TASKS, STAGES.items())
            },
            "an LSTM's forget gate is mostly near 0 or 1": {
                f"{start}, {task}, {when}": of_factor("f", stage, task, name).above(50)
                for (name, start), task, (stage, when) in product(STARTS.items(), TASKS, STAGES.items())
            },
        },
    ),
    looks=[12, 18],
    show=[
        table(
            *(
                measure(f"gradient/{stage}/gate_{gate}.{of}", f"{SHARES[of]}, {STAGES[stage]}", line=FACTORS[gate])
                for gate, stage, of in product(FACTORS, STAGES, SHARES)
            ),
            name="saturation",
            caption="Share of values below 0.1, and above 0.9, in per cent.",
            note="tanh'·f: of the simplified cell (1 − s_t²)·f_t, of an LSTM tanh'(c_t)·f_t, which is not one of its paths.",
            rows=("task", "architecture"),
            lines="quantity",
        ),
        table(
            measure("test/accuracy", "accuracy, %", best=None),
            measure("test/mse", "squared error", best=None),
            *(measure(f"gradient/{stage}/h.decay", f"factor of one step, {when}") for stage, when in STAGES.items()),
            name="trained",
            caption="Accuracy, and the gradient behind it.",
            rows=("task", "architecture"),
        ),
        figure(
            "gate_shares",
            name="shares",
            by="setting",
            gates={gate: FACTORS[gate] for gate in ("notes", "f")},
            about="The claim holds where both ends together exceed the threshold. Of an LSTM the forget gate is judged: tanh'·f multiplies no path of it.",
            threshold=50,
        ),
    ],
    caveats=[
        "Near 0 means below 0.1, near 1 above 0.9, mostly more than half: our conventions, as the notes give none. Shares are "
        "of values over units, steps and 16 examples.",
        (
            "“Mostly near 0 or 1” also holds for a factor that is only near 1, such as a forget gate with bias 3, or only near "
            "0: “some vanish, some are kept” needs both. Each part names the two sides."
        ),
        "By gradreach decide C2 the part of forget bias 1 on recall after training would need 41 seeds, where 18 are planned.",
        "The factor of a direct path is not the whole step Jacobian: gates depend on the state too.",
        "The notes do not define the gates of their simplified cell: here they are those of an LSTM.",
    ],
    changed=[
        (
            "One part was the mean over three initializations, and rested on tanh'(c)·f, which multiplies no path of an LSTM: the "
            "curve, the simplified cell and the forget gate of each initialization are judged apart now."
        ),
    ],
)
