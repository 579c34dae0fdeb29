"""W&B's environment variables: those in our configuration are handled there, the rest here."""

import os
import re

from gradreach.config.tracking import A_NAME, ADDRESS, AN_ADDRESS, MODES, NAME, TrackingSettings
from gradreach.errors import ConfigError, advise

NOT_HEEDED = {
    "WANDB_DIR": "W&B's files are stored beside the records, in <results_dir>/wandb",
    "WANDB_RUN_ID": "a run's W&B id is its run id",
    "WANDB_SWEEP_ID": "an agent sets WANDB_RUN_ID too; the run joins no sweep",
}
"""Variables without effect, and why; below an agent only the first."""


def below_agent() -> bool:
    """Return whether an agent of a W&B sweep has started this process: the server has made its run already."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


def check_environment(tracking: TrackingSettings) -> None:
    """Refuse values from the environment that wandb would refuse in every run.

    Raises:
        ConfigError: naming the variable.
    """
    left = {"WANDB_ENTITY": (tracking.entity, NAME, A_NAME), "WANDB_BASE_URL": (tracking.base_url, ADDRESS, AN_ADDRESS)}
    for variable, (setting, pattern, demand) in left.items():
        said = os.environ.get(variable)
        if said and setting is None and not re.match(pattern, said):
            raise ConfigError(variable, said, f"must be {demand}", "correct or unset it")
    if (mode := os.environ.get("WANDB_MODE", "")) and mode.lower() not in MODES:
        raise ConfigError("WANDB_MODE", mode, "there is no such mode", "or unset it", choices=MODES)


def heed_environment(mode: str) -> None:
    """Report ignored variables, and remove those that would replace a run's id and project."""
    quiet = set() if not below_agent() else {"WANDB_RUN_ID", "WANDB_SWEEP_ID"}
    for name, why in NOT_HEEDED.items():
        if os.environ.get(name) and name not in quiet:
            advise(f"{name} is ignored: {why}")
    if os.environ.get("WANDB_MODE", "").lower() == "online" and mode != "online":
        advise(f"WANDB_MODE=online is ignored, since tracking={mode}; set tracking=online")
    if not below_agent():
        os.environ.pop("WANDB_SWEEP_ID", None)
