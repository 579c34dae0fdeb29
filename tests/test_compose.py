"""What we take of Hydra's internals is there, and composes as Hydra itself does: the test that fails first."""

import copy
import inspect
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gradreach.compose import Composer, all_jobs, raised_or_returned
from gradreach.errors import ConfigError
from project import PROJECT


@pytest.fixture
def hydra() -> Iterator[tuple[Any, DictConfig]]:
    """Hydra's loader, and what a sweep composes first."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        master = compose("config", overrides=["experiment=quickstart"], return_hydra_config=True)
        yield GlobalHydra.instance().config_loader(), master


def test_the_private_names_that_we_call_take_what_we_give_them() -> None:
    def parameters(function: Any) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(ConfigLoaderImpl._apply_overrides_to_config) == ["overrides", "cfg"]
    assert parameters(ConfigLoaderImpl._parse_overrides_and_create_caching_repo) == ["self", "config_name", "overrides"]
    assert parameters(ConfigLoaderImpl.load_sweep_config) == ["self", "master_config", "sweep_overrides"]
    assert parameters(BasicSweeper.split_arguments) == ["overrides", "max_batch_size"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=cnn", "kernel_size=5", "seed=3"],
        ["model=lstm", "model.forget_bias=1", "task=adding", "+model.more=2"],
        ["task=recall", "task.seq_len=20", "~task.values", "optimizer.lr=0.001"],
    ],
    ids=" ".join,
)
def test_a_job_is_composed_as_hydra_composes_it(hydra: tuple[Any, DictConfig], overrides: list[str]) -> None:
    loader, master = hydra
    theirs = OmegaConf.masked_copy(
        whole := loader.load_sweep_config(master, overrides), [k for k in whole if k != "hydra"]
    )
    composer = Composer(loader, master)
    for _ in range(2):  # also from what was kept of the first time
        assert composer.compose(overrides) == theirs
        job = composer.compose_job(overrides, 7)
        assert OmegaConf.masked_copy(job, list(theirs)) == theirs
        assert (job.hydra.job.num, job.hydra.overrides.task) == (7, overrides)
        assert job.hydra.runtime.choices == whole.hydra.runtime.choices


def test_hydra_reads_files_and_words_once_for_all_jobs_that_share_them(hydra: tuple[Any, DictConfig]) -> None:
    loader, master = hydra
    composer = Composer(Mock(wraps=loader), master)
    composer.parser = Mock(wraps=composer.parser)
    for model in ("rnn", "lstm"):
        for seed in range(10):
            for part in (composer.compose, lambda words: composer.compose_job(words, 0)):
                assert part([f"model={model}", f"seed={seed}"]).seed == seed
    assert composer.loader.load_sweep_config.call_count == 2
    assert composer.parser.parse_overrides.call_count == 2 + 10


def test_combinations_are_those_of_hydras_own_sweeper(hydra: tuple[Any, DictConfig]) -> None:
    loader, master = hydra
    assert len(all_jobs(loader, master, [])) == (3 + 2 + 1) * 3 * 3  # recurrent, tcn by two kernels, chrono
    assert all_jobs(loader, sweeping(master, model="rnn,lstm", seed="0"), ["seed=1,2"]) == [
        ["model=rnn", "seed=1"],
        ["model=rnn", "seed=2"],
        ["model=lstm", "seed=1"],
        ["model=lstm", "seed=2"],
    ]


def sweeping(master: DictConfig, **params: str) -> DictConfig:
    """Return the master of a sweep over these values alone."""
    with open_dict(changed := copy.deepcopy(master)), read_write(changed):
        changed.hydra.sweeper.params, changed.hydra.sweeper.parts = params, None
    return changed


@pytest.mark.parametrize(
    "words",
    ["a=range(7)", "a=range(1,8,3)", "a=range(8,1,-3)", "a=range(0.1,0.5,0.1)", "a=range(5,1)", "a=x,[1,2],z", "a=3"],
)
def test_a_sweep_has_as_many_runs_as_are_counted(
    hydra: tuple[Any, DictConfig], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    loader, master = hydra
    jobs = all_jobs(loader, sweeping(master, b="1,2"), [words])
    monkeypatch.setattr("gradreach.compose.MOST_RUNS", len(jobs))
    assert all_jobs(loader, sweeping(master, b="1,2"), [words]) == jobs
    monkeypatch.setattr("gradreach.compose.MOST_RUNS", len(jobs) - 1)
    with pytest.raises(ConfigError, match=f"^sweep: it has {len(jobs)} runs; at most"):
        all_jobs(loader, sweeping(master, b="1,2"), [words])


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["seed=range(0,1000000000)"], "sweep: it has 1,000,000,000 runs; at most 100,000 are allowed; sweep less"),
        (
            ["model=rnn,lstm", "seed=range(50001)"],
            "sweep: it has 100,002 runs; at most 100,000 are allowed; sweep less",
        ),
        (["optimizer.lr=range(0.0,1e9)"], "sweep: it has 1,000,000,000 runs; at most 100,000 are allowed; sweep less"),
        (["seed=range(0,inf)"], "seed=range(0,inf): must be finite, with a step that is not 0"),
        (["seed=range(0,3,0)"], "seed=range(0,3,0): must be finite, with a step that is not 0"),
    ],
    ids=str,
)
def test_more_runs_than_any_sweep_has_are_refused_before_they_are_written_down(
    hydra: tuple[Any, DictConfig], words: list[str], refusal: str
) -> None:
    loader, master = hydra
    with pytest.raises(ConfigError) as refused:
        all_jobs(loader, sweeping(master), words)
    assert str(refused.value) == refusal


@pytest.mark.parametrize("name", ["hydra._internal", "._return_value", "._launcher_util"])
def test_no_other_file_knows_private_names_of_hydra_or_of_its_plugins(name: str) -> None:
    knowing = [path.name for path in (PROJECT / "src").rglob("*.py") if name in path.read_text("utf-8")]
    assert knowing == ["compose.py"]


def test_what_a_job_returned_or_raised_is_told_without_raising_it() -> None:
    job, error = JobReturn(), ValueError("why")
    job.status, job.return_value = JobStatus.FAILED, error
    assert raised_or_returned(job) is error
    job.status, job.return_value = JobStatus.COMPLETED, 0.5
    assert raised_or_returned(job) == 0.5
