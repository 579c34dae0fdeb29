"""Errata: the recurrent cells as the notes print them, beside the real ones."""

import pandas as pd

from gradreach.study import Claim, Results, Study, compare, computed, figure, measure, number, table

FIRST = 16
"""Epochs of the first budget, which the GRUs kept."""
SAME = 10
"""Points of accuracy within which two cells count as the same."""


def seed_by_seed(results: Results) -> pd.DataFrame:
    """Tabulate the validation accuracy of every seed, after the first budget and at the end."""
    history = results.history.reindex(columns=["run_id", "epoch", "val/accuracy"])
    rows = []
    for name, some in results.finished.groupby("architecture", sort=False):
        mine = history[history["run_id"].isin(some["run_id"])]
        row: dict[str, object] = {"architecture": name}
        for words, epoch in {"after the first budget": FIRST, "at the end": mine["epoch"].max()}.items():
            values = sorted(mine.loc[mine["epoch"] == epoch, "val/accuracy"])
            row[words] = ", ".join(number(100 * value, ".0f") for value in values)
        rows.append(row)
    return pd.DataFrame(rows)


STUDY = Study(
    question="Are the cells that the notes print a GRU and an LSTM?",
    about=(
        "The notes print a GRU that carries on the previous input where the state belongs, and an LSTM whose candidate "
        "uses one matrix for input and state. Do they still remember a symbol over 19 distractors?"
    ),
    choose="optimizer.lr",
    claim=Claim(
        "These formulas are a GRU and an LSTM.",
        id="C13",
        section="5, 3",
        source="founding notes",
        original=(
            "GRU是一种LSTM的替代方案：s_j = (1-z) ⊙ x_{j-1} + z ⊙ s̃_j；"
            "LSTM的构成：z = tanh(x_j W^{xz} + h_{j-1} W^{xz} + b_z)"
        ),
        expect=(
            "A GRU is s_j = (1 − z) ∘ s_{j−1} + z ∘ s̃_j: its state is carried on. As printed nothing is, so its "
            "gradient decays faster and it forgets. An LSTM with a shared matrix is a smaller LSTM and should learn."
        ),
        expect_source="K. Cho et al. 2014, eq. 7; S. Hochreiter and J. Schmidhuber 1997; F. Gers et al. 2000",
        parts={
            f"the printed {real.upper()} does as well as {article} {real.upper()}": compare(
                "test/accuracy", real, f"{real}_as_printed"
            ).below(SAME)
            for real, article in (("gru", "a"), ("lstm", "an"))
        },
    ),
    show=[
        table(
            measure("test/accuracy", "accuracy, %"),
            *(
                measure(f"gradient/{stage}/h.{name}", f"{words}, {when}")
                for name, words in (("decay", "factor"), ("half_life", "half-life"))
                for stage, when in (("start", "before"), ("end", "after"))
            ),
            name="cells",
            caption="Accuracy, and the gradient by the state.",
            note="Factor: by what the norm of the gradient, ‖dL/dh_t‖, is multiplied at every step back.",
        ),
        computed(
            "seeds",
            seed_by_seed,
            "Validation accuracy of every seed, in per cent, from the worst to the best.",
            f"The first budget: {FIRST} epochs.",
        ),
        figure("learning_curves", about=f"Validation accuracy from epoch to epoch. The GRUs end at epoch {FIRST}."),
        figure("gradient_by_lag", quantity="h", about="The gradient by the state. The cue stands at the far right."),
    ],
    caveats=[
        "One task at one length: a cell that fails here fails at what a GRU finds easy.",
        "A cell that does not fail here may fail elsewhere.",
    ],
    changed=[
        (
            "The LSTMs were given three times the training of the GRUs: after the first budget too few seeds of either "
            "had learned the task to tell. The rule stayed as it was."
        ),
    ],
)
