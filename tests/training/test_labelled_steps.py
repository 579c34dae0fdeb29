"""Where each step is answered, only steps with a target cost a logit."""

import pytest
import torch
from torch import nn

from gradreach.batch import IGNORED, Batch
from gradreach.config import OptimizerSettings
from gradreach.diagnostics import Instrument, gradient_profile
from gradreach.models import GRU, TCN, LabelledExamples, SequenceModel, Transformer, build
from gradreach.tasks import MQAR, Copy, Parity, SelectiveCopy
from gradreach.training import TrainingModule

ADAM = OptimizerSettings(name="adam", lr=0.1, weight_decay=0.0, schedule="constant")
SHAPE = (16, 90)
PLACES = {
    "the same for all": lambda: torch.arange(90).expand(SHAPE) >= 80,
    "scattered": lambda: torch.rand(SHAPE) < 0.2,
    "none in one": lambda: (torch.rand(SHAPE) < 0.2) & (torch.arange(16) > 0).unsqueeze(1),
    "nowhere": lambda: torch.zeros(SHAPE, dtype=torch.bool),
    "everywhere": lambda: torch.ones(SHAPE, dtype=torch.bool),
}


class Stranger(nn.Module):
    """A model that answers all steps."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, lengths):
        return self.model(x, lengths)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_only_labelled_steps_are_answered_and_nothing_else_changes(places, dropout):
    torch.manual_seed(0)
    task, labelled = Copy(seq_len=90, symbols=7, values=50), PLACES[places]()
    batch = Batch(torch.randn(*SHAPE, 52), None, torch.randint(50, SHAPE).masked_fill(~labelled, IGNORED))
    model = SequenceModel(GRU(52, width=8), "each_step", 50, dropout=dropout)
    answered, found = [], []
    model.head.register_forward_hook(lambda head, inputs, logits: answered.append(logits.shape[1]))
    for trained in (model, Stranger(model)):
        module = TrainingModule(trained, task, ADAM)
        torch.manual_seed(1)  # of dropout
        model.zero_grad()
        module.training_step(batch, 0).backward()
        figures = [mean.value() for mean in module.means["train"].values()]
        found.append((figures, {name: parameter.grad.clone() for name, parameter in model.named_parameters()}))
    assert answered == [int(labelled.sum(1).max()), 90]
    (figures, gradients), (figures_of_all, gradients_of_all) = found
    assert figures == figures_of_all
    for name, gradient in gradients.items():
        if name.startswith("head."):  # a sum over the same terms without the zeros among them, in another order
            torch.testing.assert_close(gradient, gradients_of_all[name], rtol=1e-5, atol=1e-8)
        else:
            assert torch.equal(gradient, gradients_of_all[name]), name


SMALL = {"train_size": 20, "validation_size": 10, "test_size": 10}
TASKS = [
    (MQAR(seq_len=32, vocabulary=64, **SMALL), 4),
    (MQAR(seq_len=32, vocabulary=64, filler="random", **SMALL), 4),
    (SelectiveCopy(seq_len=32, symbols=5, **SMALL), 5),
    (Parity(seq_len=12, per_step=True, **SMALL), 12),
]


@pytest.mark.parametrize(("task", "labelled"), TASKS)
@pytest.mark.parametrize("kind", [GRU, TCN, Transformer])
def test_the_instrument_too_asks_labelled_steps_alone_and_measures_the_same(task, labelled, kind):
    torch.manual_seed(0)
    model = build(kind, {"width": 8}, task.shape, readout="each_step")
    batch = task.splits(None).validation.take(slice(8))
    answered = []

    def note(module, inputs, logits):  # of every head: a hook of this one's own, the instrument's copy would copy too
        if type(module) is type(model.head) and logits.shape[-1] == task.shape.outputs:
            answered.append(logits.shape[1])

    instrument = Instrument(model, LabelledExamples(batch, task.loss), None, {"profile": "ends"})
    with nn.modules.module.register_module_forward_hook(note):
        instrument.measure("start")
        TrainingModule(model, task, ADAM).training_step(batch, 0)
        assert answered == [labelled, labelled]
        (measured,) = instrument.tables["profile"]
        whole = gradient_profile(model, batch, task.loss)
    assert answered[2:] == [task.seq_len]
    assert measured["quantity"].tolist() == whole["quantity"].tolist()
    torch.testing.assert_close(
        *(torch.tensor(table["median"].to_numpy()) for table in (measured, whole)), rtol=1e-9, atol=1e-9
    )
