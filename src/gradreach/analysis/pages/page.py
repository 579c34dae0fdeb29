"""The page of an experiment: question, answer, figure, parts, caveats; then the rest, folded."""

from collections import Counter
from collections.abc import Iterator, Sequence

import pandas as pd

from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.signs import SIGNS, sign
from gradreach.analysis.results import LONG
from gradreach.analysis.stats.verdict import Verdict
from gradreach.analysis.study.declaration import Claim
from gradreach.analysis.study.judging import PILOTS
from gradreach.analysis.tables.formats import markdown, without_tags
from gradreach.analysis.tables.layout import View, by_quantity
from gradreach.analysis.tables.specification import Table
from gradreach.look import display_name
from gradreach.rounding import number
from gradreach.run_table.compressed import stored_at

RATES = "rates"
"""The table of learning rates, which stands last."""


def page(built: Built) -> str:
    """Return the experiment's page, in Markdown."""
    main, *others = [*built.captions] or [""]
    parts = [f"# {built.study.question}", f"**{built.answer}**" if built.answer else ""]
    parts += _figure(built, main)
    parts += _claim(built)
    parts += ["## Caveats", "\n".join(f"- {each}" for each in (built.state, *built.caveats))]
    for name in others:
        parts += [f"## {heading(name)}", *_figure(built, name)]
    parts += [*_tables(built), *_method(built)]
    return "\n\n".join(part if _is_table(part) else without_tags(part) for part in parts if part) + "\n"


def _is_table(part: str) -> bool:
    return part.lstrip().startswith(("|", "<details>", "</details>"))


def _figure(built: Built, name: str) -> list[str]:
    return [f"![{heading(name)}]({name}.png)", built.captions[name]] if name else []


def _claim(built: Built) -> Iterator[str]:
    """State what was asked, by whom, what was expected, and how each part came out."""
    study, verdict, claim = built.study, built.verdict, built.study.claim
    if claim is None or verdict is None:
        if study.about:
            yield "## What was asked"
            yield study.about
        return
    yield "## The claim and its parts"
    yield study.about
    yield f"**{_head(claim)}** {claim.text}"
    if claim.original:
        yield f"> {claim.original}"
    if claim.expect:
        source = f" ({claim.expect_source})" if claim.expect_source else ""
        yield f"*Expected before the runs:* {claim.expect}{source}"
    yield f"**{verdict.state.capitalize()}**{verdict.words.removeprefix(verdict.state)}."
    if built.parts:
        yield markdown(parts_table(built)).rstrip() if any(map(_is_measured, built.parts)) else ""
        yield unmeasured(built)
        if any(leaf.why.startswith(PILOTS) for leaf in built.parts):
            yield "Pilot seeds (below 100) decide nothing; what they would say is shown beside."
        yield from folded("What each part measures, and its test", markdown(measured(built)).rstrip())
        yield from folded("The rule of the verdict", without_tags(built.rule))


def _head(claim: Claim) -> str:
    """Return a claim's label: its number and place, its source, or that it is our own."""
    section = f", §{claim.section}" if claim.section else ""
    where = f"{claim.source}{section}" if claim.source else ""
    return f"{', '.join(filter(None, (claim.id, where))) or 'Claim'}."


def parts_table(built: Built) -> pd.DataFrame:
    """Return the parts of a verdict: sign and name, outcome, number with its interval, threshold; no empty row."""
    shown = [leaf for leaf in built.parts if _is_measured(leaf)]
    levels = {leaf.effect.level for leaf in shown if leaf.effect is not None}
    covers = f" [{number(100 * (1 - levels.pop()), '.4g')} %]" if len(levels) == 1 else ""
    rows = []
    for leaf in shown:
        effect = leaf.effect
        said = effect.number if effect is not None else told_of_arithmetic(leaf)
        threshold = f"{effect.what} {leaf.threshold}".strip() if effect is not None else ""
        named = f"{sign(leaf)} {'aside: ' * leaf.aside}{named_for_people(leaf.name)}"
        outcome = f"{leaf.state}: {leaf.why}" if leaf.why else leaf.state
        rows.append({"part": named, "outcome": outcome, f"number{covers}": said, "threshold": threshold})
    return pd.DataFrame(rows)


