"""Calibration: does the instrument read true?"""

import numpy as np
import pandas as pd

from gradreach.study import Claim, Study, column, figure, table, value

GATES = (0.5, 0.9, 0.99)
MULTIPLES = (0.5, 0.9, 1.0, 1.01)
KNOWN = {f"gate {r:g}": r for r in GATES} | {f"identity × {c:g}": c for c in MULTIPLES}
"""By what one step multiplies the gradient: |λ| of a diagonal linear recurrence, which is a gate that always stands
there; the factor of a multiple of the identity (which is orthogonal) at states so small that tanh' is 1."""
FACTOR = "gradient/start/h.decay"
NEAR = 0.2
"""Per cent: room for tanh' at states that are small, but not zero, and grow where the factor is above 1."""


def names(runs: pd.DataFrame) -> pd.Series:
    """Name layers by what is known of them."""
    name = runs["model"].mask(runs["model"] == "lru", "gate " + runs["model.r_max"].map("{:g}".format))
    gain = runs["model.start_gain"].fillna(1.0) if "model.start_gain" in runs else pd.Series(1.0, runs.index)
    return name.mask(runs["model.start"] == "identity", "identity × " + gain.map("{:g}".format))


STUDY = Study(
    question="Calibration: does the instrument read true?",
    about=(
        "Layers of which it is known, without any measurement, by what one step back multiplies the gradient. The "
        "instrument must find it twice: as the slope of the profile, and as the largest Lyapunov exponent."
    ),
    architecture=names,
    derive={
        "factor/known": column(lambda runs: runs["architecture"].map(KNOWN), "known", digits=4),
        "factor/by_qr": column(lambda runs: np.exp(runs["gradient/start/h.lyapunov"]), "by QR", digits=4),
        "factor/slope_off": column(
            lambda runs: (runs[FACTOR] / runs["factor/known"] - 1).abs(), "slope off by", "%", digits=4
        ),
        "factor/exponent_off": column(
            lambda runs: (runs["factor/by_qr"] / runs["factor/known"] - 1).abs(), "exponent off by", "%", digits=4
        ),
    },
    claim=Claim(
        "The instrument reads true (all else rests on it).",
        id="C16",
        expect=(
            "A diagonal linear recurrence multiplies the gradient by |λ| a step, exactly; c times an orthogonal matrix has "
            "all exponents ln c."
        ),
        expect_source="A. Orvieto et al. 2023; A. Saxe et al. 2014",
        parts={
            words: {name: value(metric, name, outcome="ranks").below(NEAR) for name in KNOWN}
            for words, metric in (
                ("the profile's slope is that of", "factor/slope_off"),
                ("the largest exponent is that of", "factor/exponent_off"),
            )
        },
    ),
    looks=[12],
    show=[
        table(
            "factor/known",
            FACTOR,
            "factor/by_qr",
            "factor/slope_off",
            "factor/exponent_off",
            name="factor",
            caption="By what one step back multiplies the gradient, before training.",
            note=(
                "Factor: e to the slope of ln ‖dL/dh_t‖ against lag. By QR: e to the largest Lyapunov exponent. Where nothing "
                "is known the two stand beside each other; they share their step Jacobians, so that neither checks the other."
            ),
        ),
        figure("against_known"),
    ],
    caveats=[
        (
            "Only what settings can express is here: diagonal matrices and multiples of the identity, the same at every "
            "step, whose products commute. Held by tests, on every commit (tests/diagnostics/test_exact_references.py): "
            "drawn rotations and drawn triangles in a drawn basis, another at every step, which do not commute; a tanh RNN "
            "with a triangular matrix that hears its input; a profile below the smallest float in sixty digits, rectifiers "
            "as powers of their matrix, an LSTM and a GRU that hear only their bias (exactly f, and z), Σλ_i = mean ln "
            "|det J|, and a QR that runs forwards with Jacobians of its own."
        ),
        "All references decay as exponentials, or do not decay: a curve that is none has no factor, here or anywhere.",
        "These layers are small and untrained; what is measured after training goes through the same code.",
    ],
    changed=[
        (
            "1/√3, the limit of wide matrices of U(±1/√width), is no reference for the matrices that were drawn, and is judged "
            "no more. MNIST-1D never reads a gradient: it is a claim of its own (mnist1d)."
        ),
    ],
)
