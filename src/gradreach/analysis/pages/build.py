"""Rebuild all that stands under ``results/<experiment>/`` from records, without training."""

import filecmp
import json
from functools import partial
from pathlib import Path

import pandas as pd

from gradreach.analysis.experiment import Experiment, load_experiment
from gradreach.analysis.figures.captions import explained
from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.coverage import PENDING, chance_line, mixture_line, state_line
from gradreach.analysis.pages.summary import summary
from gradreach.analysis.results import LONG, Results, has, selected
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.tables.formats import html, latex, markdown
from gradreach.analysis.tables.layout import View, make
from gradreach.analysis.tables.specification import Computed
from gradreach.errors import ConfigError, advise
from gradreach.run_table.columns import architectures, csv
from gradreach.run_table.committed import outdated, planned_from, run_table, write_runs
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_decoding, load_history, load_profiles, write_long
from gradreach.run_table.sources import Source
from gradreach.system.files import write_text


def build(
    name: str,
    results_dir: Path,
    experiments_dir: Path = Path("experiments"),
    *,
    source: Source | None = None,
    into: Path | None = None,
) -> Built:
    """Write run table, long tables that were asked for, tables, figures, verdict and the page of one experiment.

    Args:
        name: of the experiment.
        results_dir: where its records and its run table are.
        experiments_dir: where ``<name>.py`` is.
        source: where raw records are, if not in ``<results_dir>/runs``.
        into: where ``<name>/`` is written, if not in ``results_dir``.

    Raises:
        ConfigError: there is no such experiment, none of its runs was ever planned, or a table shows a metric that no
            run has.
    """
    experiment = load_experiment(name, experiments_dir)
    plan = run_table(results_dir, name)
    if not plan.exists():
        raise ConfigError(f"{name}: no runs yet; python run.py -m experiment={name} makes them")
    runs = load_runs(name, results_dir, source)
    folder = (into or results_dir) / name
    write_runs(folder / "runs.csv", runs, planned_from(plan))
    advise(outdated(plan))
    prepared = experiment.prepare(runs.assign(architecture=architectures(runs)))
    shown = selected(prepared, experiment.profiles_of)
    results = Results(
        prepared,
        partial(load_profiles, shown, name, results_dir, source),
        partial(load_history, runs, name, results_dir, source),
        partial(load_decoding, shown, name, results_dir, source),
    )
    check_metrics(experiment, results.runs)
    mixture = mixture_line(runs)
    advise(f"{name}: {mixture}" if mixture else None)
    state = " ".join(filter(None, (state_line(runs), mixture, chance_line(runs))))

    views = tuple(make(table, results) for table in experiment.tables)
    for view in views:
        _write_view(folder, name, view, state)
    pictures = {figure.name: figure.draw(results, folder / figure.name) for figure in experiment.figures}
    captions = {figure.name: explained(figure.caption, pictures[figure.name]) for figure in experiment.figures}
    built = Built(name, experiment, results, views, pictures, captions, judged(experiment, results), state, folder)
    for table in LONG:
        if results.asked(table):
            write_long(folder / f"{table}.csv", getattr(results, table))
    write_text(folder / "summary.json", json.dumps(summary(built), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "README.md", page(built))
    return built


def built_experiments(results_dir: Path) -> list[str]:
    """Return the names of all experiments that have runs.

    Raises:
        ConfigError: there are none.
    """
    names = sorted(path.parent.name for path in results_dir.glob("*/runs.csv"))
    if not names:
        where = results_dir.resolve()
        raise ConfigError(f"{where}: no results here; python run.py -m experiment=quickstart makes some")
    return names


def differences(there: Path, made: Path) -> list[str]:
    """Compare what stands there with what was made, byte for byte."""
    old, new = ({path.name for path in folder.iterdir()} if folder.is_dir() else set() for folder in (there, made))
    changed = [name for name in old & new if not filecmp.cmp(there / name, made / name, shallow=False)]
    lines = [f"{there / name}: not what the records give" for name in changed]
    lines += [f"{there / name}: absent" for name in new - old]
    lines += [f"{there / name}: nothing makes it any more, delete it" for name in old - new]
    return sorted(lines)


def judged(experiment: Experiment, results: Results) -> Verdict | None:
    """Apply the rule; a sweep that is not complete is undecided, whatever it shows so far."""
    if experiment.judge is None:
        return None
    pending = int(results.runs["status"].isin(PENDING).sum())
    if pending:
        return Verdict(
            "undecided",
            None,
            f"{pending} of {len(results.runs)} planned runs are still to be done; the rule is for all of them.",
        )
    return experiment.judge(results)


def check_metrics(experiment: Experiment, runs: pd.DataFrame) -> None:
    """See that tables show what is there; as long as runs are to come, so may metrics.

    Raises:
        ConfigError: naming the metric and those that exist.
    """
    complete = (runs["status"] == "finished").any() and not runs["status"].isin(PENDING).any()
    for table in experiment.tables:
        if complete and not isinstance(table, Computed):
            for measure in table.measures:
                has(runs, measure.metric)


def _write_view(folder: Path, name: str, view: View, state: str) -> None:
    table, text, marked = view.table, view.text, view.marked
    notes = " ".join(filter(None, (table.reading, view.notes, state)))
    numbers = view.numbers.drop(columns="run_ids", errors="ignore").round(6)
    write_text(folder / f"{table.name}.csv", csv(numbers))
    write_text(folder / f"{table.name}.md", f"{table.caption}\n\n{markdown(text, marked)}\n{notes}\n")
    write_text(folder / f"{table.name}.html", html(text, marked, f"{table.caption} {notes}"))
    label = f"tab:{name}-{table.name}"
    write_text(folder / f"{table.name}.tex", latex(text, marked, f"{table.caption} {notes}", label))


def page(built: Built) -> str:
    """Return the experiment's page, in Markdown."""
    experiment, verdict = built.experiment, built.verdict
    parts = [f"# {experiment.title}", experiment.question]
    if experiment.claim is not None and verdict is not None:
        claim = experiment.claim
        parts.append(f"**{claim.id}, §{claim.section} of the notes.** {claim.translation}\n\n> {claim.words}")
        if experiment.prediction is not None:
            parts.append(f"*Expected before the runs:* {experiment.prediction.text} ({experiment.prediction.source})")
        parts.append(f"*Rule, fixed before the runs unless said otherwise below:* {experiment.rule}")
        parts.append(f"**{verdict.words}.** {verdict.sentence}")
        parts += [_bullets(verdict), built.beyond]
    parts.append(f"**{built.state}** {experiment.caveat}")
    for view in built.views:
        text = markdown(view.text, view.marked).rstrip()
        parts += [f"## {_heading(view.table.name)}", view.table.caption, text, view.table.reading, view.notes]
    for figure in experiment.figures:
        heading = _heading(figure.name)
        parts += [f"## {heading}", f"![{heading}]({figure.name}.png)", built.captions[figure.name]]
    made_of = ["runs", *(table for table in LONG if built.results.asked(table))]
    files = " and ".join(f"[{table}.csv]({table}.csv)" for table in made_of)
    parts.append(
        f"The sweep is `python run.py -m experiment={built.name}`; this page is made of {files} by "
        f"`gradreach tables {built.name}`."
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def _bullets(verdict: Verdict, indent: str = "") -> str:
    """Return the parts of a verdict, and what each rests on, as a list."""
    lines = []
    for part in verdict.parts:
        lines.append(f"{indent}- {part.state}: {part.sentence}")
        deeper = _bullets(part, f"{indent}  ")
        lines += [deeper] if deeper else []
    return "\n".join(lines)


def _heading(name: str) -> str:
    return name.replace("_", " ").capitalize()
