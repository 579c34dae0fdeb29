"""What ``gradreach time`` measures: each pass by each clock, networks in turn, and never without end."""

import pytest
import torch

from gradreach.training import timing
from gradreach.training.timing import FEWEST, Steps, prepare_steps, time_steps


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for what a test lets pass: seconds of the processor; by the wall twice as many."""

    class Clock:
        now = 0.0

        def passes(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(timing.time, "process_time", lambda: clock.now)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 2 * clock.now)
    monkeypatch.setattr(timing.gc, "collect", lambda: 0)
    return clock


def configuration(configured, *overrides):
    small = ("task=recall", "seq_len=6", "model.width=4", "task.train_size=64", "trainer.batch_size=8", "device=cpu")
    return configured(*small, *overrides)


def steps(configured, *overrides, compiled=False):
    run, environment = configuration(configured, *overrides)
    return Steps(run, environment, run.task.make().splits(environment.data_dir), compiled)


def test_each_pass_is_timed_apart_by_both_clocks(clock, configured):
    network = steps(configured, "model=lstm")
    loss, step = network.module.training_step, network.optimizer.step

    def forward(batch, number):
        clock.passes(3)
        value = loss(batch, number)
        value.register_hook(lambda gradient: clock.passes(5))
        return value

    network.module.training_step = forward
    network.optimizer.step = lambda: (clock.passes(2), step())[1]
    cpu, wall = ({"forward": 3 * clocks, "backward": 5 * clocks, "step": 10 * clocks} for clocks in (1, 2))
    expected = {f"{name}_cpu": value for name, value in cpu.items()} | {
        f"{name}_wall": value for name, value in wall.items()
    }
    assert network.take() == pytest.approx(expected)


def test_what_is_timed_learns(configured):
    network = steps(configured, "model=gru")
    before = [parameter.detach().clone() for parameter in network.module.parameters()]
    network.take()
    assert all(not torch.equal(*pair) for pair in zip(before, network.module.parameters(), strict=True))


def test_a_short_epoch_gives_its_batches_again(configured):
    network = steps(configured, "model=rnn", "task.train_size=16")
    assert len(network.batches) == timing.STEPS
    assert network.batches[0] is network.batches[2]


def test_only_layers_that_have_compiled_loops_are_timed_with_them(configured):
    runs = {name: configuration(configured, f"model={name}") for name in ("gru", "lstm")}
    networks = prepare_steps(runs)
    assert list(networks) == [("gru", "torch"), ("gru", "compiled"), ("lstm", "torch")]
    given = [network.batches[0].x for network in networks.values()]
    assert all(torch.equal(given[0], other) for other in given)


class Counted:
    """Stands for a network: notes its turn, and takes a second."""

    def __init__(self, name, turns, clock):
        self.name, self.turns, self.clock = name, turns, clock

    def take(self):
        self.turns.append(self.name)
        self.clock.passes(1)
        return {"step_cpu": 1.0}


def counted(clock, rounds, seconds):
    turns, told = [], []
    networks = {(name, "torch"): Counted(name, turns, clock) for name in "abc"}
    rows = time_steps(networks, rounds, seconds, told.append)
    return "".join(turns)[3 * timing.WARM_UP :], rows, told


def test_networks_have_their_turn_forwards_then_backwards(clock):
    turns, rows, told = counted(clock, 3, 1e9)
    assert turns == "abccbaabc"
    assert [row["round"] for row in rows] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert told == [1, 2, 3]


def test_no_round_is_begun_when_time_is_up_but_for_the_fewest(clock):
    assert counted(clock, 1000, 0)[2][-1] == FEWEST
    assert counted(clock, 1000, 2 * 3 * 20)[2][-1] == 21  # rounds of six seconds by the wall; 20 end at its bound
