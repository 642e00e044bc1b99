"""Questions of a service to its model: read by many threads, answered together by one."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image as PILImage

from unified_vl.data.batching import EncodedExample, encode_example
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.errors import UserError, nearest
from unified_vl.inference.inputs import input_row
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.task_answers import TaskAnswers
from unified_vl.serving.batching import Batcher
from unified_vl.serving.faults import Fault, without_place
from unified_vl.serving.limits import MOST_OF, Limits
from unified_vl.specs.reading.overrides import with_generate
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.serving.metrics import Metrics

NOWHERE = Path(os.devnull) / "images"  # a path in a request leads to no file
KEPT_VARIANTS = 64  # tasks with the settings that requests gave


@dataclass(eq=False)
class Variant:
    """A task as some requests want it answered."""

    spec: TaskSpec
    builder: ExampleBuilder
    answers: TaskAnswers | None = None  # made by the thread that answers

    @property
    def width(self) -> int:
        """How many answers to one question the decoder works on at once."""
        how = self.spec.generate
        return max(how.beams, how.best_of or 1)


@dataclass(frozen=True)
class Question:
    """What a request asks, ready for the model.

    Attributes:
        variant: of the task.
        encoded: its example.
        n: how many answers it wants.
        picture: its first image, where shapes are to be drawn on it.
    """

    variant: Variant
    encoded: EncodedExample
    n: int
    picture: PILImage.Image | None = None

    @property
    def spec(self) -> TaskSpec:
        return self.variant.spec

    @property
    def example(self) -> Example:
        return self.encoded.example


class Asker:
    """A model that many may ask at once.

    Args:
        predictor: the model; from then on it is asked through here alone.
        limits: `batch_size` and `wait` count.
        metrics: told of batches; None tells nobody.
    """

    def __init__(
        self, predictor: UnifiedVL, limits: Limits, metrics: Metrics | None = None
    ) -> None:
        self.predictor = predictor
        self.limits = limits
        self._metrics = metrics
        self._coming = 0
        self._count = threading.Lock()
        self._variants: OrderedDict[Hashable, Variant] = OrderedDict()
        self._lock = threading.Lock()
        self._batcher: Batcher[Any, Any] = Batcher(self._work, limits.wait, lambda: self._coming)

    @contextmanager
    def expected(self) -> Iterator[None]:
        """While a question is read, others may wait for it."""
        with self._count:
            self._coming += 1
        try:
            yield
        finally:
            with self._count:
                self._coming -= 1

    @property
    def waiting(self) -> int:
        """How many questions wait."""
        return len(self._batcher)

    @property
    def seconds_ahead(self) -> float:
        """About how long a question would wait now."""
        return self.waiting * self._batcher.seconds_a_job

    def spec(self, task: str) -> TaskSpec:
        """A task of the model by its name alone: a request opens no spec file.

        Raises:
            Fault: 404, with the nearest name.
        """
        known = self.predictor.specs
        if task not in known:
            shown = task if len(task) <= 60 else f"{task[:57]}..."
            raise Fault(
                f"the model has no task {shown!r}",
                status=404,
                field="task",
                expected=f"one of {', '.join(known)}",
                nearest=nearest(shown, known),
            )
        return known[task]

    def variant(
        self,
        task: str,
        generate: Mapping[str, Any] | None = None,
        choices: Sequence[str] | None = None,
    ) -> Variant:
        """A task, answered as a request wants.

        Args:
            task: its name.
            generate: keys of `generate` in place of the spec's.
            choices: the closed answers.

        Raises:
            UserError: for an unknown task, or settings that do not fit it or are above a limit.
        """
        spec = self.spec(task)
        given = {key: value for key, value in (generate or {}).items() if value is not None}
        key = (task, json.dumps([given, choices], sort_keys=True))
        with self._lock:
            found = self._variants.get(key)
            if found is not None:
                self._variants.move_to_end(key)
                return found
        changed = _changed(spec, given, choices)
        made = Variant(changed, self.predictor.builder(changed, NOWHERE))
        with self._lock:
            made = self._variants.setdefault(key, made)
            while len(self._variants) > KEPT_VARIANTS:
                self._variants.popitem(last=False)
        return made

    def question(
        self,
        variant: Variant,
        values: Mapping[str, Any],
        language: str | None,
        n: int = 1,
        picture: PILImage.Image | None = None,
    ) -> Question:
        """A question out of the values of a task's fields, as `UnifiedVL.predict` takes them.

        Raises:
            UserError: as `predict`.
        """
        try:
            row = input_row(variant.spec, values, language)
            example = variant.builder.build(row, seed=None, with_target=False)
            return Question(variant, encode_example(example, self.predictor.codec), n, picture)
        except UserError as error:
            without_place(error)
            raise

    def submit(self, question: Question) -> Future[Prediction]:
        """Queue a question; its future has the answer, or a `UserError`."""
        width = max(question.n, question.variant.width)
        size = self.limits.batch_size
        most = max(1, min(size, 4 * size // width))  # memory grows with rows times width
        return self._batcher.submit((question.variant, question.n), question.encoded, most)

    def ask(self, spec: TaskSpec, example: Example, n: int) -> Prediction:
        """The answer to an example of one of the model's tasks, once it is there.

        Raises:
            UserError: as `UnifiedVL.predict`.
        """
        encoded = encode_example(example, self.predictor.codec)
        return self.submit(Question(self.variant(spec.task), encoded, n)).result()

    def run(self, work: Callable[[], Any]) -> Future[Any]:
        """Queue work of another kind that needs the model."""
        return self._batcher.submit(None, work, 1)

    def close(self) -> None:
        """Answer what is queued, and end."""
        self._batcher.close()

    def _work(self, key: Hashable, jobs: Sequence[Any]) -> Sequence[Any]:
        if key is None:
            return [job() for job in jobs]
        assert isinstance(key, tuple)
        variant, n = key
        if self._metrics is not None:
            self._metrics.batch(variant.spec.task, len(jobs))
        try:
            if variant.answers is None:
                variant.answers = TaskAnswers(self.predictor, variant.spec)
            return variant.answers.answer(jobs, n)
        except UserError as error:
            without_place(error)
            raise


def _changed(spec: TaskSpec, given: Mapping[str, Any], choices: Sequence[str] | None) -> TaskSpec:
    """A spec as a request wants it answered.

    Raises:
        UserError: naming the key of the request.
    """
    for key, most in MOST_OF.items():
        allowed = max(most, getattr(spec.generate, key) or 0)
        if given.get(key) is not None and given[key] > allowed:
            raise Fault(
                f"found {given[key]}", field=f"generate.{key}", expected=f"at most {allowed}"
            )
    wanted = dict(given)
    if "language" in wanted:
        wanted["language"] = "enforce" if wanted["language"] else None
    if choices is not None:
        closed = ("constrained", "score_choices")
        method = spec.generate.method
        wanted.setdefault("method", method if method in closed else closed[0])
        wanted["choices"] = {"values": list(choices)}
    try:
        changed = with_generate(spec, wanted, called=lambda key: _called(key, choices))
    except UserError as error:
        without_place(error)
        raise
    return changed if choices is None else changed.with_choices(choices)


def _called(key: str, choices: Sequence[str] | None) -> str:
    return key if key == "choices" and choices is not None else f"generate.{key}"
