"""The ids of an answer to what it says: words, shapes in pixels of the user's image, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from PIL import Image as PILImage

from unified_vl.codecs.segments import ImageCodes
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.example import Example
from unified_vl.decoding.answer_rules import AnswerRules
from unified_vl.inference.inputs import target_fields
from unified_vl.inference.prediction import Alternative
from unified_vl.inference.written.other_script import in_other_script
from unified_vl.specs.task import TaskSpec


class AnswerReader:
    """Reads the answers of a task.

    Args:
        spec: the task.
        codec: the model's.
        rules: of the task's answers, which know its closed ones.
    """

    def __init__(self, spec: TaskSpec, codec: SequenceCodec, rules: AnswerRules) -> None:
        self._spec = spec
        self._codec = codec
        self._rules = rules

    def read(
        self, example: Example, ids: Sequence[int], score: float, cut: bool = False
    ) -> Alternative:
        """An answer with its shapes in pixels of the user's image, and its flags; without its
        pictures, which `with_images` decodes.

        Args:
            example: what was asked.
            ids: that were written, without the start id and padding.
            score: of them.
            cut: whether a limit ended the answer.
        """
        spec = self._spec
        size = example.image_size or (1, 1)
        text = self._rules.text(ids)
        segments = example.in_image(self._codec.decode(ids, spec.answer_form.shape))
        written = [spec.fields[name] for name in target_fields(spec)]
        kinds = {field.kind: field.of_kind for field in written}
        for kind in kinds.values():
            segments = tuple(kind.located(segments, example.source))
        shapes: dict[str, list[Any]] = {}
        for name, kind in kinds.items():
            fields = [field for field in written if field.kind == name]
            segments = tuple(kind.answered(segments, fields))
            shapes |= kind.row(text, segments, size, fields)
        return Alternative(
            text,
            score,
            segments,
            shapes,
            cut=cut,
            other_script=in_other_script(spec, text, example, spec.generate.prefix or ""),
        )

    def with_images(self, answered: Sequence[Sequence[Alternative]]) -> list[list[Alternative]]:
        """The answers with the pictures that their codes stand for, all decoded at once."""
        coded = [[_coded(answer) for answer in answers] for answers in answered]
        flat = [segment for row in coded for several in row for segment in several]
        pictures = iter(map(PILImage.fromarray, self._codec.decode_images(flat)))
        return [
            [
                replace(answer, images=tuple(islice(pictures, len(several))))
                for answer, several in zip(answers, row, strict=True)
            ]
            for answers, row in zip(answered, coded, strict=True)
        ]


def _coded(answer: Alternative) -> list[ImageCodes]:
    return [segment for segment in answer.segments if isinstance(segment, ImageCodes)]
