"""Answers of a model to batches of one task: what it writes, in words, pictures and pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from unified_vl.data.batching import EncodedExample, collate_encoded
from unified_vl.data.example import Example
from unified_vl.decoding.generator import Generator
from unified_vl.errors import UserError
from unified_vl.inference.inputs import chunks
from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.inference.reranking import Reranker
from unified_vl.inference.written.answer_reader import AnswerReader

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL
    from unified_vl.specs.task import TaskSpec


CHUNK = 8  # batches that are sorted by length together


class TaskAnswers:
    """Answers to examples of a task.

    Args:
        predictor: the model.
        spec: the task.

    Raises:
        UserError: at the key of the spec that asks for what the model cannot do.
    """

    def __init__(self, predictor: UnifiedVL, spec: TaskSpec) -> None:
        self._predictor = predictor
        self._spec = spec
        try:
            how, form, tags = spec.generate, spec.answer_form, spec.data.languages
            self._generator = Generator(
                predictor.model, how, predictor.codec, spec.choices, form, tags
            )
        except UserError as error:
            key = (error.field or "generate").split(".")
            raise spec.error(tuple(key), error.message, expected=error.expected) from error
        self._reader = AnswerReader(spec, predictor.codec, self._generator.rules)

    @cached_property
    def _reranker(self) -> Reranker:
        return Reranker(self._predictor, self._spec)

    def answer(self, rows: Sequence[EncodedExample], n: int) -> list[Prediction]:
        """The answers to rows of one batch.

        Args:
            rows: without targets.
            n: how many answers a row gets in `alternatives`.
        """
        device = self._predictor.model.device
        batch = collate_encoded(rows).to(device)
        others = [
            replace(row, source=row.without, target=None) for row in rows if row.without is not None
        ]
        without = collate_encoded(others).to(device) if others else None
        how = self._spec.generate
        reranked = how.rerank is not None
        drawn = max(n, how.best_of or 1) if reranked else n
        written = self._generator(batch, drawn, without)
        answered = [
            [self._reader.read(example, h.ids, h.score, h.cut) for h in hypotheses]
            for example, hypotheses in zip(batch.examples, written.hypotheses, strict=True)
        ]
        answered = self._reader.with_images(answered)
        if reranked:
            answered = self._reranked(batch.examples, answered)
        predictions = []
        for row, several in zip(rows, answered, strict=True):
            answers = several[:n]
            best = answers[0]
            predictions.append(
                Prediction(
                    key=row.example.key,
                    text=best.text,
                    score=best.score,
                    segments=best.segments,
                    shapes=best.shapes,
                    images=best.images,
                    cut=best.cut,
                    source_cut=row.source.truncated,
                    other_script=best.other_script,
                    alternatives=tuple(answers) if n > 1 else None,
                )
            )
        return predictions

    def _reranked(
        self, examples: Sequence[Example], answered: list[list[Alternative]]
    ) -> list[list[Alternative]]:
        """The answers of each row in the order of what `generate.rerank` says of their pictures,
        with its scores."""
        images = [[answer.images[0] for answer in answers] for answers in answered]
        texts = [example.shows or "" for example in examples]
        languages = [example.language for example in examples]
        scores = self._reranker(images, texts, languages)
        return [
            sorted(
                (replace(a, score=s) for a, s in zip(answers, row, strict=True)),
                key=lambda answer: -answer.score,
            )
            for answers, row in zip(answered, scores, strict=True)
        ]


def answered_by_length(
    inputs: Iterable[tuple[TaskSpec, EncodedExample]],
    batch_size: int,
    answer: Callable[[TaskSpec, list[EncodedExample]], Sequence[Prediction]],
    told: Callable[[int], object] | None = None,
) -> Iterator[Prediction]:
    """Answers in the order of the inputs, those of a task and of like length together.

    Args:
        inputs: of any tasks and languages.
        batch_size: most that are answered at once.
        answer: gives the answers to a batch of one task.
        told: called with the number of answers after each batch.
    """
    done = 0
    for chunk in chunks(inputs, CHUNK * batch_size):
        places: dict[TaskSpec, list[int]] = {}
        for place, (spec, _) in enumerate(chunk):
            places.setdefault(spec, []).append(place)
        found: dict[int, Prediction] = {}
        for spec, of_task in places.items():
            of_task.sort(key=lambda place: len(chunk[place][1].source.ids))
            for start in range(0, len(of_task), batch_size):
                group = of_task[start : start + batch_size]
                answers = answer(spec, [chunk[place][1] for place in group])
                found.update(zip(group, answers, strict=True))
                done += len(group)
                if told is not None:
                    told(done)
        yield from (found[place] for place in range(len(chunk)))
