"""A W&B dashboard from code: a saved view of an experiment's runs, and a report with its tables and figures."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from gradreach.errors import ConfigError
from gradreach.look import looks_of
from gradreach.run_table.columns import architectures
from gradreach.run_table.committed import read_runs, run_table
from gradreach.tracking.wandb_files import summary_id

SUMMARY = "summary"
"""What stands for the architecture of the run that holds tables and figures."""
FIGURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\.png\)")


def those(run_ids: list[str]) -> expr.Or:
    """Return the filter that keeps these runs: by W&B's id, or, where a W&B sweep gave another, by `run_id`."""
    return expr.Or(expr.Metric("ID").isin(run_ids), expr.Config("run_id.value").isin(run_ids))


@dataclass(frozen=True)
class Dashboard:
    """The content of a dashboard: an experiment's runs, and its page.

    - ``architectures``: of the runs.
    - ``metric``: what is scored, ``accuracy`` or ``mse``.
    - ``page``: the text of ``results/<experiment>/README.md``.
    """

    experiment: str
    entity: str
    project: str
    run_ids: list[str]
    architectures: list[str]
    metric: str
    page: str

    @classmethod
    def of(cls, experiment: str, results_dir: Path, entity: str, project: str) -> "Dashboard":
        """Read what there is of an experiment.

        Raises:
            ConfigError: it was never run, or its tables were never built.
        """
        table, page = run_table(results_dir, experiment), results_dir / experiment / "README.md"
        if not table.exists():
            hint = f"make some with python run.py -m experiment={experiment}"
            raise ConfigError(experiment, allowed="no runs yet", hint=hint)
        if not page.exists():
            raise ConfigError(
                experiment, allowed="no tables yet", hint=f"build them with gradreach tables {experiment}"
            )
        runs = read_runs(table)
        metrics = runs["metric"].dropna().tolist() if "metric" in runs else []
        return cls(
            experiment=experiment,
            entity=entity,
            project=project,
            run_ids=runs["run_id"].tolist(),
            architectures=list(architectures(runs).unique()),
            metric=metrics[0] if metrics else "accuracy",
            page=page.read_text(encoding="utf-8"),
        )

    @property
    def colours(self) -> dict[object, object]:
        """Return the colour that each architecture has in our figures."""
        return {name: look.color for name, look in looks_of(self.architectures).items()}

    def view(self) -> ws.Workspace:
        """Return the saved view: runs grouped by model and length, five sections of few panels each."""
        return ws.Workspace(
            entity=self.entity,
            project=self.project,
            name=f"gradreach: {self.experiment}",
            sections=[
                ws.Section(name=name, panels=panels, is_open=True, pinned=name == "Overview")
                for name, panels in self.panels().items()
            ],
            settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=100),
            runset_settings=ws.RunsetSettings(
                filters=those([*self.run_ids, summary_id(self.experiment)]),
                groupby=[expr.Config("architecture"), expr.Config("seq_len")],
                group_colors=self.colours,
                pinned_columns=[f"summary:test/{self.metric}", "summary:gradient/x.reach", "summary:parameters"],
            ),
        )

    def panels(self) -> dict[str, list[Any]]:
        """Return the panels of each section.

        They group by nothing of their own, which could be one key alone: then they show the groups of their runs, by
        model and length.
        """
        score, length = f"test/{self.metric}", wr.Config("seq_len")

        def over_epochs(*y: str, **options: Any) -> wr.LinePlot:
            return wr.LinePlot(x="epoch", y=list(y), groupby_aggfunc="mean", **options)

        def bars(metric: str) -> wr.BarPlot:
            return wr.BarPlot(title=metric, metrics=[metric], groupby_aggfunc="mean", groupby_rangefunc="stderr")

        def by_length(metric: str) -> wr.ScatterPlot:
            return wr.ScatterPlot(title=f"{metric} by length", x=length, y=wr.SummaryMetric(metric))

        return {
            "Overview": [
                bars(score),
                over_epochs(f"val/{self.metric}", title=f"val/{self.metric}"),
                wr.MediaBrowser(title="figures", media_keys=self.figures()),
            ],
            "Accuracy by length": [by_length(score), by_length(f"val/{self.metric}"), over_epochs("train/loss")],
            "Gradient reach": [
                by_length("gradient/x.reach"),
                bars("gradient/x.reach"),
                bars("gradient/h.half_life"),
                over_epochs("gradient/norm", title="gradient/norm", log_y=True),
                wr.MediaBrowser(title="gradient/profile", media_keys=["gradient/profile"]),
            ],
            "Gates": [bars(f"gates/{gate}.mean") for gate in ("f", "z")]
            + [over_epochs(metric_regex="^gates/.*saturated$", title="gates: share closed or open")],
            "Cost": [
                wr.ScatterPlot(title="size", x=wr.SummaryMetric("parameters"), y=wr.SummaryMetric(score), log_x=True),
                bars("multiply_adds"),
                bars("time/steps_per_second"),
                bars("time/seconds"),
            ],
        }

    def figures(self) -> list[str]:
        """Return what the page's figures are called in the summary run."""
        return [f"figures/{name}" for name in FIGURE.findall(self.page)]

    def report(self) -> wr.Report:
        """Return the report: the page, its figures taken from the summary run, the runs themselves at the end."""
        heading, _, text = self.page.removeprefix("# ").partition("\n")
        parts = FIGURE.split(text)
        blocks: list[Any] = [wr.TableOfContents()]
        for number, part in enumerate(parts):
            blocks.append(self._figure(part) if number % 2 else wr.MarkdownBlock(text=part.strip()))
        blocks += [wr.H2(text="Runs"), wr.PanelGrid(runsets=[self._runset()], panels=self.panels()["Overview"][:2])]
        return wr.Report(
            entity=self.entity, project=self.project, title=heading[:128], description=self.marker(), blocks=blocks
        )

    def marker(self) -> str:
        """Return the mark of this experiment's report, so that it is updated and not duplicated."""
        return f"Made by 'gradreach dashboard {self.experiment}', which renews it."

    def _figure(self, name: str) -> wr.PanelGrid:
        summary = wr.Runset(name=SUMMARY, filters=those([summary_id(self.experiment)]))
        panel = wr.MediaBrowser(media_keys=[f"figures/{name}"], layout=wr.Layout(w=24, h=14))
        return wr.PanelGrid(runsets=[summary], panels=[panel])

    def _runset(self) -> wr.Runset:
        """Return the runs of the experiment, of the report's own project."""
        return wr.Runset(
            name="runs",
            filters=those(self.run_ids),
            groupby=["config.architecture", "config.seq_len"],
        )

    def specification(self) -> dict[str, Any]:
        """Return view and report as they are sent, in the library's own model."""
        view, report = self.view()._to_model(), self.report()._to_model()
        return {
            name: json.loads(model.model_dump_json(by_alias=True, exclude_none=True))
            for name, model in (("view", view), ("report", report))
        }

    def save(self) -> list[str]:
        """Create or update view and report on the server; return their pages."""
        import wandb
        from wandb_workspaces.workspaces import internal

        view = self.view()
        view._internal_name = f"nw-gradreach{re.sub('[^a-z0-9]', '', self.experiment)}-v"
        try:
            known = internal.View.from_name(self.entity, self.project, view._internal_name)
            view._internal_id = known.id
        except ValueError:
            pass  # the first time
        report = self.report()
        for known_report in wandb.Api().reports(f"{self.entity}/{self.project}"):
            if known_report.description == report.description:
                report.id = known_report.id
        return [view.save().url, report.save().url]
