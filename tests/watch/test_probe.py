"""Batches of any kind are probes: each gives the curves of the plain one, or one sentence that says what to do."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from gradreach.watch import Watcher

STEPS, EXAMPLES = 11, 4
X, TARGET = torch.randn(EXAMPLES, STEPS, 3, generator=torch.Generator().manual_seed(0)), torch.arange(EXAMPLES) % 2


class Model(nn.Module):
    """Reads its batch as ``read`` says; ``weigh`` makes the loss another than the mean of its examples'."""

    def __init__(self, layer, read=lambda batch: batch, weigh=False):
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.head, self.read, self.weigh = layer, nn.Linear(5, 2), read, weigh

    def last(self, x):
        given = self.layer(x)
        if isinstance(self.layer, nn.Conv1d):
            return given[:, :, -1]
        return given[1][-1]

    def training_step(self, batch):
        x, target = self.read(batch)
        losses = F.cross_entropy(self.head(self.last(x)), target, reduction="none")
        return (losses * torch.arange(1, len(losses) + 1)).mean() if self.weigh else losses.mean()


def gru(**options):
    torch.manual_seed(0)
    return nn.GRU(3, 5, **options)


def convolution():
    torch.manual_seed(0)
    return nn.Conv1d(3, 5, 3, padding=1)


def medians(model, probe, **options):
    watcher = Watcher(model, probe, **options)
    watcher.measure("now")
    return watcher.profile["median"]


@pytest.fixture(scope="module")
def plain():
    return medians(Model(gru(batch_first=True)), (X, TARGET))


@dataclass(frozen=True)
class Sample:
    name: str
    series: Tensor
    target: Tensor


@pytest.mark.parametrize(
    ("probe", "read"),
    [
        (Sample("four", X, TARGET), lambda batch: (batch.series, batch.target)),
        ({"target": TARGET, "series": X}, lambda batch: (batch["series"], batch["target"])),
        ((TARGET, torch.randn(EXAMPLES, 5), [X]), lambda batch: (batch[2][0], batch[0])),  # what is known of each first
        ((pack_sequence([*X]), TARGET), lambda batch: batch),
    ],
    ids=["dataclass", "mapping", "nested", "packed"],
)
def test_a_batch_is_measured_as_it_is(plain, probe, read):
    np.testing.assert_allclose(medians(Model(gru(batch_first=True), read), probe), plain, atol=1e-11)


def test_a_packed_sequence_brings_its_lengths():
    lengths = [STEPS, 3, 7, 2]
    packed = pack_sequence([x[:n] for x, n in zip(X, lengths, strict=True)], enforce_sorted=False)
    watcher = Watcher(Model(gru(batch_first=True)), (packed, TARGET))
    watcher.measure("now")
    for _, curve in watcher.profile.groupby("quantity"):
        assert curve["n"].tolist() == [4, 4, 3, 2, 2, 2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("weigh", [False, True])
def test_time_may_come_first(weigh, recwarn):
    expected = medians(Model(gru(batch_first=True), weigh=weigh), (X, TARGET))
    found = medians(Model(gru(), weigh=weigh), (X.transpose(0, 1), TARGET), layout="LNC")
    np.testing.assert_allclose(found, expected, atol=1e-11)


def test_channels_may_come_first():
    class Turned(Model):
        def last(self, x):
            return super().last(x.transpose(1, 2))

    expected = medians(Turned(convolution()), (X, TARGET), least=None)
    found = medians(Model(convolution()), (X.transpose(1, 2), TARGET), layout="NCL", least=None)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("model", "probe", "why"),
    [
        (Model(gru()), (X.transpose(0, 1), TARGET), r"it has \(11, 4, 3\), \(4,\); .* pass layout='LNC'"),
        (Model(convolution()), (X.transpose(1, 2), TARGET), "layer, an nn.Conv1d, takes it as it is, .* layout='NCL'"),
        (Model(gru()), (X[:0], TARGET[:0]), "it has no examples; 16 are enough"),
        (Model(gru()), None, r"it has no tensor \(NoneType\); pass a batch"),
    ],
)
def test_a_probe_that_would_be_misread_is_refused(model, probe, why):
    with pytest.raises((ValueError, UserWarning), match=f"probe: .*{why}"):
        Watcher(model, probe).measure("now")


def test_the_batch_is_left_as_it_is():
    ids = torch.ones(EXAMPLES, STEPS, dtype=torch.long)

    class Masking(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.gru = nn.Embedding(3, 4), nn.GRU(4, 3, batch_first=True)

        def training_step(self, batch):
            batch[0][:, 0] = 2
            batch[1].zero_()
            return F.cross_entropy(self.gru(self.embedding(batch[0]))[0][:, -1], batch[1])

    probe = (ids.clone(), TARGET.clone())
    assert len(medians(Masking(), probe))
    assert torch.equal(probe[0], ids)
    assert torch.equal(probe[1], TARGET)
