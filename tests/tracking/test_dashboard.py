"""The dashboard, in the library's own model; the sweep file, in Hydra's and W&B's own words."""

import json
import shutil
from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path

import pytest
import wandb
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb_workspaces.reports.v2 import interface as reports
from wandb_workspaces.reports.v2 import internal as report_model
from wandb_workspaces.workspaces import Workspace
from wandb_workspaces.workspaces import internal as view_model

from gradreach.cli import wandb_sweep
from gradreach.config import parse, plain
from gradreach.errors import ConfigError
from gradreach.look import look_of
from gradreach.run_table.committed import read_runs
from gradreach.sweeps.status import planned
from gradreach.tracking.dashboard import Dashboard
from gradreach.tracking.publish import publish
from gradreach.tracking.sweep_file import sweep_files
from project import PROJECT

SECTIONS = ["Overview", "Accuracy by length", "Gradient reach", "Gates", "Cost"]


@pytest.fixture
def results(tmp_path):
    shutil.copytree(PROJECT / "results" / "quickstart", tmp_path / "results" / "quickstart")
    return tmp_path / "results"


@pytest.fixture
def written(results, capsys):
    publish("quickstart", results, "gradreach", "team", "http://127.0.0.1:9", dry_run=True)
    path = results / "wandb" / "dashboard-quickstart.json"
    assert str(path) in capsys.readouterr().out
    return json.loads(path.read_text())


def test_the_view_reads_back_through_the_library(written, results):
    view = Workspace._from_model(view_model.View.model_validate(written["view"]))
    assert (view.entity, view.project, view.name) == ("team", "gradreach", "gradreach: quickstart")
    assert [section.name for section in view.sections] == SECTIONS
    assert all(section.panels for section in view.sections)
    settings = view.runset_settings
    assert [key.name for key in settings.groupby] == ["architecture", "seq_len"]
    runs = read_runs(results / "quickstart" / "runs.csv")
    assert all(run_id in settings.filters for run_id in runs["run_id"])
    assert "summary-quickstart" in settings.filters
    (told,) = written["view"]["spec"]["section"]["runSets"]
    keys = [tuple(each["key"].values()) for each in told["filters"]["filters"]]
    assert keys == [("run", "name"), ("config", "run_id.value")], "W&B keeps a setting under its name and .value"
    architectures = ("gru", "lstm", "rnn", "tcn k=3", "tcn k=5")
    assert settings.group_colors == {name: look_of(name).color for name in architectures}


def test_what_panels_show_is_what_runs_log(written):
    names = {"test/accuracy", "val/accuracy", "train/loss", "multiply_adds", "time/steps_per_second", "time/seconds"}
    names |= {"gradient/x.reach", "gradient/h.half_life", "gradient/norm", "gates/f.mean", "gates/z.mean"}
    shown = set()
    for section in written["view"]["spec"]["section"]["panelBankConfig"]["sections"]:
        for panel in section["panels"]:
            shown |= set(panel["config"].get("metrics", []))
    assert shown == names


def panels(written):
    """Return all panels of the view, as they are sent."""
    return [
        panel
        for section in written["view"]["spec"]["section"]["panelBankConfig"]["sections"]
        for panel in section["panels"]
    ]


def test_panels_show_the_mean_of_the_groups_that_the_runs_make_by_model_and_length(written):
    grouped = [
        panel["config"] for panel in panels(written) if panel["viewType"] in ("Bar Chart", "Run History Line Plot")
    ]
    assert len(grouped) >= 10
    assert {config["groupAgg"] for config in grouped} == {"mean"}
    assert not any("groupBy" in config or config.get("aggregate") for config in grouped), (
        "one key alone, lengths pooled"
    )
    bars = [panel["config"]["groupArea"] for panel in panels(written) if panel["viewType"] == "Bar Chart"]
    assert set(bars) == {"stderr"}


def test_columns_and_axes_are_what_a_run_says(written):
    (runs,) = written["view"]["spec"]["section"]["runSets"]
    pinned = {name for name, on in runs["runFeed"]["columnPinned"].items() if on}
    assert pinned - {"run:displayName"} == {"summary:test/accuracy", "summary:gradient/x.reach", "summary:parameters"}
    axes = {
        (panel["config"]["xAxis"], panel["config"]["yAxis"])
        for panel in panels(written)
        if panel["viewType"] == "Scatter Plot"
    }
    assert axes == {
        ("config:seq_len.value", "summary:test/accuracy"),
        ("config:seq_len.value", "summary:val/accuracy"),
        ("config:seq_len.value", "summary:gradient/x.reach"),
        ("summary:parameters", "summary:test/accuracy"),
    }


