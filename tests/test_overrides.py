"""Whatever a command line says, it is accepted or refused in one line, in two seconds and one gibibyte."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

Found = dict[str, Any]


def checked(folder: Path, seed: int, count: int, choices: int) -> list[Found]:
    """Check drawn lines in a process of their own, where nothing but two folders is; return what became of each."""
    (folder / "data").mkdir()
    script = str(Path(__file__).with_name("override_lines.py"))
    command = [sys.executable, script, *map(str, (seed, count, choices))]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3000, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == count, f"after {found[-1:]}: {done.stderr[-2000:]}"
    return found


def named(word: str) -> set[str]:
    """Return what a refusal of an override may name: its setting or the parts of it, or its value."""
    key, _, value = word.lstrip("~+").partition("=")
    return {*re.split("[@./]", key.strip()), value.strip("'\" ")} - {""}


def fault(case: Found) -> str | None:
    """Say what is wrong with what became of a line; None: nothing."""
    if "raised" in case:
        return "raised"
    if case["seconds"] > 2:
        return "slow"
    if "run_id" in case:
        return None
    if "\n" in case["refused"] or len(case["refused"]) > 5000:
        return "not one line"
    names = [named(word) for word in case["line"]]
    unnamed = all(names) and not any(name in case["refused"] for name in set().union(*names))
    return "names no setting" if unnamed or not case["allowed"] else None


def check(found: list[Found]) -> None:
    assert [(wrong, case) for case in found if (wrong := fault(case))] == []
    effects, ids = defaultdict(set), defaultdict(set)
    for case in found:
        if "run_id" in case:
            effects[case["run_id"]].add(case["effect"])
            ids[case["effect"]].add(case["run_id"])
    assert {run_id: several for run_id, several in effects.items() if len(several) > 1} == {}
    assert {effect: several for effect, several in ids.items() if len(several) > 1} == {}
    accepted = sum("run_id" in case for case in found)
    assert 0.15 < accepted / len(found) < 0.85
    assert accepted / len(ids) > 1.1  # many lines have one effect


def test_drawn_lines_are_accepted_or_refused_in_one_line(tmp_path: Path) -> None:
    check(checked(tmp_path, 0, 160, 16))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_three_thousand_drawn_lines_are_accepted_or_refused_in_one_line(seed: int, tmp_path: Path) -> None:
    check(checked(tmp_path, seed, 1000, 200))
