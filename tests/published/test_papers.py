"""The files of conf/published, and what is refused of such a file before anything runs."""

import math
import shutil

import pytest
from omegaconf import OmegaConf

from gradreach.config import checked, parse, plain
from gradreach.config.published import Paper, half_digit
from gradreach.errors import ConfigError
from gradreach.published.papers import FIRST_SEED, load, papers
from gradreach.run_table.committed import CONFIRMATORY
from project import PROJECT

CONF = PROJECT / "conf"
PAPER = {"title": "t", "authors": "a", "year": 2020, "source": "arXiv:2011.14439", "where": "Table 1"}
CELL = {"dataset": "d", "model": "m", "metric": "test/accuracy", "published": 92.3}


def paper(**cell):
    return {**PAPER, "cells": {"cnn": {**CELL, **cell}}}


def test_at_least_forty_numbers_are_published_beside_ours():
    assert sum(len(load(name, CONF).paper.cells) for name in papers(CONF)) >= 40


@pytest.mark.parametrize("name", papers(CONF))
def test_a_paper_can_be_run_and_leaves_the_seeds_of_studies_alone(name):
    redone = load(name, CONF)
    for part, runs in redone.runs.items():
        seeds = {run.seed for run in runs}
        assert min(seeds) >= FIRST_SEED, part
        assert max(seeds) < CONFIRMATORY, part
    for computation in redone.paper.compute.values():
        assert FIRST_SEED + computation.draws <= CONFIRMATORY
    for cell in redone.paper.cells.values():
        assert cell.minutes is not None or cell.not_comparable, "what it costs"


def test_the_protocol_of_time_warping_is_that_of_its_section_3():
    redone = load("tallec2018", CONF)
    assert {part: len(runs) for part, runs in redone.runs.items()} == dict.fromkeys(redone.paper.cells, 5)
    for run in (run for runs in redone.runs.values() for run in runs):
        optimizer, trainer, task = run.optimizer, run.trainer, run.task
        assert (optimizer.name, optimizer.lr, optimizer.alpha) == ("rmsprop", 1e-3, 0.9)
        assert (optimizer.schedule, optimizer.factor, optimizer.patience) == ("plateau", 0.5, 1)
        assert (trainer.batch_size, trainer.limit_train_batches, trainer.clip_norm) == (32, 100, None)
        assert trainer.max_steps == 3 * math.ceil(50_000 / 32)
        assert (task.seq_len, task.max_warp, task.train_size, task.test_size) == (500, 100, 50_000, 10_000)
        assert (run.model.width, run.model.chrono) == (64, 100)


@pytest.mark.parametrize(("cell", "blank"), [("uniform_leaky", 100 / 500), ("variable_gated", 50.5 / 500)])
def test_the_chance_level_of_time_warping_is_the_entropy_of_its_answers(cell, blank):
    character = (1 - blank) / 9
    entropy = -blank * math.log(blank) - 9 * character * math.log(character)
    assert load("tallec2018", CONF).paper.cells[cell].chance == pytest.approx(entropy, abs=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (paper(published="many"), "published.cells.cnn.published=many: must be a number, as printed in the paper"),
        (paper(published="nan"), "published.cells.cnn.published=nan: must be a finite number"),
        (paper(publishd=1), "published.cells.cnn.publishd: there is no such setting"),
        (paper(spread=-1), "published.cells.cnn.spread=-1: must be greater than or equal to 0"),
        (paper(runs=[92.0, 93.0]), "must have the published mean, 92.3, but has 92.5"),
        (paper(runs=[92.0, 92.6], n=3), "published.cells.cnn.runs=[92.0, 92.6]: must have n = 3 entries"),
        (
            paper(not_run="x", not_comparable="y"),
            "published.cells.cnn.not_run=x: must not be combined with not_comparable",
        ),
        ({**paper(), "source": "his thesis"}, "published.source=his thesis: must be a DOI"),
        ({**PAPER, "cells": {}}, "published.cells={}: must"),
        (PAPER, "published.cells: this setting is missing"),
        ({**paper(), "trials": {"x": {"cell": "gru", "tried": "y"}}}, "x: there is no cell gru"),
        ({**paper(), "trials": {"cnn": {"cell": "cnn", "tried": "y"}}}, "cnn is the name of a cell"),
        (paper(origin="guess"), "published.cells.cnn.origin=guess: must be"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(values, message):
    with pytest.raises(ConfigError) as refused:
        checked(Paper, values, "published")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"published": {"cells": {"cnn": {"part": "cnm"}}}}, "published.cells.cnn.part=cnm: no such part in"),
        ({"experiment": "other"}, "must say experiment: mnist1d"),
        ({"results_dir": "results"}, "must say results_dir: results/published"),
        ({"published": {"compute": {"x": {"function": "f"}}}}, "published.compute.x.function=f: no such computation"),
        (
            {"published": {"compute": {"x": {"function": "henon_exponents", "arguments": {"c": 1}}}}},
            "published.compute.x.arguments={c: 1}: not those of henon_exponents",
        ),
        ({"published": {"compute": {"cnn": {"function": "henon_exponents"}}}}, "cnn is both computed and trained"),
    ],
)
def test_a_file_that_names_what_there_is_not_is_refused(change, message, tmp_path):
    (tmp_path / "published").mkdir()
    said = OmegaConf.merge(OmegaConf.load(CONF / "published" / "mnist1d.yaml"), change)
    OmegaConf.save(said, tmp_path / "published" / "mnist1d.yaml")
    with pytest.raises(ConfigError, match=r".") as refused:
        load("mnist1d", tmp_path)
    assert message in str(refused.value)


def test_a_paper_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ConfigError, match="reproduce=mnist1e: no such paper; did you mean mnist1d"):
        load("mnist1e", CONF)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "odd.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"odd\.yaml: cannot be read"):
        load("odd", tmp_path)


def test_what_is_published_is_no_part_of_a_runs_identity(composed):
    line = ["published=mnist1d", "model=linear", "task=mnist1d", "seq_len=40"]
    run, environment = parse(plain(composed(*line)))
    assert environment.published.cells["cnn"].published == "92.3"
    assert run.run_id == parse({**plain(composed(*line)), "published": None})[0].run_id


def test_a_paper_without_training_is_no_sweep(composed):
    with pytest.raises(
        ConfigError, match="published=clark2026: it has no cell that needs training; run gradreach reproduce"
    ):
        parse(plain(composed("published=clark2026")))


def test_printed_numbers_keep_their_digits():
    assert [half_digit(each) for each in ("95.10", 92.0, 100, "5.8e-5")] == [0.005, 0.05, 0.5, pytest.approx(5e-7)]


def test_of_what_is_allowed_a_cell_may_only_take_less():
    cells = checked(
        Paper, {**PAPER, "cells": {"a": {**CELL, "unit": "%", "widest": 9}, "b": {**CELL, "metric": "loss"}}}, ""
    ).cells
    assert cells["a"].allowed == 2
    assert cells["b"].allowed == pytest.approx(0.2 * 92.3)


def test_a_copied_project_knows_its_own_papers(tmp_path):
    shutil.copytree(CONF / "published", tmp_path / "published")
    assert papers(tmp_path) == papers(CONF)
    assert papers(tmp_path / "nothing") == []
