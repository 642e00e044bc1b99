"""What a file says of a student: the keys of `model` in which it differs from the saved model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.saved_model import architecture_of
from unified_vl.parts import FOLLOWERS
from unified_vl.specs.reading.document import Document
from unified_vl.specs.reading.parse import make, parse_file
from unified_vl.specs.runs.model import Architecture
from unified_vl.specs.runs.vision import VisionSpec


class _StudentSpec(Architecture, Document):
    """All keys of a student, those of its file and the others of the saved model."""


FOLLOWERS.append(partial(_StudentSpec.model_rebuild, force=True))


def read_student(path: Path, config: UnifiedVLConfig) -> dict[str, Any]:
    """The keys that a file gives.

    Args:
        path: a YAML file.
        config: of the saved model.

    Raises:
        UserError: at the file's line, for a key that is none or does not fit the others.
    """
    parsed = parse_file(path)
    make(_StudentSpec, student_keys(config, parsed.values), parsed.origin)
    return dict(parsed.values)


def student_keys(config: UnifiedVLConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """A run's `model`: that of a saved model, but for these keys."""
    keys = architecture_of(config)
    usual = VisionSpec().model_dump(mode="json")  # a kind does not read all keys
    vision = {key: value for key, value in keys["vision"].items() if value != usual[key]}
    own = given.get("vision", {})
    if isinstance(own, Mapping):  # else it is refused as it is
        own = {**vision, **own}
    return {**keys, **given, "vision": own}
