"""What should come out: lines that anyone can type, and what they reach on the test split.

``python docs/sanity.py [setting=value ...]`` does the runs that are not done yet (about a quarter of an hour on a free
core) and writes the table in ``docs/tasks.md``. Settings such as ``data_dir=...`` are passed on.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from gradreach.config import parse
from gradreach.describe import compose
from gradreach.records import RecordStore

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "docs" / "tasks.md"
BEGIN, END = "<!-- begin: written by docs/sanity.py -->", "<!-- end -->"
QUIET = ("diagnostics=off", "tracking=off")


class Line(NamedTuple):
    """What to type after ``python run.py``, and what it must reach: an accuracy, or an error that is lower."""

    overrides: str
    must_reach: float


SERIES = "task.file=ucr_uea/JapaneseVowels_TRAIN.ts.xz task.test_file=ucr_uea/JapaneseVowels_TEST.ts.xz"
REVIEWS = "task.file=zh_waimai10k/waimai_10k.csv.xz task.text_column=review task.tokens=characters"
SHORT = {
    "vowels": Line(f"task=ts_file {SERIES} model=gru", 0.93),
    "mnist1d": Line("task=mnist1d seq_len=40 model=cnn kernel_size=5", 0.91),
    "digits": Line("task=digits model=cnn kernel_size=5", 0.93),
}
"""Those that take less than half a minute on a free core."""
LONG = {
    "sst": Line("task=sst task.phrases=true model=bag optimizer=adam_slow trainer.epochs=4", 0.79),
    "mnist1d_gru": Line(
        "task=mnist1d seq_len=40 model=gru model.bidirectional=true model.readout=flatten "
        "trainer.epochs=40 optimizer.schedule=cosine",
        0.88,
    ),
    "imdb": Line("task=imdb seq_len=400 model=bag trainer.epochs=8", 0.84),
    "waimai": Line(f"task=text_file {REVIEWS} model=kim_cnn trainer.epochs=8", 0.85),
    "copy": Line("task=copy seq_len=70 model=tcn model.layers=5 model.readout=each_step trainer.epochs=4", 0.99),
    "adding": Line("task=adding seq_len=100 model=gru", 0.01),
    "recall": Line("task=recall seq_len=100 model=gru", 0.99),
    "trec": Line("task=trec model=kim_cnn", 0.89),
}


def run(line: Line, settings: list[str]) -> None:
    """Do a run where it is not done."""
    command = [sys.executable, "run.py", *line.overrides.split(), *QUIET, *settings]
    subprocess.run(command, cwd=PROJECT, check=True)


def record_of(line: Line, settings: list[str]) -> dict[str, Any] | None:
    """Return what is recorded of a line; None: nothing."""
    config, workplace = parse(compose([*line.overrides.split(), *QUIET, *settings], PROJECT / "conf"))
    return RecordStore(workplace.results_dir / "runs").settled(config.run_id)


def reached(record: dict[str, Any]) -> float:
    """Return the test accuracy, or error."""
    return record["metrics"][f"test/{record['metric']}"]


def good_enough(line: Line, record: dict[str, Any]) -> bool:
    """Return whether a record reaches what its line must."""
    figure = reached(record)
    return figure <= line.must_reach if record["metric"] == "mse" else figure >= line.must_reach


def table(settings: list[str]) -> str:
    """Return the table of all lines that are done."""
    rows = ["| after `python run.py` | test | must reach | chance | epoch | parameters |", "|---|---|---|---|---|---|"]
    for line in (SHORT | LONG).values():
        if (record := record_of(line, settings)) is None:
            continue
        mse = record["metric"] == "mse"
        show = (lambda value: f"mse {value:.2g}") if mse else (lambda value: f"{value:.1%}")
        rows.append(
            f"| `{line.overrides}` | {show(reached(record))} | {show(line.must_reach)} | {show(record['chance'])} | "
            f"{record['best_epoch']} of {record['config']['trainer']['epochs']} | {record['parameters']:,} |"
        )
    return "\n".join(rows)


def main(settings: list[str]) -> None:
    """Do what is missing, and write the table."""
    for line in (SHORT | LONG).values():
        run(line, settings)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{table(settings)}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(sys.argv[1:])
