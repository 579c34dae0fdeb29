"""Rebuild all that stands under ``results/<experiment>/`` from records, without training."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure as Picture

from gradreach.analysis.experiment import Experiment, load_experiment
from gradreach.analysis.frame import load_runs, run_table, write_csv
from gradreach.analysis.long import load_history, load_profiles, write_long
from gradreach.analysis.results import Results
from gradreach.analysis.tables import chance_line, latex, markdown, summarize, wide
from gradreach.errors import ConfigError
from gradreach.files import write_text


@dataclass(frozen=True)
class Built:
    """What was rebuilt.

    - ``tables``: what people read, by caption.
    - ``summaries``: the same tables in long form, by name.
    - ``pictures``: what was drawn, by name.
    - ``state``: how much of the sweep there is, and the chance level.
    - ``folder``: where it stands.
    """

    experiment: Experiment
    results: Results
    tables: dict[str, pd.DataFrame]
    summaries: dict[str, pd.DataFrame]
    pictures: dict[str, Picture]
    state: str
    folder: Path

    @property
    def name(self) -> str:
        """What the experiment is called on the command line."""
        return self.folder.name


def build(name: str, results_dir: Path, experiments_dir: Path = Path("experiments")) -> Built:
    """Write run table, profiles, tables, figures and the page of one experiment.

    Raises:
        ConfigError: there is no such experiment, or none of its runs was ever planned.
    """
    experiment = load_experiment(name, experiments_dir)
    if not run_table(results_dir, name).exists():
        raise ConfigError(f"{name}: no runs yet; python run.py -m experiment={name} makes them")
    runs = load_runs(name, results_dir)
    write_csv(run_table(results_dir, name), runs)
    read_profiles = partial(load_profiles, runs, name, results_dir)
    runs = experiment.prepare(runs.assign(architecture=architectures(runs)))
    results = Results(runs, read_profiles, partial(load_history, runs, name, results_dir))

    folder = results_dir / name
    state = f"{state_line(runs)} {chance_line(runs)}"
    page = [f"# {experiment.title}", experiment.question, f"**{state}** {experiment.caveat}"]
    tables, summaries, pictures = {}, {}, {}
    for table in experiment.tables:
        summaries[table.name] = summary = summarize(runs, table)
        tables[table.caption] = readable = wide(summary, table)
        notes = f"{table.reading} {state}"
        write_csv(folder / f"{table.name}.csv", summary.round(6))
        write_text(folder / f"{table.name}.md", f"{table.caption}\n\n{markdown(readable)}\n{notes}\n")
        write_text(
            folder / f"{table.name}.tex",
            latex(readable, f"{table.caption} {notes}", f"tab:{name}-{table.name}"),
        )
        page += [f"## {_heading(table.name)}", table.caption, markdown(readable).rstrip(), table.reading]
    for figure in experiment.figures:
        pictures[figure.name] = figure.draw(results, folder / figure.name)
        page += [
            f"## {_heading(figure.name)}",
            f"![{_heading(figure.name)}]({figure.name}.png)",
            figure.caption,
        ]
    write_long(folder / "profiles.csv", results.profiles)
    page.append(
        f"The sweep is `python run.py -m experiment={name}`; this page is made of [runs.csv](runs.csv) and "
        f"[profiles.csv](profiles.csv) by `gradreach tables {name}`."
    )
    write_text(folder / "README.md", "\n\n".join(page) + "\n")
    return Built(experiment, results, tables, summaries, pictures, state, folder)


def _heading(name: str) -> str:
    return name.replace("_", " ").capitalize()


def architectures(runs: pd.DataFrame) -> pd.Series:
    """Name what differs between models: ``cnn k=3``, ``lstm``."""
    return runs["model"] + [
        "" if pd.isna(kernel_size) else f" k={int(kernel_size)}" for kernel_size in runs["kernel_size"]
    ]


def state_line(runs: pd.DataFrame) -> str:
    """Say how many of the planned runs are there."""
    states = runs["status"].value_counts()
    finished = int(states.get("finished", 0))
    others = ", ".join(f"{count} {state}" for state, count in sorted(states.items()) if state != "finished")
    line = f"{finished} of {len(runs)} planned runs finished"
    return f"{line}; {others}: not complete." if others else f"{line}."
