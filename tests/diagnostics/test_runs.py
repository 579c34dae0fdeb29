"""Diagnostics in runs: on their schedule, in the record, and without a trace in the weights."""

import math
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir

from gradreach.config import DiagnosticsSettings, RunConfig, RunEnvironment, parse, plain
from gradreach.diagnostics import QUANTITIES, Instrument, Quantity, lyapunov_spectrum, omega, register, trace
from gradreach.diagnostics.instrument import Schedule
from gradreach.drawing import as_image, draw_run_profile
from gradreach.errors import ConfigError
from gradreach.models import CNN, LSTM, SequenceModel
from gradreach.records import RecordStore
from gradreach.runner import execute
from gradreach.tasks import Batch, Digits

CONF = Path(__file__).parents[2] / "conf"
BUILT_IN = tuple(QUANTITIES)


def configured(results: Path, *overrides: str) -> tuple[RunConfig, RunEnvironment]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("config", ["tracking=off", f"results_dir={results}", "trainer.epochs=2", *overrides])
    return parse(plain(composed))


@pytest.fixture(autouse=True)
def _small_digits(monkeypatch):
    whole = Digits.splits

    def few(self, data_dir):
        return type(splits)(*(s.take(slice(64)) for s in splits)) if (splits := whole(self, data_dir)) else splits

    monkeypatch.setattr(Digits, "splits", few)


@pytest.fixture
def weights(monkeypatch):
    """The weights that every run ended with, by the name of its diagnostics."""
    import gradreach.runner as runner

    kept = []
    assemble = runner.assemble
    monkeypatch.setattr(runner, "assemble", lambda *parts: kept.append(assemble(*parts)) or kept[-1])
    return lambda: [{k: v.clone() for k, v in model.state_dict().items()} for _, model in kept]


pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:lightning_fabric"),
    pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning"),
]


@pytest.mark.parametrize("model", ["lstm", "cnn"])
def test_trained_weights_are_bit_equal_with_diagnostics_on_and_off(model, weights, tmp_path):
    for preset in ("off", "standard", "full"):
        here = [f"model={model}", f"diagnostics={preset}", "model.width=6"]
        run, environment = configured(
            tmp_path, *here, *["diagnostics.decoding=1", "diagnostics.sensitivity=1"] * (preset == "full")
        )
        record = execute(run, environment)
        assert record["status"] == "finished", record.get("traceback")
        if preset == "off":
            assert record["diagnostics_seconds"] == 0
            assert not [name for name in record["metrics"] if name.startswith("gradient/")]
    off, standard, full = weights()
    assert all(torch.equal(off[name], standard[name]) and torch.equal(off[name], full[name]) for name in off)


