"""W&B's server: whether it answers, and takes the key, before a run depends on it."""

import io
import os
import ssl
import urllib.error
import urllib.request
from contextlib import redirect_stderr
from functools import cache
from typing import Literal

from gradreach.config import TrackingSettings
from gradreach.errors import ConfigError, advise

ANSWER_SECONDS = 5.0


def mode_now(tracking: TrackingSettings) -> Literal["offline", "online"]:
    """Return how W&B can be told now: ``online`` falls back to ``offline`` where the server does not answer.

    The key is shown once a process.

    Raises:
        ConfigError: the server answers, but there is no key, or it does not take it.
    """
    if tracking.mode != "online":
        return "offline"
    url = use_server(tracking.base_url)
    silent = unreachable(url)
    if silent is not None:
        advise(f"{url} does not answer ({silent}): tracked offline; 'gradreach sync' sends it later")
        return "offline"
    check_key(url, "tracking=online")
    return "online"


def use_server(base_url: str | None) -> str:
    """Point all of wandb in this process at a server, None at the one that its own settings name; return which."""
    if base_url is not None:
        os.environ["WANDB_BASE_URL"] = base_url
    if "WANDB_BASE_URL" in os.environ:
        return os.environ["WANDB_BASE_URL"].rstrip("/")
    import wandb

    return str(wandb.setup().settings.base_url).rstrip("/")


def unreachable(url: str) -> str | None:
    """Return why a server does not answer, None where it does, whatever it answers."""
    try:
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError:
        return None
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)
    except OSError as error:
        return str(error)
    return None


@cache
def check_key(url: str, asked_by: str) -> None:
    """Let wandb find its key and show it to the server; we never see it, and nobody is prompted for one.

    Raises:
        ConfigError: there is none, or the server does not take it.
    """
    import wandb

    remedy = "'wandb login' or WANDB_API_KEY sets it; tracking=offline needs none"
    try:
        with redirect_stderr(io.StringIO()):
            known = wandb.login(verify=True, prompt=False)
    except wandb.errors.AuthenticationError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"{asked_by}: W&B's key is refused ({reason}); {remedy}") from None
    if not known:
        raise ConfigError(f"{asked_by}: there is no key for {url}; {remedy}")
