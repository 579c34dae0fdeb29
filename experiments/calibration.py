"""Calibration: does the instrument read true?"""

import numpy as np
import pandas as pd

from gradreach.study import Answer, Claim, Study, column, figure, table, value

GATES = (0.5, 0.9, 0.99)
MULTIPLES = (0.5, 0.9, 1.0, 1.01)
RUN = [f"gate {r:g}" for r in GATES]
KNOWN = dict(zip(RUN, GATES, strict=True)) | {f"identity × {c:g}": c for c in MULTIPLES}
"""By what one step multiplies the gradient: |λ| of a diagonal linear recurrence, which is a gate that always stands
there; the factor of a multiple of the identity (which is orthogonal) at states so small that tanh' is 1."""
FACTOR = "gradient/start/h.decay"
NEAR = 100 * float(np.finfo(np.float32).eps)
"""Per cent: |λ| is stored in float32 and has its rounding error; the instrument computes in float64."""
REFERENCES = {
    "a tanh RNN far below the smallest float, in sixty digits": ("digits_of_a_tanh_rnn", 1e-9),
    "rectifiers as powers of their matrix, in sixty digits": ("powers_of_a_rectifier", 1e-9),
    "an LSTM that hears only its bias, exactly f, and a GRU, exactly z": ("constant_gates", 1e-8),
    "rotations × 0.5, 0.9, 1 and 1.01, another at every step": ("multiples_of_rotations", 1e-9),
    "triangles in a drawn basis, another at every step": ("triangles_in_a_basis", 0.01),
    "Σλ_i of RNN, GRU and LSTM is the mean of ln |det J|": ("determinants", 1e-9),
    "the table that K. Saito's book prints": ("saitos_table", 1e-9),
    "profiles of RNN, GRU and LSTM as products of Jacobians by autograd": ("products_of_own_jacobians", 1e-9),
    "exponents of RNN, GRU and LSTM by a QR that runs forwards": ("forward_decompositions", 0.02),
}
"""References that need no instrument, (a) to (h): what computes them, and the allowed error of the instrument.

Drawn from seed 0 and recorded by every run, whatever its model and seed: all have the same numbers.

Two are limits: over 1,000 and 400 steps other initial vectors leave a trace of some 1 / steps.
"""


def names(runs: pd.DataFrame) -> pd.Series:
    """Name layers by their known factors."""
    name = runs["model"].mask(runs["model"] == "lru", "gate " + runs["model.r_max"].map("{:g}".format))
    gain = runs["model.start_gain"].fillna(1.0) if "model.start_gain" in runs else pd.Series(1.0, runs.index)
    return name.mask(runs["model.start"] == "identity", "identity × " + gain.map("{:g}".format))


STUDY = Study(
    question="Calibration: does the instrument read true?",
    about=(
        "Layers for which the factor of one step back is known without any measurement. The "
        "instrument must find it twice: as the slope of the profile, and as the largest Lyapunov exponent."
    ),
    answer=Answer("To rounding; two limits within bounds.", "15 supported"),
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
        title="The instrument is exact",
        expect=(
            "A diagonal linear recurrence multiplies the gradient by |λ| a step, exactly; c times an orthogonal matrix has "
            "all exponents ln c."
        ),
        expect_source="A. Orvieto et al. 2023; A. Saxe et al. 2014",
        parts={
            "it agrees with what is known of drawn layers": {
                words: value(f"gradient/start/reference.{name}", RUN[0], outcome="fixed", label="largest error").below(
                    near
                )
                for words, (name, near) in REFERENCES.items()
            }
        }
        | {
            words: {name: value(metric, name, outcome="ranks").below(NEAR) for name in RUN}
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
        figure(
            "against_known",
            about="The judged layers; multiples of the identity, which tanh' reduces a little, are only in the table.",
            threshold=NEAR,
            where={"architecture": RUN},
        ),
    ],
    caveats=[
        (
            "The models of the runs have only what settings can express: diagonal matrices and multiples of the identity, the "
            "same at every step, whose products commute. The drawn layers beside them do not commute: gradreach.diagnostics.references, "
            "recorded by every run. Two of its parts are limits, in which initial vectors leave a trace of some 1 / steps; all others hold "
            "to rounding. Disagreements are relative to numbers above 1."
        ),
        (
            "The records describe the instrument that made them; tests/diagnostics/test_exact_references.py measures "
            "today's at every commit, against stricter bounds."
        ),
        (
            "Multiples of the identity stand in the table, not judged: their states are small, but not zero, and tanh' below "
            "1 reduces the factor, the more the larger it is. Multiples of rotations without tanh are judged exactly."
        ),
        "All references decay as exponentials, or do not decay: a curve that does not has no factor, here or anywhere.",
        "These layers are small and untrained; measurements after training use the same code.",
    ],
    changed=[
        (
            "Exact references were only tests; now they are parts, stored in the records of runs. The tolerance for runs was 0.2 %, from pilots of "
            "the identity, which is no longer judged; gates may be off by float32 rounding."
        ),
        (
            "1/√3, the limit of wide matrices of U(±1/√width), is not a reference for the matrices that were drawn, and is no "
            "longer judged. MNIST-1D never reads a gradient: it is a claim of its own (mnist1d)."
        ),
    ],
)
