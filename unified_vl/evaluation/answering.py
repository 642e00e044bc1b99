"""The rows of a task on their way to who answers them, and back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unified_vl.data.example import Example
from unified_vl.data.good_examples import good_examples
from unified_vl.data.rows.closed_answers import learn_choices
from unified_vl.data.rows.inputs import Perturber
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.evaluation.rankings import asked_to_rank, ranking_of
from unified_vl.evaluation.readings import read_pictures, readers_of
from unified_vl.evaluation.scoring import Scored
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.other_models.answerer import Answerer
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

READ_AT_ONCE = 512  # rows; bounds what is held in memory
LIMIT_SEED = 0

Told = Callable[[int], None]
"""Called with the rows done."""


class Answering:
    """Has the rows of a task answered.

    Args:
        predictor: who answers.
        spec: the task.
        split: of its rows.
        data_root: the folder that the spec's paths are relative to.
        batch_size: rows that are read at once.
        limit: at most so many rows, a fixed random choice.

    Attributes:
        spec: the task, its choices known.
        builder: makes examples of its rows.
        data_root: where its data are.
        count: how many rows are chosen.

    Raises:
        UserError: when data are missing.
    """

    def __init__(
        self,
        predictor: Answerer,
        spec: TaskSpec,
        split: SplitName,
        data_root: Path,
        batch_size: int,
        limit: int | None,
    ) -> None:
        self._readers = readers_of(predictor, spec) if isinstance(predictor, UnifiedVL) else {}
        self._data = TaskData(spec, split, data_root)
        self.spec = learn_choices(spec, data_root)
        self._split = split
        self.data_root = data_root
        self._predictor = predictor
        self._batch_size = batch_size
        self._indices = chosen_rows(len(self._data), limit)
        self.count = len(self._indices)
        self.builder = predictor.builder(self.spec, data_root, self._data)
        self._ranked = asked_to_rank(self.spec)

    @property
    def asked(self) -> TaskSpec:
        """The task as its rows are asked: another model has prompts of its own."""
        return self.builder.spec

    def rows(self, told: Told) -> Scored:
        """The answers to the rows as they are.

        Raises:
            UserError: when a row is bad and its spec says `stop`, or none is left.
        """
        scored = Scored()
        for prediction in self._answers(self._examples(scored)):
            self._add(scored, prediction)
            told(len(scored.predictions) + scored.skipped)
        if not scored.predictions:
            raise UserError(
                f"the task {self.spec.task!r} has no row of the split {self._split!r} to score"
                + (f": all {scored.skipped} are bad" if scored.skipped else ""),
                file=self.spec.file,
                field="data",
            )
        scored.readings = self._read(scored)
        if scored.skipped:  # the last rows may have been bad
            told(self.count)
        return scored

    def perturbed(
        self, clean: Scored, perturber: Perturber
    ) -> tuple[Scored, npt.NDArray[np.bool_]]:
        """The answers to rows that were answered already, once more where they are changed.

        Args:
            clean: the rows as they are.
            perturber: changes them.

        Returns:
            The answers, of the rows that it leaves as they are those that there were, and which
            rows it changed, (N,). `skipped` is of how many it made bad ones, which stay as they
            are, too.
        """
        builder = self.builder.perturbed(perturber)
        changed = Scored(rows=clean.rows)
        places: list[int] = []

        def examples() -> Iterator[Example]:
            built = good_examples(builder, clean.rows, stops=False)
            for place, (_, example) in enumerate(built):
                if example is None:
                    changed.skipped += 1
                elif example.perturbed:
                    places.append(place)
                    changed.examples.append(_slim(example))
                    yield example

        for prediction in self._answers(examples()):
            self._add(changed, prediction)
        changed.readings = self._read(changed)
        return _over(clean, changed, places), _mask(places, len(clean.rows))

    def _answers(self, examples: Iterable[Example]) -> Iterator[Prediction]:
        return self._predictor.predict_examples(
            self.spec, examples, self._batch_size, **self._ranked
        )

    def _add(self, scored: Scored, prediction: Prediction) -> None:
        if self._ranked:
            scored.rankings.append(ranking_of(prediction))
            prediction = replace(prediction, alternatives=None)
        scored.predictions.append(prediction)

    def _read(self, scored: Scored) -> dict[str, list[tuple[str, ...]]]:
        """What the pictures among the answers show to the tasks that read them."""
        if not isinstance(self._predictor, UnifiedVL) or not scored.examples:
            return {}
        found = read_pictures(
            self._predictor, self._readers, scored.examples, scored.predictions, self._batch_size
        )
        return {name: list(texts) for name, texts in found.items()}

    def _examples(self, scored: Scored) -> Iterator[Example]:
        """Examples in order; `scored` gets their rows and the number of bad ones."""
        for start in range(0, len(self._indices), READ_AT_ONCE):
            rows = self._data.rows(self._indices[start : start + READ_AT_ONCE])
            for row, example in good_examples(self.builder, rows):
                if example is None:
                    scored.skipped += 1
                    continue
                scored.rows.append(row)
                scored.truncated += example.truncated
                scored.examples.append(_slim(example))
                yield example


def chosen_rows(count: int, limit: int | None) -> list[int]:
    """Indices to score. Chosen at random: rows of a file often follow a rhythm."""
    if limit is None or limit >= count:
        return list(range(count))
    return sorted(random.Random(LIMIT_SEED).sample(range(count), limit))


def _slim(example: Example) -> Example:
    """Without images: a split's may not fit into memory, and scores need the answers alone."""
    return replace(example, source=(), target=(), without=())


def _mask(places: list[int], count: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(count, np.bool_)
    found[places] = True
    return found


def _over(clean: Scored, changed: Scored, places: list[int]) -> Scored:
    """The clean answers with the changed ones in their places."""
    readings = {name: list(texts) for name, texts in clean.readings.items()}
    found = replace(
        clean,
        examples=list(clean.examples),
        predictions=list(clean.predictions),
        rankings=list(clean.rankings),
        readings=readings,
        skipped=changed.skipped,
    )
    for number, place in enumerate(places):
        found.examples[place] = changed.examples[number]
        found.predictions[place] = changed.predictions[number]
        if found.rankings:
            found.rankings[place] = changed.rankings[number]
        for name, texts in changed.readings.items():
            readings[name][place] = texts[number]
    return found
