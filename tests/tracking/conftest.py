"""What tests of W&B share."""

import gc
import os
import warnings
from collections.abc import Iterator

import pytest
import wandb


@pytest.fixture(autouse=True)
def _let_go_of_wandbs_process() -> Iterator[None]:
    """Collect the handle of W&B's own process, which outlives a run by a while: else another test is warned of it."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "subprocess .* is still running", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def _forget_an_agents_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let wandb read the environment again: what it said of a run when its process began holds for all later ones."""
    yield
    if "WANDB_RUN_ID" in os.environ:
        wandb.teardown()
