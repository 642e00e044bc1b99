"""A saved model, opened to be asked: from a folder or the Hub, int8 or compiled where wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from unified_vl.decoding.decoders.compiled import compile_model
from unified_vl.errors import UserError
from unified_vl.inference.saved_models.model_directory import SavedModel, load_model
from unified_vl.model.int8 import in_int8
from unified_vl.model.pretrained.hub import from_hub
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.specs.runs.run_paths import is_path


def open_model(
    directory: str | Path, device: str, *, compile: bool, int8: bool, check_weights: bool
) -> SavedModel:
    """As `UnifiedVL.from_pretrained`, which says what each argument is, and what is raised."""
    folder = _on_the_hub(directory) or directory
    saved = load_model(folder, device, check_weights=check_weights)
    asked = {"int8": int8, "compile": compile}
    for field in (name for name, wanted in asked.items() if wanted):
        own = saved.model
        if not isinstance(own, UnifiedVLForConditionalGeneration):
            done = "made int8" if field == "int8" else "compiled"
            raise UserError(
                f"a {own.config.model_type} model cannot be {done}",
                field=field,
                expected="a model of this project's own architecture",
            )
        if field == "int8":
            saved = replace(saved, model=in_int8(own))
        else:
            compile_model(own)
    return saved


def _on_the_hub(name: str | Path) -> Path | None:
    """The folder of a model of the Hub, where what is named can be no folder on this machine."""
    here = Path(name)
    if here.exists() or here.parent.is_dir() or is_path(str(name)):
        return None
    return from_hub(str(name))
