"""The callback under two processes, in Hugging Face's Trainer, and with loggers that take pictures."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("lightning_ddp.py")


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["alone", "gather"])
def test_two_processes_train_as_they_would_without(tmp_path, loss):
    found = {}
    for how in ("without", "with"):
        out = tmp_path / how
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
        ran = subprocess.run(
            [sys.executable, SCRIPT, how, loss, out],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found[how] = out.read_text().split(" ", 1)
    assert found["with"][0] == found["without"][0]
    if loss == "alone":
        assert found["with"][1] == "start,epoch 1,epoch 2"
    else:
        assert found["with"][1] == ""  # no process measures alone what all compute
        assert "talks to other processes (allgather_), but one process measures alone; pass loss=" in ran.stderr


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.slow
def test_hugging_faces_trainer_logs_how_far_the_gradient_reaches(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from gradreach.watch import GradientReachCallback, reach_of

    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "n_positions": 16, "n_embd": 8, "n_layer": 2, "n_head": 2}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    ids = torch.randint(30, (16, 12))
    rows = [{"input_ids": row, "labels": row} for row in ids]
    options = {"per_device_train_batch_size": 8, "num_train_epochs": 2, "logging_strategy": "epoch", "use_cpu": True}
    arguments = transformers.TrainingArguments(tmp_path, **options, report_to=[], save_strategy="no", disable_tqdm=True)
    trainer = transformers.Trainer(model, arguments, train_dataset=rows)
    callback = GradientReachCallback(trainer, {"input_ids": ids[:4], "labels": ids[:4]})
    trainer.add_callback(callback)
    trainer.train()
    logged = [key for row in trainer.state.log_history for key in row if key.startswith("gradient/reach/")]
    assert set(logged) == {f"gradient/reach/{place}" for place in ("input", "transformer.h.0", "transformer.h.1")}
    assert callback.profile["stage"].unique().tolist() == ["start", "epoch 1", "epoch 2"]
    assert callback.watcher.one_by_one is False
    assert "transformer.h.1" in set(reach_of(model, ids)["layer"])
