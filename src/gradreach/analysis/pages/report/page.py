"""Fill the page's template."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gradreach.analysis.pages.report.sections import STATES, Section, coverage
from gradreach.analysis.stats.verdict import READING, Verdict
from gradreach.analysis.study.declaration import Claim, Study
from gradreach.analysis.tables.formats import prose
from gradreach.look import palette_css
from gradreach.rounding import number
from gradreach.system.files import write_text


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
    template = environment.get_template("page.html")
    loader = environment.loader
    assert loader is not None
    style, script = (Markup(loader.get_source(environment, name)[0]) for name in ("style.css", "script.js"))
    style = Markup(palette_css()) + style
    counts: Counter[str] = sum((Counter(section.counts) for section in sections), Counter())
    page = template.render(
        sections=sections,
        style=style,
        script=script,
        states=[state for state in STATES if counts[state]],
        counts=counts,
        verdicts=Counter(section.verdict.state for section in sections if section.verdict is not None),
        planned=sum(counts.values()),
        seconds=sum(section.seconds for section in sections),
        coverage=coverage(sections),
        claims=claims(sections, unrun or {}),
        reading=READING,
        svg=Markup,
    )
    write_text(path, page + "\n")


def claims(sections: Sequence[Section], unrun: Mapping[str, Study]) -> list[tuple[Claim, Verdict | None, str]]:
    """Return every claim with its verdict, None where nothing was run, and its experiment: C2 before C13."""
    known = [(s.study.claim, s.verdict, s.name) for s in sections]
    known += [(study.claim, None, name) for name, study in unrun.items()]
    found = [(claim, verdict, name) for claim, verdict, name in known if claim is not None]
    return sorted(found, key=lambda entry: (len(entry[0].id), entry[0].id))


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 120:
        return f"{number(seconds, '.0f')} s"
    return f"{number(seconds / 60, '.0f')} min" if seconds < 7200 else f"{number(seconds / 3600, '.1f')} h"
