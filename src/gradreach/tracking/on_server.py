"""Which of our runs a server has: asked, not assumed."""

import re
import time
from collections.abc import Collection, Mapping
from typing import Any

from gradreach.errors import ConfigError, first_line

PLACE = re.compile(r"View run .* at \S+/([^/\s]+/[^/\s]+)/runs/(\S+)$", re.MULTILINE)
"""What ``wandb sync`` says of each run: entity and project, and its id."""
PATIENCE_SECONDS = 10.0
"""How long a server may take to count what it has taken."""


def missing_lines(said: str, wanted: Mapping[str, int]) -> dict[str, int]:
    """Return of which runs a server lacks lines of history that were sent, and how many it has.

    Args:
        said: what ``wandb sync`` said; a run of which it leaves out where it went is believed to be there.
        wanted: by W&B's id, how many lines it should have.

    Raises:
        ConfigError: the server cannot be asked.
    """
    places = {wandb_id: place for place, wandb_id in PLACE.findall(said)}
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        there = {
            run.id: run.history_line_count or 0
            for place in sorted(set(places.values()))
            for run in runs_there(place, among("name", wanted))
        }
        known = wanted.keys() & (places.keys() | there.keys())
        lacking = {one: there.get(one, 0) for one in known if there.get(one, -1) < wanted[one]}
        if not lacking or time.monotonic() > until:
            return lacking
        time.sleep(1)


def known_there(place: str, run_ids: Collection[str]) -> dict[str, tuple[str, int]]:
    """Return which of our runs a server has, by our id: W&B's id, and how many lines of history.

    Args:
        place: entity and project: ``team/gradreach``.
        run_ids: ours; below an agent of a W&B sweep W&B's id is another.

    Raises:
        ConfigError: the server cannot be asked.
    """
    found = {run.id: (run.id, run.history_line_count or 0) for run in runs_there(place, among("name", run_ids))}
    others = among("config.run_id.value", set(run_ids) - set(found))
    for run in runs_there(place, others, lazy=False):
        found.setdefault(str(run.config.get("run_id")), (run.id, run.history_line_count or 0))
    return found


def among(key: str, values: Collection[str]) -> dict[str, Any]:
    """Return W&B's filter for runs of which something is one of these."""
    return {key: {"$in": sorted(values)}}


def runs_there(place: str, filters: Mapping[str, Any], lazy: bool = True) -> list[Any]:
    """Return the runs of a project on the server; none where there is no such project.

    Raises:
        ConfigError: the server cannot be asked.
    """
    import wandb

    try:
        return list(wandb.Api().runs(place, filters=dict(filters), lazy=lazy))
    except ValueError:  # it is not there: what is sent first makes it
        return []
    except Exception as error:
        raise ConfigError(place, allowed=f"the server's runs cannot be listed ({first_line(error)})") from None


def own_place(project: str, entity: str | None) -> str:
    """Return entity and project; of no entity the account's own.

    Raises:
        ConfigError: the server does not name one.
    """
    import wandb

    try:
        return f"{entity or wandb.Api().default_entity}/{project}"
    except Exception as error:
        raise ConfigError(
            "entity", allowed=f"the server does not name your default entity ({first_line(error)})", hint="--entity"
        ) from None
