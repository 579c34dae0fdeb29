"""W&B's own environment is heeded as its users expect, or it is said in one line."""

import pytest
import wandb

from gradreach.errors import ConfigError, advise
from gradreach.records import RecordStore
from gradreach.runner import execute
from gradreach.tracking import mode_now
from gradreach.tracking.replay import rows_of
from gradreach.tracking.session import begin
from gradreach.tracking.tracker import FailSafeTracker
from gradreach.tracking.wandb_run import NAME, TAG, WandbRun, shortened
from project import SMALL
from wandb_files import figures, inspect, logs

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
OFFLINE = [*SMALL, "model=rnn", "tracking=offline"]


@pytest.fixture(autouse=True)
def _nothing_read_before():
    """Let wandb reread its environment, now and for the tests after."""
    advise.cache_clear()
    wandb.teardown()
    yield
    advise.cache_clear()
    wandb.teardown()


@pytest.fixture
def do(configured):
    def call(*overrides):
        run, environment = configured(*OFFLINE, *overrides)
        return execute(run, environment), run, environment.results_dir

    return call


@pytest.mark.parametrize("variable", ["WANDB_MODE=disabled", "WANDB_DISABLED=true", "WANDB_DISABLED=1"])
def test_disabled_writes_no_files(do, monkeypatch, variable):
    monkeypatch.setenv(*variable.split("="))
    record, _, results = do()
    assert record["status"] == "finished"
    assert "untracked" not in record
    assert not (results / "wandb").exists()


@pytest.mark.parametrize(
    ("said", "asked", "left"),
    [
        ("offline", "online", "offline"),
        ("dryrun", "online", "offline"),
        ("offline", "off", "off"),
        ("online", "offline", "offline"),
        ("online", "off", "off"),
        ("online", "online", "online"),
        ("", "online", "online"),
    ],
)
def test_the_environment_can_only_make_it_quieter(configured, monkeypatch, said, asked, left):
    monkeypatch.setenv("WANDB_MODE", said)
    monkeypatch.setenv("WANDB_DISABLED", "false")
    assert configured(f"tracking={asked}")[1].tracking.mode == left


def test_a_mode_that_is_none_is_refused_as_ever(configured):
    with pytest.raises(ConfigError, match=r"tracking\.mode=loud"):
        configured("tracking.mode=loud")


def test_tags_group_name_job_type_and_notes_come_from_the_environment(do, monkeypatch):
    for name, value in {
        "WANDB_TAGS": "baseline, paper",
        "WANDB_RUN_GROUP": "ablation",
        "WANDB_NAME": "mine",
        "WANDB_JOB_TYPE": "probe",
        "WANDB_NOTES": "why",
    }.items():
        monkeypatch.setenv(name, value)
    said = inspect(*logs(do()[2]))
    assert sorted(said["tags"]) == ["baseline", "digits", "paper", "rnn"]
    assert [said[key] for key in ("group", "name", "job_type", "notes")] == ["ablation", "mine", "probe", "why"]


def test_settings_win_over_the_environment_and_are_no_part_of_the_identity(do, configured, monkeypatch):
    monkeypatch.setenv("WANDB_TAGS", "theirs")
    monkeypatch.setenv("WANDB_RUN_GROUP", "")
    own = ["tracking.tags=[a,b,rnn]", "tracking.name=7", "tracking.job_type=probe", "tracking.notes=why"]
    _, run, results = do(*own)
    said = inspect(*logs(results))
    assert sorted(said["tags"]) == ["a", "b", "digits", "rnn"]
    assert [said[key] for key in ("name", "job_type", "notes")] == ["7", "probe", "why"]
    assert said["group"] == f"{run.label} · {run.group_id[:6]}", "an empty variable says nothing"
    assert run.run_id == configured(*OFFLINE)[0].run_id


def test_a_tag_that_w_and_b_does_not_take_is_refused(configured):
    with pytest.raises(ConfigError, match=r"^tracking\.tags=x{65}: must have at most 64 characters"):
        configured(f"tracking.tags=[{'x' * 65}]")


@pytest.mark.parametrize("mode", ["offline", "online"])
def test_a_sweeps_id_alone_is_said_and_not_heeded(do, monkeypatch, capsys, mode):
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc123")
    monkeypatch.setenv("WANDB_API_KEY", "local" + "0" * 40)
    record, run, results = do(f"tracking.mode={mode}", "tracking.base_url=http://127.0.0.1:9")
    said = inspect(*logs(results))
    assert (said["id"], said["project"], said["sweep"]) == (run.run_id, "gradreach", None)
    assert "untracked" not in record
    told = [line for line in capsys.readouterr().err.splitlines() if "WANDB_SWEEP_ID" in line]
    assert told == [
        "gradreach: note: WANDB_SWEEP_ID is ignored: an agent sets WANDB_RUN_ID too; the run joins no sweep"
    ]


