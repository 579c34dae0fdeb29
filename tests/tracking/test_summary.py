"""After a sweep one W&B run says what came out."""

import json
import math
import shutil

import pandas as pd
import pytest

from gradreach.tracking.summary import summarize_sweep
from project import PROJECT
from wandb_files import inspect, logs, path_of


@pytest.fixture
def workplace(configured):
    _, workplace = configured("tracking=offline", "experiment=quickstart")
    shutil.copytree(PROJECT / "results" / "quickstart", workplace.results_dir / "quickstart")
    return workplace


def test_tables_and_figures_of_the_experiment_are_one_run_of_job_type_summary(workplace, capsys):
    summarize_sweep(workplace, PROJECT / "experiments")
    assert capsys.readouterr().err == ""
    (log,) = logs(workplace.results_dir)
    said = inspect(log)
    assert (said["id"], said["job_type"], said["exit"]) == ("summary-quickstart", "summary", 0)
    assert said["config"]["run_id"] == "summary-quickstart"
    for name in ("accuracy", "gradient_reach", "gradient_half_life"):
        table = json.loads((log.parent / "files" / path_of(said, f"tables/{name}")).read_text())
        shown = pd.DataFrame(table["data"], columns=table["columns"])
        built = pd.read_csv(workplace.results_dir / "quickstart" / f"{name}.csv", float_precision="round_trip")
        pd.testing.assert_frame_equal(shown.where(shown.notna(), math.nan), built, check_dtype=False)
    picture = log.parent / "files" / path_of(said, "figures/gradient_by_lag")
    assert picture.read_bytes() == (workplace.results_dir / "quickstart" / "gradient_by_lag.png").read_bytes()


def test_what_cannot_be_summarized_is_said_in_one_line_and_raises_nothing(workplace, capsys, tmp_path):
    summarize_sweep(workplace, tmp_path)
    told = capsys.readouterr().err
    assert told.startswith("gradreach: note: no summary of quickstart for W&B: quickstart: there is no such experiment")
    assert told.count("\n") == 1


def test_nothing_is_summarized_without_tracking(workplace):
    off = workplace.model_copy(update={"tracking": workplace.tracking.model_copy(update={"mode": "off"})})
    summarize_sweep(off, PROJECT / "experiments")
    assert logs(workplace.results_dir) == []
