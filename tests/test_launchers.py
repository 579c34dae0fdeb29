"""What every launcher and search must hold before it is tried on anything."""

import sys
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

import gradreach.launchers.clusters as launchers
from gradreach.config import parse, plain, resolve
from gradreach.errors import ConfigError
from gradreach.sweeps.search_sweeper import SearchSweeper, check_version
from project import PROJECT

PRESETS = [*sorted(path.stem for path in (PROJECT / "conf" / "hydra" / "launcher").glob("*.yaml")), "basic"]
SEARCHES = sorted(path.stem for path in (PROJECT / "conf" / "search").glob("*.yaml"))


def whole(*overrides):
    """Compose with Hydra's own part, as a sweep does."""
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        return compose("config", overrides=list(overrides), return_hydra_config=True)


def done(value):
    returned = JobReturn()
    returned.status, returned.return_value = JobStatus.COMPLETED, value
    return returned


def test_the_presets_are_those_that_the_documentation_names():
    assert PRESETS == ["cores", "ray_cluster", "slurm", "slurm_local", "basic"]
    pages = (PROJECT / "docs" / "clusters.md").read_text(encoding="utf-8")
    assert all(f"`hydra/launcher={name}`" in pages for name in PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_composes_to_a_launcher_that_hydra_knows(preset):
    launcher = whole(f"hydra/launcher={preset}").hydra.launcher
    assert launcher._target_ in {f"{known.__module__}.{known.__name__}" for known in Plugins.instance().discover()}
    assert resolve(launcher._target_)


@pytest.mark.parametrize(("preset", "key"), [("slurm", "cpus_per_task"), ("slurm_local", "cpus_per_task")])
def test_a_job_asks_for_as_many_cores_as_a_run_has_threads(preset, key):
    assert whole(f"hydra/launcher={preset}", "threads=3").hydra.launcher[key] == 3
    assert whole("hydra/launcher=ray_cluster", "threads=3").hydra.launcher.remote.num_cpus == 3


@pytest.mark.parametrize("preset", ["slurm", "slurm_local"])
def test_what_submitit_is_given_it_knows(preset):
    pytest.importorskip("submitit", reason="needs the extra gradreach[slurm]")
    from hydra_plugins.hydra_submitit_launcher.config import LocalQueueConf, SlurmQueueConf

    known = OmegaConf.structured({"slurm": SlurmQueueConf, "slurm_local": LocalQueueConf}[preset])
    assert set(whole(f"hydra/launcher={preset}").hydra.launcher) - {"cluster", "runs_per_job"} <= set(known)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_puts_its_sweeper_in_place_and_leaves_the_run_as_it_is(search):
    composed = whole(f"+search={search}")
    sweeper = composed.hydra.sweeper
    assert sweeper._target_ == "hydra_plugins.gradreach.SearchSweeper"
    assert isinstance(
        SearchSweeper(**{key: value for key, value in sweeper.items() if key != "_target_"}), SearchSweeper
    )
    assert parse(plain(composed))[0] == parse(plain(whole()))[0]
    for key in sweeper.params:
        assert OmegaConf.select(composed, key) is not None


def test_an_optuna_that_is_too_old_is_refused_in_one_line():
    for known in ("4.9.0", "4.10.1", "5.0.0", "5.0.0b1"):
        check_version(known)
    for old in ("2.10.1", "4.8.0"):
        with pytest.raises(ConfigError, match=rf"^optuna={old}: must be 4.9 or newer; pip install --upgrade"):
            check_version(old)


def dead(job):
    raise RuntimeError(f"{job} died\nat length")


def test_a_job_that_died_is_a_failed_return_that_raises_when_it_is_read():
    failed = launchers.as_return(["seed=0"], launchers.caught(dead, "job 7"))
    assert failed.status is JobStatus.FAILED
    with pytest.raises(RuntimeError, match="job 7 died"):
        _ = failed.return_value
    fine = done(0.5)
    assert launchers.as_return(["seed=0"], launchers.caught(lambda job: fine, "job 8")) is fine


def test_ray_is_given_jobs_whose_files_were_read_once(monkeypatch):
    started = []
    ray = SimpleNamespace(is_initialized=lambda: True, get=lambda number: done(number))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(launchers, "start_on_ray", lambda _, remote, job, *rest: started.append(job) or len(started))
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        master = compose("config", overrides=["hydra/launcher=ray_cluster"], return_hydra_config=True)
        loader = Mock(wraps=GlobalHydra.instance().config_loader())
        own = master.hydra.launcher
        launcher = launchers.RayLauncher(own.init, own.remote)
        launcher.hydra_context, launcher.config, launcher.task_function = Mock(config_loader=loader), master, None
        ended = launcher.launch([["model=rnn", f"seed={seed}"] for seed in range(10)], 5)
    assert [job.return_value for job in ended] == list(range(1, 11))
    assert [job.seed for job in started] == list(range(10))
    assert [job.hydra.job.num for job in started] == list(range(5, 15))
    assert loader.load_sweep_config.call_count == 1


def test_without_an_address_ray_is_started_here_whatever_cluster_has_left_its_address_behind(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    assert launchers.where(whole("hydra/launcher=ray_cluster").hydra.launcher.init)["address"] == "local"


def test_a_cluster_that_does_not_answer_is_one_clear_error_in_bounded_time(monkeypatch):
    pytest.importorskip("ray", reason="needs the extra gradreach[ray]")
    monkeypatch.setattr(launchers, "ANSWER_SECONDS", 5)
    with pytest.raises(ConfigError, match=r"^hydra.launcher.init.address=127.0.0.1:1: no Ray cluster answers there \("):
        launchers.where(OmegaConf.create({"address": "127.0.0.1:1"}))


@pytest.mark.parametrize("jobs", ["abc", "0", "1.5", "true", "-2"])
def test_a_number_of_processes_that_is_none_is_refused_in_one_line(jobs):
    launcher = whole(f"hydra.launcher.n_jobs={jobs}").hydra.launcher
    with pytest.raises(ConfigError, match=f"^hydra.launcher.n_jobs={jobs}: must be a number of processes"):
        resolve(launcher._target_)(n_jobs=launcher.n_jobs).setup(hydra_context=None, task_function=None, config=None)


def test_what_is_not_installed_is_named_with_the_extra_that_brings_it():
    launchers.need("json", extra="ray")
    with pytest.raises(ConfigError, match=r"^absent: is needed but not installed; pip install 'gradreach\[ray\]'$"):
        launchers.need("json", "hydra_plugins.absent", extra="ray")
