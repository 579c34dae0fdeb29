"""The page of findings: a template, and what the experiments' summaries hold."""

import json
import shutil

from gradreach.analysis.pages.findings import findings
from project import PROJECT

STUDY = """
from gradreach.study import Claim, Study, arithmetic

STUDY = Study(
    question="Is it so?",
    claim=Claim("It is so.", id="C%s", original="如此", parts={"it is": arithmetic(lambda: False, "It is not.")}),
)
"""
EFFECT = {"label": "gain", "value": -3.0, "low": -4.0, "high": None, "n": 5, "unit": "points"}
NAMED = {
    "name": "late",
    "question": "Is it so?",
    "claim": {"id": "C10", "text": "It is so.", "original": "如此"},
}
VERDICT = {"state": "refuted", "sentence": "It is not.", "effect": None, "parts": []}
PART = {"state": "refuted", "sentence": "gain: −3 points; held against 0.", "effect": EFFECT, "parts": []}


def page(tmp_path, template, summary=None):
    experiments, results = tmp_path / "experiments", tmp_path / "results"
    for name, number in (("late", "10"), ("early", "2")):
        experiments.mkdir(exist_ok=True)
        (experiments / f"{name}.py").write_text(STUDY % number, encoding="utf-8")
    if summary is not None:
        (results / "late").mkdir(parents=True, exist_ok=True)
        (results / "late" / "summary.json").write_text(json.dumps(NAMED | summary), encoding="utf-8")
    (tmp_path / "page.jinja").write_text(template, encoding="utf-8")
    return findings([results], experiments, tmp_path / "page.jinja")


def test_claims_stand_in_their_order_and_what_was_not_run_is_said(tmp_path):
    template = (
        "{% for each in claims %}{{ each.claim.id }}: {{ each.verdict }}, {{ each.runs }},"
        " {{ each.link }}; {% endfor %}"
    )
    assert page(tmp_path, template) == (
        "C2: None, none yet, ../experiments/early.py; C10: None, none yet, ../experiments/late.py; "
    )


def test_numbers_come_from_the_summary(tmp_path):
    summary = {"verdict": {**VERDICT, "parts": [PART]}, "finished": 4, "planned": 5}
    summary |= {"captions": {"picture": "How to read it. Small points: the seeds."}}
    template = (
        "{% set it = of('late') %}{{ it.verdict.words }}: {{ it.verdict.sentence }} {{ it.runs }}."
        "{% for part in it.verdict.leaves %} {{ part.effect.high }}.{% endfor %}"
        " {{ it.caption('picture') }} {{ it.link }}"
    )
    assert page(tmp_path, template, summary) == (
        "refuted: It is not. 4 of 5. nan. How to read it. Small points: the seeds. ../results/late/README.md"
    )


def test_the_page_says_where_the_notes_are_wrong_and_leads_to_no_page_that_is_not_there(tmp_path):
    experiments = tmp_path / "experiments"
    shutil.copytree(PROJECT / "experiments", experiments, ignore=shutil.ignore_patterns("project.txt"))
    template = (PROJECT / "docs" / "findings.md.jinja").read_text(encoding="utf-8")
    before = page(tmp_path, template)
    assert "Nowhere so far." in before
    assert "- [C16](../experiments/calibration.py) The instrument reads true" in before
    assert before.count("**not run yet**.") == 24  # C0 to C16, C16b, C18 to C21, and the two of this file
    assert "../results/" not in before.replace("(../results/README.md)", "")  # the ledger is always there
    part = {**PART, "name": "it gains", "effect": EFFECT | {"high": -2.0}}
    parts = [part, {**PART, "state": "open", "effect": None, "name": "it is | new"}]
    summary = {"verdict": {**VERDICT, "state": "open", "parts": parts}, "finished": 5, "planned": 5}
    after = page(tmp_path, template, summary)
    told = "*it gains*: gain: −3 points; held against 0"
    words = "**open: 1 refuted, 1 open**"
    assert f"- [C10](../results/late/README.md) It is so. {words}. Not so: {told}.\n" in after
    half = page(tmp_path, template, {**summary, "finished": 4})
    assert f"{words}, 4 of 5 runs. Not so: {told}.\n" in half