@pytest.fixture
def reached(monkeypatch):
    """Let every server answer and take the key."""
    shown = []
    monkeypatch.setattr("gradreach.tracking.publish.check_server", lambda *asked: shown.append(asked))
    monkeypatch.setattr("gradreach.tracking.publish.use_server", lambda url: url)
    return shown


@pytest.mark.parametrize(("entity", "fails"), [("team", (Dashboard, "save")), (None, (wandb, "Api"))])
def test_a_server_that_knows_no_views_is_told_in_one_line(results, reached, monkeypatch, entity, fails):
    def fail(*_):
        raise WandbApiFailedError("Cannot query field 'allViews'\nat length")

    monkeypatch.setattr(*fails, fail)
    with pytest.raises(ConfigError) as refused:
        publish("quickstart", results, "gradreach", entity, "http://there", dry_run=False)
    expected = (
        "http://there: rejects the dashboard (Cannot query field 'allViews'); use --dry-run, which writes it as JSON"
    )
    assert str(refused.value) == expected
    assert reached == [("http://there", "gradreach dashboard")]


def test_the_report_holds_the_tables_of_the_page_and_the_figures_of_the_summary_run(written, results):
    report = reports.Report._from_model(report_model.ReportViewspec.model_validate(written["report"]))
    page = (results / "quickstart" / "README.md").read_text()
    assert page.startswith(f"# {report.title}\n")
    texts = [block.text for block in report.blocks if isinstance(block, reports.MarkdownBlock)]
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert tables
    assert [line for text in texts for line in text.splitlines() if line.startswith("|")] == tables
    grids = [block for block in report.blocks if isinstance(block, reports.PanelGrid)]
    figures = [line.split("(")[1].removesuffix(".png)") for line in page.splitlines() if line.startswith("![")]
    assert "gradient_by_lag" in figures
    assert [grid.panels[0].media_keys for grid in grids[:-1]] == [[f"figures/{name}"] for name in figures]
    assert all("summary-quickstart" in grid.runsets[0].filters for grid in grids[:-1])


def test_a_second_call_renews_what_the_first_created(results, monkeypatch):
    sent, known = [], {}

    def execute(api, query, variables):
        if "allViews" in query:
            edges = [{"node": known[variables["viewName"]]}] if variables["viewName"] in known else []
            return {"project": {"allViews": {"edges": edges}}}
        sent.append(variables)
        node = {"id": f"id of {variables['name']}", "displayName": variables["displayName"], "spec": variables["spec"]}
        known.setdefault(variables["name"], node)
        project = {"name": variables["projectName"], "entityName": variables["entityName"]}
        answer = {**node, "name": variables["name"], "project": project, "description": variables["description"]}
        return {"upsertView": {"view": answer, "inserted": True}}

    class Api:
        default_entity = "team"
        client = type("Client", (), {"app_url": "https://wandb.example"})

        def reports(self, path):
            assert path == "team/gradreach"
            found = [v for v in sent if v["type"] == "runs"]
            return [type("Report", (), {"id": "report 1", "description": v["description"]}) for v in found]

        def projects(self, entity):
            return [type("Project", (), {"name": "gradreach"})]

    for module in (view_model, reports):
        monkeypatch.setattr(module, "execute_graphql", execute)
    monkeypatch.setattr("wandb.Api", Api)
    monkeypatch.setattr(reports, "_get_api", Api)
    monkeypatch.setattr("wandb_workspaces.workspaces.interface.get_app_url", lambda api: "https://wandb.example")
    monkeypatch.setattr(reports, "get_app_url", lambda api: "https://wandb.example")
    dashboard = Dashboard.of("quickstart", results, "team", "gradreach")
    dashboard.save()
    dashboard.save()
    first_view, first_report, second_view, second_report = sent
    assert first_view["name"] == second_view["name"] == "nw-gradreachquickstart-v"
    assert "id" not in first_view
    assert second_view["id"] == "id of nw-gradreachquickstart-v"
    assert (first_report["id"], second_report["id"]) == (None, "report 1")


def test_an_experiment_without_runs_or_tables_is_refused(tmp_path, results):
    with pytest.raises(ConfigError, match=r"no runs yet; make some with python run\.py -m experiment=other"):
        Dashboard.of("other", tmp_path, "", "p")
    (results / "quickstart" / "README.md").unlink()
    with pytest.raises(ConfigError, match="no tables yet; build them with gradreach tables quickstart"):
        Dashboard.of("quickstart", results, "", "p")


