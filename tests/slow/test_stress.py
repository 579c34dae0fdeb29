"""Reliability, tested as that of a database is."""

import pytest

from kill import leftovers, results_of, start, under_fire
from project import SMALL

pytestmark = pytest.mark.slow


def test_fifty_kills_change_no_result(tmp_path):
    line = ["model=rnn,lstm,gru,cnn", "seed=0,1,2,3", *SMALL, "trainer.checkpoint_seconds=0", "trainer.epochs=8"]
    quiet, fire = tmp_path / "quiet" / "results", tmp_path / "fire" / "results"
    quiet.parent.mkdir()
    fire.parent.mkdir()
    assert start(line, quiet).wait(timeout=600) == 0
    drivers = under_fire(line, fire, kills=50, seed=1)
    whole, shot_at = results_of(quiet), results_of(fire)
    print(f"\n50 kills, {drivers} drivers, {len(shot_at)} runs")
    assert len(whole) == 16
    assert shot_at == whole
    assert leftovers(fire) == []
