"""Run or sweep: ``python run.py model=lstm seq_len=128``, ``python run.py -m experiment=quickstart``."""

import sys
from pathlib import Path

from gradreach.errors import one_line_errors, say_when_stopped

say_when_stopped()

import hydra  # noqa: E402  # takes a while
from omegaconf import DictConfig  # noqa: E402

from gradreach.system.garbage import own_process  # noqa: E402
from gradreach.usage import answered  # noqa: E402


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(composed: DictConfig) -> float | None:
    """Do one run; Hydra calls this once for each job of a sweep."""
    from gradreach.entry import run_composed

    return run_composed(composed)


if __name__ == "__main__":
    own_process()
    with one_line_errors():
        if not answered(sys.argv[1:], Path(__file__).parent / "conf"):
            main()
