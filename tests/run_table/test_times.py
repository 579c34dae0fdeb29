"""``times.csv``: whole, sealed, and of a setting whatever else was swept."""

import pandas as pd
import pytest

from gradreach.errors import ConfigError
from gradreach.run_table.times import COLUMNS, read_times, step_settings, write_times


def times():
    row = dict.fromkeys(COLUMNS, 0.1) | {"setting": "model=gru", "kernels": "torch", "round": 0, "threads": 1}
    return pd.DataFrame([row | {"device": "cpu", "processor": "some", "torch": "2"}] * 2)


def test_times_are_read_as_they_were_written(tmp_path):
    assert read_times(tmp_path / "times.csv").empty
    write_times(tmp_path / "times.csv", times())
    pd.testing.assert_frame_equal(read_times(tmp_path / "times.csv"), times()[list(COLUMNS)])


@pytest.mark.parametrize(("one", "other"), [("0.1", "0.2"), (",checksum", ",other")])
def test_times_that_were_edited_are_refused(tmp_path, one, other):
    path = tmp_path / "times.csv"
    write_times(path, times())
    path.write_text(path.read_text().replace(one, other, 1))
    with pytest.raises(ConfigError, match=r"times.csv: changed after it was written.*gradreach time"):
        read_times(path)


def test_a_setting_is_the_same_beside_whatever_other_runs():
    alone = pd.DataFrame(
        {"model": ["lstm"], "task": ["recall"], "model.forget_bias": [1], "model.bidirectional": [False]}
    )
    beside = pd.DataFrame(
        {"model": ["gru"], "task": ["recall"], "model.reset": ["after"], "model.bidirectional": [True]}
    )
    both = pd.concat([beside, alone.assign(seed=5, **{"optimizer.lr": 0.1})], ignore_index=True)
    (setting,) = step_settings(alone)
    assert setting == "model=lstm model.bidirectional=false model.forget_bias=1 task=recall"
    assert step_settings(both).tolist()[1] == setting
