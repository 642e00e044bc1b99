"""Who answers the rows of a task: a model of this project, or anything else that can be scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.sources import TaskData
from unified_vl.inference.prediction import Prediction
from unified_vl.specs.task import TaskSpec


class Answerer(Protocol):
    """What `evaluate` asks; `inference.predictor.UnifiedVL` is one."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What is known of its training."""

    def builder(self, spec: TaskSpec, root: Path, data: TaskData, /) -> ExampleBuilder:
        """Makes its examples of the rows of a split."""

    def predict_examples(
        self, spec: TaskSpec, examples: Iterable[Example], batch_size: int = ..., /, *, n: int = 1
    ) -> Iterator[Prediction]:
        """Answers to examples of a task, in their order, each with `n` alternatives."""


class OtherAnswerer(ABC):
    """Anything but a model of this project; it reads images as they are, and answers in texts.

    Attributes:
        facts: nothing is known of its training.
        reads_rows: whether it is asked about the rows; answers that are there already are not.
    """

    facts: Mapping[str, Any] = {}
    reads_rows: bool = True

    @property
    @abstractmethod
    def identity(self) -> Mapping[str, Any]:
        """Which model it is, and how it is asked: what a report says in `answered_by`."""

    @abstractmethod
    def predict_examples(
        self,
        spec: TaskSpec,
        examples: Iterable[Example],
        batch_size: int = 1,
        /,
        *,
        n: int = 1,
    ) -> Iterator[Prediction]:
        """Answers to examples of a task, in their order."""

    def ranks(self, spec: TaskSpec) -> bool:
        """Whether answers have all choices of the task in their order, as some scores need them."""
        return False

    def spec_for(self, spec: TaskSpec) -> tuple[TaskSpec, list[str]]:
        """The task as it can be asked and scored here, and the metrics of the scores that cannot.

        Raises:
            UserError: at the key of a spec that other models cannot answer.
        """
        if spec.answer_form.image:
            raise spec.error(
                ("example", "target"),
                "pictures in image codes are written by models of this project alone",
                expected="a target of texts or places",
            )
        if spec.example.on_pieces:
            raise spec.error(
                ("example", "noise"),
                "it is done to the pieces of a model's own tokenizer",
                expected="a task without it",
            )
        ranks = self.ranks(spec)
        kept = [s for s in spec.score if s.read_by is None and (ranks or not s.definition.ranks)]
        left_out = [score.metric for score in spec.score if score not in kept]
        return (spec.model_copy(update={"score": tuple(kept)}) if left_out else spec), left_out

    def builder(self, spec: TaskSpec, root: Path, data: TaskData, /) -> ExampleBuilder:
        """Makes examples with images at their own size; shots are those of the train split."""
        shown = train_rows(spec, root, data)
        return ExampleBuilder(spec, ImageLoader(root, None), "none", rows=data, train=shown)