def grid(sweep):
    """Return the command line of each run of a W&B sweep, as wandb's own agent writes it."""
    assert (sweep["program"], sweep["method"]) == ("run.py", "grid")
    assert sweep["command"][:4] == ["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"]
    for values in product(*(parameter["values"] for parameter in sweep["parameters"].values())):
        chosen = {name: {"value": value} for name, value in zip(sweep["parameters"], values, strict=True)}
        yield create_sweep_command_args({"args": chosen})["args_no_hyphens"] + sweep["command"][4:]


@cache
def said(word):
    """Return what Hydra reads in an override."""
    override = OverridesParser.create().parse_override(word)
    return override.key_or_group, repr(override.value())


@pytest.mark.parametrize("experiment", sorted(file.stem for file in (PROJECT / "conf" / "experiment").glob("*.yaml")))
def test_w_and_b_sweeps_have_every_combination_of_the_experiment_once(experiment, monkeypatch):
    monkeypatch.setattr(
        "gradreach.sweeps.status.plan", lambda jobs, compose: jobs
    )  # the checks would read all data sets
    files = sweep_files(experiment, PROJECT / "conf", "gradreach", None, Path("sweep.yaml"))
    jobs = [job for text in files.values() for job in grid(yaml.safe_load(text))]
    ours = Counter(frozenset(map(said, job)) for job in planned([experiment, "tracking=online"], PROJECT / "conf"))
    assert Counter(frozenset(map(said, job)) for job in jobs) == ours


def test_a_w_and_b_sweep_makes_the_runs_of_the_experiment(composed):
    files = sweep_files("errata_quick", PROJECT / "conf", "gradreach", None, Path("sweep.yaml"))
    jobs = [job for text in files.values() for job in grid(yaml.safe_load(text))]
    ids = [parse(plain(composed(*job)))[0].run_id for job in jobs]
    assert sorted(ids) == sorted(job.run.run_id for job in planned(["errata_quick"], PROJECT / "conf"))


def test_an_experiment_of_several_grids_gets_a_file_for_each_with_all_seeds(tmp_path):
    files = sweep_files("padding", PROJECT / "conf", "gradreach", "team", tmp_path / "mine.yaml")
    assert [path.name for path in files] == ["mine_edge.yaml", "mine_centre.yaml"]
    edge, centre = map(yaml.safe_load, files.values())
    assert (edge["name"], edge["entity"]) == ("padding: edge", "team")
    assert edge["parameters"]["seed"] == centre["parameters"]["seed"] == {"values": list(range(100, 124))}
    assert edge["parameters"]["task.train_region"] == {"values": ["edge"]}
    assert centre["parameters"]["task.train_region"] == {"values": ["centre"]}


def test_a_part_that_is_left_out_gets_no_file_and_no_run_in_the_plan(monkeypatch):
    files = sweep_files("kernel_size_quick", PROJECT / "conf", "gradreach", None, Path("sweep.yaml"))
    assert [path.name for path in files] == ["sweep_motif.yaml", "sweep_mnist1d.yaml"]
    monkeypatch.setattr("gradreach.sweeps.status.plan", lambda jobs, compose: jobs)
    assert len(planned(["kernel_size_quick"], PROJECT / "conf")) == 24  # 2 parts, 2 depths, 3 kernels, 2 seeds


def test_an_unknown_experiment_has_no_sweep_file():
    with pytest.raises(ConfigError, match="did you mean quickstart"):
        sweep_files("quickstrat", PROJECT / "conf", "p", None, Path("sweep.yaml"))


def test_a_sweep_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "sweep_centre.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"sweep_centre\.yaml: already exists"):
        wandb_sweep("padding", PROJECT / "conf", tmp_path / "sweep.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["sweep_centre.yaml"]
    wandb_sweep("padding", PROJECT / "conf", tmp_path / "other.yaml")
    assert (tmp_path / "other_edge.yaml").exists()


def test_a_figure_of_the_report_is_as_wide_as_the_page(written):
    grids = [block for block in written["report"]["spec"]["blocks"] if block["type"] == "panel-grid"]
    panels = [panel for block in grids for panel in block["metadata"]["panelBankSectionConfig"]["panels"]]
    layouts = [panel["layout"] for panel in panels if panel["viewType"] == "Media Browser"]
    assert layouts
    assert all((layout["w"], layout["h"]) == (24, 14) for layout in layouts)
