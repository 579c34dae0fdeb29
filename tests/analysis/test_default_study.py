"""A sweep without a study has a page: the axes that it swept, a table and a picture of each metric."""

import numpy as np
import pandas as pd
import pytest

from gradreach.analysis.results import Results
from gradreach.analysis.study.default_study import axes_of, default_study
from made_up import results


def of_runs(**columns):
    """Return made-up results of two models, with what a real run table has besides."""
    made = results(models=("cnn", "lstm"), lengths=(8, 16), seeds=2)
    lstm = made.runs["model"] == "lstm"
    own = {"model.forget_bias": np.where(lstm, 1.0, np.nan), "model.padding": np.where(lstm, None, "same")}
    return Results(made.runs.assign(**{"gradient/end/x.reach": 9.0, **own, **columns}), lambda: made.profiles)


def shown(found):
    declared = default_study("mine", found.runs)
    prepared = Results(declared.prepare(found.runs), lambda: found.profiles)
    return declared, prepared


def test_what_differs_only_as_models_do_is_no_axis():
    declared, prepared = shown(of_runs())
    assert axes_of(prepared.runs) == ["model", "seq_len", "seed"]
    assert "Swept: model cnn and lstm; seq_len 8 and 16; seed 0 and 1." in declared.about
    assert set(prepared.runs["architecture"]) == {"cnn k=3", "lstm"}
    assert [each.name for each in declared.show] == ["accuracy", "accuracy", "reach", "reach"]


def test_a_setting_that_was_swept_tells_architectures_apart_or_is_the_axis():
    found = of_runs()
    several = pd.concat(
        [found.runs.assign(**{"optimizer.lr": lr, "run_id": found.runs["run_id"] + str(lr)}) for lr in (0.1, 0.01)]
    )
    declared, prepared = shown(Results(several.reset_index(drop=True)))
    assert set(prepared.runs["architecture"]) == {f"{m} lr={lr}" for m in ("cnn k=3", "lstm") for lr in (0.1, 0.01)}
    one_length = several[several["seq_len"] == 8].reset_index(drop=True)
    declared, prepared = shown(Results(one_length))
    assert set(prepared.runs["architecture"]) == {"cnn k=3", "lstm"}
    assert next(view.text.columns[-1] for view in declared.views(prepared)).endswith("learning rate 0.1")


STATES = {
    "finished": "finished",
    "missing": "missing",
    "failed": "failed",
    "diverged": "diverged",
    "some": np.array(["finished", "missing", "failed", "running"] * 2),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("lacking", ["nothing", "lengths", "models", "seeds", "metrics", "one task"])
def test_whatever_was_swept_and_has_become_of_it_there_is_a_page(state, lacking, tmp_path):
    found = of_runs(status=STATES[state])
    runs = {
        "nothing": lambda runs: runs,
        "lengths": lambda runs: runs.assign(seq_len=pd.array([None] * len(runs), dtype="Int64")),
        "models": lambda runs: runs[runs["model"] == "lstm"],
        "seeds": lambda runs: runs[runs["seed"] == 0],
        "metrics": lambda runs: runs.drop(columns=[name for name in runs if "/" in name]),
        "one task": lambda runs: runs.assign(
            task=np.where(runs["model"] == "lstm", "adding", "digits"),
            **{"test/mse": np.where(runs["model"] == "lstm", 0.5, np.nan)},
        ),
    }[lacking](found.runs)
    declared, prepared = shown(Results(runs.reset_index(drop=True), lambda: found.profiles))
    views = declared.views(prepared)
    assert all(len(view.text) for view in views)
    for picture in declared.figures(prepared):
        picture.draw(prepared, tmp_path / picture.name)
        assert (tmp_path / f"{picture.name}.png").stat().st_size > 0
