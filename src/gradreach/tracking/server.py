"""W&B's server: checks that it answers and accepts the API key before a run depends on it."""

import http.client
import io
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from contextlib import redirect_stderr
from functools import cache
from typing import Literal

from gradreach.config import TrackingSettings
from gradreach.config.tracking import ADDRESS, AN_ADDRESS
from gradreach.errors import ConfigError, advise, first_line
from gradreach.tracking.environment import check_environment, heed_environment

ANSWER_SECONDS = 5
"""How long a server may take to answer; ``WANDB_HTTP_TIMEOUT`` overrides it."""
QUESTION = json.dumps({"query": "query { viewer { id } }"}).encode()
"""What any W&B server answers, with or without a key."""
ABOUT_KEYS = (400, 401, 403)
"""Status codes of a healthy server that wants a key."""


class Unreachable(ConfigError):
    """The server (``setting``: its address) does not answer, or not as one of W&B's does."""


def mode_now(tracking: TrackingSettings) -> Literal["offline", "online"]:
    """Return how W&B can be told now: ``online`` falls back to ``offline`` where the server does not answer.

    The key is shown once a process.

    Raises:
        ConfigError: the server answers, but there is no key, or it does not take it; or the environment cannot be.
    """
    if tracking.mode != "off":
        check_environment(tracking)
        heed_environment(tracking.mode)
    if tracking.mode != "online":
        return "offline"
    try:
        check_server(use_server(tracking.base_url), "tracking=online")
    except Unreachable as error:
        advise(f"{error}: tracked offline; 'gradreach sync' sends it later")
        return "offline"
    return "online"


def use_server(base_url: str | None) -> str:
    """Point all of wandb in this process at a server, None at the one that its own settings name; return which.

    Raises:
        ConfigError: it is not an address.
    """
    if base_url is not None:
        if not re.match(ADDRESS, base_url):
            raise ConfigError("base_url", base_url, f"must be {AN_ADDRESS}")
        os.environ["WANDB_BASE_URL"] = base_url
    if "WANDB_BASE_URL" in os.environ:
        return os.environ["WANDB_BASE_URL"].rstrip("/")
    import wandb

    return str(wandb.setup().settings.base_url).rstrip("/")


def check_server(url: str, asked_by: str) -> None:
    """Make sure that a server answers and takes the key.

    Raises:
        Unreachable: it does not answer.
        ConfigError: there is no key, or it does not take it.
    """
    silent = unreachable(url)
    if silent is not None:
        raise Unreachable(url, allowed=f"does not answer ({silent})")
    check_key(url, asked_by)


def unreachable(url: str) -> str | None:
    """Return why a server does not answer as W&B does, None where it does, whatever it thinks of a key."""
    from wandb.env import get_http_timeout

    request = urllib.request.Request(f"{url}/graphql", QUESTION, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=get_http_timeout(ANSWER_SECONDS)) as answer:
            return None if isinstance(json.load(answer), dict) else "no answer of W&B's"
    except urllib.error.HTTPError as error:
        return None if error.code in ABOUT_KEYS else f"{error.code} {error.reason}".strip()
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ssl.SSLError) else str(error.reason)  # wandb may know its certificate
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    except ValueError:
        return "no answer of W&B's"


@cache
def check_key(url: str, asked_by: str) -> None:
    """Let wandb find its key and show it to the server; we never see it, and nobody is prompted for one.

    Raises:
        Unreachable: the server has ceased to answer.
        ConfigError: there is none, or the server does not take it.
    """
    import wandb

    remedy = "run 'wandb login' or set WANDB_API_KEY; tracking=offline needs no key"
    try:
        with redirect_stderr(io.StringIO()):
            known = wandb.login(verify=True, prompt=False)
    except wandb.errors.AuthenticationError as error:
        reason = first_line(error).rstrip(".")
        silent = unreachable(url) or (reason if reason.endswith("in time") else None)  # wandb names no other sign of it
        if silent is not None:
            raise Unreachable(url, allowed=f"does not answer ({silent})") from None
        raise ConfigError(asked_by, allowed=f"W&B rejects the API key ({reason})", hint=remedy) from None
    if not known:
        raise ConfigError(asked_by, allowed=f"there is no API key for {url}", hint=remedy)
