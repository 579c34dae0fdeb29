"""How many tokens back a causal language model's prediction reaches, layer by layer."""

from typing import Any

import pandas as pd
import torch.nn.functional as F
from torch import Tensor, nn

from gradreach.diagnostics.profile import profile_of
from gradreach.diagnostics.trace import trace_probe
from gradreach.watch.probe import AnyProbe


def reach_of(model: nn.Module, ids: Tensor, layers: list[str] | None = None) -> pd.DataFrame:
    """Measure the gradient of the last token's prediction, by lag, at every layer of a causal language model.

    The loss of each text is the cross-entropy of the most likely next token.

    Args:
        model: called as ``model(ids)``; gives logits ``(batch, length, tokens)``, or an output with ``logits``.
        ids: ``(batch, length)`` token ids, without padding.
        layers: modules whose output is measured; None: the blocks of the model.

    Returns:
        The columns of ``profile_of``; its ``reach`` is the number of tokens back at which one per cent is left.

    Raises:
        ValueError: ids are not ids, or the model gives no logits.

    >>> from gradreach.diagnostics import reach
    >>> class Model(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.embedding, self.gru = nn.Embedding(50, 8), nn.GRU(8, 8, batch_first=True)
    ...     def forward(self, ids):
    ...         return self.gru(self.embedding(ids))[0] @ self.embedding.weight.T
    >>> profile = reach_of(Model(), torch.arange(40).reshape(2, 20))
    >>> bool(reach(profile[profile["quantity"] == "h"]) < 19)
    True
    """
    if not isinstance(ids, Tensor) or ids.dim() != 2 or ids.is_floating_point():
        raise ValueError("ids: pass integer token ids (batch, length)")
    return profile_of(trace_probe(model, AnyProbe(ids, _surprise), layers=layers))


def _surprise(model: nn.Module, ids: Any) -> Tensor:
    output = model(ids)
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.dim() != 3:
        raise ValueError("the model gives no logits (batch, length, tokens)")
    last = logits[:, -1]
    return F.cross_entropy(last, last.argmax(-1), reduction="none")
