"""Which recurrences track a state, and is it the range of their eigenvalues that decides?"""

import pandas as pd

from gradreach.study import Claim, Study, figure, measure, table, value

RANGES = {"positive": "[0, 1]", "signed": "[−1, 1]"}
SWITCHED = ("mamba", "deltanet", "mingru")
"""What has the switch; off, it is no setting of minGRU's runs."""
WORDS = {"mamba": "Mamba", "deltanet": "DeltaNet"}
GATED = {"lstm": "an LSTM", "gru": "a GRU"}
TRAINED, BEYOND, LONG = 20, 40, 160


def names(runs: pd.DataFrame) -> pd.Series:
    """Name each network by its model, and where it has the switch by the range of its eigenvalues."""
    given = runs.get("model.eigenvalues", pd.Series(None, runs.index, dtype=object))
    ranges = given.where(given.notna(), "positive").map(RANGES)
    return runs["model"].where(~runs["model"].isin(SWITCHED), runs["model"] + " " + ranges)


STUDY = Study(
    question="Which recurrences track a state, and is it the range of their eigenvalues that decides?",
    about=(
        f"Parity of 1 to {TRAINED} bits is learned, at the last step alone, and asked of up to {LONG}. A recurrence whose "
        "eigenvalues are all in [0, 1] cannot count it in finite precision; one with −1 among them can. The same network is "
        "trained with both ranges, from the same seeds and with the same budget."
    ),
    architecture=names,
    claim=Claim(
        "No recurrence with eigenvalues in [0, 1] counts parity beyond the lengths of training; with [−1, 1] the same one does.",
        id="C20",
        expect=(
            "Parity, scaled accuracy on 40 to 256 bits after 20,000 steps: Mamba .000 and 1.000, DeltaNet .017 and 1.000, a "
            "Transformer .022. RNN and LSTM solve parity, modular arithmetic and cycle navigation at every length, a "
            "Transformer none (after 1,000,000 steps; the best of 30 runs). Here are a tenth of the steps of the one, and "
            "two thousandths of those of the other."
        ),
        expect_source="R. Grazzi et al. 2025, table 3; Y. Sarrof et al. 2024 (theorem); G. Delétang et al. 2023, table 2",
        parts={
            **{
                f"{words} with [0, 1] is no better than chance at twice the length": value(
                    "test/accuracy", f"{name} [0, 1]", where={"task": "parity", "test_length": BEYOND}
                ).below(60)
                for name, words in WORDS.items()
            },
            **{
                f"{words} with [−1, 1] is right there": value(
                    "test/accuracy", f"{name} [−1, 1]", where={"task": "parity", "test_length": BEYOND}
                ).above(75)
                for name, words in WORDS.items()
            },
            **{
                f"{words} is right at eight times the length": value(
                    "test/accuracy", name, where={"task": "parity", "test_length": LONG}
                ).above(75)
                for name, words in GATED.items()
            },
        },
    ),
    looks=[12, 18],
    show=[
        figure("metric_against", x="test_length", name="accuracy_by_length", about="Test accuracy by length."),
        table("test/accuracy", name="accuracy", rows=("task", "architecture"), columns="test_length"),
        table(
            measure("gradient/end/x.reach", "reach, steps"),
            name="reach",
            rows=("task", "architecture"),
            columns="test_length",
        ),
        table(
            "test/accuracy", name="in_training", caption="At the lengths of training.", rows=("task", "architecture")
        ),
    ],
    caveats=[
        f"Short training: 1,884 steps on up to {TRAINED} bits, one width, one rate. What fails here need not fail with more.",
        "The theorem is of one layer's recurrence in finite precision; a network can know short strings by heart.",
        "minGRU, RNN and Transformer are shown and not judged, as are modular arithmetic and cycle navigation.",
        "Cycle navigation of five places needs more than −1: rotations, which one reflection a step does not give.",
    ],
)
