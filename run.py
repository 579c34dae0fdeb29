"""Run or sweep: ``python run.py model=lstm seq_len=128``, ``python run.py -m experiment=quickstart``."""

import hydra
from omegaconf import DictConfig

from gradreach.compose import hasten_help
from gradreach.errors import one_line_errors
from gradreach.system.garbage import own_process


@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(composed: DictConfig) -> float | None:
    """Do one run; Hydra calls this once for each job of a sweep."""
    from gradreach.entry import run_composed

    return run_composed(composed)


if __name__ == "__main__":
    hasten_help()
    own_process()
    with one_line_errors():
        main()
