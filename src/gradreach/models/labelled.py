"""For tasks with an answer per step, computes logits only at steps with a target."""

from torch import Tensor, nn

from gradreach.batch import labelled_steps
from gradreach.diagnostics.probes import Examples
from gradreach.models.model import SequenceModel


def answers(model: nn.Module, x: Tensor, lengths: Tensor | None, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return a model's answers and the targets they are for.

    Args:
        model: one of another kind than ours answers all steps.
        x: ``(batch, length, channels)``, or token ids ``(batch, length)``.
        lengths: valid steps of each example, ``(batch,)``; None: all.
        target: ``(batch,)``, or ``(batch, length)``, -100 where a step has none.

    Returns:
        ``(batch, outputs)`` and the target as it is, or ``(batch, k, outputs)`` and ``(batch, k)``, k the largest
        number of targets that an example has.
    """
    steps = None
    if target.dim() == 2 and getattr(type(model), "forward", None) is SequenceModel.forward:
        steps = labelled_steps(target)
    if steps is not None:
        return model(x, lengths, steps), target.gather(1, steps)
    return model(x, lengths), target


class LabelledExamples(Examples):
    """A probe for our own models: the same loss and gradients from fewer logits."""

    def answers(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Answer the steps that have a target."""
        return answers(model, x, self.lengths, self.batch.target)
