"""Made-up results: whatever models, lengths and seeds a test needs, without training."""

import numpy as np
import pandas as pd

from gradreach.analysis.results import Results

EPOCHS = 4


def results(models=("cnn", "lstm"), lengths=(8, 16), seeds=3, status=lambda model, length, seed: "finished", **columns):
    """Return results in which every number follows from its place: accuracy falls with length and rises with seed."""
    rows, profiles, history, told = [], [], [], []
    for m, model in enumerate(models):
        for length in lengths:
            for seed in range(seeds):
                run_id = f"{m:02d}{length:03d}{seed:03d}"
                state = status(model, length, seed)
                rows.append(row(run_id, m, model, length, seed, state))
                if state == "finished":
                    profiles += [profile(run_id, stage, m, length, seed) for stage in STAGES]
                    told += [decoding(run_id, stage, seed) for stage in ("start", "end")]
                if state != "missing":
                    history.append(epochs(run_id, m, length, seed))
    runs = pd.DataFrame(rows).astype({"seq_len": "Int64", "kernel_size": "Int64"}).assign(**columns)
    return Results(runs, lambda: together(profiles), lambda: together(history), lambda: together(told))


def together(frames):
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


STAGES = ("start", *(f"epoch {n}" for n in range(1, EPOCHS + 1)), "end")


def row(run_id, m, model, length, seed, state):
    known = {
        "test/accuracy": 0.9 - 0.01 * length - 0.05 * m + 0.01 * seed,
        "chance": 0.1,
        "metric": "accuracy",
        "parameters": 1000 * (m + 1) + length,
        "multiply_adds": 1e6 * (m + 1),
        "seconds": 10.0 + m + seed,
        "revision": "abc",
        "gradient/start/h.half_life": 2.0 + m,
        "gradient/start/h.r2": 0.99,
        "gradient/start/h.reach": 6.0,
        "gradient/end/h.half_life": 4.0 + m + seed,
        "gradient/end/h.r2": 0.99 if seed else 0.5,
        "gradient/end/h.reach": length - 1.0,
        "gradient/start/gate_f.mean": 0.5,
        "gradient/start/gate_f.closed": 0.0,
        "gradient/start/gate_f.open": 0.1,
    }
    kernel_size = 3 + 2 * (m % 3) if model.startswith("cnn") else None
    facts = {"run_id": run_id, "status": state, "model": model, "architecture": model, "task": "digits"}
    facts |= {"seq_len": length, "kernel_size": kernel_size, "seed": seed}
    return facts | (known if state == "finished" else dict.fromkeys(known))


def profile(run_id, stage, m, length, seed):
    lag = np.arange(length)
    median = -0.1 * (m + 1) * lag - 0.01 * seed
    labels = {"run_id": run_id, "stage": stage, "layer": "input", "direction": "forward", "quantity": "x"}
    return pd.DataFrame({**labels, "lag": lag, "q10": median - 0.1, "median": median, "q90": median + 0.1, "n": 4})


def decoding(run_id, stage, seed):
    """Of h and c: inputs at two lags from two positions, of which one reaches both; the target at both."""
    what = [("input", 0.5, 0), ("input", 1.0, 0), ("input", 1.0, 2), ("target", 0.5, np.nan), ("target", 1.0, np.nan)]
    rows = [
        {
            "quantity": quantity,
            "of": of,
            "position": position,
            "lag": lag,
            "r2": r2 - 0.01 * seed - 0.3 * (stage == "start"),
        }
        for quantity, r2 in (("h", 0.6), ("c", 0.8))
        for of, position, lag in what
    ]
    return pd.DataFrame(rows).assign(run_id=run_id, stage=stage, layer="lstm", direction="forward", n=100)


def epochs(run_id, m, length, seed):
    epoch = np.arange(1, EPOCHS + 1)
    gate = {f"gradient/gate_f.{share}": 0.5 + 0.05 * epoch for share in ("mean", "closed", "open")}
    figures = {"val/accuracy": 0.1 * epoch + 0.01 * seed + 0.02 * m, **gate}
    return pd.DataFrame({"run_id": run_id, "epoch": epoch, **figures})
