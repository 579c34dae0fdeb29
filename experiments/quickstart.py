"""Quickstart: digits, pixel by pixel, and silence after them."""

from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes

from gradreach.analysis.experiment import Experiment
from gradreach.analysis.figures import captioned, gradient_by_lag, metric_against
from gradreach.analysis.stats.robustness import ONE_DRAW
from gradreach.analysis.tables.specification import Measure, Table

PIXELS = 64
EXPONENTIAL = 0.9
BY = "gradient by"


def silence(axes: Axes, seq_len: int) -> None:
    """Shade the lags at which nothing was shown any more."""
    if seq_len > PIXELS:
        axes.axvspan(0, seq_len - PIXELS, color="black", alpha=0.05, linewidth=0)
        axes.text(2, 0.03, "silence", transform=axes.get_xaxis_transform())


def gradient(summary: str, label: str, **options: Any) -> tuple[Measure, ...]:
    """Return one summary of the profiles by input and by state, before and after training."""
    return tuple(
        Measure(f"gradient/{stage}/{quantity}.{summary}", label, f"{name}, {stage}", **options)
        for quantity, name in (("x", "input"), ("h", "state"))
        for stage in ("start", "end")
    )


def reach() -> tuple[Measure, ...]:
    """Return reaches, in whole steps."""
    return gradient("reach", "reach", digits=0)


def half_life() -> tuple[Measure, ...]:
    """Return half-lives, without those of curves that are no exponentials."""
    measures = gradient("half_life", "half-life")
    return tuple(replace(m, needs=(m.metric.replace("half_life", "r2"), EXPONENTIAL)) for m in measures)


CELLS = (
    "Cells: mean over seeds ± half-width of its 95 % interval (Student's t; from three seeds it is wide, and may "
    "exceed what is possible), and in brackets the seeds that count of those planned."
)
GRADIENT = (
    f"{CELLS} The gradient is each example's own: by the input, ‖dL/dx_t‖, or by the hidden state, ‖dL/dh_t‖ (the "
    "total derivative), before training (start) and of the weights that validation chose (end). Lag counts steps "
    "back from the last one. Reach: the largest lag at which the norm is at least 1 % of that at lag 1, at most "
    "seq_len − 1; where the norm at lag 1 is exactly zero, as with max pooling, the largest lag at which any "
    "gradient arrives. Half-life: the steps in which the norm halves; it counts only where the curve is an "
    "exponential (R² at least 0.9)."
)

EXPERIMENT = Experiment(
    title="Quickstart: who still knows the digit at the end?",
    question=(
        "A handwritten digit is read pixel by pixel, 64 steps, and followed by silence up to seq_len. "
        "How far back does the gradient of the loss reach, and what does that do to the accuracy?"
    ),
    caveat=(
        "This shows what happens out of the box, not what each architecture could do at best: torch's default "
        "initialisation, one learning rate and one short budget for all, sizes that differ. The recurrent models "
        "are read at the last step, so they must carry the digit through the silence; the CNN is read by a maximum "
        "over all steps, so it need not. Where the gradient before training does not reach "
        "back to the digit, the digit has next to no say in the first steps of learning; training can carry the gradient "
        f"back to it, or not: compare start and end with the accuracies. {ONE_DRAW}"
    ),
    tables=(
        Table("accuracy", "Test accuracy in per cent.", CELLS, (Measure("test/accuracy", "accuracy", scale=100),)),
        Table("gradient_reach", "Reach of the gradient, in steps.", GRADIENT, reach(), lines=BY),
        Table("gradient_half_life", "Half-life of the gradient, in steps.", GRADIENT, half_life(), lines=BY),
    ),
    figures=(
        captioned("accuracy_by_length", metric_against),
        captioned("gradient_by_lag", gradient_by_lag, "Gradient by the input. Grey: silence.", annotate=silence),
    ),
)
