"""Whatever a command line says, it is accepted or refused in one line, in two seconds and one gibibyte."""

import json
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
    """Return the words of which a refusal of an override must have one: its setting's last part, or its value."""
    key, _, value = word.lstrip("~+").partition("=")
    return {key.partition("@")[0].rpartition(".")[2].rpartition("/")[2].strip(), value.strip("'\" ")} - {""}


def check(found: list[Found]) -> None:
    effects, ids = defaultdict(set), defaultdict(set)
    for case in found:
        assert "raised" not in case, case
        assert case["seconds"] <= 2, case
        if "refused" in case:
            assert "\n" not in case["refused"], case
            assert len(case["refused"]) < 5000, case
            assert case["allowed"], case
            wanted = set().union(*map(named, case["line"]))
            assert not wanted or any(word in case["refused"] for word in wanted), case
        else:
            effects[case["run_id"]].add(case["effect"])
            ids[case["effect"]].add(case["run_id"])
    assert {run_id for run_id, several in effects.items() if len(several) > 1} == set()
    assert {effect for effect, several in ids.items() if len(several) > 1} == set()
    accepted = sum("run_id" in case for case in found)
    assert 0.15 < accepted / len(found) < 0.85
    assert 1.1 < accepted / len(ids)  # many lines have one effect


def test_drawn_lines_are_accepted_or_refused_in_one_line(tmp_path: Path) -> None:
    check(checked(tmp_path, 0, 300, 20))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_three_thousand_drawn_lines_are_accepted_or_refused_in_one_line(seed: int, tmp_path: Path) -> None:
    check(checked(tmp_path, seed, 1000, 200))
