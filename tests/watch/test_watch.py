"""The instrument in other people's training: loops, Lightning; nothing of theirs changes."""

import copy
import hashlib
import threading
import warnings

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradreach.batch import Batch
from gradreach.diagnostics import gradient_profile, half_life, reach
from gradreach.watch import GradientReach, Watcher, reach_of, watch

STEPS = 30


class Classifier(nn.Module):
    def __init__(self, layer=nn.LSTM, width=8):
        super().__init__()
        self.layer, self.head = layer(1, width, batch_first=True), nn.Linear(width, 2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class Module(pl.LightningModule):
    """As anybody writes one."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.model, self.reduction = Classifier(), reduction

    def training_step(self, batch, batch_idx):
        x, target = batch
        loss = F.cross_entropy(self.model(x), target, reduction=self.reduction)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def own_loss(model, probe):
    x, target = probe
    return F.cross_entropy(getattr(model, "model", model)(x), target, reduction="none")


@pytest.fixture
def probe():
    torch.manual_seed(1)
    return torch.randn(6, STEPS, 1), torch.arange(6) % 2


def exact(model, probe):
    return gradient_profile(model, Batch(probe[0], None, probe[1]), nn.CrossEntropyLoss(reduction="none"))


def fingerprint(model):
    return hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.state_dict().values())).hexdigest()


def train(callbacks, **options):
    torch.manual_seed(0)
    module = Module()
    x = torch.randn(64, STEPS, 1)
    loader = DataLoader(TensorDataset(x, (x[:, 0, 0] > 0).long()), batch_size=16, shuffle=True)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message="The `srun` command")
        trainer = pl.Trainer(max_epochs=2, callbacks=callbacks, enable_model_summary=False, **(quiet | options))
        trainer.fit(module, loader)
    return module, trainer


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_of_the_batch_gives_the_curves_of_each_examples_own(probe, reduction):
    module = Module(reduction)
    watcher = Watcher(module, probe)
    watcher.measure("now")
    assert watcher.one_by_one is False
    expected, found = exact(module.model, probe), watcher.profile
    assert found["quantity"].tolist() == expected["quantity"].tolist()
    np.testing.assert_allclose(found["median"], expected["median"], atol=1e-11)


class Weighted(Module):
    """Weighs examples as a mean over tokens does."""

    def training_step(self, batch, batch_idx):
        x, target = batch
        weights = 1.0 + torch.arange(len(x))
        return (F.cross_entropy(self.model(x), target, reduction="none") * weights).sum() / weights.sum()


def test_where_the_batch_weighs_its_examples_each_is_measured_alone(probe):
    module = Weighted()
    watcher = Watcher(module, probe, quantities=("profile", "gates", "lyapunov", "bptt", "jacobians"))
    with pytest.warns(UserWarning, match="each of 6 is measured alone"):
        watcher.measure("now")
    expected = exact(module.model, probe)
    for column in ("q10", "median", "q90", "n"):
        np.testing.assert_allclose(watcher.profile[column], expected[column], atol=1e-11)
    at_once = Watcher(module, probe, own_loss, quantities=("profile", "gates", "lyapunov", "bptt", "jacobians"))
    at_once.measure("now")
    for name, frames in at_once.tables.items():
        both = [
            each.query("quantity == 'step'") if name == "factors" else each
            for each in (frames[0], watcher.tables[name][0])
        ]
        one, other = (each.select_dtypes("number") for each in both)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=name)


def test_lengths_stay_with_their_examples_where_each_is_measured_alone(probe):
    module, lengths = Weighted(), torch.tensor([STEPS, 4, 17, 9, 2, 25])
    at_once, alone = Watcher(module, probe, own_loss, lengths=lengths), Watcher(module, probe, lengths=lengths)
    at_once.measure("now")
    with pytest.warns(UserWarning, match="measured alone"):
        alone.measure("now")
    for column in ("q10", "median", "q90", "n"):
        np.testing.assert_allclose(alone.profile[column], at_once.profile[column], atol=1e-11)


def test_scalars_are_named_by_layer(probe):
    watcher = Watcher(Classifier(), probe, own_loss, quantities=("profile", "gates", "lyapunov"))
    found = watcher.measure("now")
    assert found["gradient/gate_f/layer"] == watcher.tables["gates"][0].set_index("gate").loc["f", "mean"]
    assert {
        "gradient/reach/layer",
        "gradient/half_life/layer",
        "gradient/lyapunov/layer",
        "gradient/gate_f/layer",
    } <= set(found)
    assert found["gradient/nonfinite"] == 0


def test_both_directions_and_all_layers_have_names_of_their_own(probe):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.head = nn.GRU(1, 4, num_layers=2, bidirectional=True, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.gru(x)[0].mean(1))

    found = Watcher(Model(), probe, own_loss).measure("now")
    places = {key.rpartition("/")[2] for key in found if key.startswith("gradient/reach/")}
    assert places == {"input", "gru.0", "gru.0.backward", "gru.1", "gru.1.backward"}


@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2}, {"precision": "bf16-mixed"}])
def test_training_goes_as_it_would_without(probe, options):
    alone, _ = train([], **options)
    callback = GradientReach(probe, quantities=("profile", "lyapunov", "gates"))
    watched, trainer = train([callback], **options)
    assert fingerprint(alone) == fingerprint(watched)
    assert callback.profile["stage"].unique().tolist() == ["start", "epoch 1", "epoch 2"]
    assert trainer.callback_metrics["gradient/reach/model.layer"] > 0


def test_steps_can_be_the_measure_of_time(probe):
    callback = GradientReach(probe, every="3 steps")
    train([callback])
    assert callback.profile["stage"].unique().tolist() == ["start", "epoch 0.75", "epoch 1.5"]


def test_a_batch_that_only_adds_to_the_gradient_is_no_step(probe):
    callback = GradientReach(probe, every="1 steps")
    train([callback], accumulate_grad_batches=2)
    assert callback.profile["stage"].unique().tolist() == ["start", "epoch 0.5", "epoch 1", "epoch 1.5", "epoch 2"]


class Metered(Module):
    """Has metrics, and says how often it was called."""

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.seen = nn.BatchNorm1d(1)

    def training_step(self, batch, batch_idx):
        self.calls += 1
        self.seen(batch[0].transpose(1, 2))
        return super().training_step(batch, batch_idx)


def test_what_the_module_counts_is_not_touched(probe):
    module = Metered().train()
    before = copy.deepcopy(module.state_dict())
    random = torch.get_rng_state()
    Watcher(module, probe).measure("now")
    assert module.calls == 0
    assert module.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_compiled_part_is_measured_as_what_it_was_made_from(probe):
    module = Module()
    expected = exact(module.model, probe)
    module.model = torch.compile(module.model)
    watcher = Watcher(module, probe)
    watcher.measure("now")
    np.testing.assert_allclose(watcher.profile["q90"], expected["q90"], atol=1e-11)


def test_a_gradient_that_hardly_reaches_back_is_told_of_once(probe):
    model = Classifier()
    with torch.no_grad():
        model.layer.bias_hh_l0[8:16] = -9  # the forget gate is shut
    watcher = Watcher(model, probe, own_loss, least=0.5)
    with pytest.warns(UserWarning, match=r"epoch 1: through layer the gradient reaches \d of 29 steps back \(\d+ %\)"):
        watcher.measure("epoch 1")
    watcher.measure("epoch 2")  # warnings are errors


@pytest.mark.parametrize(
    ("module", "probe", "why"),
    [
        (Module(), torch.randn(4), "probe: it has (4,); pass a batch with sequences"),
        (
            Module(),
            {"input_ids": torch.ones(2, 5).long(), "attention_mask": torch.tensor([[0, 1, 1, 1, 1]] * 2)},
            "left",
        ),
        (Classifier(), (torch.randn(4, 5, 1), torch.zeros(4).long()), "has no training_step: pass"),
    ],
)
def test_what_cannot_be_watched_is_refused_before_training(module, probe, why):
    with pytest.raises(ValueError, match=r"\w") as refused:
        Watcher(module, probe)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


class Uncopiable(Module):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class NoLoss(Module):
    def training_step(self, batch, batch_idx):
        return None


def coupled(model, probe):
    return own_loss(model, probe).mean()


def meta():
    with torch.device("meta"):
        return Module()


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(nn.Linear(1, 2))


@pytest.mark.parametrize(
    ("module", "loss", "why"),
    [
        (Uncopiable(), None, "the model cannot be copied .*: keep files, locks and connections out of it"),
        (
            NoLoss(),
            None,
            "training_step gives no loss for the probe; pass a probe as",
        ),
        (Module(), coupled, r"the loss has shape \(\); it must give one value per example, \(6,\)"),
        (meta(), None, "has no weights yet"),
        (scripted(), own_loss, "TorchScript"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_training_goes_on(probe, module, loss, why):
    watcher = Watcher(module, probe, loss)
    with pytest.warns(UserWarning, match=f"^gradreach: not measured: .*{why}") as told:
        assert watcher.measure("epoch 1") == {}
    assert "\n" not in str(told[0].message)
    assert watcher.measure("epoch 2") == {}  # it is said once


def test_a_bad_probe_does_not_end_a_training():
    callback = GradientReach(torch.randn(4))
    with pytest.warns(UserWarning, match="^gradreach: not measured: probe: it has"):
        train([callback])
    assert callback.profile.empty


class Loggers(pl.loggers.logger.DummyLogger):
    """Keeps what it is given, by the names of both loggers that take pictures."""

    def __init__(self):
        super().__init__()
        self.kept = {}

    def log_metrics(self, metrics, step=None):
        self.kept.setdefault("metrics", []).append((step, metrics))

    def log_table(self, key, dataframe, step):
        self.kept[key] = (step, dataframe)

    def log_image(self, key, images, step):
        self.kept[key] = (step, np.asarray(images[0]))

    @property
    def experiment(self):
        return self

    def add_figure(self, key, figure, step):
        self.kept["figure"] = (key, step, len(figure.axes))


class WandbLogger(Loggers):
    pass


class TensorBoardLogger(Loggers):
    pass


def test_loggers_get_what_they_take(probe):
    board, sheet, callback = WandbLogger(), TensorBoardLogger(), GradientReach(probe)
    train([callback], logger=[board, sheet])
    scalars = [(step, found) for step, found in board.kept["metrics"] if "gradient/reach/model.layer" in found]
    assert [step for step, _ in scalars] == [0, 4, 8]
    step, table = board.kept["gradient/profile_table"]
    assert step == 8
    assert table.equals(callback.profile)
    assert board.kept["gradient/profile"][1].std() > 10  # not an empty sheet
    assert sheet.kept["figure"] == ("gradient/profile", 8, 7)  # input, h, c: curves and maps, and a bar
    assert "gradient/profile" not in sheet.kept


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("y"), "no picture: 'y'"),
        (ModuleNotFoundError("", name="matplotlib"), "no picture: needs matplotlib: pip"),
    ],
)
def test_a_picture_that_cannot_be_drawn_does_not_end_a_training(probe, monkeypatch, error, said):
    def broken(profile):
        raise error

    monkeypatch.setattr("gradreach.drawing.draw_run_profile", broken)
    callback, board = GradientReach(probe), WandbLogger()
    with pytest.warns(UserWarning, match=f"^gradreach: {said}"):
        train([callback], logger=board)
    assert len(board.kept["gradient/profile_table"][1]) == len(callback.profile)


def test_a_loop_of_ones_own(probe):
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters())
    with watch(model, probe, own_loss) as reached:
        for epoch in range(2):
            own_loss(model, probe).mean().backward()
            optimizer.step()
            found = reached.measure(f"epoch {epoch + 1}")
    state = reached.profile.query("stage == 'epoch 2' and quantity == 'h'")
    assert found["gradient/reach/layer"] == reach(state)
    assert found["gradient/half_life/layer"] == half_life(state)  # of the state, not of the cell


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x):
        mask = torch.triu(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device), 1)
        x = x + self.attention(x, x, x, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(x)


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.blocks = nn.ModuleList(Block() for _ in range(3))

    def forward(self, ids):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return x @ self.embedding.weight.T


def test_blocks_without_a_recurrence_have_the_gradient_that_autograd_gives():
    torch.manual_seed(0)
    model, ids = Causal(), torch.randint(20, (3, 12))
    profile = reach_of(model, ids)
    assert profile["layer"].unique().tolist() == ["input", "blocks.0", "blocks.1", "blocks.2"]
    twin = copy.deepcopy(model).double()
    kept = []
    for block in twin.blocks:
        block.register_forward_hook(lambda module, given, output: kept.append(output) or output.retain_grad())
    logits = twin(ids)[:, -1]
    F.cross_entropy(logits, logits.argmax(-1), reduction="sum").backward()
    for number, output in enumerate(kept):
        curve = profile[profile["layer"] == f"blocks.{number}"].set_index("lag")
        by_lag = output.grad.norm(dim=-1).flip(1).log10().median(0).values.numpy()
        np.testing.assert_allclose(curve["median"], by_lag, atol=1e-10)
        assert (curve["quantity"] == "y").all()
    assert profile[profile["layer"] == "blocks.2"]["median"].iloc[1] == -np.inf  # the last block is read at one step


def test_convolutions_in_front_of_a_recurrence_have_curves_too(probe):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolutions = nn.Sequential(nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 4, 3, padding=1))
            self.gru, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.head(self.gru(self.convolutions(x.transpose(1, 2)).transpose(1, 2))[0][:, -1])

    model = Model()
    watcher = Watcher(model, probe, own_loss)
    watcher.measure("now")
    profile = watcher.profile
    assert profile["layer"].unique().tolist() == ["input", "gru", "convolutions.0", "convolutions.2"]
    twin = copy.deepcopy(model).double()
    kept = []
    twin.convolutions[2].register_forward_hook(lambda m, given, output: kept.append(output) or output.retain_grad())
    own_loss(twin, (probe[0].double(), probe[1])).sum().backward()
    by_lag = kept[0].grad.norm(dim=1).flip(1).log10().numpy()  # beyond 300 orders of magnitude there would be more
    curve = profile[profile["layer"] == "convolutions.2"]
    np.testing.assert_allclose(curve["median"], np.quantile(by_lag, 0.5, axis=0), atol=1e-10)


def test_modules_can_be_chosen_by_name():
    torch.manual_seed(0)
    model, ids = Causal(), torch.randint(20, (3, 12))
    assert reach_of(model, ids, layers=["blocks.1.mlp"])["layer"].unique().tolist() == ["input", "blocks.1.mlp"]
    with pytest.raises(ValueError, match=r"blocks\.9: the model has no such module; choose from blocks.0, blocks.1"):
        reach_of(model, ids, layers=["blocks.9"])


def test_lengths_come_from_a_mask(probe):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.gru, self.head = nn.Embedding(9, 4), nn.GRU(4, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, input_ids, attention_mask, labels):
            packed = nn.utils.rnn.pack_padded_sequence(
                self.embedding(input_ids), attention_mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
            )
            logits = self.head(self.gru(packed)[1][0])
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    lengths = torch.tensor([10, 7, 3])
    mask = (torch.arange(10) < lengths[:, None]).long()
    batch = {
        "input_ids": torch.randint(1, 9, (3, 10)) * mask,
        "attention_mask": mask,
        "labels": torch.tensor([0, 1, 1]),
    }
    watcher = Watcher(Model(), batch)
    watcher.measure("now")
    curve = watcher.profile.query("layer == 'input'")
    assert curve["n"].tolist() == [3, 3, 3, 2, 2, 2, 2, 1, 1, 1]
