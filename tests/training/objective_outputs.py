"""What a model makes of the first batch of a task, and an objective within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.model.learning.target_loss import Targets
from unified_vl.specs.run import Run
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import build
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective

PROCESS = Process(0, 1, torch.device("cpu"))


@dataclass(frozen=True)
class FirstBatch:
    """The first batch of a task of a run, and what there is to compute it with."""

    model: Any
    codec: SequenceCodec
    batch: Batch
    objectives: tuple[Objective, ...]


def first_batch(run: Run, task: str) -> FirstBatch:
    """Of a run as it begins, on one rank; the same each time."""
    torch.manual_seed(0)
    parts = build(beginning_of(run, resume=False))
    (batch,) = parts.streams[task].micro_batches(0, 0, 1, 1)
    return FirstBatch(parts.model, parts.codec, batch, tuple(parts.objectives[task].values()))


def output_of(model: Any, batch: Batch, objective: Objective | None = None) -> Any:
    """What a model makes of a batch, and the objective within it."""
    assert batch.labels_BT is not None

    def within(model: Any, output: Any) -> Any:
        return {} if objective is None else objective.within(model, output, batch, PROCESS)

    return model(
        **batch.model_inputs(),
        packing=batch.packing,
        targets=Targets(batch.labels_BT, logits=False),
        within=[within],
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(batch.labels_BT),
    )