def named_for_people(name: str) -> str:
    """Return the name of a part, by which code looks it up, as people read it: behind the colon may stand a key.

    >>> named_for_people("the GRU is smaller: mnist1d")
    'the GRU is smaller: MNIST-1D'
    """
    words, colon, key = name.rpartition(": ")
    return f"{words}{colon}{display_name(key) if colon else key}"


def _is_measured(leaf: Verdict) -> bool:
    return leaf.effect is None or leaf.effect.n > 0


def unmeasured(built: Built) -> str:
    """Say how many parts have no number yet, and why; empty if all have one."""
    why = Counter(leaf.why or leaf.state for leaf in built.parts if not _is_measured(leaf))
    told = "; ".join(f"{count} × {said}" if len(why) > 1 else said for said, count in why.items())
    has = "part has" if why.total() == 1 else "parts have"
    return f"{SIGNS['open']} {why.total()} {has} no number yet, and no row: {told}." if told else ""


def told_of_arithmetic(leaf: Verdict) -> str:
    """Return the result of a calculation as a cell."""
    said = leaf.sentence.removeprefix("Arithmetic: ").removesuffix(".")
    return f"{said[:1].upper()}{said[1:]}"


def measured(built: Built) -> pd.DataFrame:
    """Return what each part's number measures, its test, and its number of seeds or pairs."""
    rows = []
    for leaf in built.parts:
        if (effect := leaf.effect) is not None:
            note = f"{effect.test}; {effect.note}" if effect.note else effect.test
            rows.append({"part": named_for_people(leaf.name), "measured": effect.label, "test": note, "n": effect.n})
    return pd.DataFrame(rows or [{"part": "by arithmetic"}])


def folded(title: str, *inside: str) -> Iterator[str]:
    """Yield the folded sections."""
    yield f"<details><summary>{title}</summary>"
    yield from filter(None, inside)
    yield "</details>"


def _tables(built: Built) -> Iterator[str]:
    """Yield the tables, folded, one quantity each; how to read them comes first, learning rates come last."""
    views = sorted(built.views, key=lambda view: view.table.name == RATES)
    if not views:
        return
    yield "## Tables"
    general = _general(views)
    yield " ".join(general)
    for view in views:
        appendix = view.table.name == RATES
        inside = [view.table.caption]
        for title, text, marked in by_quantity(view):
            inside += [f"**{title}**" * bool(title), markdown(text, marked).rstrip()]
        name = "Appendix: learning rates" if appendix else heading(view.table.name)
        yield from folded(name, *inside, _own_reading(view, general))


def _general(views: Sequence[View]) -> list[str]:
    """Return the sentences on how to read several tables, or every table of means."""
    told = Counter(said for view in views if isinstance(view.table, Table) for said in view.table.general)
    return [said for i, (said, many) in enumerate(told.items()) if many > 1 or i == 0]


def _own_reading(view: View, general: Sequence[str]) -> str:
    reading = view.table.reading
    for said in general:
        reading = reading.replace(said, "")
    return " ".join(f"{reading} {view.notes}".split())


def _method(built: Built) -> Iterator[str]:
    made_of = [
        "runs",
        *(table for table in LONG if built.results.asked(table)),
        *["times"] * bool(len(built.results.times)),
    ]
    names = [stored_at(built.folder / f"{table}.csv").name for table in made_of]
    files = " and ".join(f"[{name}]({name})" for name in names)
    yield (
        f"The sweep is `python run.py -m experiment={built.name}`; this page is built from {files} by "
        f"`gradreach tables {built.name}`."
    )


def heading(name: str) -> str:
    """Return the name of a file as a heading.

    >>> heading("accuracy_mnist1d"), heading("counts")
    ('Accuracy MNIST-1D', 'Counts')
    """
    words = " ".join(map(display_name, name.split("_")))
    return f"{words[:1].upper()}{words[1:]}"
