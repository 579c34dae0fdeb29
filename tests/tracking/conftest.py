"""What tests of W&B share."""

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _let_go_of_wandbs_process() -> Iterator[None]:
    """Collect the handle of W&B's own process, which outlives a run by a while: else another test is warned of it."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "subprocess .* is still running", ResourceWarning)
        gc.collect()
