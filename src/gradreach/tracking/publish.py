"""``gradreach dashboard``: to the server, or as JSON to a file."""

import io
import json
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

from gradreach.errors import ConfigError, first_line
from gradreach.system.files import write_text
from gradreach.tracking.server import Unreachable, check_server, use_server


def publish(
    experiment: str, results_dir: Path, project: str, entity: str | None, base_url: str | None, dry_run: bool
) -> None:
    """Create or renew the dashboard of an experiment, and say where it is.

    Raises:
        ConfigError: there is nothing to show, or the server does not answer or refuses.
    """
    url = use_server(base_url)  # before the library looks for one
    from gradreach.tracking.dashboard import Dashboard

    if dry_run:
        specification = Dashboard.of(experiment, results_dir, entity or "", project).specification()
        path = results_dir / "wandb" / f"dashboard-{experiment}.json"
        write_text(path, json.dumps(specification, indent=1, ensure_ascii=False) + "\n")
        print(f"{path}: view and report, as they would be sent")
        return
    try:
        check_server(url, "gradreach dashboard")
    except Unreachable as error:
        raise replace(error, hint="use --dry-run, which needs no server") from None
    import wandb

    try:
        with redirect_stderr(io.StringIO()):
            entity = entity or wandb.Api().default_entity or ""
            pages = Dashboard.of(experiment, results_dir, entity, project).save()
    except ConfigError:
        raise
    except Exception as error:  # the libraries have no common one for what a server does not know, takes or answers
        refused = f"rejects the dashboard ({first_line(error)})"
        raise ConfigError(url, allowed=refused, hint="use --dry-run, which writes it as JSON") from error
    for name, page in zip(("view", "report"), pages, strict=True):
        print(f"{name:<7} {page}")
