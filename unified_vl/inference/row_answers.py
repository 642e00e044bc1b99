"""Rows of a file to rows of answers; one that is amiss gets a message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unified_vl.data.batching import EncodedExample, encode_example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.errors import UserError, nearest
from unified_vl.inference.answers import carried_values
from unified_vl.inference.inputs import input_language, input_row
from unified_vl.inference.pictures import PictureFolder
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.rows import RowFile, Values
from unified_vl.specs.reading.overrides import with_generate
from unified_vl.specs.task import TaskSpec


@dataclass(frozen=True, slots=True)
class Asked:
    """One row in one language, or what is wrong with the row."""

    number: int
    values: Values | UserError
    language: str | None


class RowAnswers:
    """Turns rows into examples, of one task or of the one that each names.

    Args:
        predictor: the model.
        spec: the task of all rows, if there is one.
        source: their file, for messages.
        rows: what is in it.
        languages: one for rows that name none (perhaps no one), or several for all.
        carried: columns that go with the answers.
        pictures: where pictures that are written go.
        generate: keys of `generate` in place of the specs'.
    """

    def __init__(
        self,
        predictor: UnifiedVL,
        spec: TaskSpec | None,
        source: Path,
        rows: RowFile,
        languages: tuple[str | None, ...],
        carried: tuple[str, ...],
        pictures: PictureFolder,
        generate: Mapping[str, Any],
    ) -> None:
        self.predictor = predictor
        self.spec = spec
        self.source = source
        self.rows = rows
        self.languages = languages
        self.carried = carried
        self.pictures = pictures
        self.generate = dict(generate)
        self._builders: dict[TaskSpec, ExampleBuilder] = {}

    def asked(self, start: int) -> Iterator[Asked]:
        """What to answer, from the place `start` on."""
        first, done = divmod(start, len(self.languages))
        for number, values in self.rows.rows(first):
            for language in self.languages[done:]:
                yield Asked(number, values, language)
            done = 0

    def answer(
        self, asked: list[Asked], start: int, batch_size: int, n: int
    ) -> Iterator[dict[str, Any]]:
        """A row of the output for each, the first at the place `start` of the output; keys are
        given back as they came."""
        inputs: list[tuple[TaskSpec, EncodedExample]] = []
        failures: dict[int, str] = {}
        carried: dict[int, dict[str, int]] = {}
        for place, one in enumerate(asked):
            try:
                if isinstance(one.values, UserError):
                    raise one.values
                carried[place] = carried_values(one.values, self.carried)
                inputs.append(self._encode(one.values, one))
            except UserError as error:
                if error.file is None:
                    error.file, error.line = str(self.source), one.number
                failures[place] = str(error)
        answers = self.predictor.predict_encoded(inputs, batch_size, n=n)
        for place, one in enumerate(asked):
            if place in failures:
                found = Prediction(None, None, None, error=failures[place])
            else:
                found = next(answers)
            row = self.pictures.row(start + place, replace(found, key=self._key(one.values)))
            if len(self.languages) > 1:
                row = {"key": row.pop("key"), "language": one.language, **row}
            given = {"generate": self.generate} if self.generate else {}
            yield row | given | carried.get(place, {})

    def _encode(self, values: Values, one: Asked) -> tuple[TaskSpec, EncodedExample]:
        spec = self.spec or self._named(values.get("task"))
        if spec not in self._builders:
            self._builders[spec] = self.predictor.builder(spec, self.rows.root)
        language = values.get("language", one.language)
        named = language if language is None else input_language(spec, language)
        if len(self.languages) > 1 and named != input_language(spec, one.language):
            raise UserError(
                f"the row is in {language!r}", field="language", expected="none beside several"
            )
        row = input_row(spec, values, language, file=str(self.source), index=one.number - 1)
        example = self._builders[spec].build(row, seed=None, with_target=False)
        return spec, encode_example(example, self.predictor.codec)

    def _named(self, name: object) -> TaskSpec:
        """Only the model's own tasks: a row may not open a file."""
        known = self.predictor.specs
        if not isinstance(name, str) or name not in known:
            said = "the row names no task" if name is None else f"the model has no task {name!r}"
            raise UserError(
                said,
                field="task",
                expected=f"one of {', '.join(known)}",
                nearest=nearest(name, known) if isinstance(name, str) else None,
            )
        return with_generate(known[name], self.generate)

    def _key(self, values: Values | UserError) -> str | None:
        """What a row is called: its `key`, or else what the spec's `key_column` says."""
        if isinstance(values, UserError):
            return None
        named = self.spec or self.predictor.specs.get(str(values.get("task")))
        column = None if named is None else named.data.key_column
        key = values.get("key", None if column is None else values.get(column))
        return None if key is None else str(key)
