"""The page of findings: a template, and what the experiments' summaries hold."""

import json

from gradreach.analysis.findings import findings

EXPERIMENT = """
from gradreach.analysis.experiment import Claim, Experiment, Figure, Prediction
from gradreach.analysis.verdict import Verdict

EXPERIMENT = Experiment(
    title="Is it so?", question="Is it?", caveat="", tables=(),
    figures=(Figure("picture", "How to read it.", None),),
    claim=Claim("C%s", "1", "如此", "It is so."), prediction=Prediction("No.", "Somebody"),
    rule="By the interval.", judge=lambda results: Verdict("refuted", None, "It is not."),
)
"""
EFFECT = {"label": "gain", "value": -3.0, "low": -4.0, "high": None, "n": 5, "unit": "points"}
VERDICT = {"state": "refuted", "sentence": "It is not.", "effect": None, "parts": []}
PART = {"state": "refuted", "sentence": "", "effect": EFFECT, "parts": []}


def page(tmp_path, template, summary=None):
    experiments, results = tmp_path / "experiments", tmp_path / "results"
    for name, number in (("late", "10"), ("early", "2")):
        experiments.mkdir(exist_ok=True)
        (experiments / f"{name}.py").write_text(EXPERIMENT % number, encoding="utf-8")
    if summary is not None:
        (results / "late").mkdir(parents=True)
        (results / "late" / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    (tmp_path / "page.jinja").write_text(template, encoding="utf-8")
    return findings([results], experiments, tmp_path / "page.jinja")


def test_claims_stand_in_their_order_and_what_was_not_run_is_said(tmp_path):
    template = "{% for each in claims %}{{ each.experiment.claim.id }}: {{ each.state }}, {{ each.runs }}; {% endfor %}"
    assert page(tmp_path, template) == "C2: not run yet, none yet; C10: not run yet, none yet; "


def test_numbers_come_from_the_summary(tmp_path):
    summary = {"verdict": {**VERDICT, "parts": [PART]}, "finished": 4, "planned": 5}
    template = (
        "{% set it = of('late') %}{{ it.state }}: {{ it.sentence }} {{ it.runs }}."
        "{% for state, e in it.effects %} {{ state }}: {{ e.label }} {{ e.value }} {{ e.high }}.{% endfor %}"
        " {{ it.caption('picture') }}"
    )
    assert page(tmp_path, template, summary) == ("refuted: It is not. 4 of 5. refuted: gain -3.0 nan. How to read it.")
