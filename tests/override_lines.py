"""Drawn override lines, each composed and checked as ``run.py`` does before a start; one line of JSON for each.

Run by itself (``python override_lines.py SEED COUNT CHOICES``), because memory is limited to one gibibyte more than it
starts with. Which groups, options and settings there are is read from ``conf/``, what numbers and words they take from
the schemas that they are checked against.
"""

import inspect
import json
import math
import random
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from gradreach.compose import Composer, all_jobs, configuration
from gradreach.config import RunConfig, RunEnvironment, plain, resolve, signature_of
from gradreach.config.settings import Axes, Kernels
from gradreach.entry import prepared
from gradreach.errors import explain

CONF = Path(__file__).parents[1] / "conf"
ADDED = {"debug", "search"}
"""Groups of which nothing is chosen unless it is added: ``+debug=fdr``."""
FILES = {"text_file": "texts.csv", "text_values": "values.csv", "ts_file": "series.ts", "ts_values": "values.ts"}
"""What tasks are given that read a file of the user's."""

PLAIN = r"""
    null ~ true false True yes off on none auto all default '' "" ends nan NaN inf -inf Infinity 1e400 -1e400 1e-400
    -0.0 0 -1 1 2 1.0 2.5 0.5 1_000 +3 03 0x10 1e3 '3' 'true' 65535 65536 65537 1000000 100000000 1000000000 2147483648
    4294967295 4294967296 9007199254740993 9223372036854775808 [] {} [1] [1,2,3] [null] [true] [nan] [[1]] [1000000000]
    [''] {1:2} {a:1} {a:{b:2}} {steps:5} {steps:nan} {val/loss:0.3} {_target_:os.system} ${seq_len} ${seed} ${nowhere}
    ${model} ${oc.env:HOME} ${oc.env:NOWHERE} ${oc.decode:nan} ${ \${seq_len} '${seq_len}' ${.name} ${hydra:job.num}
    ${unknown:1} ${seq_len}x ??? '???' ä 参数 ٣ ３ 1️⃣ 🙂 a,b 1,2 [1,2 'a "a a=b a:b {a: a'b \ \, (1) @x %s {0} http://x
    range(1,3) choice(1,2) int(3) float(3) str(3) bool(1) glob(*) tag(a,1) sort(2,1) . .. ../x / no/such texts.csv
    values.ts /dev/null /dev/zero /proc/self/mem cpu cuda cuda:0 cuda:999 mps meta os.system torch gradreach.models
"""
SPACED = "|' 3'|3 steps|0 steps|1e309 steps|a b|'\n'|'a\tb'|'\x00'|'\ud800'|\u202e1|\ufeff1|\x1b[31m"
LONG = [("é", 300), ("x", 4000), ("9", 400), ("9", 5000), ("1" + 30 * "0", 1), ("-1" + 30 * "0", 1), ("[1,", 300)]
WORDS = [*PLAIN.split(), *SPACED.split("|"), *(part * times for part, times in LONG), "[" * 300 + "]" * 300]
"""What is tried for every setting."""
STRANGE = """
    sed Seed model.wdith model. .model model..width a.b.c _target_ hydra defaults ä 参数 model.width.x seq_len.x model/x
    trainer.kernels tracking.key optimizer.betas hydra.job.nowhere hydra.x 0 model.0 model[0] a-b _self_ model@x prune
    task.task callbacks
"""
KEYS = [*STRANGE.split(), "a b", "x" * 300]
"""Names that no setting has, and some that no command line should."""
WRONG = "=|=64|==|seq_len|~|+|++|seq_len==3|'seq_len=3'|{}|seq_len =3|[]=3|+=3|\n"
BROKEN = WRONG.split("|")
FORMS = {
    "{key}={value}": 60,
    "++{key}={value}": 4,
    "+{key}={value}": 3,
    "~{key}": 2,
    "~{key}={value}": 1,
    "{key}.x={value}": 1,
    "{odd}={value}": 2,
    "+{odd}={value}": 4,
    "++{odd}={value}": 2,
    "~{odd}": 1,
    "{group}={value}": 3,
    "+{group}={value}": 1,
    "~{group}": 1,
    "{group}=[{value},{value}]": 1,
    "{group}@{odd}={value}": 1,
    "{broken}": 2,
}
"""What a word looks like, and how often."""