def test_all_of_it_is_in_the_record_without_loss(tmp_path):
    here = ("model=lstm", "diagnostics=full", "diagnostics.decoding=ends", "model.width=5", "seed=3")
    run, environment = configured(tmp_path, *here)
    record = execute(run, environment)
    assert record["status"] == "finished", record.get("traceback")
    store = RecordStore(environment.results_dir / "runs")
    profile = pd.DataFrame(store.read_profile(run.run_id))
    assert list(profile["stage"].unique()) == ["start", "epoch 1", "epoch 2", "end"]
    start = profile[(profile["stage"] == "start") & (profile["quantity"] == "h")]
    assert profile["median"].dtype == np.float64
    at_one = start.set_index("lag")["median"][1]
    assert record["metrics"]["gradient/start/h.log10_norm"] == at_one  # every digit
    tables = {name: store.read_table(run.run_id, name) for name in ("gates", "gate_histograms", "lyapunov", "bptt")}
    assert set(tables["gates"]["gate"]) == {"i", "f", "o", "notes"}
    assert tables["gate_histograms"]["count"].sum() == 2 * 4 * 32 * 64 * 5
    assert len(tables["lyapunov"]["exponent"]) == 2 * 4
    assert tables["bptt"]["share"].sum() == pytest.approx(4)
    assert store.read_table(run.run_id, "factors")["median"].size
    gradients = pd.DataFrame(store.read_table(run.run_id, "parameters")).set_index(["stage", "name"])
    assert set(gradients.index.get_level_values("stage")) == {"epoch 1", "epoch 2"}
    assert {"encoder.layers.0.weight_hh_l0", "encoder.layers.0", "head"} <= set(gradients.loc["epoch 1"].index)
    assert store.read_table(run.run_id, "matrices")["spectral_radius"].size == 8
    decoding = pd.DataFrame(store.read_table(run.run_id, "decoding"))
    assert set(decoding["quantity"]) == {"h", "c"}
    assert (decoding["n"] == 32).all()  # half of what there is
    late = decoding[(decoding["stage"] == "end") & (decoding["quantity"] == "c")]
    told = late.loc[(late["of"] == "target") & (late["position"] < 1), "r2"].mean()
    assert record["metrics"]["gradient/end/c.decoded_target"] == pytest.approx(told)
    for name in ("h.half_life", "h.reach", "h.decay", "h.lyapunov", "h.omega", "gate_f.closed", "gate_f.mean"):
        assert math.isfinite(float(record["metrics"][f"gradient/end/{name}"]))
    history = pd.read_csv(environment.results_dir / "runs" / run.run_id / "history.csv")
    for name in ("h.half_life", "norm", "clip_rate", "nonfinite", "probe.nonfinite"):
        assert history[f"gradient/{name}"].notna().all()
    assert history["gradient/norm"].tolist() == pytest.approx(gradients.xs("total", level="name")["norm"].tolist())


def test_a_cnns_field_is_in_the_record(tmp_path):
    run, environment = configured(tmp_path, "model=cnn", "diagnostics=full", "model.width=5")
    metrics = execute(run, environment)["metrics"]
    assert metrics["gradient/end/x.beyond_field"] == 0
    assert metrics["gradient/end/x.spread"] > 0


@pytest.mark.parametrize("preset", ["off", "standard", "full"])
def test_presets_name_every_quantity(preset, tmp_path):
    run, _ = configured(tmp_path, f"diagnostics={preset}")
    assert set(run.diagnostics.schedules) == set(BUILT_IN)
    assert (set(run.diagnostics.schedules.values()) == {None}) == (preset == "off")
    assert DiagnosticsSettings.model_validate(run.diagnostics.model_dump()) == run.diagnostics


def own_quantity(instrument, traced):
    """Return how many steps the layers ran."""
    steps = [layer.steps.length for layer in traced.layers]
    return {"steps": float(sum(steps))}, {"ran": pd.DataFrame({"steps": steps})}


OWN_ENDS = f"+diagnostics.own={{{own_quantity.__module__}.own_quantity: ends}}"


def test_a_quantity_of_ones_own_is_measured_in_a_run(tmp_path):
    run, environment = configured(tmp_path, "model=gru", OWN_ENDS)
    assert run.run_id != configured(tmp_path, "model=gru", "seq_len=64")[0].run_id
    record = execute(run, environment)
    assert record["metrics"]["gradient/end/steps"] == 64
    assert RecordStore(environment.results_dir / "runs").read_table(run.run_id, "ran")["steps"].tolist() == [64, 64]


@pytest.mark.parametrize("name", ["no.such.function", "math.pi"])
def test_a_quantity_that_is_no_function_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"^diagnostics\.own=" + re.escape(name)):
        configured(tmp_path, f"+diagnostics.own={{{name}: ends}}")


def test_a_name_is_taken_once_and_needs_are_known():
    with pytest.raises(ValueError, match="a quantity with this name already exists"):
        register("profile", Quantity(own_quantity))
    with pytest.raises(ValueError, match="needs=states: choose from layers, gates, batch"):
        Quantity(own_quantity, "states")


