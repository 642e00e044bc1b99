"""What the ids say that `generate` wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.written.answer_reader import AnswerReader
from unified_vl.model.backbone import BackboneConfig
from unified_vl.specs.task import TaskSpec


def read_generated(
    reader: AnswerReader,
    config: BackboneConfig,
    examples: Sequence[Example],
    rows: Sequence[Sequence[int]],
    scores: Any = None,
) -> list[Prediction]:
    """The answers that rows of ids are.

    Args:
        reader: of the task.
        config: of the model.
        examples: what was asked.
        rows: ids of as many answers to each of them, the start id first.
        scores: of the rows, where they are known.

    Raises:
        UserError: when there are not as many answers to each.
    """
    if not examples or len(rows) % len(examples):
        raise UserError(
            f"{len(rows)} answers to {len(examples)} inputs", expected="as many for each"
        )
    times = len(rows) // len(examples)
    asked = [example for example in examples for _ in range(times)]
    said = [
        reader.read(example, _up_to_end(row[1:], config), math.nan, not _ends(row, config))
        for example, row in zip(asked, rows, strict=True)
    ]
    found = [answers[0] for answers in reader.with_images([[each] for each in said])]
    return [
        Prediction(
            key=example.key,
            text=each.text,
            score=None if scores is None else float(scores[place]),
            segments=each.segments,
            shapes=each.shapes,
            images=each.images,
            cut=each.cut,
            other_script=each.other_script,
        )
        for place, (example, each) in enumerate(zip(asked, found, strict=True))
    ]


def unseen_examples(
    spec: TaskSpec, language: str, sizes: Sequence[tuple[int, int]]
) -> list[Example]:
    """Examples of which only the task, the language and their images' sizes are known.

    Args:
        spec: the task.
        language: its tag.
        sizes: (height, width) in pixels, one for each.
    """
    return [
        Example(
            task=spec.task,
            language=language,
            key=str(place),
            source=(),
            target=(),
            references={},
            groups={},
            where=f"input:{place + 1}",
            image_size=(int(width), int(height)),
        )
        for place, (height, width) in enumerate(sizes)
    ]


def _ends(row: Sequence[int], config: BackboneConfig) -> bool:
    return config.eos_token_id in row[1:]


def _up_to_end(ids: Sequence[int], config: BackboneConfig) -> list[int]:
    end = config.eos_token_id
    if end in ids:
        return list(ids[: ids.index(end) + 1])
    return [token for token in ids if token != config.pad_token_id]
