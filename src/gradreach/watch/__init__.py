"""How far back the gradient reaches in your own training: Lightning, Hugging Face, plain loops.

from gradreach.watch import GradientReach

Trainer(callbacks=[GradientReach(probe=next(iter(loader)))])

All examples watch a classifier of sequences, which needs nothing of gradreach::

    >>> class Classifier(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.lstm, self.head = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.head(self.lstm(x)[0][:, -1])
    >>> def own_loss(model, probe):
    ...     x, target = probe
    ...     return nn.functional.cross_entropy(model(x), target, reduction="none")
    >>> _ = torch.manual_seed(0)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gradreach.watch.language_model import reach_of
from gradreach.watch.watcher import Watcher, watch

if TYPE_CHECKING:
    from gradreach.watch.hugging_face import GradientReachCallback as GradientReachCallback  # needs transformers
    from gradreach.watch.lightning import GradientReach

__all__ = ["GradientReach", "Watcher", "reach_of", "watch"]


NEEDS = {"GradientReach": ("lightning", "pytorch-lightning"), "GradientReachCallback": ("hugging_face", "transformers")}


def __getattr__(name: str) -> Any:
    """Import a callback, together with the library it is for."""
    if name not in NEEDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, package = NEEDS[name]
    try:
        return getattr(import_module(f"gradreach.watch.{module}"), name)
    except ModuleNotFoundError as error:
        raise ImportError(f"{name} needs {package}: pip install {package}") from error
