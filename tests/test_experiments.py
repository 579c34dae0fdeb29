"""Every claim of the notes has an experiment; every experiment has a quick form, and a page before there is any run."""

import ast
import json
import math
import re
from types import SimpleNamespace

import hydra
import numpy as np
import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.stats import binomtest

from gradreach.analysis.column_words import column_of
from gradreach.analysis.pages.build import build
from gradreach.analysis.results import Results
from gradreach.analysis.stats.verdict import effect_of
from gradreach.analysis.study.parts import Part, judge_parts, leaves_of
from gradreach.analysis.study.rule import digest_of
from gradreach.analysis.study.study_files import known_studies, load_study, of_project
from gradreach.analysis.study.value import Value
from gradreach.assemble import check
from gradreach.compose import configuration, grids
from gradreach.diagnostics.decoding import LAGS, POSITIONS
from gradreach.run_table.committed import write_plan
from gradreach.run_table.load import load_runs
from gradreach.run_table.measurements import load_decoding, load_examples, load_history
from gradreach.tasks import Adding, Recall, TemporalOrder
from project import COMMITTED, PROJECT

OURS = ("C0", "C15", "C16", "C16b", "C18", "C19", "C20", "C21")
"""Claims that the notes do not make."""
NAMES = known_studies(PROJECT / "experiments")
SHORT = {"quickstart", "digits"}
"""Sweeps of minutes, which need no quick form."""
QUICK = sorted(path.stem for path in (PROJECT / "conf" / "experiment").glob("*_quick.yaml"))


def test_every_claim_has_one_experiment():
    claims = [load_study(name, PROJECT / "experiments").claim for name in NAMES]
    assert sorted(claim.id for claim in claims if claim) == sorted(f"C{i}" for i in (*range(17), "16b", *range(18, 22)))


def test_every_claim_is_put_in_the_notes_words_and_in_english():
    for name in NAMES:
        claim = load_study(name, PROJECT / "experiments").claim
        if claim is not None:
            assert claim.id in OURS or re.search("[一-鿿]", claim.original), name
            assert not re.search("[一-鿿]", claim.text), name


