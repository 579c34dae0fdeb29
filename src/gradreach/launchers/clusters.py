"""Launchers for clusters, which wait for all jobs of a sweep, even if one of them dies.

They rest on Hydra's own plugins for Ray and submitit, whose waiting ends with the first job that dies: on a cluster the
others then go on unseen, and a local Ray takes them down with it. Here a job that died is a failed return.
"""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from gradreach.compose import Composer, start_on_ray
from gradreach.errors import ConfigError
from gradreach.launchers import slurm
from gradreach.system.interruption import at_once

ANSWER_SECONDS = 60.0
"""How long a cluster may take to answer."""


class RayLauncher(Launcher):
    """Every run is a task of Ray: of a Ray started for the sweep on this machine, or of a running cluster.

    - ``init``: arguments of ``ray.init``; its ``address`` says which cluster.
    - ``remote``: arguments of ``ray.remote``: what a run asks for.
    """

    def __init__(self, init: DictConfig, remote: DictConfig) -> None:
        self.init, self.remote = init, remote

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's settings of the sweep."""
        need("ray", "hydra_plugins.hydra_ray_launcher", extra="ray")
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all jobs; return when the last has ended. On SIGTERM and Ctrl-C they save their state and stop.

        Raises:
            ConfigError: the cluster that ``init`` names does not answer.
        """
        import ray

        setup_globals()
        if not ray.is_initialized():
            with at_once():  # Ray puts handlers of its own in place of a sweep's; here they are put back
                ray.init(**where(self.init))
        composer = Composer(self.hydra_context.config_loader, self.config)  # else workers read all files for each job
        state = Singleton.get_state()
        tasks: list[Any] = []
        with at_once():
            try:
                for number, overrides in enumerate(job_overrides, initial_job_idx):
                    job = composer.compose_job(overrides, number)
                    tasks.append(start_on_ray(self.hydra_context, self.remote, job, self.task_function, state))
                return [as_return(of, caught(ray.get, task)) for of, task in zip(job_overrides, tasks, strict=True)]
            except KeyboardInterrupt:
                for task in tasks:
                    ray.cancel(task)
                raise


def address_in(init: DictConfig) -> str:
    """Return which Ray ``init`` means: an address that is null means one that is started here."""
    return str(init.get("address") or "local")


def where(init: DictConfig) -> dict[str, Any]:
    """Return the arguments of ``ray.init``. To it an address that is null is any cluster it can find traces of.

    Raises:
        ConfigError: the cluster that is named does not answer; ``ray.init`` itself would try for minutes.
    """
    arguments = {str(key): value for key, value in OmegaConf.to_container(init, resolve=True).items()}  # type: ignore[union-attr]
    address = arguments["address"] = address_in(init)
    if address != "local":
        code = "import ray, sys; ray.init(address=sys.argv[1], logging_level='error')"
        try:
            tried = subprocess.run(
                [sys.executable, "-c", code, address],
                capture_output=True,
                text=True,
                timeout=ANSWER_SECONDS,
                check=False,
            )
            said = (tried.stderr.strip() or "-").splitlines()[-1] if tried.returncode else ""
        except subprocess.TimeoutExpired:
            said = f"waited {ANSWER_SECONDS:g} s"
        if said:
            raise ConfigError(
                "hydra.launcher.init.address",
                address,
                f"no Ray cluster answers there ({said})",
                "start one with 'ray start --head', or set null to start one here for the sweep",
            )
    return arguments


class SubmititLauncher(Launcher):
    """Runs are SLURM jobs or, for testing, processes of this machine.

    - ``cluster``: ``slurm`` or ``local``.
    - ``runs_per_job``: how many runs a job does, one after the other.
    - ``parameters``: those of ``hydra/launcher=submitit_slurm`` or ``submitit_local``.
    """

    def __init__(self, cluster: str, runs_per_job: int = 1, **parameters: Any) -> None:
        self.cluster, self.runs_per_job, self.parameters = cluster, runs_per_job, parameters

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store Hydra's settings of the sweep.

        Raises:
            ConfigError: ``runs_per_job`` is invalid, or a package is missing.
        """
        if type(self.runs_per_job) is not int or self.runs_per_job < 1:
            raise ConfigError("hydra.launcher.runs_per_job", self.runs_per_job, "must be a number of runs, 1 or more")
        need("submitit", "hydra_plugins.hydra_submitit_launcher", extra="slurm")
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import LocalLauncher, SlurmLauncher

        self.job = {"slurm": SlurmLauncher, "local": LocalLauncher}[self.cluster](**self.parameters)
        self.job.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Submit all jobs; return when the last has ended. SIGTERM and Ctrl-C cancel them."""
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        common = set(OmegaConf.structured(BaseQueueConf))
        settings = {
            name if name in common else f"{self.cluster}_{name}": value for name, value in self.job.params.items()
        }
        once = {name: settings.pop(name) for name in ("slurm_max_num_timeout",) if name in settings}
        parallel = settings.pop("slurm_array_parallelism", 1)
        executor = submitit.AutoExecutor(settings.pop("submitit_folder"), cluster=self.cluster, **once)
        executor.update_parameters(**settings)
        state, numbers = Singleton.get_state(), range(initial_job_idx, initial_job_idx + len(job_overrides))
        runs = [
            (list(overrides), "hydra.sweep.dir", number, f"job_{number}", state)
            for overrides, number in zip(job_overrides, numbers, strict=True)
        ]
        count = math.ceil(len(runs) / self.runs_per_job)
        jobs = [runs[first::count] for first in range(count)]  # the longest runs come first: each job gets one of them
        if self.cluster == "slurm":
            results = slurm.do_all(executor, Several(self.job), jobs, parallel)
        else:
            results = _do_here(executor, Several(self.job), jobs)
        returned: list[JobReturn] = [JobReturn()] * len(runs)
        for first, result in enumerate(results):
            returned[first::count] = [
                as_return(of, result if isinstance(result, Exception) else result[place])
                for place, of in enumerate(job_overrides[first::count])
            ]
        return returned


class Several:
    """A job: several runs, one after the other.

    - ``one``: does one of them.
    """

    def __init__(self, one: Callable[..., JobReturn]) -> None:
        self.one = one

    def __call__(self, runs: Sequence[tuple[Any, ...]]) -> list[JobReturn]:
        """Do them; one that cannot be composed does not keep the others back."""
        return [as_return(run[0], caught(self.one, *run)) for run in runs]

    def checkpoint(self, runs: Sequence[tuple[Any, ...]]) -> Any:
        """Return what the job does when its time was up and it is begun again: runs that are finished are met again."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, runs)