class Space:
    """What can be typed: options by group, the settings of each choice of options, and what their schemas bound."""

    def __init__(self) -> None:
        paths = [path.relative_to(CONF) for path in sorted(CONF.rglob("*.yaml")) if path.parent != CONF]
        self.options: dict[str, list[str]] = {}
        for path in paths:
            self.options.setdefault(str(path.parent), []).append(path.stem)
        self.master = compose("config", return_hydra_config=True)
        self.loader = GlobalHydra.instance().config_loader()
        self.composer = Composer(self.loader, self.master)

    def choice(self, group: str, option: str) -> list[str]:
        """Return the words that choose an option, so that all that it needs is given."""
        words = [f"{'+' if group in ADDED else ''}{group}={option}"]
        if group in ("experiment", "published"):  # the first run of its sweep
            sweep = compose("config", overrides=words, return_hydra_config=True)
            return [*words, *all_jobs(self.loader, sweep, [])[0]]
        return [*words, f"task.file={FILES[option]}"] if option in FILES and group == "task" else words

    @cache  # noqa: B019
    def settings(self, *words: str) -> dict[str, list[str]]:
        """Return the settings that a choice of options has, and at each the values at the bounds of what it takes."""
        whole = self.composer.compose(words)
        found = {key: [literal(value)] for key, value in leaves(whole)}
        for key, value in leaves(OmegaConf.masked_copy(self.master, ["hydra"])):
            if key.startswith(("hydra.launcher", "hydra.sweeper", "hydra.job.")) and "config." not in key:
                found[key] = [literal(value)]
        schemas: dict[str, type[BaseModel]] = {"": Axes, "kernels": Kernels}
        for group in ("model", "task"):
            schemas[group] = signature_of(resolve(whole[group]._target_))
        for prefix, schema in [("", Axes), ("", Kernels), ("", RunConfig), ("", RunEnvironment), *schemas.items()]:
            for key, values in edges(schema.model_json_schema(), prefix):
                found.setdefault(key, ["null"]).extend(values)
        return found


def leaves(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the settings of a configuration by their dotted names, as they stand there."""
    if isinstance(config, DictConfig):
        config = OmegaConf.to_container(config, resolve=False)
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{name}.")
        yield name, value


def edges(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the settings of a schema, and the words and bounds that it names, with what lies beside them."""
    defined = schema.get("$defs", {})

    def inside(part: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list[str]]]:
        for name, field in part.get("properties", {}).items():
            key = f"{prefix}.{name}" if prefix else name
            forms = [field, *field.get("anyOf", [])]
            values: list[str] = []
            for form in forms:
                reference = form.get("$ref", "").rpartition("/")[2]
                yield from inside(defined.get(reference, {}), key)
                values += [literal(value) for value in [*form.get("enum", []), form.get("const"), form.get("default")]]
                for bound in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
                    if bound in form:
                        steps = (-1, 0, 1) if form.get("type") == "integer" else (-1e-9, 0, 1e-9)
                        values += [literal(form[bound] + step) for step in steps]
            yield key, values

    yield from inside(schema, prefix)


def literal(value: Any) -> str:
    """Return a value as it is typed."""
    if isinstance(value, Mapping | list) or value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def number(draw: random.Random) -> str:
    """Return a number of any size, written in one of the ways in which people write it."""
    whole, part = int(10 ** draw.uniform(0, 20)), draw.choice([-1, 1]) * 10 ** draw.uniform(-330, 308)
    return draw.choice([f"{whole}", f"-{whole}", f"{whole}.0", f"'{whole}'", f"{part!r}", f"{part:.3e}", f"{whole:e}"])


def spelling(draw: random.Random, default: str) -> str:
    """Return a value near a default, in one of the ways in which it can be written."""
    try:
        value = float(default) + draw.choice([0, 0, 0, 1])
    except ValueError:
        return default
    exact = [f"{value:g}", f"{value}", f"{value:e}", f"'{value:g}'", f"{value:.3f}"]
    return draw.choice([*exact, repr(math.nextafter(value, 9)), f"{-value}"])


