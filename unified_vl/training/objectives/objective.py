"""What is trained for beside target tokens: what an objective is to training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from unified_vl.data.batching import Batch
from unified_vl.model.backbone import BackboneConfig, UnifiedVLOutput
from unified_vl.parts import Part, Problem
from unified_vl.specs.mixture import MixtureTask
from unified_vl.specs.task import TaskSpec
from unified_vl.training.distributed.process import Process


class Objective(ABC):
    """A loss of a task beside that of its target tokens.

    Args:
        weight: what it is multiplied by.

    Attributes:
        reads_logits: whether `loss` reads the output's logits; False saves the memory of those
            of a large vocabulary.
        per: what `loss` is of: a `part` of a batch, whose mean it is, as below; or else the sum
            over this rank's rows (`row`) or target tokens (`token`), which is divided by the number
            of all ranks' in the whole batch, and is the same however that is cut.
    """

    reads_logits = True
    per: Literal["part", "row", "token"] = "part"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def inputs(self, batch: Batch) -> Mapping[str, Any]:
        """What the model's `forward` is given beside the batch.

        All that is computed with weights goes through that one call: ZeRO has no other.
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
