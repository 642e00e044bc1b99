"""The right answers of a row, which what a model answers is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unified_vl.codecs.segments import ImageCodes, Noised, Segment, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.example import Reference
from unified_vl.data.rows.values import Value
from unified_vl.data.templates import Plan
from unified_vl.specs.task import TaskSpec


class References:
    """Finds those of the rows of a task.

    Args:
        spec: the task.
        codec: says what of a target on pieces is read.

    Attributes:
        fields: the fields that a score compares with.
    """

    def __init__(self, spec: TaskSpec, codec: SequenceCodec | None) -> None:
        self._spec = spec
        self._codec = codec
        scored = dict.fromkeys(score.against for score in spec.score)
        self.fields = tuple(name for name in scored if name in spec.fields)

    def of(
        self, plan: Plan, values: Mapping[str, Value], matches: bool, target: Sequence[Segment]
    ) -> dict[str, tuple[Reference, ...]]:
        """The right answers: all values of a field, what the target says of a noised one."""
        found: dict[str, tuple[Reference, ...]] = {}
        for name in self.fields:
            first = next(iter(values[name]), None)
            if isinstance(first, ImageCodes):
                assert first.image is not None
                found[name] = (first.image,)
            elif name not in self._spec.example.noise:
                found[name] = values[name]
            elif not any(isinstance(segment, Noised) for segment in target):
                found[name] = (self._text_of(target),)
        mismatch = self._spec.example.mismatch
        if mismatch is not None:
            found[mismatch.slot] = (plan.answers[0 if matches else 1],)
        return found

    def _text_of(self, target: Sequence[Segment]) -> str:
        """The text of a target, as that of an answer is read."""
        if self._codec is not None and self._spec.example.on_pieces:
            return self._codec.decode_text(self._codec.encode_target(target).ids)
        return " ".join(segment.text for segment in target if isinstance(segment, Text))
