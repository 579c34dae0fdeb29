"""Digits, pixel by pixel, and silence after them."""

from typing import TYPE_CHECKING, Any

from gradreach.study import Study, figure, measure, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PIXELS = 64


def silence(axes: "Axes", seq_len: int) -> None:
    """Shade the lags at which nothing was shown any more."""
    if seq_len > PIXELS:
        axes.axvspan(0, seq_len - PIXELS, color="black", alpha=0.05, linewidth=0)
        axes.text(2, 0.03, "silence", transform=axes.get_xaxis_transform())


def gradient(summary: str, words: str, caption: str) -> Any:
    """Return a table of one summary of the profiles by input and by state, before and after training."""
    measures = [
        measure(f"gradient/{stage}/{quantity}.{summary}", words, line=f"{name}, {stage}")
        for quantity, name in (("x", "input"), ("h", "state"))
        for stage in ("start", "end")
    ]
    name = f"gradient_{summary}"
    return table(*measures, name=name, caption=caption, note=GRADIENT, columns="seq_len", lines="gradient by")


GRADIENT = (
    "The gradient is each example's own: by the input, ‖dL/dx_t‖, or by the hidden state, ‖dL/dh_t‖ (the total "
    "derivative), before training (start) and of the best-validation checkpoint (end). Lag counts steps back from the "
    "last one. Reach: the largest lag at which the norm is at least 1 % of that at lag 1, at most the sequence length − 1; where the "
    "norm at lag 1 is exactly zero, as with max pooling, the largest lag at which any gradient arrives. From three seeds "
    "an interval is wide, and may exceed what is possible."
)

STUDY = Study(
    question="Who still knows the digit at the end?",
    about=(
        "A handwritten digit is read pixel by pixel, 64 steps, and followed by silence up to the sequence length. How far back does "
        "the gradient of the loss reach, and what does that do to the accuracy?"
    ),
    show=[
        table(measure("test/accuracy", "accuracy", best=None), columns="seq_len"),
        gradient("reach", "reach", "Reach of the gradient, in steps."),
        gradient("half_life", "half-life", "Half-life of the gradient, in steps."),
        figure("metric_against", name="accuracy_by_length"),
        figure("gradient_by_lag", about="Gradient with respect to the input. Grey: silence.", annotate=silence),
    ],
    caveats=[
        (
            "This shows what happens out of the box, not what each architecture could do at best: torch's default "
            "initialisation, one learning rate and one short budget for all, sizes that differ."
        ),
        (
            "The recurrent models are read at the last step, so they must carry the digit through the silence; the CNN is "
            "read by a maximum over all steps, so it need not."
        ),
        (
            "Where the gradient before training does not reach back to the digit, the digit has almost no influence on the "
            "first steps of learning; training may or may not carry the gradient back to it: compare start and end with the "
            "accuracies."
        ),
    ],
)