def options(draw: random.Random, space: Space) -> list[str]:
    """Draw up to two options."""
    chosen = draw.sample([group for group in space.options if group != "model/ends"], draw.choice([0, 1, 1, 2]))
    return list(chain.from_iterable(space.choice(group, draw.choice(space.options[group])) for group in chosen))


def line(draw: random.Random, space: Space, words: list[str]) -> list[str]:
    """Draw one or two words that follow options."""
    settings = space.settings(*words)
    words = list(words)
    for _ in range(draw.choice([1, 1, 1, 2])):
        key = draw.choice(sorted(settings))
        drawn = [draw.choice(WORDS), draw.choice(settings[key]), number(draw), spelling(draw, settings[key][0])]
        value = draw.choice(drawn)
        group = draw.choice(sorted(space.options))
        (form,) = draw.choices(list(FORMS), list(FORMS.values()))
        odd = draw.choice([draw.choice(KEYS), f"{key}s", key.swapcase(), key.rpartition(".")[2] + "_"])
        words.append(form.format(key=key, value=value, odd=odd, group=group, broken=draw.choice(BROKEN)))
    return words


def effect(run: RunConfig) -> str:
    """Return what a run's parts are made with, written so that equal parts are equal: another way than its identity."""
    model = resolve(run.model.target)
    arguments = inspect.signature(model).bind_partial(**run.model.arguments())
    arguments.apply_defaults()
    kept = ("checkpoint_seconds", "keep_checkpoint", "keep_weights")
    trainer = {key: value for key, value in run.trainer if key not in kept}
    task = run.task.make()
    parts = [model, arguments.arguments, run.model.ends(), run.model.name, type(task), vars(task), run.task.name]
    parts += [dict(run.optimizer), trainer, dict(run.diagnostics), run.seed]
    parts += [{name: {"": each.target, **each.arguments()} for name, each in run.callbacks.items()}]
    return repr(alike(parts))


def alike(value: Any) -> Any:
    """Return a value in which a number is a float, or a whole number if it is one."""
    if isinstance(value, Mapping):
        return sorted((key, alike(each)) for key, each in value.items() if not str(key).startswith("_"))
    if isinstance(value, list | tuple):
        return [alike(each) for each in value]
    return int(value) if isinstance(value, float) and value == int(value) else value


def answer(space: Space, words: list[str]) -> dict[str, Any]:
    """Return what becomes of a line."""
    try:
        run, *_ = prepared(plain(space.composer.compose(words)))
        return {"run_id": run.run_id, "effect": effect(run)}
    except Exception as error:
        refused = explain(error)
        if refused is None:
            return {"raised": f"{type(error).__name__}: {error}"}
        return {"refused": str(refused), "setting": str(refused.setting), "allowed": refused.allowed}


def without_network() -> None:
    """Let no name be looked up."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    socket.getaddrinfo = refuse


def make_files(folder: Path) -> None:
    """Make the files of FILES."""
    rows = range(60)
    (folder / "texts.csv").write_text("label,text\n" + "".join(f"{i % 2},word{i} and {i % 7}\n" for i in rows))
    (folder / "values.csv").write_text("label,text\n" + "".join(f"{i / 7},word{i} and {i % 7}\n" for i in rows))
    series = [",".join(str((i * step) % 11) for step in range(1, 9)) for i in rows]
    (folder / "series.ts").write_text(
        "@classLabel true a b\n@data\n" + "".join(f"{s}:{'ab'[i % 2]}\n" for i, s in enumerate(series))
    )
    (folder / "values.ts").write_text(
        "@targetLabel true\n@data\n" + "".join(f"{s}:{i / 7}\n" for i, s in enumerate(series))
    )


def main(seed: int, count: int, choices: int) -> None:
    """Compose and check this many lines, which share this many choices of options."""
    without_network()
    make_files(Path("data"))
    draw = random.Random(seed)
    with configuration(CONF):
        space = Space()
        answer(space, ["callbacks=early_stopping", "logger=csv"])  # what is imported is, before anything is measured
        chosen = [[], *(options(draw, space) for _ in range(choices))]
        for _ in range(count):
            words = line(draw, space, draw.choice(chosen))
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (taken + 2**30, resource.RLIM_INFINITY))
            start = time.process_time()
            found = answer(space, words)
            seconds = time.process_time() - start
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(json.dumps({"line": words, **found, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
