"""Asides: our own questions beside a claim, which are tested with it and of which its state is not made."""

import json

import pandas as pd
import pytest

from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.ledger import line
from gradreach.analysis.pages.page import parts_table
from gradreach.analysis.pages.summary import summary
from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import Effect, Verdict, as_aside, combine_named, stored_verdict
from gradreach.analysis.study.declaration import Claim, Study, outcomes
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.study.rule import digest_of, rule_words
from gradreach.errors import ConfigError
from gradreach.study import compare

BETTER = compare("test/accuracy", {"model": "lstm"}, {"model": "rnn"})
EFFECT = Effect("", 1.0, 0.0, 2.0, 6)
OWN, OURS = BETTER.above(5), BETTER.above(30)
EACH = compare("test/accuracy", {"model": "lstm"}, {"model": "rnn"}, each="seq_len").above(30)


def runs(seeds):
    """Return an LSTM that is 20 points better than an RNN, whatever the seed."""
    facts = {"status": "finished", "task": "recall", "seq_len": 50, "kernel_size": None}
    rows = [
        {"run_id": f"{model}{seed}", "model": model, "seed": seed, "test/accuracy": accuracy, **facts}
        for model, accuracy in (("rnn", 0.5), ("lstm", 0.7))
        for seed in seeds
    ]
    return pd.DataFrame(rows)


def built(folder, looks=(), seeds=range(100, 112), ours=OURS):
    study = Study(question="?", looks=looks, claim=Claim("It is.", parts={"it is": OWN}, asides={"by half": ours}))
    found = Results(study.prepare(runs(seeds)))
    at = looks_at(study, found, [seed for seed in seeds if seed >= 100])
    verdict = judged(study, found, at)
    return Built("mine", study, found, (), {}, {}, verdict, "", (), rule_words(at, bool(verdict.asides)), folder)


@pytest.mark.parametrize("ours", [OURS, EACH, {"in two": OURS}])
def test_a_claim_is_what_its_own_parts_are_and_an_aside_has_its_outcome(tmp_path, ours):
    verdict = built(tmp_path, ours=ours).verdict
    assert verdict.words == "supported; aside: 1 refuted"
    assert verdict.sentence == "Supported: it is. Aside, refuted: by half."
    assert (outcomes(verdict), verdict.refuted, verdict.lead.name) == ("supported, refuted", (), "it is")
    assert [aside.name for aside in verdict.asides] == ["by half"]


@pytest.mark.parametrize("looks", [[8, 12], [10]])
def test_an_aside_stays_one_from_look_to_look_and_shares_the_error(tmp_path, looks):
    made = built(tmp_path, looks, range(100, 100 + looks[-1]), EACH)
    assert made.verdict.words == "supported; aside: 1 refuted"
    assert f"covers {100 * (1 - 0.05 / 2 / len(looks)):.4g} %" in made.rule
    assert made.rule.endswith("its state is made of the others alone.")


def test_pilots_open_an_aside_too(tmp_path):
    assert built(tmp_path, seeds=range(12)).verdict.words == "open; aside: 1 open"


def test_page_and_ledger_tell_an_aside_from_a_part(tmp_path):
    made = built(tmp_path)
    assert parts_table(made)["part"].tolist() == ["✔ it is", "✘ aside: by half"]
    stored = json.loads(json.dumps(summary(made, {})))
    assert stored_verdict(stored["verdict"]) == made.verdict
    row = line(stored)
    assert (row["parts"], row["key number"]) == ("✔", "20 points test accuracy")


def test_asides_alone_are_counted_among_themselves():
    ours = combine_named({name: as_aside(Verdict(name, EFFECT, "")) for name in ("supported", "refuted")})
    assert (ours.state, ours.aside, ours.counts) == ("refuted in part", True, "1 supported, 1 refuted")
    whole = combine_named({"own": Verdict("open", None, ""), "ours": ours})
    assert (whole.state, whole.aside, whole.counts) == ("open", False, "")


def test_an_aside_that_becomes_a_part_is_another_rule():
    parts, asides = ({"it is": OWN, "by half": OURS}, {}), ({"it is": OWN}, {"by half": OURS})
    digests = [digest_of(Study(question="?", claim=Claim(".", parts=p, asides=a))) for p, a in (parts, asides)]
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("asides", "said"),
    [
        ({"it is": OURS}, "aside “it is”: is also the name of a part of the claim"),
        ({"x": BETTER}, "part “x”: has no threshold"),
    ],
)
def test_asides_are_parts_of_other_names(asides, said):
    with pytest.raises(ConfigError, match=said):
        Claim("It is.", parts={"it is": OWN}, asides=asides)


def test_a_claim_of_asides_alone_is_none():
    with pytest.raises(ConfigError, match="has no parts, so nothing can decide it"):
        Claim("It is.", asides={"x": OURS})