@pytest.mark.parametrize("name", NAMES)
def test_a_study_comes_through_one_door(name):
    tree = ast.parse((PROJECT / "experiments" / f"{name}.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    ours = {module for module in imported if module.split(".")[0] == "gradreach"}
    late = {
        "gradreach.models",
        "gradreach.models.convolutional",
        "gradreach.tasks",
        "gradreach.diagnostics",
    }  # of untrained layers
    assert "gradreach.study" in ours <= {"gradreach.study", *late}
    at_once = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module}
    assert not at_once & late


def test_a_rule_is_changed_on_purpose_alone():
    """What decides (parts, thresholds, looks, columns) is pinned: who changes it rewrites its line in the file."""
    studies = {name: load_study(name, PROJECT / "experiments") for name in NAMES}
    rules = {name: digest_of(study)[:16] for name, study in studies.items() if study.claim}
    pinned = (PROJECT / "tests" / "rule_digests.txt").read_text(encoding="utf-8").splitlines()
    assert [f"{name} {digest}" for name, digest in sorted(rules.items())] == pinned


@pytest.mark.parametrize("name", NAMES)
def test_students_t_is_for_no_number_that_lies_at_its_bounds(name):
    """Reaches and accuracies are often all or nothing: their means are not near normal, so seeds are counted."""
    study = load_study(name, PROJECT / "experiments")
    parts = leaves_of(study.parts).values() if study.claim else ()
    means = [part.quantity for part in parts if isinstance(part, Part) and part.quantity.outcome == "mean"]
    for metric in (each.metric for each in means if isinstance(each, Value)):
        assert not metric.endswith(".reach")
        assert not np.isfinite(column_of(metric, study.columns).limits).all(), metric


def test_every_committed_study_is_listed_as_part_of_the_project():
    assert of_project(NAMES, PROJECT / "experiments") == NAMES
    assert of_project([*NAMES, "mine"], PROJECT / "experiments") == NAMES


def test_no_past_input_of_recall_that_is_decoded_is_its_cue(configured):
    (recall,) = (jobs for jobs in first_jobs("hidden_vs_cell") if "task=recall" in jobs)
    length = configured(*recall)[0].task.arguments()["seq_len"]
    assert not {math.ceil(position * length) - 1 for position in POSITIONS} & set(LAGS)


def test_every_experiment_has_a_quick_form_that_leaves_committed_results_alone(composed):
    assert {name.removesuffix("_quick") for name in QUICK} == set(NAMES) - SHORT
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
        run, environment = configured(f"experiment={name}", *overrides)
        if run.task.name not in ("mnist", "trec", "sst", "imdb", "text_file"):  # these need files
            check(run, environment)
        runs.append(run)
    write_plan(environment, runs)
    build(environment.experiment, environment.results_dir, PROJECT / "experiments")
    summary = json.loads((environment.results_dir / environment.experiment / "summary.json").read_text())
    assert summary["planned"] == len(runs) > 0
    assert summary["verdict"]["state"] == "open"


RUN = [name for name in NAMES if name in COMMITTED and name not in SHORT]


def committed(name):
    """Return a study and its committed results."""
    study, results_dir = load_study(name, PROJECT / "experiments"), PROJECT / "results"
    runs = load_runs(name, results_dir)
    return study, Results(
        study.prepare(runs),
        read_history=lambda: load_history(runs, name, results_dir),
        read_decoding=lambda: load_decoding(runs, name, results_dir),
        read_examples=lambda: load_examples(runs, name, results_dir),
        derived=study.columns,
    )


def table(name, of):
    study, results = committed(name)
    return next(view for view in study.views(results) if view.table.name == of).numbers


def leaves(name):
    return leaves_of(load_study(name, PROJECT / "experiments").parts)


def effects_of(verdict):
    return [part.effect for part in verdict.leaves if part.effect]


@pytest.mark.parametrize("name", RUN)
def test_no_effect_counts_a_seed_twice(name):
    study, results = committed(name)
    seeds = results.runs["seed"].nunique()
    assert {
        effect.label: effect.n
        for effect in effects_of(judge_parts(study.parts, study.of_chosen(results)))
        if effect.n > seeds
    } == {}


def test_the_curve_that_the_notes_print_has_its_maximum_where_its_derivative_is_zero():
    # of u = e^x: tanh'(x) σ(x) = 4u³ / ((1 + u²)² (1 + u)), so that 2u³ + u² − 2u − 3 = 0
    (u,) = (root.real for root in np.roots([2, 1, -2, -3]) if abs(root.imag) < 1e-12 and root.real > 0)
    at, peak = math.log(u), 4 * u**3 / ((1 + u**2) ** 2 * (1 + u))
    assert (round(at, 3), round(peak, 3)) == (0.226, 0.529)
    (part,) = (part for part in leaves("gate_saturation").values() if part.rule == "arithmetic")
    assert part.judge(None).state == "refuted"
    assert part.judge(None).sentence == "Arithmetic: its maximum is 0.529, at x = 0.226."


def test_the_horizon_that_is_needed_lies_above_the_longest_that_is_told_apart_from_none():
    study = load_study("gradient_horizon", PROJECT / "experiments")
    (needed,) = (each.compute for each in study.tables if each.name == "needed")
    scores = {
        "dips": {5: 0.99, 10: 0.5, 15: 1.0, None: 1.0},  # what 5 steps give is lost again with 10
        "all": {5: 0.5, 10: 0.6, 15: 0.7, None: 1.0},
        "none": {5: 0.75, 10: 0.76, 15: 0.75, None: 0.75},
        "chance": {5: 0.13, 10: 0.13, 15: 0.13, None: 0.13},
        "diverged": {5: 1.0, 10: None, 15: 1.0, None: 1.0},
    }
    rows = [
        {"task": "recall", "architecture": name, "metric": "accuracy", "chance": 0.125, "seed": seed}
        | {"status": "finished" if score else "diverged", "trainer.gradient_horizon": k, "horizon": k or 19}
        | {"test/accuracy": score, "gradient/end/x.reach": 19.0}
        for seed in range(6)
        for name, by_horizon in scores.items()
        for k, score in by_horizon.items()
    ]

    def found(runs):
        return needed(Results(runs)).set_index("architecture")["needed horizon"].to_dict()

    runs = pd.DataFrame(rows)
    told = {"dips": "10 to 15", "all": "15 to 19", "diverged": "10 to 15"}
    untold = {"none": "no significant difference", "chance": "not learned"}
    assert found(runs) == told | untold
    assert found(runs[runs["seed"] < 5]) == dict.fromkeys(told, "no significant difference") | untold, (
        "of five seeds nothing is told"
    )


CUES = {  # which steps of drawn inputs are cues
    "recall": (Recall, lambda x: x < 8),
    "adding": (Adding, lambda x: x[:, :, 1] > 0),
    "temporal_order": (TemporalOrder, lambda x: x < 2),
}


@pytest.mark.parametrize("length", [10, 40, 80])
@pytest.mark.parametrize("task", CUES)
def test_the_cue_of_c0_is_reached_from_the_earliest_step_that_is_drawn_on(task, length):
    kind, cues = CUES[task]
    x, _ = kind(seq_len=length).draw(np.random.default_rng(0), 4000, "train")
    lag = length - 1 - int(cues(x).argmax(1).min())
    reach = pd.DataFrame({"task": task, "seq_len": length, "gradient/end/x.reach": [lag - 1.0, lag, lag + 1, math.nan]})
    full = load_study("reach_and_accuracy", PROJECT / "experiments").columns["full"].compute(reach)
    assert full.tolist() == [False, True, True, False]


def won(**scores):
    """Return whether the GRU, and whether the LSTM, is better on both tasks of classes, by these scores."""
    study = load_study("gru_vs_lstm", PROJECT / "experiments")
    runs = [
        {"architecture": name, "task": task, "examples": 3200, "seed": seed, "status": status, "metric": "accuracy"}
        | {"test/accuracy": score, "seq_len": 1, "kernel_size": None}
        for task in scores
        for name, several in zip(("gru", "lstm b=1"), scores[task], strict=True)
        for seed, (status, score) in enumerate(several)
    ]
    parts = study.claim.parts["at fewer than 60 % of the seeds MNIST-1D and TREC are both learned better by"]
    return [part.judge(Results(pd.DataFrame(runs))).effect for part in parts.values()]


def test_a_cell_is_better_throughout_at_a_seed_where_it_is_so_on_both_tasks():
    ok, bad = [("finished", 0.9)] * 2, [("finished", 0.8)] * 2
    gru, lstm = won(mnist1d=(ok, bad), trec=(ok, bad))
    assert (gru.value, lstm.value, gru.n) == (100, 0, 2)
    gru, lstm = won(mnist1d=(bad, ok), trec=(ok, bad))
    assert (gru.value, lstm.value) == (0, 0)
    gru, lstm = won(mnist1d=(ok, [bad[0], ("diverged", math.nan)]), trec=(ok, [ok[0], bad[0]]))
    assert (gru.value, lstm.value) == (50, 0), "a tie is not a win, and what diverged loses"


def test_of_24_seeds_both_alike_cells_and_a_clear_winner_can_be_told_from_the_bar():
    study, results = committed("gru_vs_lstm")
    part = study.claim.parts["at fewer than 60 % of the seeds MNIST-1D and TREC are both learned better by"]["the GRU"]
    level = 0.05 / len(study.looks) / sum(each.number(results) for each in leaves("gru_vs_lstm").values())
    found = [effect_of("", [True] * k + [False] * (24 - k), "%", level, "share") for k in range(25)]
    states = [part.threshold.judge(each)[0] for each in found]
    assert (states.count("supported"), states.count("refuted")) == (7, 2), "at most 6, at least 23: the page says so"


def test_the_simplified_cell_and_every_start_of_an_lstm_are_judged_by_factors_of_their_own():
    judged = {
        (part.quantity.metric, part.quantity.a["architecture"])
        for part in leaves("gate_saturation").values()
        if part.rule != "arithmetic"
    }
    assert judged == {
        (f"gradient/{stage}/gate_{gate}.saturated", name)
        for stage in ("start", "end")
        for gate, name in (("notes", "gated_tanh"), ("f", "lstm"), ("f", "lstm b=1"), ("f", "lstm b=3"))
    }


def test_which_lags_a_part_tells_more_of_is_said_by_whole_intervals():
    for row in table("hidden_vs_cell", "by_lag_differences").to_dict("records"):
        words = row["in words"]
        said = {part: words.partition(f"{part} tells more at lag ")[2].partition(";")[0].split(", ") for part in "hc"}
        for lag in [lag for lag in LAGS if f"lag {lag}" in row]:
            mean, half = (float(number.replace("−", "-")) for number in row[f"lag {lag}"].split(" ± "))
            if abs(abs(mean) - half) > 0.001:  # else rounding decides
                assert (f"{lag}" in said["h"], f"{lag}" in said["c"]) == (mean > half, mean < -half), row


def test_what_follows_the_length_follows_that_of_each_run(monkeypatch):
    planned = []
    monkeypatch.setattr("gradreach.sweeps.sweep.sweep", lambda jobs, compose, *_: planned.extend(map(compose, jobs)))
    with configuration(PROJECT / "conf"):
        line = ["experiment=sequence_length_quick"]
        master = hydra.compose("config", overrides=line, return_hydra_config=True)
        sweeper = instantiate(master.hydra.sweeper)
        context = SimpleNamespace(config_loader=GlobalHydra.instance().config_loader())
        sweeper.setup(hydra_context=context, task_function=lambda config: None, config=master)
        sweeper.sweep([])
        lengths = {(job.seq_len, job.model.chrono) for job in planned if job.model.get("chrono")}
    assert lengths == {(length, length) for length in (10, 64, 80, 192, 196)}


def test_a_sweep_of_several_grids_is_their_sum_and_null_leaves_one_out():
    parts = {"a": {"model": "rnn"}, "b": {"model": "cnn", "seed": "5"}, "c": None}
    assert grids({"seed": "0,1"}, parts) == [{"seed": "0,1", "model": "rnn"}, {"seed": "5", "model": "cnn"}]
    assert grids({"seed": "0,1"}, None) == [{"seed": "0,1"}]


def solved_runs(*seeds, **columns):
    """Return a run a name of columns: of each seed these runs, solved or not."""
    runs = [{"seed": seed, "solved": each} for seed, several in enumerate(seeds) for each in several]
    return pd.DataFrame(runs).assign(status="finished", **columns)


def test_the_shares_of_c0_count_a_seed_once_and_a_run_that_diverged_as_not_solved():
    (counts,) = (
        each.compute
        for each in load_study("reach_and_accuracy", PROJECT / "experiments").tables
        if each.name == "counts"
    )
    where = {"task": "recall", "seq_len": 40, "full": True}
    runs = solved_runs([True] * 6, [False] * 2, **where)  # six of eight runs, and half of either seed
    (found,) = counts(Results(runs)).to_dict("records")
    assert (found["reach it, runs"], found["reach it, solved"], found["reach it, %"]) == (8, 6, 50)
    exact = binomtest(1, 2).proportion_ci()
    assert [found["reach it, 95 % from"], found["reach it, to"]] == pytest.approx([100 * exact.low, 100 * exact.high])
    assert math.isnan(found["do not, %"])
    runs.loc[7, "status"] = "diverged"
    (found,) = counts(Results(runs)).to_dict("records")
    assert (found["reach it, runs"], found["reach it, solved"]) == (8, 6)
