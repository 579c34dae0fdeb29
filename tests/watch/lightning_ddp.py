"""A training by two processes on the CPU: ``lightning_ddp.py with|without alone|gather FILE``.

With or without the callback; each process with its own loss, or with one that gathers what the other one computed.
"""

import hashlib
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradreach.watch import GradientReach


class Module(pl.LightningModule):
    """A GRU that says the sign of the first step."""

    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(1, 8, batch_first=True), nn.Linear(8, 2)

    def training_step(self, batch, batch_idx):
        """Return the loss of a batch."""
        x, target = batch
        states = self.gru(x)[0][:, -1]
        loss = F.cross_entropy(self.head(states), target)
        if sys.argv[2] == "gather":
            parts = [torch.zeros_like(states) for _ in range(2)]
            torch.distributed.all_gather(parts, states.detach())
            loss = loss + (states @ torch.cat(parts).T).mean()
        return loss

    def configure_optimizers(self):
        """Return the optimizer."""
        return torch.optim.Adam(self.parameters())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    warnings.filterwarnings("always", message="gradreach")
    pl.seed_everything(0, verbose=False)
    x = torch.randn(64, 20, 1)
    data = TensorDataset(x, (x[:, 0, 0] > 0).long())
    callback = GradientReach((x[:8], data.tensors[1][:8]), quantities=("profile", "lyapunov"))
    module = Module()
    trainer = pl.Trainer(
        strategy="ddp",
        devices=2,
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback] if sys.argv[1] == "with" else [],
    )
    trainer.fit(module, DataLoader(data, batch_size=8))
    if trainer.is_global_zero:
        weights = b"".join(value.numpy().tobytes() for value in module.state_dict().values())
        stages = callback.profile["stage"].unique().tolist() if len(callback.profile) else []
        Path(sys.argv[3]).write_text(f"{hashlib.sha256(weights).hexdigest()} {','.join(stages)}")
    torch.distributed.destroy_process_group()  # else a thread of gloo may abort the process as it ends
