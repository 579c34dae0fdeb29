"""The page of an experiment, in the order in which people read it."""

import re

import pandas as pd
import pytest

from gradreach.analysis.pages.built import Built
from gradreach.analysis.pages.page import page
from gradreach.analysis.results import Results
from gradreach.analysis.study.declaration import Answer, Claim, Study
from gradreach.analysis.study.judging import judged, looks_at
from gradreach.analysis.tables.layout import make
from gradreach.analysis.tables.rates import chosen_rates
from gradreach.study import compare, table

CAVEATS = ("Budget: none.",)


def runs(seeds):
    facts = {
        "status": "finished",
        "task": "recall",
        "seq_len": 50,
        "kernel_size": None,
        "metric": "accuracy",
        "chance": 0.1,
    }
    rows = [
        {"run_id": f"{model}{seed}", "model": model, "architecture": model, "seed": seed, "optimizer.lr": 0.01}
        | {"test/accuracy": accuracy + seed % 3 / 100, "parameters": 100, "chosen": True, **facts}
        for model, accuracy in (("rnn", 0.5), ("lstm", 0.7))
        for seed in seeds
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def text(tmp_path):
    better = compare("test/accuracy", {"model": "lstm"}, {"model": "rnn"})
    study = Study(
        question="Is it so?",
        about="What is meant.",
        answer=Answer("Yes, it is.", "supported, refuted"),
        claim=Claim("It is.", id="C1", parts={"it is": better.above(5), "by half": better.above(30)}),
        show=[table("test/accuracy", columns="seq_len"), table("test/accuracy", name="again")],
    )
    results = Results(runs(range(100, 112)))
    looks = looks_at(study, results, list(range(100, 112)))
    verdict = judged(study, results, looks)
    views = (make(chosen_rates(["model"]), results), *study.views(results))
    captions = {"main": "The main one.", "other": "Another one."}
    return page(
        Built(
            "mine", study, results, views, {}, captions, verdict, "24 of 24.", ("Budget: none.",), "A rule.", tmp_path
        )
    )


def test_the_order_is_question_answer_picture_parts_caveats_other_pictures_tables(text):
    told = ["# Is it so?", "**Yes, it is.**", "![Main](main.png)", "| part | outcome |", "## Caveats"]
    told += [
        "![Other](other.png)",
        "## Tables",
        "<summary>Accuracy</summary>",
        "<summary>Appendix: learning rates</summary>",
    ]
    places = [text.index(each) for each in told]
    assert places == sorted(places)


def test_a_part_without_a_number_has_no_row_and_is_counted_below_the_table(tmp_path):
    better = compare("test/accuracy", {"model": "lstm"}, {"model": "rnn"})
    gru = compare("test/accuracy", {"model": "gru"}, {"model": "rnn"})
    study = Study(
        question="?", claim=Claim("It is.", id="C1", parts={"it is": better.above(5), "not run": gru.above(0)})
    )
    results = Results(runs(range(100, 112)))
    verdict = judged(study, results, looks_at(study, results, list(range(100, 112))))
    made = page(Built("mine", study, results, (), {}, {}, verdict, "", (), "", tmp_path))
    table_of_parts = made.partition("<details>")[0]
    assert "| ✔ it is |" in table_of_parts
    assert "not run |" not in table_of_parts
    assert "◌ 1 part has no number yet, and no row: no runs to compare." in table_of_parts


def test_a_part_has_its_sign_its_outcome_its_number_with_an_interval_and_its_threshold(text):
    assert "| part | outcome | number [97.5 %] | threshold |" in text
    assert "| ✔ it is | supported | 20 points | test accuracy above 5 points |" in text
    assert "| ✘ by half | refuted | 20 points | test accuracy above 30 points |" in text


def test_tables_are_folded_and_how_their_cells_are_read_is_said_once(text):
    assert text.count("Cells: mean over seeds") == 1
    assert text.count("<details>") == text.count("</details>") == 5
    for each in re.findall(r"<details>.*?</details>", text, re.S):
        assert re.search(r"</summary>\n\n", each)  # else it is not Markdown inside


def test_caveats_are_bullets(text):
    assert "## Caveats\n\n- 24 of 24.\n- Budget: none.\n" in text
