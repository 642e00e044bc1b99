"""The model as a person asks it: fields in, text and boxes out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import torch

from unified_vl.codecs.segments import Box, Point, Polygon, Shape
from unified_vl.codecs.shapes import to_pixels, with_labels
from unified_vl.data.batching import EncodedExample, collate_encoded, encode_example
from unified_vl.data.examples import Example, ExampleBuilder
from unified_vl.data.images import ImageLoader
from unified_vl.data.other_rows import train_rows
from unified_vl.data.sources import Row, TaskData
from unified_vl.errors import UserError, nearest
from unified_vl.inference.decoding import Generator
from unified_vl.inference.model_directory import SavedModel, load_model
from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.inference.search import Hypothesis
from unified_vl.specs.fields import SHAPES, FieldSpec
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import fill

CHUNK = 8  # batches that are sorted by length together
SHAPE_TYPES: dict[str, type[Shape]] = {"box": Box, "point": Point, "polygon": Polygon}
SHAPE_KEYS = {"box": "boxes", "point": "points", "polygon": "polygons"}
T = TypeVar("T")


class UnifiedVL:
    """A saved model and the tasks that it knows.

    >>> model = UnifiedVL.from_pretrained("runs/demo/model")  # doctest: +SKIP
    >>> model.predict("emoji_caption", image="cat.png", language="de").text  # doctest: +SKIP
    'Katzengesicht'
    """

    def __init__(self, saved: SavedModel) -> None:
        self.model = saved.model
        self.codec = saved.codec
        self.specs = saved.specs
        self.facts = saved.facts
        self.shots = saved.shots
        self._generators: dict[TaskSpec, Generator] = {}

    @classmethod
    def from_pretrained(cls, directory: str | Path, device: str = "cpu") -> UnifiedVL:
        """Load a model directory; nothing in it is unpickled.

        Raises:
            UserError: naming the file, when a part is missing or broken.
        """
        return cls(load_model(directory, device))

    @property
    def fingerprint(self) -> str:
        """Differs where weights or the vocabulary do; what was made with a model names it."""
        digest = hashlib.sha256(self.codec.vocabulary.fingerprint.encode())
        for name, weight in self.model.state_dict().items():
            digest.update(f"{name} {weight.sum(dtype=torch.float64).item()!r}".encode())
        return digest.hexdigest()

    def spec(self, task: str | Path | TaskSpec) -> TaskSpec:
        """The spec of a task by its name or its file; a spec is itself.

        Raises:
            UserError: when the model carries no such task, or the file is no task spec.
        """
        if isinstance(task, TaskSpec):
            return task
        if task in self.specs:
            return self.specs[str(task)]
        if Path(task).suffix not in (".yaml", ".yml"):
            raise UserError(
                f"the model has no task {task!r}",
                field="task",
                expected=f"one of {', '.join(self.specs)}, or a file NAME.yaml",
                nearest=nearest(str(task), self.specs),
            )
        return load_task(task)

    def predict(
        self, task: str | Path | TaskSpec, language: str | None = None, *, n: int = 1, **fields: Any
    ) -> Any:
        """Answer one input, or several at once.

        Args:
            task: name of a task that the model was trained on, or any spec or spec file.
            language: tag of the language; may be left out where the task has one.
            n: how many answers to give in `alternatives`, where the task has as many.
            **fields: the fields that the task's source names. An image is a path, the
                bytes of a file or a `PIL.Image`. Lists are several inputs; what is not
                a list goes for all of them. A field with `many` of which the source shows
                all is itself a list, and several inputs a list of those. In a text of which
                the task takes something out, `<mask>` is a place to be filled in.

        Returns:
            A `Prediction`, or a list of them where any field is a list.

        Raises:
            UserError: for an unknown task, field or language, a missing field, lists
                of different lengths, or an image that cannot be read.
        """
        spec = self.spec(task)
        for name in fields:
            if name not in spec.fields:
                known = source_fields(spec)
                raise UserError(
                    f"the task {spec.task!r} has no field {name!r}",
                    field=name,
                    expected=" or ".join(known),
                    nearest=nearest(name, known),
                )
        lists = {
            name: value for name, value in fields.items() if _is_list(spec.fields[name], value)
        }
        if len({len(value) for value in lists.values()}) > 1:
            lengths = ", ".join(f"{name} {len(value)}" for name, value in lists.items())
            raise UserError(f"the lists differ in length: {lengths}", field=next(iter(lists)))
        count = len(next(iter(lists.values()))) if lists else 1
        inputs = [
            {n: lists[n][i] if n in lists else fields[n] for n in fields} for i in range(count)
        ]
        builder = self.builder(spec, root=None)  # a person may name any file of theirs
        rows = [input_row(spec, one, language, index=i) for i, one in enumerate(inputs)]
        examples = [builder.build(row, seed=None, with_target=False) for row in rows]
        predictions = list(self.predict_examples(spec, examples, n=n))
        return predictions if lists else predictions[0]

    def builder(
        self, spec: TaskSpec, root: Path | None, data: TaskData | None = None
    ) -> ExampleBuilder:
        """Makes this model's examples of a task.

        Args:
            spec: the task.
            root: image paths are relative to it and may not leave it; None allows any path.
            data: the rows of a split, where they are at hand. A task's shots are those that
                the model carries, or else come from the same data.

        Raises:
            UserError: when the vocabulary lacks what the task's noise needs, or the data of
                its shots cannot be read.
        """
        carried = self.shots.get(spec.task) if self.specs.get(spec.task) is spec else None
        train = None
        if carried is None and data is not None:
            train = train_rows(spec, data.root, data)
        return ExampleBuilder(
            spec,
            ImageLoader(root, self.codec.image_size),
            self.model.config.task_tags,
            codec=self.codec,
            rows=data,
            train=train,
            shots=carried,
        )

    def predict_examples(
        self, spec: TaskSpec, examples: Iterable[Example], batch_size: int = 64, *, n: int = 1
    ) -> Iterator[Prediction]:
        """Answer examples of one task, in their order."""
        encoded = ((spec, encode_example(example, self.codec)) for example in examples)
        return self.predict_encoded(encoded, batch_size, n=n)

    def predict_encoded(
        self,
        inputs: Iterable[tuple[TaskSpec, EncodedExample]],
        batch_size: int = 64,
        *,
        n: int = 1,
    ) -> Iterator[Prediction]:
        """Answer examples of any tasks and languages, in their order.

        Within a chunk of batches, those of a task and of like length go together: less
        padding.
        """
        for chunk in chunks(inputs, CHUNK * batch_size):
            places: dict[TaskSpec, list[int]] = {}
            for place, (spec, _) in enumerate(chunk):
                places.setdefault(spec, []).append(place)
            found: dict[int, Prediction] = {}
            for spec, of_task in places.items():
                of_task.sort(key=lambda place: len(chunk[place][1].source.ids))
                for start in range(0, len(of_task), batch_size):
                    group = of_task[start : start + batch_size]
                    answers = self._predict_batch(spec, [chunk[place][1] for place in group], n)
                    found.update(zip(group, answers, strict=True))
            yield from (found[place] for place in range(len(chunk)))

    def _generator(self, spec: TaskSpec) -> Generator:
        if spec not in self._generators:
            try:
                how, form = spec.generate, spec.answer_form
                made = Generator(self.model, how, self.codec, spec.choices, form)
            except UserError as error:
                key = (error.field or "generate").split(".")
                raise spec.error(tuple(key), error.message, expected=error.expected) from error
            self._generators[spec] = made
        return self._generators[spec]

    def _predict_batch(
        self, spec: TaskSpec, rows: Sequence[EncodedExample], n: int
    ) -> list[Prediction]:
        batch = collate_encoded(rows).to(self.model.device)
        generator = self._generator(spec)
        written = generator(batch, n)
        predictions = []
        for example, hypotheses in zip(batch.examples, written.hypotheses, strict=True):
            answers = [
                self._alternative(spec, example, generator.text(found.ids), found)
                for found in hypotheses
            ]
            best = answers[0]
            predictions.append(
                Prediction(
                    key=example.key,
                    text=best.text,
                    boxes=best.boxes,
                    score=best.score,
                    segments=best.segments,
                    shapes=best.shapes,
                    alternatives=tuple(answers) if n > 1 else None,
                )
            )
        return predictions

    def _alternative(
        self, spec: TaskSpec, example: Example, text: str, found: Hypothesis
    ) -> Alternative:
        """An answer with its shapes in pixels of the user's image."""
        size = example.image_size or (1, 1)
        segments = self.codec.decode(found.ids, spec.answer_form.shape)
        written = [spec.fields[name] for name in target_fields(spec)]
        if any(field.labels is not None for field in written):
            segments = with_labels(segments)
        shapes: dict[str, list[Any]] = {}
        for key, kind in SHAPE_TYPES.items():
            if any(field.kind == key for field in written):
                shapes[SHAPE_KEYS[key]] = [
                    to_pixels(s, *size) for s in segments if isinstance(s, kind)
                ]
        if any(field.labels is not None for field in written):
            shapes["labels"] = [s.label for s in segments if isinstance(s, Box)]
        boxes = shapes.pop("boxes", None)
        return Alternative(text, boxes, found.score, segments, shapes)


