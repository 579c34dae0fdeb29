"""Rebuild everything under ``results/<experiment>/`` from records, without training."""

import json
from functools import partial
from pathlib import Path

import pandas as pd

from gradreach.analysis.figures.captions import explained
from gradreach.analysis.pages.built import HERO, Built
from gradreach.analysis.pages.coverage import chance_line, mixture_line, state_line
from gradreach.analysis.pages.page import page
from gradreach.analysis.pages.summary import ENDINGS, summary
from gradreach.analysis.results import LONG, PENDING, Results, has
from gradreach.analysis.study.budget import budget, one_draw
from gradreach.analysis.study.declaration import Study
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.study.looks import planned_seeds
from gradreach.analysis.study.page_tables import TableOf
from gradreach.analysis.study.rule import rule_words, stored_rule
from gradreach.analysis.study.study_files import load_study
from gradreach.analysis.tables.formats import html, latex, markdown, without_tags
from gradreach.analysis.tables.layout import View
from gradreach.drawing import save_svgs
from gradreach.errors import ConfigError, advise
from gradreach.records import RecordStore
from gradreach.run_table.columns import csv
from gradreach.run_table.committed import (
    RESTORE,
    RUNS,
    is_published,
    is_quick,
    outdated,
    run_table,
    run_tables,
    stored_cells,
    stored_plan,
    sweep_name,
    write_runs,
)
from gradreach.run_table.compressed import read_table
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_decoding, load_examples, load_history, write_long
from gradreach.run_table.profiles import load_curves, load_profiles, write_profiles
from gradreach.run_table.sources import Source
from gradreach.run_table.times import read_times, times_table, write_times
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
    plan = run_table(results_dir, name)
    if is_published(plan):
        hint = f"gradreach reproduce {name} builds its page"
        raise ConfigError(results_dir, allowed="holds published numbers, not studies", hint=hint)
    if not plan.exists() or Path(name).name != name:
        load_study(name, experiments_dir)
        hint = f"make some with python run.py -m experiment={name}"
        raise ConfigError(name, allowed="no runs yet", hint=hint)
    everything = load_runs(name, results_dir, source)
    study = load_study(name, experiments_dir, everything)
    folder = (into or results_dir) / name
    write_runs(folder / RUNS, everything, stored_cells(plan))
    plan = run_table(results_dir, name)  # the size decides whether it is compressed
    advise(outdated(plan))
    stored = stored_plan(plan)
    seeds = planned_seeds(everything["seed"], stored)
    runs = everything[everything["seed"].isin(seeds)] if seeds else everything
    prepared = study.prepare(runs)
    shown = study.committed(prepared)
    results = Results(
        prepared,
        partial(load_profiles, shown, name, results_dir, source),
        partial(load_history, runs, name, results_dir, source),
        partial(load_decoding, shown, name, results_dir, source),
        partial(load_examples, study.by_example(prepared), name, results_dir, source),
        study.columns,
        lambda quantity: load_curves(quantity, shown, name, results_dir, source),
        times=read_times(times_table(results_dir, name)),
        name=sweep_name(plan),
    )
    if into is not None and len(results.times):
        write_times(times_table(into, name), results.times)
    check_metrics(study, prepared)
    mixture = mixture_line(runs)
    advise(f"{name}: {mixture}" if mixture else None)
    state = " ".join(filter(None, (state_line(runs), mixture, chance_line(runs))))

    views = study.views(results)
    for view in views:
        _write_view(folder, name, view, state)
    chosen, figures = study.of_chosen(results), study.figures(results)
    pictures = {figure.name: figure.draw(chosen, folder / figure.name) for figure in figures}
    if HERO in pictures:
        save_svgs(pictures[HERO], folder / HERO)
    captions = {figure.name: explained(figure.caption, pictures[figure.name]) for figure in figures}
    looks = looks_at(study, results, seeds)
    verdict, caveats = judged(study, results, looks), caveats_of(study, runs, plan)
    rule = (
        f"{rule_words(looks, bool(verdict.asides))} {stored_rule(study, stored, seeds_of(everything))}"
        if verdict
        else ""
    )
    built = Built(name, study, results, views, pictures, captions, verdict, state, caveats, rule, folder)
    checksums = {}
    for table in LONG:
        path = folder / f"{table}.csv"
        if results.asked(table) and table == "profiles":
            checksums[path.name] = write_profiles(path, shown, name, results_dir, source)
        elif results.asked(table):
            checksums[path.name] = write_long(path, getattr(results, table))
    told = summary(built, checksums)
    if into is None:
        _remove_former(folder, set(told["files"]))
    write_text(folder / "summary.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "README.md", page(built))
    return built


def _remove_former(folder: Path, made: set[str]) -> None:
    """Remove tables and figures of an earlier build that the study no longer shows."""
    try:
        former = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):  # of none, or of one that cannot be read, nothing is known
        return
    for name in set(former) - made:
        if Path(name).name == name and Path(name).suffix in ENDINGS:
            (folder / name).unlink(missing_ok=True)


