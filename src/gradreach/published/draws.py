"""``results/published/<name>/draws.csv``: results of computations, one row per number; each draw is saved at once."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import filelock
import pandas as pd

from gradreach.config.published import Computation
from gradreach.errors import ConfigError
from gradreach.published.papers import FIRST_SEED, Redone
from gradreach.run_table.columns import read_csv
from gradreach.run_table.seal import check_seal, sealed
from gradreach.system.files import write_text
from gradreach.system.provenance import code_digest

COLUMNS = ("part", "seed", "quantity", "value", "seconds", "computation", "code")
RESTORE = "restore it, or delete it and compute it again"


def draws_file(results_dir: Path, name: str) -> Path:
    """Return the path of a paper's draws."""
    return results_dir / "published" / name / "draws.csv"


def identity(computation: Computation) -> str:
    """Return the identity of a computation: 16 hexadecimal digits from its function and arguments."""
    said = json.dumps([computation.function, computation.arguments], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def seeds_of(computation: Computation) -> range:
    """Return the seeds of its draws."""
    return range(FIRST_SEED, FIRST_SEED + computation.draws)


def read_draws(path: Path) -> pd.DataFrame:
    """Read draws; none where there is no file.

    Raises:
        ConfigError: it was changed by hand, or is not such a table.
    """
    if not path.is_file():
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS})
    check_seal(path, path.read_bytes(), RESTORE)
    frame = read_csv(path, dtype={"computation": str, "code": str}).drop(columns="checksum")
    if tuple(frame) != COLUMNS:
        raise ConfigError(path, allowed="lacks columns of a table of draws", hint=RESTORE)
    return frame


def draws_of(redone: Redone, frame: pd.DataFrame, part: str) -> pd.DataFrame:
    """Return the draws of a part as it is defined today: one row a seed, one column a quantity."""
    computation = redone.paper.compute[part]
    own = frame[(frame["part"] == part) & (frame["computation"] == identity(computation))]
    own = own[own["seed"].isin(seeds_of(computation))]
    return own.pivot_table(index="seed", columns="quantity", values="value", dropna=False)


def draw(
    redone: Redone, parts: Sequence[str], results_dir: Path, *, force: bool = False, tell: Callable[[str], None]
) -> int:
    """Compute missing draws; each is saved before the next begins. The draws of one part are all by the same code.

    Args:
        redone: the paper.
        parts: of its computations.
        results_dir: where results are.
        force: repeat existing draws.
        tell: called with one line per draw.

    Returns:
        The number of new draws.

    Raises:
        ConfigError: another process is computing draws of the same paper.
    """
    if not parts:
        return 0
    path = draws_file(results_dir, redone.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.parent / ".draws.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ConfigError(
            redone.name, allowed="another process is computing its draws", hint="wait until it ends"
        ) from None
    try:
        return sum(_draw(redone, part, path, force, tell) for part in parts)
    finally:
        lock.release()


def _draw(redone: Redone, part: str, path: Path, force: bool, tell: Callable[[str], None]) -> int:
    from gradreach.published.computations import FUNCTIONS

    computation = redone.paper.compute[part]
    there = set() if force else _there(redone, read_draws(path), part)
    left = [seed for seed in seeds_of(computation) if seed not in there]
    _drop(path, part, left)
    for seed in left:
        begun = time.perf_counter()
        values = FUNCTIONS[computation.function](seed, **computation.arguments)
        seconds = round(time.perf_counter() - begun, 3)
        _keep(path, part, seed, values, seconds, identity(computation))
        tell(f"{redone.name} {part}, seed {seed}: {seconds:.1f} s")
    return len(left)


def _there(redone: Redone, frame: pd.DataFrame, part: str) -> set[int]:
    """Return the seeds that need no draw: all, if all are there; or else those by the code of today."""
    there = draws_of(redone, frame, part)
    if len(there) < redone.paper.compute[part].draws:
        there = draws_of(redone, frame[frame["code"] == code_digest()], part)
    return set(there.index)


def _drop(path: Path, part: str, seeds: Sequence[int]) -> None:
    """Remove draws that are about to be drawn anew, so that a part never mixes those of two codes."""
    frame = read_draws(path)
    stale = (frame["part"] == part) & frame["seed"].isin(seeds)
    if stale.all():
        path.unlink(missing_ok=True)
    elif stale.any():
        write_text(path, sealed(frame[~stale].reset_index(drop=True)))


def _keep(path: Path, part: str, seed: int, values: dict[str, float], seconds: float, computation: str) -> None:
    there = read_draws(path)
    told = {"seconds": seconds, "computation": computation, "code": code_digest()}
    new = pd.DataFrame([{"part": part, "seed": seed, "quantity": q, "value": v, **told} for q, v in values.items()])
    rows = (pd.concat([there, new]) if len(there) else new)[[*COLUMNS]]
    write_text(path, sealed(rows.sort_values(["part", "seed", "quantity"], ignore_index=True)))
