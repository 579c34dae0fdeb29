"""Sizes that mean another thing than they say, or that no machine holds, are refused before they take memory."""

import resource
import time

import pytest
from omegaconf import OmegaConf

from gradreach.errors import ConfigError
from gradreach.tasks import MNIST, MNIST1D, SST, TREC, Adding, TextFile, TimeSeriesFile
from project import PROJECT

SETTINGS = [
    "seq_len=100000000",
    "seq_len=1000001",
    "task.data_seed=99999999999999999999",
    "task.train_size=100000001",
    "task.validation_size=10000000000",
    "task.symbols=1000000000",
    "task.values=1000000000",
    "task.distractors=1000000000",
    "task.motifs=1000000000",
    "task.motif_length=1000000000",
    "task.noise=1e300",
    "task.vocabulary=1000000000",
    "task.pairs=1000000000",
    "task.power=1e300",
    "task.modulus=1000000000",
    "task.places=1000000000",
    "task.characters=1000000000",
    "task.max_warp=1000000000",
]
MADE = ["recall", "adding", "copy", "temporal_order", "motif", "position", "parity", "digits", "mnist1d"]
MADE += ["mqar", "selective_copy", "modular_arithmetic", "cycle_navigation", "even_pairs", "warping"]
TOO_LARGE = [
    (task, setting)
    for task in MADE
    for setting in SETTINGS
    if setting.partition("=")[0].rpartition(".")[2] in OmegaConf.load(PROJECT / "conf" / "task" / f"{task}.yaml")
]


def test_all_training_examples_have_one_name(tmp_path, data_dir):
    (tmp_path / "a.csv").write_text("label,text\n" + "".join(f"{i % 2},text {i}\n" for i in range(100)))
    sizes = [(TREC, {}, data_dir, 4911), (SST, {}, data_dir, 6920), (TextFile, {"file": "a.csv"}, tmp_path, 70)]
    for kind, settings, folder, size in sizes:
        for too_many in (size, 10**8):
            with pytest.raises(ConfigError) as refused:
                kind(**settings, train_size=too_many).prepare(folder)
            assert str(refused.value) == (
                f"task.train_size={too_many}: there are only {size:,} training examples; choose fewer, or null for all"
            )
        fewer = kind(**settings, train_size=size - 1)
        assert len(fewer.splits(folder).train) == size - 1


def test_all_training_signals_have_one_name(tmp_path, data_dir):
    for kind, folder, size in ((MNIST1D, tmp_path, 3601), (MNIST, data_dir, 50_001)):
        with pytest.raises(ConfigError, match=f"there are only {size:,} training examples; choose fewer"):
            kind(train_size=size).prepare(folder)
        with pytest.raises(ConfigError, match="training needs an example of each of its 10 classes; choose 10 or more"):
            kind(train_size=9).prepare(folder)


@pytest.mark.parametrize(("task", "setting"), TOO_LARGE)
def test_what_no_machine_holds_is_refused_at_once(task, setting, configured):
    def make():
        run, environment = configured(f"task={task}", setting)
        run.task.make().prepare(environment.data_dir)

    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ConfigError) as refused:
        make()
    assert setting.partition("=")[0].rpartition(".")[2] in str(refused.value)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


def test_sizes_that_only_together_are_too_large_are_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"seq_len=1000000, task.train_size=10000: 13,000 examples of .* 97 GiB"):
        Adding(seq_len=1_000_000).prepare(tmp_path)
    with pytest.raises(ConfigError, match=r"task.test_size=100000000: 100,011,000 examples of 1,000 steps need"):
        Adding(seq_len=1000, test_size=10**8).prepare(tmp_path)
    long = ",".join(["1"] * 20_000)
    rows = [f"{i},{long}:up" if i == 0 else f"{i}:{'up' if i % 2 else 'down'}" for i in range(50)]
    (tmp_path / "a.ts").write_text("@data\n" + "\n".join(rows) + "\n")
    task = TimeSeriesFile(file="a.ts", seq_len=20_001)
    task.prepare(tmp_path)
    assert task.shape.length == 20_001