def caveats_of(study: Study, runs: pd.DataFrame, plan: Path) -> tuple[str, ...]:
    """Return what a sceptical reader has to know; changes after runs are listed only for the full form."""
    changed = [f"Changed after runs had been seen: {each}" for each in study.changed] if not is_quick(plan) else []
    said = (budget(runs, study.choose), *study.caveats, *changed, one_draw(runs, bool(study.example_parts)))
    return tuple(each for each in said if each)


def seeds_of(runs: pd.DataFrame) -> list[int]:
    """Return the seeds of a sweep."""
    return sorted(int(seed) for seed in runs["seed"].dropna().unique())


def built_experiments(results_dir: Path) -> list[str]:
    """Return the names of all experiments that have runs.

    Raises:
        ConfigError: there are none.
    """
    names = [path.parent.name for path in run_tables(results_dir)]
    if not names:
        where = results_dir.resolve()
        if RecordStore(results_dir / "runs").run_ids():
            hint = f"show them with 'gradreach table --results-dir {results_dir}'"
            raise ConfigError(where, allowed="none of its runs belongs to an experiment", hint=hint)
        hint = "make some with python run.py -m experiment=quickstart"
        raise ConfigError(where, allowed="it has no results", hint=hint)
    return names


def differences(there: Path, made: Path) -> list[str]:
    """Compare the existing files with the new ones, byte for byte; of a compressed table its CSV."""
    old, new = ({path.name for path in folder.iterdir()} if folder.is_dir() else set() for folder in (there, made))
    changed = [name for name in old & new if read_table(there / name, RESTORE) != read_table(made / name, RESTORE)]
    lines = [f"{there / name}: differs from what the records give" for name in changed]
    lines += [f"{there / name}: missing" for name in new - old]
    lines += [f"{there / name}: no longer produced: delete it" for name in old - new]
    return sorted(lines)


def check_metrics(study: Study, runs: pd.DataFrame) -> None:
    """Check that tables show existing metrics; while runs are still to come, a metric may be missing.

    Raises:
        ConfigError: naming the metric and those that exist.
    """
    complete = (runs["status"] == "finished").any() and not runs["status"].isin(PENDING).any()
    for table in study.tables:
        if complete and isinstance(table, TableOf):
            for asked in table.asked:
                has(runs, asked.column)


def _write_view(folder: Path, name: str, view: View, state: str) -> None:
    table, text, marked = view.table, view.text, view.marked
    notes = " ".join(filter(None, (table.reading, view.notes, state)))
    numbers = view.numbers.drop(columns="run_ids", errors="ignore").round(6)
    write_text(folder / f"{table.name}.csv", csv(numbers))
    write_text(
        folder / f"{table.name}.md",
        f"{without_tags(table.caption)}\n\n{markdown(text, marked)}\n{without_tags(notes)}\n",
    )
    write_text(folder / f"{table.name}.html", html(text, marked, f"{table.caption} {notes}"))
    label = f"tab:{name}-{table.name}"
    write_text(folder / f"{table.name}.tex", latex(text, marked, f"{table.caption} {notes}", label))