def source_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields that an input must give: those of the source template, what these need
    beside them (labels of boxes, texts of a choice), and the image.

    (Where boxes are written about an image that the source leaves out, its size counts.)
    """
    names = list(spec.fields_of(spec.source))
    if spec.image_field is not None:
        names.append(spec.image_field)
    beside = [n for name in names for n in (spec.fields[name].labels, spec.fields[name].of) if n]
    return tuple(dict.fromkeys([*names, *beside]))


def target_fields(spec: TaskSpec) -> tuple[str, ...]:
    """The fields that the model writes."""
    return spec.fields_of(spec.target)


def input_row(
    spec: TaskSpec,
    fields: Mapping[str, Any],
    language: str | None,
    *,
    file: str = "input",
    index: int = 0,
    key: str | None = None,
) -> Row:
    """Fields by name as a row of the task's own columns.

    Raises:
        UserError: for a missing field, or a language that the task does not have.
    """
    language = input_language(spec, language)
    columns: dict[str, Any] = {}
    if spec.data.language_column:
        columns[spec.data.language_column] = language
    if spec.data.key_column:
        columns[spec.data.key_column] = key or str(index)
    for name in source_fields(spec):
        if fields.get(name) is None:
            raise UserError(
                f"the task {spec.task!r} needs the field {name!r}",
                field=name,
                nearest=nearest(name, [n for n in fields if n not in spec.fields]),
            )
        value = fields[name]
        if spec.fields[name].many and name in spec.example.pick and not isinstance(value, list):
            value = [value]  # one of many stands for itself
        columns[fill(spec.fields[name].column, language=language)] = value
    return Row(columns, file, index, language)


def input_language(spec: TaskSpec, language: str | None) -> str:
    """The language of an input; where a task has one only, it need not be said.

    Raises:
        UserError: for a language that the task does not have.
    """
    languages = spec.data.languages
    if language is None and len(languages) == 1:
        language = languages[0]
    if language not in languages:
        raise unknown_language(spec, language)
    assert language is not None
    return language


def unknown_language(spec: TaskSpec, language: str | None) -> UserError:
    """What to say of a language that a task does not have, or of none."""
    languages = spec.data.languages
    return UserError(
        "no language is given" if language is None else f"unknown language {language!r}",
        field="language",
        expected=f"one of {', '.join(languages)}",
        nearest=None if language is None else nearest(str(language), languages),
    )


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _is_list(spec: FieldSpec, value: Any) -> bool:
    """Whether a value stands for several inputs: one shape, and one list of a field with
    `many`, is itself a list."""
    own = int(spec.many) + (spec.kind in SHAPES)
    depth = 0
    while isinstance(value, list) and depth <= own:
        depth += 1
        value = value[0] if value else None
    return depth > own
