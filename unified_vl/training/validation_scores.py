"""The primary metric of each task while it trains, on a fixed choice of validation rows.

Every rank answers its share of the rows, none waits for another before all are answered;
each then computes the score from all answers, the same number everywhere.
"""

from __future__ import annotations

from dataclasses import replace

from unified_vl.data.example import Example
from unified_vl.data.good_examples import good_examples
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.streams import TaskStream
from unified_vl.evaluation.answering import chosen_rows
from unified_vl.evaluation.scoring import primary_score
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.specs.task import TaskSpec
from unified_vl.training.build import Parts
from unified_vl.training.distributed.engine import Engine

BATCH = 64  # rows that are answered at once


class Scorer:
    """Scores the tasks that have a validation split.

    Args:
        parts: specs, codec and validation streams of the run.
        engine: of this process.
        rows: of each task's validation split to answer, at most.
    """

    def __init__(self, parts: Parts, engine: Engine, rows: int) -> None:
        self._engine = engine
        self._codec = parts.codec
        self._specs = {name: parts.specs[name] for name in parts.validation}
        self._rows = {
            name: self._share(stream.data, rows) for name, stream in parts.validation.items()
        }
        self._streams = parts.validation

    def _share(self, data: TaskData, rows: int) -> list[int]:
        process = self._engine.process
        return chosen_rows(len(data), rows)[process.rank :: process.world]

    def scores(self) -> dict[str, float]:
        """The primary metric of each task, 0 to 100, on every rank."""
        with self._engine.whole_model() as model:
            predictor = UnifiedVL(SavedModel(model, self._codec, self._specs, {}))
            return {name: self._score(predictor, spec) for name, spec in self._specs.items()}

    def _score(self, predictor: UnifiedVL, spec: TaskSpec) -> float:
        examples = _examples(self._streams[spec.task], self._rows[spec.task])
        predictions = list(predictor.predict_examples(spec, examples, BATCH))
        # images have done their work; only answers travel
        bare = [replace(example, source=(), target=(), without=()) for example in examples]
        shares = self._engine.process.gather_objects((bare, predictions))
        return primary_score(
            spec,
            [example for share, _ in shares for example in share],
            [prediction for _, share in shares for prediction in share],
        )


def _examples(stream: TaskStream, indices: list[int]) -> list[Example]:
    """The examples of these rows; bad ones are left out where the spec skips them."""
    found = good_examples(stream.builder, stream.data.rows(indices))
    return [example for _, example in found if example is not None]