@pytest.mark.parametrize(("needs", "found"), [("layers", {}), (None, {"steps": 0.0})])
def test_a_quantity_is_left_out_where_there_is_nothing_for_it(needs, found):
    register(f"own {needs}", Quantity(own_quantity, needs))
    model = SequenceModel(CNN(2, width=3), "last", 2)
    one = Instrument(
        model, Batch(torch.randn(4, 9, 2), None, torch.zeros(4).long()), lambda o, t: o.sum(1), {f"own {needs}": 1}
    )
    assert one.measure("start") == found


def instrument(schedules: dict[str, Schedule]) -> Instrument:
    torch.manual_seed(0)
    batch = Batch(torch.randn(4, 7, 2), None, torch.zeros(4).long())
    return Instrument(SequenceModel(LSTM(2, width=3), "last", 2), batch, lambda o, t: o.sum(1), schedules)


def test_each_quantity_keeps_its_own_schedule():
    one = instrument({"profile": 2, "gates": "ends", "bptt": None})
    one.measure("start")
    for epoch in range(1, 6):
        measured = one.measure(f"epoch {epoch}", (epoch, 10 * epoch))
        assert bool(measured) == (epoch % 2 == 0)
        assert not any(name.startswith("gate") for name in measured)
    one.measure("end")
    assert [table["stage"].iloc[0] for table in one.tables["profile"]] == ["start", "epoch 2", "epoch 4", "end"]
    assert [table["stage"].iloc[0] for table in one.tables["gates"]] == ["start", "end"]
    assert "bptt" not in one.tables
    assert one.seconds > 0


def test_figures_of_a_layer_are_medians_over_examples_each_with_its_own_length():
    torch.manual_seed(0)
    model = SequenceModel(LSTM(2, width=2), "last", 2)
    probe = Batch(torch.randn(5, 20, 2), torch.tensor([20, 5, 14, 9, 17]), torch.zeros(5).long())
    schedules: dict[str, Schedule] = {"gates": "ends", "lyapunov": "ends", "jacobians": "ends"}
    one = Instrument(model, probe, lambda o, t: o.sum(1), schedules, exponents=9)  # more than the state has
    found = one.measure("start")
    layer = trace(model, probe, lambda o, t: o.sum(1)).layers[0]
    exponents = lyapunov_spectrum(layer).numpy()
    assert found["h.lyapunov"] == np.median(exponents[:, 0])
    assert one.tables["lyapunov"][0]["exponent"].tolist() == np.median(exponents, 0).tolist()
    own = probe.lengths.numpy() * (exponents[:, 0] - exponents[:, 3]) / math.log(10)
    assert found["h.log10_condition"] == pytest.approx(np.median(own), rel=1e-12)
    assert found["h.omega"] == np.median(omega(layer).numpy())
    assert [name for name in found if name.endswith(".mean")] == ["gate_f.mean"]


def test_a_quantity_or_a_schedule_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="gate: choose quantities from profile, gates"):
        instrument({"gate": "ends"})
    for schedule in ("often", "0 steps", "5 epochs", "200", -1, 0, True, 1.5):
        with pytest.raises(ValueError, match="must be null"):
            instrument({"gates": schedule})


BY_STEP = ["model=lstm", "model.width=5", "trainer.batch_size=16", "diagnostics.profile=3 steps"]


