"""Settings of every model at the ends of what numbers can be, each checked as before a run; one line of JSON for each.

Run by itself (``python extremes.py SEED COUNT``), because memory is limited to one gibibyte more than it starts with.
"""

import copy
import json
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any

from gradreach.assemble import check
from gradreach.compose import compose
from gradreach.config import parse
from gradreach.errors import ConfigError
from gradreach.models import caveat

CONF = Path(__file__).parents[2] / "conf"
ALLOWED = [1, 2, 7, 64, 127, 128]
WHOLE = [0, -1, 1, 2, 7, 64, 127, 128, 129, 1000, 65_535, 65_536, 65_537, 10**6, 10**9, 2**31, 2**53 + 1, 2**63, 10**30]
PARTS = [0.0, 0.5, 1.0, -1.0, 1e-300, 1e38, 1e39, 1e300, 10**400]
ENDS = {
    "embedding_size": 1,
    "match_params": 1,
    "embedding_ngrams": 1,
    "block_expansion": 4,
    "head_dropout": 0.0,
    "head_max_norm": 1.0,
}


def numbers(settings: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the settings that may be numbers, and what is tried for each."""
    found = {}
    for name, default in {**settings, **ENDS}.items():
        if name == "kernel_sizes":
            found[name] = [[value] for value in 4 * ALLOWED + WHOLE] + [[3] * 64, [3] * 65, [65_536] * 64]
        elif name == "padding" or default is None or (isinstance(default, int) and not isinstance(default, bool)):
            found[name] = 4 * ALLOWED + WHOLE + PARTS
        elif isinstance(default, float):
            found[name] = PARTS + WHOLE
    return found


def cases(seed: int, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Draw models, and one to three of their settings each; every setting of every model comes first by itself."""
    draw = random.Random(seed)
    options = sorted(path.stem for path in (CONF / "model").glob("*.yaml") if path.stem != "fasttext")
    tried = {option: numbers(base(option)["model"]) for option in options}
    singles = [(option, {name: draw.choice(values)}) for option in options for name, values in tried[option].items()]
    draw.shuffle(singles)
    while len(singles) < count:
        option = draw.choice(options)
        names = draw.sample(sorted(tried[option]), min(draw.randint(1, 3), len(tried[option])))
        singles.append((option, {name: draw.choice(tried[option][name]) for name in names}))
    return singles[:count]


KNOWN: dict[str, dict[str, Any]] = {}


def base(option: str) -> dict[str, Any]:
    """Return the composed default of a model."""
    if option not in KNOWN:
        KNOWN[option] = compose([f"model={option}", "tracking=off"], CONF)
    return KNOWN[option]


def main(seed: int, count: int) -> None:
    """Check the cases."""
    chosen = cases(seed, count)
    check(*parse(base("lstm")))
    for option, settings in chosen:
        base(option)
        changed = copy.deepcopy(base(option))
        changed["model"] |= settings
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30, resource.RLIM_INFINITY))
        start = time.process_time()
        try:
            task, model = check(*parse(changed))
            caveat(model, task.shape)
            model.multiply_adds(task.shape.length)
            answer = {"parameters": model.parameter_count}
        except ConfigError as error:
            answer = {"refused": str(error)}
        except BaseException as error:
            answer = {"raised": f"{type(error).__name__}: {error}"}
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(json.dumps({"model": option, **settings, **answer, "seconds": time.process_time() - start}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