def _do_here(executor: Any, function: Several, jobs: Sequence[Sequence[Any]]) -> list[Any]:
    """Do jobs as processes of this machine; for each return what ``slurm.do_all`` would."""
    submitted: list[Any] = []
    try:
        for job in jobs:
            submitted.append(executor.submit(function, job))
        return [caught(job.result) for job in submitted]
    except KeyboardInterrupt:
        for job in submitted:
            job.cancel()
        raise


def caught(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return a call's result, or the exception that it raises."""
    try:
        return call(*arguments)
    except Exception as error:
        return error


def as_return(overrides: Sequence[str], end: JobReturn | Exception) -> JobReturn:
    """Return a job's result; for one that died a failed return, which raises when its value is read."""
    if isinstance(end, JobReturn):
        return end
    failed = JobReturn(overrides)
    failed.status = JobStatus.FAILED
    failed.return_value = end
    return failed


def need(*modules: str, extra: str) -> None:
    """Check that optional packages are installed, without importing them.

    Raises:
        ConfigError: naming the first that is absent, and the extra that brings it.
    """
    for module in modules:
        if find_spec(module) is None:
            package = module.removeprefix("hydra_plugins.")
            hint = f"pip install 'gradreach[{extra}]'"
            raise ConfigError(package, allowed="is needed but not installed", hint=hint)
