"""A file of answers, of whatever model, in place of a model: they are matched to rows by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.inference.answers import without_apostrophe
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.rows import Csv, Values, open_rows
from unified_vl.json_text import parse_json
from unified_vl.other_models.answerer import OtherAnswerer
from unified_vl.other_models.place_conventions import CONVENTIONS, PlaceConvention
from unified_vl.other_models.reading import AnswerReader, Said
from unified_vl.specs.task import TaskSpec

MISSING = "there is no answer to it"
_Name = tuple[str | None, str]  # the task's tag of a language, where rows say it, and a key


class AnswersFile(OtherAnswerer):
    """Answers that are there already, as `predict` and `evaluate` write them.

    A row has `key` and `prediction`, or in place of a text the values by their names (`boxes` in
    pixels of the image, ...); `task` and `language` where one key is of rows of several. A text is
    parsed by the grammar of the task.

    Args:
        path: .jsonl, .csv, .tsv or .parquet.
        places: how texts say where something is.
        partial: score the rows without an answer as wrong and pass answers of no row over;
            otherwise they are an error.

    Raises:
        UserError: for a file that cannot be read, or a row without key or answer.
    """

    reads_rows = False

    def __init__(self, path: Path, *, places: str | None = None, partial: bool = False) -> None:
        self.path = path
        self._partial = partial
        self._places: PlaceConvention = CONVENTIONS[places or "pixels"]
        self._rows = [(number, self._checked(number, row)) for number, row in _rows_of(path)]
        self._index: dict[str, _Index] = {}

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"kind": "answers", "file": str(self.path), "places": self._places.name}

    def ranks(self, spec: TaskSpec) -> bool:
        return any(isinstance(row.get("alternatives"), list) for _, row in self._rows)

    def builder(self, spec: TaskSpec, root: Path, data: TaskData, /) -> ExampleBuilder:
        self._index[spec.task] = self._matched(spec, data)
        return super().builder(spec, root, data)

    def predict_examples(
        self,
        spec: TaskSpec,
        examples: Iterable[Example],
        batch_size: int = 1,
        /,
        *,
        n: int = 1,
    ) -> Iterator[Prediction]:
        """The answers to the examples.

        Raises:
            UserError: at the end, with the number of rows that have no answer, of answers to no
                row, and of keys with several answers, where there are any.
        """
        reader = AnswerReader(spec, self._places)
        missing: list[str] = []
        for example in examples:
            row = self._index[spec.task].take(example)
            if row is None:
                missing.append(example.key)
                yield reader.read(Said(error=MISSING), example)
            else:
                yield reader.given(row, example)
        self._settle(spec, missing)

    def _settle(self, spec: TaskSpec, missing: list[str]) -> None:
        """One message of all that does not fit."""
        index = self._index[spec.task]
        found = [_counted(index.doubled, "key has several answers", "keys have several answers")]
        if not self._partial:
            found += [
                _counted(missing, "row has no answer", "rows have no answer"),
                _counted(index.foreign, "answer is of no row", "answers are of no row"),
            ]
        said = ", ".join(filter(None, found))
        if said:
            raise UserError(
                f"of the task {spec.task!r} {said}",
                file=self.path,
                expected="one answer for each row of the split that is scored"
                + ("" if index.doubled else ", or --partial, which counts what lacks as wrong"),
            )

    def _matched(self, spec: TaskSpec, data: TaskData) -> _Index:
        """The answers of a task by row.

        Raises:
            UserError: where the rows of the file do not say of which language they are.
        """
        names: dict[_Name, int] = {}
        languages: dict[str, set[str | None]] = {}
        for tag, key in data.named():
            tag = _tag(spec, tag)
            names[tag, key] = names.get((tag, key), 0) + 1
            languages.setdefault(key, set()).add(tag)
        index = _Index()
        for number, row in self._rows:
            if row.get("task") not in (None, spec.task):
                continue
            key, language = str(row["key"]), row.get("language")
            own = languages.get(key, set())
            if language is None and len(own) > 1:
                raise UserError(
                    f"the key {key!r} is of rows in several languages",
                    file=self.path,
                    line=number,
                    field="language",
                    expected=f"one of {', '.join(sorted(map(str, own)))}",
                )
            tag = next(iter(own), None) if language is None else _tag(spec, str(language))
            if (tag, key) not in names:
                index.foreign.append(key)
            else:
                index.answers.setdefault((tag, key), []).append(row)
        for name, answers in index.answers.items():
            if len(answers) > names[name]:
                index.doubled.append(name[1])
            answers.reverse()
        return index

    def _checked(self, number: int, row: Values | UserError) -> Values:
        if isinstance(row, UserError):
            raise row
        if row.get("key") is None:
            expected = "the key of the row that it answers"
            raise UserError(
                "is missing", file=self.path, line=number, field="key", expected=expected
            )
        if row.get("prediction") is not None and not isinstance(row["prediction"], str):
            row["prediction"] = str(row["prediction"])
        return row


class _Index:
    """The answers of a task: by row, those of no row, and keys of too many."""

    def __init__(self) -> None:
        self.answers: dict[_Name, list[Values]] = {}
        self.foreign: list[str] = []
        self.doubled: list[str] = []

    def take(self, example: Example) -> Values | None:
        """The next answer to rows of this name: where several rows share it, they go in order."""
        left = self.answers.get((example.language, example.key))
        return left.pop() if left else None


def _rows_of(path: Path) -> Iterator[tuple[int, Values | UserError]]:
    rows = open_rows(path, None)
    for number, row in rows.rows(0):
        if isinstance(rows, Csv) and not isinstance(row, UserError):
            row = {name: _cell(name, value) for name, value in row.items()}
        yield number, row


def _cell(name: str, text: str) -> Any:
    """A cell of a CSV file: lists, numbers and truth values are JSON in it."""
    if name in ("key", "task", "language", "prediction", "error"):
        return without_apostrophe(text)
    try:
        return parse_json(text)
    except (JSONDecodeError, ValueError):
        return text


def _tag(spec: TaskSpec, language: str | None) -> str | None:
    """The task's tag of a language, in whatever spelling; of the only one where none is said."""
    if language is None:
        return spec.data.languages[0] if len(spec.data.languages) == 1 else None
    return spec.data.tag_of(language) or language


def _counted(keys: list[str], one: str, several: str) -> str:
    if not keys:
        return ""
    return f"{len(keys)} {one if len(keys) == 1 else several} ({keys[0]!r})"
