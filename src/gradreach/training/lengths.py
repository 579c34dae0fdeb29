"""Training on sequences of many lengths, and tests of the weights at chosen lengths."""

import math
from collections.abc import Iterator

from pytorch_lightning import Trainer

from gradreach.batch import EVALUATION_BATCH, Batch, Batches, Made, OneLength, limited
from gradreach.models import SequenceModel
from gradreach.run_state import Run
from gradreach.tasks import Splits, Synthetic
from gradreach.training.module import TrainingModule


def drawn_loaders(run: Run, task: Synthetic, splits: Splits) -> dict[str, Batches]:
    """Return batches of one length each: of training drawn anew in every epoch, of validation and test the same."""
    size, device = run.config.trainer.batch_size, run.environment.device

    def make(epoch: int, number: int) -> Batch:
        return task.training_batch(epoch, number, min(size, task.train_size - number * size)).to(device)

    held_out = {"val": splits.validation, "test": splits.test}
    loaders: dict[str, Batches] = {"train": Made(make, -(-task.train_size // size), run.config.seed)}
    return loaders | {name: OneLength(part.to(device), EVALUATION_BATCH) for name, part in held_out.items()}


class AtLength(Batches):
    """The test at one length: drawn in blocks, and cut so that a batch takes no more than one of training's length.

    - ``task``, ``length``: of which it is.
    - ``model``: tells what a sequence costs, where it can: of a Transformer a long one more than in proportion.
    - ``device``: where batches go.
    """

    def __init__(self, task: Synthetic, length: int, model: object, device: str) -> None:
        self.task, self.length, self.device = task, length, device
        costs = [task.seq_len, length]
        if isinstance(model, SequenceModel):
            costs = [max(1, model.multiply_adds(steps)) for steps in costs]
        self.batch_size = max(1, min(EVALUATION_BATCH, EVALUATION_BATCH * costs[0] // costs[1]))

    def __len__(self) -> int:
        return sum(-(-size // self.batch_size) for size in self.task.test_blocks(self.length))

    def __iter__(self) -> Iterator[Batch]:
        for number in range(len(self.task.test_blocks(self.length))):
            for batch in Batches(self.task.test_block(self.length, number), self.batch_size):
                yield batch.to(self.device)


def at_test_lengths(run: Run, trainer: Trainer, module: TrainingModule) -> None:
    """Test a module at each of its task's test lengths: ``test/loss/160`` and ``test/accuracy/160`` of its figures.

    Where the loss is not finite there is no score, and ``by_test_length`` calls the run diverged at that length.

    Raises:
        Interrupted: the process was asked to stop before all lengths were tested.
    """
    task, budget = module.task, run.config.trainer
    if not isinstance(task, Synthetic):
        return
    for length in task.test_lengths or ():
        run.interruption.at_epoch_end()
        loader = AtLength(task, length, module.model, run.environment.device)
        if not budget.fast_dev_run:
            trainer.limit_test_batches = limited(budget.limit_test_batches, len(loader))
        module.test_length = length
        trainer.test(module, loader, verbose=False)
        if not math.isfinite(loss := module.figures[f"test/loss/{length}"]):
            run.warnings.append(f"the test loss at {length} steps is {loss}; this length counts as diverged")
    module.test_length = None
