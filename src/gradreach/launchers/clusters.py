"""Launchers for clusters, which wait for all jobs of a sweep, whatever becomes of one of them.

They rest on Hydra's own plugins for Ray and submitit, whose waiting ends with the first job that dies: on a cluster the
others then go on unseen, and a local Ray takes them down with it. Here a job that died is a failed return.
"""

import subprocess
import sys
import time
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

ANSWER_SECONDS = 60.0
"""How long a cluster may take to take us in."""
POLL_SECONDS = 2.0
GRACE_SECONDS = 10.0
"""How much later than the queue a shared file system may show what a job wrote."""


class RayLauncher(Launcher):
    """Every run is a task of Ray: of a Ray started for the sweep on this machine, or of a running cluster.

    - ``init``: arguments of ``ray.init``; its ``address`` says which cluster.
    - ``remote``: arguments of ``ray.remote``: what a run asks for.
    """

    def __init__(self, init: DictConfig, remote: DictConfig) -> None:
        self.init, self.remote = init, remote

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take up what Hydra knows of the sweep."""
        need("ray", "hydra_plugins.hydra_ray_launcher", extra="ray")
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Run all jobs; return when the last has ended.

        Raises:
            ConfigError: the cluster that ``init`` names does not answer.
        """
        import ray

        setup_globals()
        if not ray.is_initialized():
            ray.init(**where(self.init))
        composer = Composer(self.hydra_context.config_loader, self.config)  # workers would read all files for each job
        state = Singleton.get_state()
        tasks = []
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            job = composer.compose_job(overrides, number)
            tasks.append(start_on_ray(self.hydra_context, self.remote, job, self.task_function, state))
        return [outcome(of, ray.get, task) for of, task in zip(job_overrides, tasks, strict=True)]


def where(init: DictConfig) -> dict[str, Any]:
    """Return the arguments of ``ray.init``. To it an address that is null is any cluster it can find traces of.

    Raises:
        ConfigError: the cluster that is named does not answer; ``ray.init`` itself would try for minutes.
    """
    arguments = {str(key): value for key, value in OmegaConf.to_container(init, resolve=True).items()}  # type: ignore[union-attr]
    address = arguments["address"] = arguments.get("address") or "local"
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
                f"no Ray answers there ({said})",
                "start one with 'ray start --head', or give null: one is started here for the sweep",
            )
    return arguments


class SubmititLauncher(Launcher):
    """Every run is a job of SLURM, or, to try that out, a process of this machine.

    - ``cluster``: ``slurm`` or ``local``.
    - ``parameters``: those of ``hydra/launcher=submitit_slurm`` or ``submitit_local``.
    """

    def __init__(self, cluster: str, **parameters: Any) -> None:
        self.cluster, self.parameters = cluster, parameters

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take up what Hydra knows of the sweep."""
        need("submitit", "hydra_plugins.hydra_submitit_launcher", extra="slurm")
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import LocalLauncher, SlurmLauncher

        self.job = {"slurm": SlurmLauncher, "local": LocalLauncher}[self.cluster](**self.parameters)
        self.job.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Submit all jobs as one array; return when the last has ended. Ctrl-C takes them back."""
        import submitit
        from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf

        common = set(OmegaConf.structured(BaseQueueConf))
        settings = {
            name if name in common else f"{self.cluster}_{name}": value for name, value in self.job.params.items()
        }
        once = {name: settings.pop(name) for name in ("slurm_max_num_timeout",) if name in settings}
        executor = submitit.AutoExecutor(settings.pop("submitit_folder"), cluster=self.cluster, **once)
        executor.update_parameters(**settings)
        count = len(job_overrides)
        numbers = range(initial_job_idx, initial_job_idx + count)
        jobs = executor.map_array(
            self.job,
            [list(overrides) for overrides in job_overrides],
            ["hydra.sweep.dir"] * count,
            numbers,
            [f"job_{number}" for number in numbers],
            [Singleton.get_state()] * count,
        )
        try:
            wait = ended_slurm_job if self.cluster == "slurm" else submitit.Job.result
            return [outcome(of, wait, job) for of, job in zip(job_overrides, jobs, strict=True)]
        except KeyboardInterrupt:
            for job in jobs:
                job.cancel()
            raise


def ended_slurm_job(job: Any) -> JobReturn:
    """Wait for a SLURM job. Whether it lives the queue says, since not every cluster keeps accounts for ``sacct``.

    Raises:
        RuntimeError: it ended and left no result.
    """
    while not job.paths.result_pickle.exists():
        if not in_queue(job.job_id):
            time.sleep(GRACE_SECONDS)
            if not job.paths.result_pickle.exists():
                raise RuntimeError(f"SLURM job {job.job_id} ended before its run; what it printed: {job.paths.stderr}")
        time.sleep(POLL_SECONDS)
    result: JobReturn = job.result()
    return result


def in_queue(job_id: str) -> bool:
    """Return whether SLURM still lists a job; True also while its controller does not answer."""
    told = subprocess.run(["squeue", "--noheader", "--jobs", job_id], capture_output=True, text=True, check=False)
    return bool(told.stdout.strip()) or (told.returncode != 0 and "Invalid job id" not in told.stderr)


def outcome(overrides: Sequence[str], wait: Callable[[Any], JobReturn], job: Any) -> JobReturn:
    """Wait for a job; one that died is a failed return, which raises when its value is asked for."""
    try:
        return wait(job)
    except Exception as error:
        failed = JobReturn(overrides)
        failed.status = JobStatus.FAILED
        failed.return_value = error
        return failed


def need(*modules: str, extra: str) -> None:
    """Refuse where optional packages are not installed, without the time it takes to import them.

    Raises:
        ConfigError: naming the first that is absent, and the extra that brings it.
    """
    for module in modules:
        if find_spec(module) is None:
            package = module.removeprefix("hydra_plugins.")
            hint = f"pip install 'gradreach[{extra}]'"
            raise ConfigError(package, allowed="is needed here, and not installed", hint=hint)
