"""What should come out: lines that anyone can type, and what they reach on the test split.

``python docs/sanity.py [setting=value ...]`` does the runs that are not done yet (about a quarter of an hour on a free
core) and writes the table in ``docs/tasks.md``; it ends with 1 where a line does not reach what it must. Only settings
of places may be given (``data_dir=...``): any other would change what the page tells.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from gradreach.compose import compose
from gradreach.config import RunConfig, RunEnvironment, parse
from gradreach.records import RecordStore
from gradreach.system.files import write_text
from gradreach.tasks.baseline import Baseline, linear_baseline

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "tasks.md"
BEGIN, END = "<!-- begin: written by docs/sanity.py -->", "<!-- end -->"
QUIET = ("diagnostics=off", "tracking=off")
HEADING = (
    "| after `python run.py` | validation | test | must reach | linear: validation, test | linear, whole texts "
    "| chance | epoch | parameters |",
    "|---|---|---|---|---|---|---|---|---|",
)
PLACES = ("data_dir", "results_dir", "force")


class Line(NamedTuple):
    """What to type after ``python run.py``, and what must come of it.

    - ``must_reach``: an accuracy, or the error that it must stay below.
    - ``whole``: the test accuracy of a linear model of whole texts, and of all that is published for training; it is
      given with the data. None: the line is not about texts.
    """

    overrides: str
    must_reach: float
    whole: float | None = None


SERIES = "task.file=ucr_uea/JapaneseVowels_TRAIN.ts.xz task.test_file=ucr_uea/JapaneseVowels_TEST.ts.xz"
REVIEWS = "task.file=zh_waimai10k/waimai_10k.csv.xz task.text_column=review task.tokens=characters"
SHORT = {
    "vowels": Line(
        f"task=ts_file {SERIES} model=gru model.bidirectional=true model.readout=mean trainer.batch_size=16", 0.93
    ),
    "mnist1d": Line("task=mnist1d seq_len=40 model=cnn kernel_size=5", 0.91),
    "digits": Line("task=digits model=cnn kernel_size=5", 0.93),
}
"""Those that take less than half a minute on a free core."""
LONG = {
    "sst": Line("task=sst task.phrases=true model=kim_cnn trainer.epochs=3", 0.79, whole=0.813),
    "sst_sentences": Line("task=sst model=kim_cnn", 0.79, whole=0.813),
    "mnist1d_gru": Line(
        "task=mnist1d seq_len=40 model=gru model.bidirectional=true model.readout=flatten "
        "trainer.epochs=40 optimizer.schedule=cosine",
        0.88,
    ),
    "imdb": Line(
        "task=imdb seq_len=400 task.keep=both model=fasttext optimizer.lr=0.003 trainer.epochs=8", 0.89, whole=0.907
    ),
    "waimai": Line(
        f"task=text_file {REVIEWS} seq_len=160 model=fasttext optimizer.lr=0.003 "
        "optimizer.schedule=cosine trainer.epochs=15",
        0.89,
        whole=0.902,
    ),
    "copy": Line("task=copy seq_len=70 model=tcn model.layers=5 model.readout=each_step trainer.epochs=4", 0.99),
    "adding": Line("task=adding seq_len=100 model=gru", 0.01),
    "recall": Line("task=recall seq_len=100 model=gru", 0.99),
    "trec": Line("task=trec model=kim_cnn", 0.89, whole=0.898),
}


def run(line: Line, settings: list[str]) -> None:
    """Do a run where it is not done; one that fails is missing from the records, and the others go on."""
    command = [sys.executable, "run.py", *line.overrides.split(), *QUIET, *settings]
    subprocess.run(command, cwd=PROJECT, check=False)


def configured(line: Line, settings: list[str]) -> tuple[RunConfig, RunEnvironment]:
    """Return what a line stands for."""
    return parse(compose([*line.overrides.split(), *QUIET, *settings], PROJECT / "conf"))


def record_of(line: Line, settings: list[str]) -> dict[str, Any] | None:
    """Return what is recorded of a finished run of a line; None: there is none."""
    config, environment = configured(line, settings)
    record = RecordStore(environment.results_dir / "runs").settled(config.run_id)
    return record if record is not None and record["status"] == "finished" else None


def reached(record: dict[str, Any]) -> float:
    """Return the test accuracy, or error."""
    return record["metrics"][f"test/{record['metric']}"]


def good_enough(line: Line, record: dict[str, Any] | None) -> bool:
    """Return whether a record reaches what its line must: an accuracy at least, an error less than it."""
    if record is None:
        return False
    figure = reached(record)
    return figure < line.must_reach if record["metric"] == "mse" else figure >= line.must_reach


def linear_of(line: Line, settings: list[str]) -> Baseline | None:
    """Return what a linear model reaches on what a line's network is given; None: it is answered at every step."""
    config, environment = configured(line, settings)
    task = config.task.make()
    return linear_baseline(task, task.splits(environment.data_dir))


def row(line: Line, record: dict[str, Any] | None, linear: Baseline | None = None) -> str:
    """Return a row of the table; what is missed is marked, and so is a linear model that does better on the test."""
    if record is None:
        return f"| `{line.overrides}` | **no finished run** | | | | | | | |"
    mse, figure = record["metric"] == "mse", reached(record)
    show = (lambda value: f"mse {value:.2g}") if mse else (lambda value: f"{value:.1%}")

    def shown(split: str, value: float) -> str:
        error = 0 if mse else 100 * (value * (1 - value) / record["examples"][split]) ** 0.5
        return show(value) + (f" ± {error:.1f}" if error else "")

    def beside(value: float) -> str:
        return show(value) + (", **better**" if (value < figure if mse else value > figure) else "")

    cells = [
        f"`{line.overrides}`",
        shown("validation", record["metrics"][f"val/{record['metric']}"]),
        shown("test", figure),
        ("less than " if mse else "") + show(line.must_reach) + ("" if good_enough(line, record) else ", **missed**"),
        f"{show(linear.validation)}, {beside(linear.test)}" if linear else "",
        "" if line.whole is None else beside(line.whole),
        show(record["chance"]),
        f"{record['best_epoch']} of {record['config']['trainer']['epochs']}",
        f"{record['parameters']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def main(settings: list[str]) -> int:
    """Do what is missing, and write the table; return the exit code: 1 where a line does not reach what it must."""
    for setting in settings:
        if setting.partition("=")[0] not in PLACES:
            return _refuse(f"{setting}: the page's figures are those of its lines; only {', '.join(PLACES)} may be set")
    os.chdir(PROJECT)  # where the runs look for data and put their records
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return _refuse(f"{PAGE}: the lines '{BEGIN}' and '{END}' must stand around the table; put them back")
    lines = (SHORT | LONG).values()
    for line in lines:
        run(line, settings)
    records = [record_of(line, settings) for line in lines]
    linear = [linear_of(line, settings) if record else None for line, record in zip(lines, records, strict=True)]
    rows = [*HEADING, *map(row, lines, records, linear)]
    write_text(PAGE, f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{after}")
    missed = len(records) - sum(map(good_enough, lines, records))
    return _refuse(f"{missed} of the lines do not reach what they must: see {PAGE}", code=1) if missed else 0


def _refuse(message: str, code: int = 2) -> int:
    print(f"sanity: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
