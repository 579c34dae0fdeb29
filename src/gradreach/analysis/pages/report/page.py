"""Fill the page's template."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradreach.analysis.pages.page import heading
from gradreach.analysis.pages.report.sections import STATES, Picture, Section, coverage
from gradreach.analysis.pages.report.svg import share
from gradreach.analysis.pages.report.winners import Contest, most_telling
from gradreach.analysis.pages.signs import LEGEND, SIGNS, in_groups, signs
from gradreach.analysis.stats.verdict import READING, Verdict
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.tables.formats import prose
from gradreach.look import display_name, palette_css
from gradreach.rounding import number
from gradreach.system.files import write_text

FIRST = "quickstart"
"""The study that the page begins with."""
LEAST = 2
"""Tasks that a model must be compared at to have a column of its own among those who win."""


def write_report(sections: Sequence[Section], path: Path, unrun: Mapping[str, Study] | None = None) -> None:
    """Write the page.

    Args:
        sections: the experiments that have runs.
        path: where the page is written.
        unrun: those that have none yet, by name.
    """
    environment = Environment(
        loader=PackageLoader("gradreach.analysis.pages.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    environment.filters["prose"] = lambda text: Markup(prose(str(text)))
    environment.filters["signs"] = spans
    environment.filters["heading"] = heading
    environment.filters["display"] = display_name
    template = environment.get_template("page.html")
    loader = environment.loader
    assert loader is not None
    style, script = (Markup(loader.get_source(environment, name)[0]) for name in ("style.css", "script.js"))
    sections = in_order(sections)
    pictures = [picture for section in sections for picture in section.pictures]
    sheet = share([picture.drawing for picture in pictures])
    hero = next(((section, section.pictures[0]) for section in sections if section.pictures), None)
    counts: Counter[str] = sum((Counter(section.counts) for section in sections), Counter())
    page = template.render(
        sections=sections,
        style=Markup(palette_css()) + style + Markup(sheet.css),
        script=script,
        shared=Markup(sheet.shared),
        svg={id(picture): Markup(text) for picture, text in zip(pictures, sheet.figures, strict=True)},
        hero=hero,
        states=[state for state in STATES if counts[state]],
        counts=counts,
        planned=sum(counts.values()),
        seconds=sum(section.seconds for section in sections),
        coverage=coverage(sections),
        groups=claims(sections, unrun or {}),
        winners=most_telling([contest for section in sections for contest in section.contests]),
        reading=READING,
        legend=LEGEND,
        spoken=spoken,
        columns=columns,
        main=main_picture,
        folded=folded,
        id=id,
    )
    write_text(path, page + "\n")


def in_order(sections: Sequence[Section]) -> list[Section]:
    """Return the sections as the page has them: the default sweep, claims of the notes, questions of ours, the rest."""
    rest = in_groups((section for section in sections if section.name != FIRST), lambda section: section.study.claim)
    first = [section for section in sections if section.name == FIRST]
    return first + [section for group in rest.values() for section in group]


Line = tuple[Claim, Verdict | None, str]


def claims(sections: Sequence[Section], unrun: Mapping[str, Study]) -> dict[str, list[Line]]:
    """Return every claim with its verdict, None where nothing was run, and its experiment, in groups: C2 before C13."""
    known = [(s.study.claim, s.verdict, s.name) for s in sections]
    known += [(study.claim, None, name) for name, study in unrun.items()]
    found: list[Line] = [(claim, verdict, name) for claim, verdict, name in known if claim is not None]
    return in_groups(found, lambda line: line[0])


def main_picture(section: Section, hero: tuple[Section, Picture] | None) -> Picture | None:
    """Return the figure that stands above an experiment's parts: its first that the page does not begin with."""
    shown = [picture for picture in section.pictures if hero is None or picture is not hero[1]]
    return shown[0] if shown else None


def folded(section: Section, hero: tuple[Section, Picture] | None) -> str:
    """Say which parts of an experiment are folded."""
    own = hero is not None and hero[0] is section
    more = len(section.pictures) - (main_picture(section, hero) is not None) - own
    counts = ((more, "more figure"), (len(section.grids), "table"))
    said = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
    return ", ".join([*said, *["rule"] * (section.verdict is not None), "method and runs"])


def columns(winners: Sequence[Contest]) -> tuple[list[str], bool]:
    """Return the models that have a column of their own, those of most tasks first, and whether there are others."""
    counts = Counter(model for contest in winners for model in contest.entries)
    own = [model for model, count in counts.items() if count >= LEAST]
    return sorted(own, key=lambda model: (-counts[model], model)), len(own) < len(counts)


def spans(verdict: Verdict | None) -> Markup:
    """Return the signs of a verdict, each in its colour, and in words for those who hear the page."""
    if verdict is None:
        return Markup('<span class="signs">not run yet</span>')
    classes = {sign: state.replace(" ", "-") for state, sign in SIGNS.items()}
    shown = Markup("").join(
        Markup('<span class="{}">{}</span>').format(classes[each], each) if each in classes else each
        for each in signs(verdict)
    )
    said = Markup('<span class="signs"><span aria-hidden="true">{}</span><span class="heard">{}</span></span>')
    return said.format(shown, spoken(verdict))


def spoken(verdict: Verdict) -> str:
    """Return the signs of a verdict in words."""
    return ", ".join(f"{count} {state}" for state, count in Counter(_states(verdict)).items())


def _states(verdict: Verdict) -> Iterator[str]:
    parts = [part for part in verdict.parts if part.aside == verdict.aside]
    yield from (part.state for part in parts or [verdict])


def duration(seconds: float) -> str:
    """Return a duration as people write it."""
    if seconds < 120:
        return f"{number(seconds, '.0f')} s"
    return f"{number(seconds / 60, '.0f')} min" if seconds < 7200 else f"{number(seconds / 3600, '.1f')} h"
