"""What a training starts from, by what lies there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from unified_vl.checkpoint_folders import MANIFEST, STATE, folder_of, newest
from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object
from unified_vl.model.backbones import registry as backbones
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.hub import from_hub
from unified_vl.model.pretrained.pretrained import Pretrained
from unified_vl.model.pretrained.saved_model import SavedModel
from unified_vl.model.pretrained.t5 import T5, T5_TYPES
from unified_vl.model.pretrained.tensor_files import PICKLES, weight_files
from unified_vl.model.pretrained.trained_checkpoint import TrainedBackbone, TrainedCheckpoint
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.saved_configuration import CONFIG
from unified_vl.run_record import BEST_MODEL, CHECKPOINTS, FACTS, MODEL
from unified_vl.specs.runs.run_paths import is_path

FAMILIES: dict[str, Callable[[Path], Pretrained | TransformersCheckpoint]] = {
    # by the `model_type` of config.json
    UnifiedVLConfig.model_type: SavedModel,
    **dict.fromkeys(T5_TYPES, T5),
    **dict.fromkeys(backbones.FAMILIES, TransformersCheckpoint),
}


def open_pretrained(
    source: str | Path, *, download: bool = True
) -> Pretrained | TransformersCheckpoint:
    """What can be started from.

    Args:
        source: a directory, or the name of a model of the Hugging Face hub where there is no
            such directory.
        download: from the hub, what is not on this machine yet.

    Raises:
        UserError: naming the file or the key, when nothing is there that can be used.
    """
    directory = directory_of(source, download=download)
    if checkpoint := _checkpoint_in(directory):
        return _trained(checkpoint)
    directory = _model_in(directory)
    config = directory / CONFIG
    found = read_json_object(config).get("model_type")
    family = FAMILIES.get(found) if isinstance(found, str) else None
    if family is None:
        raise UserError(
            f"a model of type {found!r} cannot be started from",
            file=config,
            field="model_type",
            expected=f"one of {', '.join(FAMILIES)}",
            nearest=nearest(str(found), FAMILIES),
        )
    return family(directory)


def _checkpoint_in(directory: Path) -> Path | None:
    """A checkpoint, or the newest of a run that has no model of as many steps."""
    if (directory / MANIFEST).is_file() and (directory / STATE).is_dir():
        return directory
    output = directory.parent if directory.name == CHECKPOINTS else directory
    name = newest(output / CHECKPOINTS)
    if name is None or (directory / CONFIG).is_file():
        return None
    model = output / MODEL
    if (model / CONFIG).is_file() and directory == output:
        steps = read_json_object(model / FACTS).get("steps") if (model / FACTS).is_file() else 0
        if isinstance(steps, int) and folder_of(output / CHECKPOINTS, steps).name >= name:
            return None
    return output / CHECKPOINTS / name


def _trained(checkpoint: Path) -> Pretrained | TransformersCheckpoint:
    """A checkpoint of this project's architecture, or of one of `transformers`."""
    config = checkpoint / CONFIG
    if config.is_file() and read_json_object(config).get("model_type") in backbones.FAMILIES:
        return TrainedBackbone(checkpoint)
    return TrainedCheckpoint(checkpoint)


def _model_in(directory: Path) -> Path:
    """The directory of a model, or of that of a run."""
    for folder in (directory, directory / MODEL, directory / BEST_MODEL):
        if (folder / CONFIG).is_file():
            return folder
    inner = [p.parent.name for p in sorted(directory.glob(f"*/{CONFIG}"))]
    pickles = any(True for kind in PICKLES for _ in directory.glob(kind))
    if pickles:
        weight_files(directory)  # says what to do about them
    raise UserError(
        "there is no model here",
        file=directory,
        expected=f"a folder with {CONFIG}, a run's output or a checkpoint",
        nearest=inner[0] if inner else None,
    )


def directory_of(source: str | Path, *, download: bool = True) -> Path:
    """A directory that is there, or that of a model of the hub.

    Raises:
        UserError: when it is neither.
    """
    directory = Path(source)
    if directory.is_dir():
        return directory
    if is_path(str(source)) or directory.exists():
        raise _missing(directory)
    return from_hub(str(source), download=download)


def _missing(directory: Path) -> UserError:
    parent = directory.parent
    beside = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
    found = "is a file, not a folder" if directory.is_file() else "does not exist"
    return UserError(found, file=directory, nearest=nearest(directory.name, beside))
