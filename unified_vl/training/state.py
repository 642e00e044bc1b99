"""What a training is made of, under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from unified_vl.data.batching import Batch
from unified_vl.specs.run import Run
from unified_vl.training.bad_rows import BadRows
from unified_vl.training.balancing.balance import Balance
from unified_vl.training.build import Parts
from unified_vl.training.course.early_stopping import EarlyStopping
from unified_vl.training.data_files import SeenFile
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.distributed.process import Process
from unified_vl.training.gradients import GradientGuard
from unified_vl.training.learning_rate import LearningRate
from unified_vl.training.record.best import Best
from unified_vl.training.record.journal import Journal
from unified_vl.training.record.models import ModelWriter
from unified_vl.training.tuning.trained import Trained
from unified_vl.training.validation_scores import Scorer


@dataclass(frozen=True)
class Training:
    """All that a step needs.

    Attributes:
        drawn: batches of each task so far.
        fingerprints: fingerprints of what must be the same for a checkpoint to be continued.
        trained: which weights are, and which are not.
        seen_files: the files of the data; on rank 0.
    """

    run: Run
    process: Process
    parts: Parts
    engine: Engine
    journal: Journal
    guard: GradientGuard
    balance: Balance
    bad_rows: BadRows
    rate: LearningRate
    best: Best
    stopping: EarlyStopping
    scorer: Scorer
    models: ModelWriter
    validation: Mapping[str, list[Batch]]
    drawn: dict[str, int]
    fingerprints: Mapping[str, str]
    trained: Trained
    seen_files: dict[str, SeenFile]

    def begin_objectives(self) -> None:
        """Tell the objectives how far their tasks are: what they change by that is a function of
        the batches drawn, which a checkpoint has."""
        for task, objectives in self.parts.objectives.items():
            for each in objectives.values():
                each.begin(self.drawn[task])