def test_what_is_not_heeded_is_said_once(do, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    monkeypatch.setenv("WANDB_MODE", "online")
    _, run, results = do()
    assert inspect(*logs(results))["id"] == run.run_id
    assert not (tmp_path / "elsewhere").exists()
    do("seed=1")
    assert capsys.readouterr().err.splitlines() == [
        "gradreach: note: WANDB_DIR is ignored: W&B's files are stored beside the records, in <results_dir>/wandb",
        "gradreach: note: WANDB_RUN_ID is ignored: a run's W&B id is its run id",
        "gradreach: note: WANDB_MODE=online is ignored, since tracking=offline; set tracking=online",
    ]


@pytest.mark.parametrize(
    ("variable", "setting", "wrong", "right"),
    [
        ("WANDB_BASE_URL", "tracking.base_url", "http://", "http://localhost:8080"),
        ("WANDB_BASE_URL", "tracking.base_url", "ftp://host", "https://host/path"),
        ("WANDB_ENTITY", "tracking.entity", "../x", "team-1"),
        ("WANDB_MODE", None, "foo", "dryrun"),
    ],
)
def test_what_wandb_would_refuse_is_refused_before_anything_starts(
    configured, monkeypatch, variable, setting, wrong, right
):
    monkeypatch.setenv(variable, wrong)
    _, environment = configured("tracking=offline")
    with pytest.raises(ConfigError, match=f"^{variable}={wrong}: (must be|there is no such mode)"):
        mode_now(environment.tracking)
    assert mode_now(configured("tracking=off")[1].tracking) == "offline"
    if setting is not None:
        assert mode_now(configured("tracking=offline", f"{setting}='{right}'")[1].tracking) == "offline"
        with pytest.raises(ConfigError, match=f"^{setting}={wrong}: must be"):
            configured("tracking=offline", f"{setting}='{wrong}'")
    monkeypatch.setenv(variable, right)
    assert mode_now(environment.tracking) == "offline"


def test_with_tracking_off_nothing_is_said(configured, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_DIR", "elsewhere")
    assert mode_now(configured("tracking=off")[1].tracking) == "offline"
    assert capsys.readouterr().err == ""


def test_long_names_are_shortened_to_what_w_and_b_takes(do):
    record, run, results = do(f"model.name={'m' * 90}", f"task.name={'t' * 90}")
    assert "untracked" not in record
    said = inspect(*logs(results))
    assert sorted(said["tags"]) == ["m" * (TAG - 1) + "…", "t" * (TAG - 1) + "…"]
    assert len(said["name"]) == len(said["group"]) == NAME
    assert said["name"].endswith("… · seed 0")
    assert said["group"].endswith(f"… · {run.group_id[:6]}"), "groups of long names stay apart"
    assert said["config"]["model"]["name"] == "m" * 90
    assert shortened("short", " end") == "short end"


def test_where_wandb_refuses_a_setting_the_true_reason_is_shown(configured, capsys):
    environment = configured(*OFFLINE)[1]
    tracker = FailSafeTracker(lambda: begin(environment.tracking, environment.results_dir, id="1", tags=["x" * 65]))
    assert "run_tags: " in tracker.trouble
    assert "Tags must be between 1 and 64 characters" in tracker.trouble
    assert capsys.readouterr().err.count("\n") == 1


def test_figures_of_the_chosen_weights_stand_at_their_epoch(configured):
    run, environment = configured(*OFFLINE)
    record = {"run_id": run.run_id, "group_id": run.group_id, "label": run.label, "config": run.canonical()}
    tracker = WandbRun(record, environment.tracking, environment.results_dir)
    for epoch in range(4):
        tracker.log({"epoch": epoch, "step": 10 * epoch, "val/loss": 1.0})
    metrics = {"val/loss": 0.5, "gradient/end/x.reach": 7.0}
    tracker.summarize({"status": "finished", "best_epoch": 2, "metrics": metrics}, [])
    tracker.close(0)
    said = inspect(*logs(environment.results_dir))
    last = figures(said["history"][-1])
    assert last == {"epoch": 2, "gradient/x.reach": 7}
    assert said["history"][-1]["_step"] == 31, "after all that was logged before"
    assert said["axes"]["gradient/*"] == "epoch"
    assert [said["summary"][key] for key in ("epoch", "step", "best_epoch", "val/loss")] == [3, 30, 2, 0.5]


def moment(row):
    """Return what a row of history says, without W&B's own clock."""
    return {**figures(row), "_step": row["_step"]}


def test_an_agent_that_meets_a_finished_run_replays_it_into_its_own(do, monkeypatch):
    record, run, results = do("diagnostics.gates=5 steps")
    (first,) = logs(results)
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "chosenbyserver")
    wandb.teardown()
    again, _, _ = do("diagnostics.gates=5 steps")
    assert again == RecordStore(results / "runs").read(run.run_id)
    (second,) = logs(results, "chosenbyserver")
    live, told = inspect(first), inspect(second)
    assert (told["id"], told["config"]["run_id"], told["exit"]) == ("chosenbyserver", run.run_id, 0)
    assert list(map(moment, told["history"])) == list(map(moment, live["history"]))
    assert figures(told["summary"]) == figures(live["summary"])
    assert told["summary"]["status"] == record["status"]
    assert (second.parent / "files" / "history.csv").read_text() == RecordStore(results / "runs").read_history(
        run.run_id
    )


@pytest.mark.slow
def test_an_agent_meets_a_finished_run_also_without_importing_what_it_was_done_with(run_py, tmp_path, monkeypatch):
    assert run_py(*OFFLINE).returncode == 0
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep1")
    monkeypatch.setenv("WANDB_RUN_ID", "chosenbyserver")
    done = run_py(*OFFLINE)
    assert done.returncode == 0, done.stderr
    first, second = (inspect(*logs(tmp_path / "results", name)) for name in ("[0-9a-f]*[0-9a-f]", "chosenbyserver"))
    assert figures(second["summary"]) == figures(first["summary"])


def test_a_history_is_read_as_it_was_told():
    text = "epoch,step,val/loss,gradient/norm\n1,17,0.1,inf\n1.5,25,,nan\n2,34,1e-300,-0.0\n"
    one, two, three = rows_of(text)
    assert (one["epoch"], one["gradient/norm"], two["epoch"]) == (1, float("inf"), 1.5)
    assert "val/loss" not in two
    assert str(three["gradient/norm"]) == "-0.0"
