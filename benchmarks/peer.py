"""The same job as Lightning's users do it: an LSTM on digits, set up as lightning-hydra-template sets up its own.

It follows https://github.com/ashleve/lightning-hydra-template (commit bddbc24, 2024), in our own words: Hydra composes
a tree of groups and instantiates data module, module, callbacks, logger and Trainer; the module logs metrics of
torchmetrics at the end of every epoch, with the progress bar; ``ModelCheckpoint`` keeps the best epoch by validation
accuracy, and the last; ``EarlyStopping`` (patience 100), ``RichModelSummary``, ``RichProgressBar`` and ``CSVLogger``
are on; the configuration is printed as a tree and written; the best checkpoint is loaded and tested. As there, batches
come from a ``DataLoader`` over a data set of tensors, in this process.

Where it sets other values than our default run, those of our default run are taken: 15 epochs, batches of 64, Adam
with 0.01, gradients clipped to 1, no schedule. What it does not need is left out, to its advantage: torchvision, wandb
(which it imports to end), a search for the project's root, logging in colour. Our project depends on
``pytorch-lightning``; it uses ``lightning``, which is the same code.

``python benchmarks/peer.py`` does it once, in the present folder; overrides of Hydra are taken. ``peer_conf/`` is its
configuration.
"""

from pathlib import Path
from typing import Any

import hydra
import rich
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from rich.syntax import Syntax
from rich.tree import Tree
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics import MaxMetric, MeanMetric, Metric
from torchmetrics.classification import Accuracy

STAGES = ("train", "val", "test")


class DigitsData(LightningDataModule):
    """The digits of our default run."""

    def __init__(self, seq_len: int, batch_size: int) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.parts: dict[str, Dataset[Any]] = {}

    def setup(self, stage: str | None = None) -> None:
        """Read them."""
        from gradreach.tasks import Digits

        splits = Digits(seq_len=self.hparams["seq_len"]).splits(Path("data"))
        self.parts = {name: TensorDataset(part.x, part.target) for name, part in zip(STAGES, splits, strict=True)}

    def loader(self, stage: str) -> DataLoader[Any]:
        """Return batches of one split; those of training in random order."""
        return DataLoader(self.parts[stage], batch_size=self.hparams["batch_size"], shuffle=stage == "train")

    def train_dataloader(self) -> DataLoader[Any]:
        """Return what is learned from."""
        return self.loader("train")

    def val_dataloader(self) -> DataLoader[Any]:
        """Return what is chosen by."""
        return self.loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Return what is tested on."""
        return self.loader("test")


class Recurrent(nn.Module):
    """An LSTM read at its last step."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.LSTM(1, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits ``(batch, outputs)``."""
        logits: Tensor = self.head(self.layer(x)[0][:, -1])
        return logits


class Classifier(LightningModule):
    """Cross-entropy and accuracy; all that is logged is an object of torchmetrics."""

    def __init__(self, net: nn.Module, optimizer: Any) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False, ignore=["net"])
        self.net = net
        self.criterion = nn.CrossEntropyLoss()
        for stage in STAGES:
            setattr(self, f"{stage}_loss", MeanMetric())
            setattr(self, f"{stage}_acc", Accuracy(task="multiclass", num_classes=10))
        self.best = MaxMetric()

    def metrics(self, stage: str) -> tuple[Metric, Metric]:
        """Return loss and accuracy of a stage."""
        return getattr(self, f"{stage}_loss"), getattr(self, f"{stage}_acc")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.net(x)
        return logits

    def step(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch, and log."""
        x, y = batch
        logits = self(x)
        loss: Tensor = self.criterion(logits, y)
        mean, accuracy = self.metrics(stage)
        mean(loss)
        accuracy(logits.argmax(1), y)
        self.log(f"{stage}/loss", mean, on_step=False, on_epoch=True, prog_bar=True)
        self.log(f"{stage}/acc", accuracy, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def on_train_start(self) -> None:
        """Forget what Lightning's sanity check has counted."""
        for metric in (*self.metrics("val"), self.best):
            metric.reset()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Learn."""
        return self.step("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Validate."""
        self.step("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Test."""
        self.step("test", batch)

    def on_validation_epoch_end(self) -> None:
        """Log the best accuracy so far."""
        self.best(self.metrics("val")[1].compute())
        self.log("val/acc_best", self.best.compute(), sync_dist=True, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Make the optimizer, of which only the parameters are lacking."""
        return self.hparams["optimizer"](params=self.parameters())


def print_tree(config: DictConfig, folder: Path) -> None:
    """Print the configuration as a tree, and write it."""
    tree = Tree("CONFIG", style="dim", guide_style="dim")
    for name, group in config.items():
        branch = tree.add(str(name), style="dim", guide_style="dim")
        text = OmegaConf.to_yaml(group, resolve=True) if isinstance(group, DictConfig) else str(group)
        branch.add(Syntax(text, "yaml"))
    rich.print(tree)
    with (folder / "config_tree.log").open("w") as file:
        rich.print(tree, file=file)


@hydra.main(version_base="1.3", config_path="peer_conf", config_name="train")
def main(config: DictConfig) -> None:
    """Train and test."""
    folder = Path(config.paths.output_dir)
    print_tree(config, folder)
    seed_everything(config.seed, workers=True)
    data, module = hydra.utils.instantiate(config.data), hydra.utils.instantiate(config.model)
    callbacks, loggers = (
        [hydra.utils.instantiate(one) for one in group.values()] for group in (config.callbacks, config.logger)
    )
    trainer: Trainer = hydra.utils.instantiate(config.trainer, callbacks=callbacks, logger=loggers)
    counted = {"model/params/total": sum(parameter.numel() for parameter in module.parameters())}
    for logger in trainer.loggers:
        logger.log_hyperparams({**OmegaConf.to_container(config), **counted})  # type: ignore[dict-item]
    trainer.fit(module, datamodule=data)
    trainer.test(module, datamodule=data, ckpt_path=callbacks[0].best_model_path, weights_only=False)
    print(f"test/acc: {float(trainer.callback_metrics['test/acc'])}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
