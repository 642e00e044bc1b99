"""A trained model that a run's model learns from: the `teacher` keys of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from unified_vl.specs.reading.document import Part, Problem, refuse

if TYPE_CHECKING:
    from unified_vl.specs.run import Run

Share = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
LOSSES = ("logits", "hidden", "attention")  # keys that are weights of losses


class TeacherSpec(Part):
    """A teacher, held whole and unchanged on each rank (arXiv 1503.02531), and what of it is
    learnt beside the targets."""

    model: Path = Field(
        description="A saved model of the same tokenizer and image size, of any width and depth, "
        "relative to this file.",
        examples=["../../runs/large/model"],
    )
    logits: Share = Field(
        default=0.0,
        description="Weight of the teacher's answers: of the divergence (KL) from its "
        "probabilities of the next token, as a mean over target tokens.",
        examples=[1.0],
    )
    temperature: Annotated[float, Field(ge=0.1, le=100, allow_inf_nan=False)] = Field(
        default=2.0,
        description="What logits of teacher and student are divided by, so that improbable tokens "
        "count, too; the loss is multiplied by its square (arXiv 1503.02531, section 2.1).",
        examples=[2.0],
    )
    hidden: Share = Field(
        default=0.0,
        description="Weight of the teacher's hidden states behind each block: of 1 - cosine, "
        "through a matrix that is learnt where the widths differ (arXiv 1909.10351, 1910.01108).",
        examples=[1.0],
    )
    attention: Share = Field(
        default=0.0,
        description="Weight of the teacher's attention maps: of the divergence (KL) of each "
        "block's, head by head, or of the mean over heads where their numbers differ "
        "(arXiv 2104.02096, 2002.10957).",
        examples=[1.0],
    )

    @model_validator(mode="after")
    def _teaches_something(self) -> TeacherSpec:
        if not any(getattr(self, key) for key in LOSSES):
            expected = "a weight above 0 for logits, hidden or attention"
            refuse([Problem((), "nothing of it is learnt", expected=expected)])
        return self


def teacher_problems(run: Run) -> Iterator[Problem]:
    """What a run's other keys do not allow of its teacher; places are those of the run."""
    teacher = run.teacher
    if teacher is None:
        return
    if run.lora is not None:
        said = "adapters change too little of a model for a teacher of another size"
        yield Problem(("teacher",), said, expected="no `lora` beside it, or no teacher")
    for key in ("hidden", "attention"):
        if run.compile and getattr(teacher, key):
            said = "compiled blocks do not show what is within them"
            yield Problem(("teacher", key), said, expected="0, or compile: false")
    if run.activation_checkpointing and teacher.attention:
        said = "blocks that compute again keep no attention maps"
        expected = "0, or activation_checkpointing: false"
        yield Problem(("teacher", "attention"), said, expected=expected)
