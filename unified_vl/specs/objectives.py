"""What a task may be trained for beside its target tokens: keys of a mixture's tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from unified_vl.specs.reading.document import Part, Problem
from unified_vl.specs.tasks.fields import FieldSpec
from unified_vl.specs.tasks.template import Slot, Template
from unified_vl.specs.variants import Variant, Variants

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


class ContrastKeys(Part):
    """Of the image-text contrastive loss."""

    contrast: float = Field(
        default=0.0,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description=(
            "Weight of an image-text contrastive loss beside its own: each target must be "
            "found by its image among the batch, and each image by its target."
        ),
        examples=[0.1],
    )


def _contrast(spec: TaskSpec) -> Iterator[Problem]:
    if not _pairs_image_and_text(spec):
        yield Problem(
            ("contrast",),
            f"the task {spec.task!r} does not describe an image",
            expected="one image in its source and a text as its target",
        )


def _pairs_image_and_text(spec: TaskSpec) -> bool:
    """Whether a row has one image and one text that can find each other (a question may be read
    beside the image, so this is more than captioning)."""

    def fields(template: Template) -> list[FieldSpec]:
        named = (piece.name for piece in template if isinstance(piece, Slot))
        return [spec.fields[name] for name in named if name in spec.fields]

    def always(field: FieldSpec) -> bool:
        return not field.in_codes and field.missing != "allow"

    images = [f for f in fields(spec.source) if f.of_kind.is_input_image and always(f)]
    written = fields(spec.target)
    return len(images) == 1 and [f.of_kind.free_text and always(f) for f in written] == [True]


# each is asked for by a key of its own name, which without a value (0, null) asks for nothing
OBJECTIVES = Variants("an objective", Variant("contrast", ContrastKeys, _contrast))
