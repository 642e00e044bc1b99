"""A saved model whose matrices are int8: a directory as any other, about a third of the size."""

from __future__ import annotations

from pathlib import Path

from unified_vl.errors import UserError
from unified_vl.inference.saved_models.model_directory import SavedModel, save_model
from unified_vl.model.int8 import in_int8
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


def write_int8(saved: SavedModel, directory: Path) -> None:
    """Write a model in int8, whole or not at all; a directory that is there is replaced.

    Raises:
        UserError: for a model of another architecture.
    """
    if not isinstance(saved.model, UnifiedVLForConditionalGeneration):
        raise UserError(
            f"a {saved.model.config.model_type} model cannot be made int8",
            expected="a model of this project's own architecture",
        )
    parts = (saved.codec, saved.specs.values(), saved.facts)
    save_model(directory, in_int8(saved.model), *parts, shots=saved.shots)
