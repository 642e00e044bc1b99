"""What is trained for beside target tokens: what an objective is to training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.parts import Part, Problem
from unified_vl.specs.mixture import Mixture, MixtureTask
from unified_vl.specs.task import TaskSpec
from unified_vl.training.distributed.process import Process


class Objective(ABC):
    """A loss of a task beside that of its target tokens.

    Args:
        weight: what it is multiplied by.

    Attributes:
        reads_logits: whether `loss` reads the output's logits; False saves the memory of those
            of a large vocabulary.
        reads_momentum: whether `momentum` is to be called: the run then keeps a momentum copy of
            the weights, which follows them by its `momentum_decay`.
        takes_share: whether `weight`, within [0, 1), is a share of the task's own: the loss of its
            target tokens then counts by so much less, and both by the task's weight.
        per: what `loss` is of: a `part` of a batch, whose mean it is, as below; or else the sum
            over this rank's rows (`row`) or target tokens (`token`), which is divided by the number
            of all ranks' in the whole batch, and is the same however that is cut.
    """

    reads_logits = True
    reads_momentum = False
    takes_share = False
    per: Literal["part", "row", "token"] = "part"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def meet(self, codec: SequenceCodec, mixture: Mixture) -> None:  # noqa: B027 (few read rows)
        """Told once, before the first step, how rows become ids and which tasks there are."""

    def inputs(self, batch: Batch) -> Mapping[str, Any]:
        """What the model's `forward` is given beside the batch.

        All that is computed with weights goes through that one call: ZeRO has no other.
        """
        return {}

    def within(
        self, model: Backbone, output: UnifiedVLOutput, batch: Batch, process: Process
    ) -> Mapping[str, Any]:
        """What `loss` finds in `output.beside`: computed with more calls of the model's layers, at
        the end of that call.

        Args:
            model: called, not to be called again; its `encode`, layers and other methods may be.
            output: what the call has so far, also in `beside`, and in `momentum` what the copy of
                the weights gave.
            batch: this rank's rows.
            process: as in `loss`.
        """
        return {}

    def momentum(self, model: Backbone, batch: Batch) -> Mapping[str, torch.Tensor]:
        """What `within` and `loss` find in `output.momentum`: computed before, without dropout and
        gradients, where the momentum copy of the weights stands in the place of the model's.

        Args:
            model: as in `within`; its `forward`, too.
            batch: this rank's rows.
        """
        return {}

    @abstractmethod
    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        """The loss of a part of a batch, one number.

        Args:
            output: of the model, on this rank's rows.
            batch: these rows.
            process: of the run; all ranks are here at the same time, with the same task.

        Returns:
            A loss whose gradients, summed over the ranks, are those of the objective: of a mean
            over all rows each rank gives its rows' sum divided by the number of all
            (`process.world` times its own), unless `per` says otherwise. Rank 0's value is
            written to the record.
        """

    def begin(self, batches: int) -> None:  # noqa: B027 (most are the same all the time)
        """Called before each update and measurement, also the first after a resume.

        Args:
            batches: of the task, that all updates before have had.
        """

    def remember(self) -> None:  # noqa: B027 (most remember nothing)
        """The loss computed last belongs to an update (not to a measurement)."""

    def state(self) -> Mapping[str, torch.Tensor]:
        """What it remembers, the same on all ranks: a checkpoint holds it."""
        return {}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:  # noqa: B027
        """Go on from `state`, or from the beginning where that is empty."""


def _none(spec: TaskSpec) -> Iterable[Problem]:
    return ()


@dataclass(frozen=True)
class ObjectiveKind:
    """An objective that a task of a mixture asks for by a key.

    Attributes:
        name: of the key, and of the loss in the record of a run.
        keys: has a key of this name, whose value without meaning (0, null) asks for nothing.
        make: the objective, of the task's keys in the mixture, where they ask for it, and the
            configuration of the model.
        rules: why a task cannot have it; places are relative to the task's entry.
    """

    name: str
    keys: type[Part]
    make: Callable[[MixtureTask, BackboneConfig], Objective]
    rules: Callable[[Any], Iterable[Problem]] = _none
