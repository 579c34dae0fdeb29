"""Whatever sizes a model is given, the check before a run accepts or refuses them, in two seconds and one gibibyte."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def checked(seed: int, count: int) -> list[dict]:
    """Check drawn settings in a process of their own; return what became of each."""
    script = str(Path(__file__).with_name("extremes.py"))
    command = [sys.executable, script, str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == count, f"after {found[-1:]}: {done.stderr[-2000:]}"
    return found


def check(found: list[dict]) -> None:
    for case in found:
        assert "raised" not in case, case
        assert case["seconds"] <= 2, case
        if "refused" in case:
            assert "\n" not in case["refused"], case
            assert any(name in case["refused"] for name in case) or "model: too large" in case["refused"], case
        else:
            assert case["parameters"] <= 10**9, case
    assert 0.1 < sum("refused" in case for case in found) / len(found) < 0.95


def test_extreme_sizes_are_accepted_or_refused_in_one_line():
    check(checked(0, 150))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 4))
def test_three_thousand_extreme_sizes_are_accepted_or_refused_in_one_line(seed):
    check(checked(seed, 1000))
