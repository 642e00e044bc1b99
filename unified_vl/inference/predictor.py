"""The model as a person asks it: fields in, text and boxes out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

import torch

from unified_vl.data.batching import EncodedExample, encode_example
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.code_cache import cache_directory
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.other_rows import train_rows
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError, nearest
from unified_vl.inference.inputs import (
    OneValue,
    input_row,
    source_fields,
    split_inputs,
    target_fields,
)
from unified_vl.inference.many import Told, predict_many
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.publishing.upload import push
from unified_vl.inference.saved_models.model_directory import SavedModel, save_model
from unified_vl.inference.saved_models.opening import open_model
from unified_vl.inference.task_answers import TaskAnswers, answered_by_length
from unified_vl.shown import heading, table
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec


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
        self._answers: dict[TaskSpec, TaskAnswers] = {}

    @classmethod
    def from_pretrained(
        cls,
        directory: str | Path,
        device: str = "auto",
        *,
        compile: bool = False,
        int8: bool = False,
        check_weights: bool = True,
    ) -> UnifiedVL:
        """Load a model directory; nothing in it is unpickled.

        Args:
            directory: that of a saved model; or its repository on the Hugging Face Hub, which is
                downloaded unless it was before.
            device: "cpu", "cuda", "cuda:1", ...; "auto" takes a GPU where there is one.
            compile: answer faster, after half a minute of compiling at the first answers
                (`unified_vl.decoding.decoders.compiled`).
            int8: multiply with matrices of int8 (`unified_vl.model.int8`), which takes less memory
                and may change answers.
            check_weights: look at every weight, which must be a finite number.

        Raises:
            UserError: naming the file, when a part is missing or broken; when a model is to be
                compiled and there is no C++ compiler.
        """
        return cls(
            open_model(directory, device, compile=compile, int8=int8, check_weights=check_weights)
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the tasks, what they read and write, their languages."""
        millions = sum(weight.numel() for weight in self.model.parameters()) / 1e6
        rows = [
            (
                name,
                ", ".join(source_fields(spec)),
                ", ".join(target_fields(spec)),
                ", ".join(spec.data.languages),
            )
            for name, spec in self.specs.items()
        ]
        size = f"UnifiedVL: {millions:.1f} M parameters on {self.model.device}"
        return heading(size) + table(rows, ("task", "reads", "writes", "languages"))

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that the model was trained on; `spec(name)` says all of one."""
        return tuple(self.specs)

    @property
    def languages(self) -> tuple[str, ...]:
        """The tags of the languages of all its tasks; those of one are
        `spec(name).data.languages`."""
        every = (language for spec in self.specs.values() for language in spec.data.languages)
        return tuple(dict.fromkeys(every))

    def __repr__(self) -> str:
        millions = sum(weight.numel() for weight in self.model.parameters()) / 1e6
        tasks = ", ".join(f"{n} ({len(s.data.languages)})" for n, s in self.specs.items())
        return (
            f"<UnifiedVL: {millions:.1f} M parameters on {self.model.device}; tasks (languages): "
            f"{tasks}>"
        )

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool = False,
        report: str | Path | None = None,
        licence: str | None = None,
    ) -> str:
        """Upload the model with a card; each file is named before it is sent.

        Args:
            repository: `USER/NAME`; made where there is none.
            private: make it so that others do not see it.
            report: the `report.json` of `evaluate`, for the card.
            licence: of the model, as the Hub calls it.

        Returns:
            The address of the repository.

        Raises:
            UserError: as `unified_vl.inference.publishing.upload.push`.
        """
        with TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            specs = self.specs.values()
            save_model(folder, self.model, self.codec, specs, self.facts, shots=self.shots)
            told = None if report is None else Path(report)
            return push(folder, repository, private=private, report=told, licence=licence)

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

    @overload
    def predict(
        self,
        task: str | Path | TaskSpec,
        language: str | None = None,
        *,
        n: int = 1,
        **fields: OneValue,
    ) -> Prediction: ...

    @overload
    def predict(
        self, task: str | Path | TaskSpec, language: list[str], *, n: int = 1, **fields: Any
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self, task: str | Path | TaskSpec, language: str | None = None, *, n: int = 1, **fields: Any
    ) -> Prediction | list[Prediction]: ...

    def predict(
        self,
        task: str | Path | TaskSpec,
        language: str | list[str] | None = None,
        *,
        n: int = 1,
        **fields: Any,
    ) -> Prediction | list[Prediction]:
        """Answer one input, or several at once.

        Args:
            task: name of a task that the model was trained on, or any spec or spec file.
            language: tag of the language; may be left out where the task has one. A list gives
                each input its own, or answers one input in each.
            n: how many answers to give in `alternatives`, where the task has as many.
            **fields: the fields that the task's source names. An image is a path, the
                bytes of a file, a `PIL.Image`, or a uint8 array [height, width] or
                [height, width, 3 or 4]. Lists are several inputs; what is not
                a list goes for all of them. A field with `many` of which the source shows
                all is itself a list, and several inputs a list of those. In a text of which
                the task takes something out, `<mask>` is a place to be filled in.

        Returns:
            A `Prediction`, or a list of them where the language or any field is a list of inputs.

        Raises:
            UserError: for an unknown task, field or language, a missing field, lists
                of different lengths, or an image that cannot be read.
        """
        spec = self.spec(task)
        inputs, several = split_inputs(spec, fields, language)
        builder = self.builder(spec, root=None)  # a person may name any file of theirs
        rows = [input_row(spec, one, tag, index=i) for i, (one, tag) in enumerate(inputs)]
        examples = [builder.build(row, seed=None, with_target=False) for row in rows]
        predictions = list(self.predict_examples(spec, examples, n=n))
        return predictions if several else predictions[0]

    def predict_many(
        self,
        rows: Iterable[Mapping[str, Any]],
        task: str | Path | TaskSpec | None = None,
        *,
        language: str | None = None,
        batch_size: int = 64,
        n: int = 1,
        progress: Told | None = None,
    ) -> Iterator[Prediction]:
        """Answer many rows in their order, as they come: rows may be a generator without an end.

        Who takes no more answers (`break`, `close()`) ends the work; so does an exception that
        `progress` raises, at the next batch.

        Args:
            rows: fields by name, as `predict` takes those of one input; a row may say its
                `language`, its `key` and, where no task is given, its `task`.
            task: of all rows; None where each names one of the model's.
            language: of rows that name none.
            batch_size: rows that the model reads at once.
            n: how many answers a row gets in `alternatives`, where the task has as many.
            progress: called after each batch with the number of answers and that of rows, which is
                None where `rows` has no length.

        Returns:
            A `Prediction` for each row; that of a bad row has `error`, what is wrong with it.

        Raises:
            UserError: for an unknown task.
        """
        return predict_many(self, rows, task, language, batch_size, n, progress)

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
            ImageLoader(root, self.codec.image_size, fit=self.codec.fit),
            self.model.config.task_tags,
            codec=self.codec,
            rows=data,
            train=train,
            shots=carried,
            code_cache=None if data is None else cache_directory(),  # a user's images are not kept
        )

    def predict_examples(
        self, spec: TaskSpec, examples: Iterable[Example], batch_size: int = 64, *, n: int = 1
    ) -> Iterator[Prediction]:
        """Answer examples of one task, in their order."""
        codec = self.codec
        encoded = ((spec, encode_example(each, codec, with_target=False)) for each in examples)
        return self.predict_encoded(encoded, batch_size, n=n)

    def predict_encoded(
        self,
        inputs: Iterable[tuple[TaskSpec, EncodedExample]],
        batch_size: int = 64,
        *,
        n: int = 1,
        told: Callable[[int], object] | None = None,
    ) -> Iterator[Prediction]:
        """Answer examples of any tasks and languages, in their order.

        Within a chunk of batches, those of a task and of like length go together: less
        padding. `told` is called with the number of answers after each batch.
        """

        def answer(spec: TaskSpec, examples: list[EncodedExample]) -> Sequence[Prediction]:
            return self._of_task(spec).answer(examples, n)

        return answered_by_length(inputs, batch_size, answer, told)

    def _of_task(self, spec: TaskSpec) -> TaskAnswers:
        if spec not in self._answers:
            self._answers[spec] = TaskAnswers(self, spec)
        return self._answers[spec]
