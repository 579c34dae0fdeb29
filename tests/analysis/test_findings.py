"""The page of findings: a template, and what the experiments' summaries hold."""

import json
import shutil

import pytest

from gradreach.analysis.pages.findings import findings
from gradreach.analysis.stats.verdict import Verdict, combine_named
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
    "answer": "",
    "name": "late",
    "question": "Is it so?",
    "claim": {"id": "C10", "text": "It is so.", "original": "如此"},
}
VERDICT = {"state": "refuted", "sentence": "It is not.", "effect": None, "parts": []}
PART = {"state": "refuted", "sentence": "gain: −3 points; threshold: above 0.", "effect": EFFECT, "parts": []}


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


def test_what_is_not_decided_is_not_among_what_was_learned(tmp_path):
    experiments = tmp_path / "experiments"
    shutil.copytree(PROJECT / "experiments", experiments, ignore=shutil.ignore_patterns("project.txt"))
    template = (PROJECT / "docs" / "findings.md.jinja").read_text(encoding="utf-8")
    before = page(tmp_path, template)
    assert "## Nothing we learned so far" in before
    assert "whether the GRU that the notes print learns what a GRU learns" in before
    assert "../results/" not in before.replace("(../results/calibration/README.md)", "")  # the instrument's is linked
    effect = {**EFFECT, "label": "runs that solved the task, printed − other", "high": -2.0}
    parts = [{**PART, "name": f"the printed {cell} learns it as often as {a} {cell}", "effect": effect}
             for cell, a in (("GRU", "a"), ("LSTM", "an"))]  # fmt: skip
    summary = {"verdict": {**VERDICT, "parts": parts}, "finished": 5, "planned": 5, "name": "errata", "answer": "No."}
    summary |= {"claim": {"id": "C13", "section": "5", "text": "They are.", "short": "They are"}}
    (tmp_path / "results" / "errata").mkdir(parents=True)
    (tmp_path / "results" / "errata" / "summary.json").write_text(json.dumps(NAMED | summary), encoding="utf-8")
    after = page(tmp_path, template)
    assert "## One thing we learned so far" in after
    assert (
        "**1. The GRU printed in the notes is not a GRU: it rarely learns what a GRU learns.** −3.0 points [−4.0, −2.0]"
        in after
    )
    assert '<img src="../results/errata/learning_curves.png" alt="Is it so?" width="320">' in after
    assert "whether the GRU that the notes print" not in after
    assert "- **Does not hold:** [C13](../results/errata/README.md)." in after


@pytest.mark.parametrize(
    ("states", "standing"),
    [
        (("supported", "supported"), "stands"),
        (("supported", "refuted"), "by half"),
        (("refuted", "refuted"), "does not hold"),
        (("refuted", "open"), "in part"),
        (("supported", "open"), "in part"),
        (("open", "open"), "open"),
    ],
)
def test_a_claim_does_not_hold_only_where_all_of_its_own_words_are_refuted(tmp_path, states, standing):
    found = combine_named({str(i): Verdict(state, None, "") for i, state in enumerate(states)})
    parts = [{**PART, "state": state, "effect": None} for state in states]
    summary = {"verdict": {**VERDICT, "state": found.state, "parts": parts}, "finished": 4, "planned": 5}
    assert page(tmp_path, "{{ of('late').standing }}", summary) == standing


def test_a_part_that_a_study_does_not_have_is_no_silent_gap(tmp_path):
    template = "{{ {'study': 'late', 'parts': {'it is gone': 'refuted'}} is settled }}"
    summary = {"verdict": {**VERDICT, "parts": [{**PART, "name": "it is"}]}, "finished": 4, "planned": 5}
    assert page(tmp_path, template) == "False"
    with pytest.raises(KeyError, match="it is gone"):
        page(tmp_path, template, summary)


@pytest.mark.parametrize(
    ("state", "told"), [("refuted", "settled"), ("open", "unsettled"), ("supported", "neither"), ("no room", "neither")]
)
def test_what_came_out_otherwise_is_neither_learned_nor_open(tmp_path, state, told):
    template = (
        "{% set it = {'study': 'late', 'parts': {'it is': 'refuted'}} %}"
        "{{ 'settled' if it is settled else 'unsettled' if it is unsettled else 'neither' }}"
    )
    parts = [{**PART, "name": "it is", "state": state}]
    summary = {"verdict": {**VERDICT, "parts": parts}, "finished": 4, "planned": 5}
    assert page(tmp_path, template, summary) == told
