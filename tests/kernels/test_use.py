"""What the layers are for: models that train, and that the instrument takes apart as it does torch's."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from gradreach.diagnostics import gradient_profile
from gradreach.kernels import accelerate
from gradreach.models import GRU, RNN, SequenceModel
from gradreach.tasks import Batch

ENCODERS = [
    lambda: GRU(2, width=16),
    lambda: RNN(2, width=16),
    lambda: RNN(2, width=16, nonlinearity="relu", start="identity"),
    lambda: GRU(2, width=8, layers=2, bidirectional=True),
]


@pytest.fixture(params=ENCODERS)
def pair(request) -> tuple[SequenceModel, SequenceModel]:
    """A model with torch's layers, and the same with ours."""
    torch.manual_seed(0)
    model = SequenceModel(request.param(), "last", 3)
    ours = copy.deepcopy(model)
    assert accelerate(ours) == sum(isinstance(part, nn.RNNBase) for part in model.modules()) > 0
    return model, ours


def batch(examples: int = 32, length: int = 40) -> Batch:
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(examples, length, 2, generator=draw)
    return Batch(x, None, torch.randint(3, (examples,), generator=draw))


@pytest.mark.slow
def test_training_goes_as_with_torchs_layers(pair):
    given = batch()
    losses = []
    for model in pair:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses.append([])
        for _ in range(20):
            loss = F.cross_entropy(model(given.x, None), given.target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses[-1].append(loss.item())
    theirs, ours = losses
    assert ours[-1] < 0.97 * ours[0]
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-4


def test_the_profile_is_that_of_torchs_layers(pair):
    def loss(logits, target):
        return F.cross_entropy(logits, target, reduction="none")

    theirs, ours = (gradient_profile(model, batch(8, 20), loss) for model in pair)
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs) >= 40
    numbers = ours.select_dtypes("number").columns
    assert ours.drop(columns=numbers).equals(theirs.drop(columns=numbers))
    assert_close(torch.tensor(ours[numbers].to_numpy()), torch.tensor(theirs[numbers].to_numpy()), equal_nan=True)
