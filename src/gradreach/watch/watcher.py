"""The instrument during someone's training."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from gradreach.diagnostics.copies import copy_of, undisturbed
from gradreach.diagnostics.decay import figures_by_curve
from gradreach.diagnostics.instrument import Instrument
from gradreach.diagnostics.joined import joined
from gradreach.diagnostics.probes import device_of
from gradreach.diagnostics.trace import Trace, check_model, trace_probe
from gradreach.errors import first_line
from gradreach.schedule import Schedule, checked_schedule
from gradreach.watch.own_loss import agree, own_loss_of
from gradreach.watch.probe import AnyProbe, OwnLoss

LEAST = 0.1
"""Share of the sequence: a layer whose gradient reaches less far is told of."""
NOTHING = pd.DataFrame()


def schedule_of(every: Schedule) -> Schedule:
    """Return a schedule, in which ``epoch`` is every one.

    Raises:
        ValueError: it is not a schedule.
    """
    return checked_schedule(1 if every == "epoch" else every)


class Watcher(Instrument):
    """Measures one model on one probe, whenever called.

    - ``model``: the trained model; a copy is measured, so it does not change.
    - ``probe``: a batch as the model's training step takes it; 16 examples are enough.
    - ``loss``: ``(model, probe) -> (batch,)``, each example's own loss; None: by the module's own ``training_step``, or
      the ``loss`` of a Hugging Face model's output.
    - ``quantities``: names of ``gradreach.diagnostics.QUANTITIES``.
    - ``every``: a schedule, used with ``passed``; ``epoch`` is 1.
    - ``lengths``: ``(batch,)`` valid steps of the probe where it is padded and has no ``attention_mask``.
    - ``layers``: modules without a recurrence whose output is measured; None: the detected blocks.
    - ``least``: warn about layers whose gradient reaches less than this share of the sequence; None: never.
    - ``layout``: of the probe's sequences: ``NLC`` (batch, length, channels), ``LNC`` or ``NCL``.

    ``tables`` and ``seconds`` are as of the instrument.

    Raises:
        TypeError: the model is not a module.
        ValueError: a quantity or schedule does not exist, the probe holds no sequences, or there is no loss.

    >>> watcher = Watcher(Classifier(), (torch.randn(16, 20, 1), torch.arange(16) % 2), own_loss)
    >>> found = watcher.measure("epoch 1")
    >>> sorted(found)
    ['gradient/half_life/input', 'gradient/half_life/lstm', 'gradient/nonfinite', 'gradient/reach/input', \
'gradient/reach/lstm']
    """

    probe: AnyProbe

    def __init__(
        self,
        model: nn.Module,
        probe: Any,
        loss: OwnLoss | None = None,
        quantities: Sequence[str] = ("profile",),
        every: Schedule = 1,
        lengths: Tensor | None = None,
        layers: Sequence[str] | None = None,
        least: float | None = LEAST,
        layout: str = "NLC",
    ) -> None:
        check_model(model)
        if "decoding" in quantities:
            raise ValueError("quantities: decoding needs hundreds of labelled examples; use linear_decoding for it")
        self.one_by_one: bool | None = False if loss is not None else None
        self.layers, self.least, self.dtype = layers, least, torch.float64
        self.told: set[str] = set()
        examples = AnyProbe(probe, own_loss_of(model, probe) if loss is None else loss, lengths, None, layout)
        super().__init__(model, examples, None, dict.fromkeys(quantities, schedule_of(every)))

    def trace(self) -> Trace:
        """Trace the model: all examples at once, where their own losses can be told apart, else one by one.

        Of what names a dtype, such as ``torch.zeros(...)`` or ``x.float()``, the forward pass is computed in float32.
        """
        try:
            return self._traced()
        except Exception as error:
            if self.dtype == torch.float32:
                raise
            self.dtype = torch.float32
            try:
                traced = self._traced()
            except Exception:
                self.dtype = torch.float64
                raise error from None
            why = first_line(error.__cause__ or error)
            self._tell(f"the model's output is computed in float32, its gradient in float64 ({why})")
            return traced

    def _traced(self) -> Trace:
        if self.one_by_one is None:
            self.probe.reduction = self._reduction()
        if self.one_by_one is False or self.probe.reduction is not None:
            return trace_probe(self.model, self.probe, self.dtype, self.layers)
        every = [self.probe.take(slice(i, i + 1)) for i in range(len(self.probe))]
        return joined([trace_probe(self.model, one, self.dtype, self.layers) for one in every])

    def measure(self, stage: str, passed: tuple[float, int] | None = None) -> dict[str, float]:
        """Measure what is due; report in one line what cannot be measured: training continues.

        Args:
            stage: what the moment is called in the tables, such as ``epoch 3``.
            passed: finished epochs and training steps; None ignores the schedule and measures.

        Returns:
            A few scalars: ``gradient/reach/<layer>``, ``gradient/half_life/<layer>``, ``gradient/lyapunov/<layer>``,
            ``gradient/gate_<gate>/<layer>``, ``gradient/nonfinite``; empty if nothing is due.
        """
        try:
            found = super().measure(stage, passed)
        except Exception as error:
            self._tell(f"not measured: {first_line(error)}")
            return {}
        return self._by_layer(stage) if found else {}

    @property
    def profile(self) -> pd.DataFrame:
        """The ``gradient_profile`` of every measurement so far, with a column ``stage``."""
        frames = self.tables.get("profile", [])
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _reduction(self) -> str | None:
        """Return whether the loss of the probe is the ``mean``, or the ``sum``, of its examples' own; None: neither.

        If it is, its gradient by what belongs to an example is that of the example's own loss, but for one factor.
        """
        with undisturbed(), torch.no_grad():
            copied = copy_of(self.model, self.dtype)
            probe = self.probe.to(device_of(copied, self.probe.x), self.dtype)
            whole = probe.losses(copied, probe.x)
            every = [probe.take(slice(i, i + 1)) for i in range(len(probe))]
            singles = torch.cat([one.losses(copied, one.x) for one in every])
        if not bool(whole.isfinite()):
            return None  # which tells nothing; the next time may
        kind = agree(whole, singles)
        self.one_by_one = kind is None
        if self.one_by_one:
            self._tell(
                "the loss of the probe is not the mean of its examples' losses (weights by length, random numbers, "
                f"coupled examples?): each of {len(probe)} is measured alone; if a single example has no "
                "loss, pass loss=, a function (model, probe) -> (batch,)"
            )
        return kind

    def _by_layer(self, stage: str) -> dict[str, float]:
        """Return the metrics of the last measurement by layer, and warn where the gradient hardly reaches back."""
        last = {name: frames[-1] for name, frames in self.tables.items()}
        named: dict[str, float] = {}
        if "profile" in last:
            for (layer, way, quantity), of_curve in figures_by_curve(last["profile"]).items():
                if quantity != "c":
                    place = self._place(layer, way) if quantity != "x" else "input"
                    named |= {f"gradient/{name}/{place}": of_curve[name] for name in ("reach", "half_life")}
            named["gradient/nonfinite"] = float(last["profile"]["nonfinite"].sum())
        for row in last.get("lyapunov", NOTHING).to_dict("records")[:: self.exponents]:
            named[f"gradient/lyapunov/{self._place(row['layer'], row['direction'])}"] = row["exponent"]
        for row in last.get("gates", NOTHING).to_dict("records"):
            if row["gate"] != "notes":  # a question of one study's
                named[f"gradient/gate_{row['gate']}/{self._place(row['layer'], row['direction'])}"] = row["mean"]
        if "profile" in last:
            self._tell_of_short(stage, last["profile"], named)
        return named

    def _place(self, layer: Any, way: Any) -> str:
        """Return a layer's name in logs; the model itself has no name."""
        return (layer or type(self.model).__name__) + (".backward" if way == "backward" else "")

    def _tell_of_short(self, stage: str, profile: pd.DataFrame, named: Mapping[str, float]) -> None:
        most: dict[str, int] = {}  # of a layer's own steps, which may be fewer than the probe's
        for layer, way, lag in zip(profile["layer"], profile["direction"], profile["lag"], strict=True):
            place = self._place(layer, way)
            most[place] = max(most.get(place, 0), int(lag))
        if most.keys() == {"input"}:
            self._tell(
                "no layer has an output at each step of the probe: only the gradient w.r.t. the input is measured; "
                "name modules that do with layers="
            )
        for place, steps in most.items():
            reached = named.get(f"gradient/reach/{place}", math.nan)
            if self.least is None or place == "input" or place in self.told or steps < 1:
                continue
            if reached < self.least * steps:
                self.told.add(place)
                self._tell(
                    f"{stage}: through {place} the gradient reaches {reached:.0f} of {steps} steps back "
                    f"({100 * reached / steps:.0f} %); earlier steps have almost no influence on learning"
                )

    def _tell(self, what: str) -> None:
        if what not in self.told:
            self.told.add(what)
            tell(what)


def tell(what: str) -> None:
    """Warn in one line, without a line of code below it; training continues."""
    warnings.warn_explicit(f"gradreach: {what}", UserWarning, "watch", 1)


@contextmanager
def watch(model: nn.Module, probe: Any, loss: OwnLoss | None = None, **options: Any) -> Iterator[Watcher]:
    """Watch a model in a loop of your own; see ``Watcher``.

    >>> with watch(Classifier(), (torch.randn(16, 20, 1), torch.arange(16) % 2), own_loss) as reach:
    ...     for epoch in range(2):
    ...         found = reach.measure(f"epoch {epoch + 1}")
    >>> reach.profile["stage"].unique().tolist()
    ['epoch 1', 'epoch 2']
    """
    yield Watcher(model, probe, loss, **options)
