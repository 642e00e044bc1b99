"""Whether an answer is in another script than the language that was asked for."""

from __future__ import annotations

from unified_vl.data.example import Example
from unified_vl.inference.inputs import target_fields
from unified_vl.languages.scripts import strange_parts
from unified_vl.specs.task import TaskSpec


def in_other_script(spec: TaskSpec, text: str, example: Example, prefix: str) -> bool:
    """Whether a text holds what its language is not written in, and nobody gave to copy.

    Choices, names of labels and the words of the target's template are the author's own.
    """
    free = any(spec.fields[name].of_kind.free_text for name in target_fields(spec))
    if spec.generate.choices is not None or not free:
        return False
    own = (piece for piece in spec.target if isinstance(piece, str))
    given = "\n".join((*example.copied, prefix, *own))
    return any(part not in given for part in strange_parts(text, example.language))
