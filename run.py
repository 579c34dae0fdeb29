"""Run or sweep: ``python run.py model=lstm seq_len=128``, ``python run.py -m experiment=quickstart``."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from gradreach.errors import one_line_errors
from gradreach.system.garbage import own_process
from gradreach.usage import answered


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
