"""Trackio as a Lightning logger: https://github.com/gradio-app/trackio."""

from argparse import Namespace
from typing import Any

from pytorch_lightning.loggers import Logger


class TrackioLogger(Logger):
    """Logs to a local Trackio project.

    - ``project``: which.
    - ``run_name``: what the run is called there.
    """

    def __init__(self, project: str, run_name: str | None = None) -> None:
        super().__init__()
        self.project, self.run_name = project, run_name
        self.config: dict[str, Any] = {}
        self._run: Any = None

    @property
    def name(self) -> str:
        """The project."""
        return self.project

    @property
    def version(self) -> str | None:
        """The run."""
        return self.run_name

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """Keep the configuration for the run's start."""
        self.config |= vars(params) if isinstance(params, Namespace) else params

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log figures."""
        if self._run is None:
            import trackio

            self._run = trackio.init(project=self.project, name=self.run_name, config=self.config)
        self._run.log(metrics, step=step)

    def finalize(self, status: str) -> None:
        """Close the run; a test after training opens it again under its name."""
        if self._run is not None:
            self._run.finish()
            self._run = None
