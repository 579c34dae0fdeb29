"""Every claim of the notes has an experiment; every experiment has a quick form, and a page before there is any run."""

import json
import math
import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gradreach.analysis.build import build
from gradreach.analysis.experiment import known_experiments, load_experiment
from gradreach.analysis.run_table import write_plan
from gradreach.diagnostics.decoding import LAGS, POSITIONS
from gradreach.runner import check
from hydra_plugins.gradreach_sweeper import grids
from project import PROJECT

NAMES = known_experiments(PROJECT / "experiments")
QUICK = sorted(path.stem for path in (PROJECT / "conf" / "experiment").glob("*_quick.yaml"))


def test_every_claim_has_one_experiment():
    claims = [load_experiment(name, PROJECT / "experiments").claim for name in NAMES]
    assert sorted(claim.id for claim in claims if claim) == sorted(f"C{i}" for i in range(1, 17))


def test_every_claim_is_put_in_the_notes_words_and_in_english():
    for name in NAMES:
        claim = load_experiment(name, PROJECT / "experiments").claim
        if claim is not None:
            assert re.search("[一-鿿]", claim.words), name
            assert not re.search("[一-鿿]", claim.translation), name


def test_no_past_input_of_recall_that_is_decoded_is_its_cue(configured):
    (recall,) = (jobs for jobs in first_jobs("hidden_vs_cell") if "task=recall" in jobs)
    length = configured(*recall)[0].task.arguments()["seq_len"]
    assert not {math.ceil(position * length) - 1 for position in POSITIONS} & set(LAGS)


def test_every_experiment_has_a_quick_form_that_leaves_committed_results_alone(composed):
    assert {name.removesuffix("_quick") for name in QUICK} == set(NAMES) - {"quickstart"}
    for name in QUICK:
        assert composed(f"experiment={name}").results_dir == "results/quick"


def first_jobs(name):
    """Return the overrides of the first job of every part of an experiment."""
    settings = OmegaConf.create({})
    for stem in dict.fromkeys((name.removesuffix("_quick"), name)):
        settings = OmegaConf.merge(settings, OmegaConf.load(PROJECT / "conf" / "experiment" / f"{stem}.yaml"))
    sweeper = OmegaConf.to_container(settings.hydra.sweeper, resolve=False)
    parser = OverridesParser.create()
    for grid in grids(sweeper["params"], sweeper.get("parts")):
        parsed = parser.parse_overrides([f"{key}={unescaped(value)}" for key, value in grid.items()])
        yield [f"{each.key_or_group}={first_value(each)}" for each in parsed]


def unescaped(value):
    return str(value).replace("\\$", "$")


def first_value(override):
    return (
        next(iter(override.sweep_string_iterator()))
        if override.is_sweep_override()
        else override.get_value_element_as_str()
    )


@pytest.mark.parametrize("name", QUICK)
def test_every_part_of_every_experiment_can_be_built_and_has_a_page_before_its_runs(name, configured, tmp_path):
    runs = []
    for overrides in first_jobs(name):
        run, workplace = configured(f"experiment={name}", *overrides)
        if run.task.name not in ("trec", "sst", "imdb", "text_file"):  # these need files
            check(run, workplace)
        runs.append(run)
    write_plan(workplace, runs)
    build(workplace.experiment, workplace.results_dir, PROJECT / "experiments")
    summary = json.loads((workplace.results_dir / workplace.experiment / "summary.json").read_text())
    assert summary["planned"] == len(runs) > 0
    assert summary["verdict"]["state"] == "undecided"


def test_a_sweep_of_several_grids_is_their_sum_and_null_leaves_one_out():
    parts = {"a": {"model": "rnn"}, "b": {"model": "cnn", "seed": "5"}, "c": None}
    assert grids({"seed": "0,1"}, parts) == [{"seed": "0,1", "model": "rnn"}, {"seed": "5", "model": "cnn"}]
    assert grids({"seed": "0,1"}, None) == [{"seed": "0,1"}]