def test_steps_are_a_schedule_and_their_figures_are_told_and_recorded(tmp_path, weights):
    """Four steps an epoch: the third is within the first, the sixth within the second."""
    told = []
    run, environment = configured(tmp_path, *BY_STEP, "diagnostics.gates=1")
    record = execute(run, environment, told.append)
    assert record["status"] == "finished", record.get("traceback")
    assert [(row["epoch"], row["step"]) for row in told] == [(0.75, 3), (1, 4), (1.5, 6), (2, 8)]
    assert ["gradient/h.reach" in row for row in told] == [True, False, True, False]
    assert ["gradient/gate_f.mean" in row for row in told] == [False, True, False, True]
    store = RecordStore(environment.results_dir / "runs")
    stages = list(dict.fromkeys(store.read_profile(run.run_id)["stage"]))
    assert stages == ["start", "epoch 0.75", "epoch 1.5", "end"]
    history = pd.read_csv(store.folder(run.run_id) / "history.csv")
    assert history["gradient/h.half_life"].tolist()[::2] == [row["gradient/h.half_life"] for row in told[::2]]

    execute(*configured(tmp_path, *BY_STEP[:3], "diagnostics=off"))
    with_it, without = weights()
    assert all(torch.equal(with_it[name], without[name]) for name in without)


def test_a_step_that_ends_an_epoch_is_measured_once_with_it(tmp_path):
    told = []
    execute(*configured(tmp_path, *BY_STEP, "diagnostics.profile=2 steps", "diagnostics.gates=2"), told.append)
    assert [row["epoch"] for row in told] == [0.5, 1, 1.5, 2]
    assert all("gradient/h.reach" in row for row in told)


@pytest.mark.parametrize("schedule", ["ends", 1])
def test_a_picture_shows_nothing_of_the_run_before(schedule):
    def picture(scale):
        one = instrument({"profile": schedule})
        for stage, passed in (("start", None), ("epoch 1", (1, 10)), ("epoch 2", (2, 20)), ("end", None)):
            one.measure(stage, passed)
        profile = pd.concat(one.tables["profile"], ignore_index=True)
        norms = ["q10", "median", "q90"]
        return np.asarray(as_image(draw_run_profile(profile.assign(**(profile[norms] * scale)))))

    first, other, again = picture(1), picture(3), picture(1)
    assert (first != other).any()
    assert np.array_equal(first, again)


def test_the_outputs_of_layers_are_drawn_as_states_are():
    torch.manual_seed(0)
    model, batch = SequenceModel(CNN(2, width=3), "last", 2), Batch(torch.randn(4, 9, 2), None, torch.zeros(4).long())
    one = Instrument(model, batch, lambda o, t: o.sum(1), {"profile": "ends"})
    one.measure("start")
    figure = draw_run_profile(one.tables["profile"][0])
    assert [axes.get_title() for axes in figure.axes][:2] == ["input, ‖dL/dx‖", "output, ‖dL/dy‖ of encoder.layers.0"]


def test_a_heat_map_is_drawn_where_training_was_watched():
    watched, ends = instrument({"profile": 1}), instrument({"profile": "ends"})
    for one in (watched, ends):
        one.measure("start")
        for epoch in range(1, 4):
            one.measure(f"epoch {epoch}", (epoch, 10 * epoch))
        one.measure("end")
    meshes = []
    for one in (watched, ends):
        figure = draw_run_profile(pd.concat(one.tables["profile"], ignore_index=True))
        meshes.append([axes.collections[0] for axes in figure.axes if axes.get_xlabel() == "epoch"])
        figure.canvas.draw()
        width, height = figure.get_size_inches() * figure.dpi
        for axes in figure.axes:  # nothing is cut off, and no two panels' numbers meet
            box = axes.get_tightbbox()
            assert box.x0 >= 0
            assert box.x1 <= width
            assert box.y0 >= 0
            assert box.y1 <= height
        if one is watched:
            assert figure.axes[-1].get_ylabel() == "log10 of the median norm"
            assert all(axes.get_xlim() == (0, 3) for axes in figure.axes[3:6])
            assert not any(a.get_tightbbox().overlaps(b.get_tightbbox()) for a, b in pairwise(figure.axes[3:7]))
    assert list(map(len, meshes)) == [3, 0]
    assert meshes[0][0].get_array().shape == (7, 4)  # lags × (start and three epochs)
