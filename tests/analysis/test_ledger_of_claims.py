"""The ledger, for people and for machines, and the answers that stand in it."""

import io
import json
import re

import pandas as pd
import pytest

from gradreach.analysis.pages.ledger import ANSWER, TITLE, ledger, line, machine_ledger
from gradreach.analysis.pages.signs import in_groups, sign, signs
from gradreach.analysis.stats.verdict import Effect, Verdict, combine_named, stored_verdict
from gradreach.analysis.study.declaration import outcomes
from gradreach.analysis.study.study_files import known_studies, load_study, of_project
from project import PROJECT

STUDY = """
from gradreach.study import Claim, Study, arithmetic

PARTS = {"it is": arithmetic(lambda: True, "It is.")}
STUDY = Study(question="Is it so?", claim=Claim("It is so.", id="C2", section="1", parts=PARTS))
"""
EFFECT = Effect("gain, lstm − rnn", -3.0, -4.25, -1.75, 5, "points", 0.01)
SUPPORTED = Verdict("supported", EFFECT._replace(label="other", low=-3.5), "")
REFUTED = Verdict("refuted", EFFECT, "", threshold="above 0 points")
OPEN = Verdict("open", EFFECT._replace(n=0, low=float("nan")), "", why="no runs to compare")
FOUND = combine_named({"it pays": SUPPORTED, "it gains": REFUTED, "it lasts": combine_named({"a": OPEN, "b": REFUTED})})
CLAIM = {"id": "C10", "section": "1", "text": "It is so, and has always been.", "short": "It is so"}


def plain(verdict):
    effect = verdict.effect and {k: None if v != v else v for k, v in verdict.effect._asdict().items()}
    return {
        **{name: getattr(verdict, name) for name in ("state", "sentence", "name", "threshold", "why", "aside")},
        "effect": effect,
        "parts": [plain(part) for part in verdict.parts],
    }


def summary(**more):
    known = {"name": "late", "question": "Is it so?", "answer": "Not at all.", "claim": CLAIM, "planned": 5}
    return known | {"finished": 5, "verdict": plain(FOUND)} | more


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "experiments").mkdir()
    for name in ("early", "late"):
        (tmp_path / "experiments" / f"{name}.py").write_text(STUDY, encoding="utf-8")
    (tmp_path / "results" / "late").mkdir(parents=True)
    (tmp_path / "results" / "late" / "summary.json").write_text(json.dumps(summary()), encoding="utf-8")
    return [tmp_path / "results"], tmp_path / "experiments"


def test_a_claim_has_one_line_and_one_sign_a_part(folders):
    lines = ledger(*folders).splitlines()
    told = "| [C10](late/README.md) | It is so | ✔✘(◌✘) | Not at all. | −3.0 points [−4.3, −1.8] |"
    assert told in lines
    assert "| [C2](../experiments/early.py) | It is so |  | Not run yet. |  |" in lines
    assert lines.index(told) > lines.index("|  | claims of the notes | parts | in one line | key number |")


def test_signs_are_explained_in_words_before_they_are_used(folders):
    text = ledger(*folders)
    assert text.index("✔ supported · ✘ refuted · ◌ open · ▫ no room") < text.index("| [C")


def test_the_key_number_is_of_what_was_refuted_and_of_nothing_that_is_open():
    assert line(summary())["key number"] == "−3.0 points [−4.3, −1.8]"  # of what, there is no room to say
    assert line(summary(verdict=plain(combine_named({"x": OPEN}))))["key number"] == ""


def test_an_answer_that_is_longer_than_those_of_the_project_is_shown_whole():
    answer = "It gains with one kernel, loses with another, and stays with none."
    assert line(summary(answer=answer))["in one line"] == answer


def test_an_answer_that_nobody_has_written_is_the_state_where_it_is_long():
    assert line(summary(answer="Refuted: " + "it gains, " * 20))["in one line"] == "Refuted in part."


def test_claims_of_the_notes_come_first_then_ours_each_by_number():
    ids = [{"id": "C10", "section": "2"}, {"id": "C16b", "section": ""}, {"id": "C2", "section": "1"}]
    ids += [{"id": "C9", "section": ""}, None]
    groups = in_groups(ids, lambda each: each)
    assert [[each and each["id"] for each in some] for some in groups.values()] == [
        ["C2", "C10"],
        ["C9", "C16b"],
        [None],
    ]


def test_a_claim_without_a_name_for_its_part_has_a_sign_too():
    assert (signs(REFUTED), signs(None), sign(FOUND)) == ("✘", "", "(✔✘◌)")


def test_machines_read_every_part_with_its_words(folders):
    rows = pd.read_csv(io.StringIO(machine_ledger(*folders)))
    assert rows["part"].tolist() == ["it pays", "it gains", "it lasts: a", "it lasts: b"]
    gains = rows.iloc[1].to_dict()
    assert {"claim": "C10", "state": "refuted", "effect": -3, "low": -4.25, "high": -1.75}.items() <= gains.items()
    assert {"level": 0.99, "n": 5, "threshold": "above 0 points", "study": "late"}.items() <= gains.items()


CLAIMS = {
    name: study
    for name in of_project(known_studies(PROJECT / "experiments"), PROJECT / "experiments")
    if (study := load_study(name, PROJECT / "experiments")).claim is not None
}


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_an_answer_in_plain_words_for_the_outcomes_of_its_records(name):
    study, path = CLAIMS[name], PROJECT / "results" / name / "summary.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"verdict": None}
    found = outcomes(stored["verdict"] and stored_verdict(stored["verdict"]))
    assert study.answer is not None
    assert study.answer.outcomes == found, f"write the answer again, with outcomes={found!r}"
    assert len(study.answer.text) <= ANSWER
    assert not re.search(r"[_=`]|\bC\d", study.answer.text), "an internal name"
    assert len(study.claim.short) <= TITLE


def test_runs_that_are_lacking_are_told_and_complete_sweeps_are_not():
    assert line(summary(finished=3))["in one line"] == "Not at all. (3 of 5 runs)"
    assert line(summary())["in one line"] == "Not at all."
