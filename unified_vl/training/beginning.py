"""What the weights of a run are before its first step, and what a run that goes on knows of that.

A run that goes on needs nothing of what it once started from: its checkpoints say what it was, and
have the weights. But those that are frozen are in no checkpoint, and are taken from there again.
"""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from unified_vl.checkpoint_folders import PROGRESS, folders
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.model.backbones.adapter import TransformersBackbone
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.pretrained.architecture import KEY, known_start, settled
from unified_vl.model.pretrained.pretrained import Pretrained
from unified_vl.model.pretrained.saved_model import architecture_of
from unified_vl.model.pretrained.starting import Start
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.saved_configuration import CONFIG, load_configuration
from unified_vl.run_record import CHECKPOINTS
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import is_path, told_at_its_key
from unified_vl.specs.runs.vision import RANDOM, VisionSpec


@dataclass(frozen=True)
class Beginning:
    """How a run begins.

    Attributes:
        run: with every key of its model known.
        pretrained: what it starts from; None where that is nothing, or where it goes on.
        config: of a model that `transformers` computes, where it goes on.
        start: what it started from, where it goes on.
    """

    run: Run
    pretrained: Pretrained | TransformersCheckpoint | None = None
    config: TransformersConfig | None = None
    start: Start | None = None


def beginning_of(run: Run, *, resume: bool) -> Beginning:
    """How a run begins, or goes on.

    Raises:
        UserError: at `model.from` or another key of the model, or naming a file that is broken.
    """
    goes_on = resume and not run.trains_a_part
    if run.model.from_ is None:
        return Beginning(_with_weights_of_checkpoint(run) if goes_on else run)
    folder, recorded = (None, None)
    if goes_on:
        folder, recorded = _recorded(run.output / CHECKPOINTS)
    if folder is None or recorded is None:
        return Beginning(*known_start(run))
    if recorded["named"] not in _names(run):
        raise run.error(
            (KEY, "from"),
            "this run started from something else",
            expected=f"{recorded['named']!r}"
            + (f", from {str(run.output)!r}" if is_path(recorded["named"]) else "")
            + ", or another output directory",
        )
    config = load_configuration(folder / CONFIG)
    if isinstance(config, TransformersConfig):
        run = _with_weights_of_checkpoint(run)
        return Beginning(run, None, config, Start.of(recorded))
    known = settled(run, architecture_of(config), f"the checkpoint {folder}")
    return Beginning(_with_weights_of_checkpoint(known), None, None, Start.of(recorded))


def _with_weights_of_checkpoint(run: Run) -> Run:
    """The run without the file that its image branch once started from, which may be gone: a
    checkpoint has the weights, and the scale of colours that came with that file."""
    vision = run.model.vision
    if vision.weights == RANDOM:
        return run
    for folder in reversed(folders(run.output / CHECKPOINTS)):
        if (folder / CONFIG).is_file():
            kept = load_configuration(folder / CONFIG).vision or {}
            known = {"weights": RANDOM, "normalize": kept.get("normalize")}
            settled_vision = VisionSpec.model_validate({**vision.model_dump(mode="json"), **known})
            model = run.model.model_copy(update={"vision": settled_vision})
            return run.model_copy(update={KEY: model})
    return run


RECORD = "started_from"  # in a checkpoint's progress


def _recorded(root: Path) -> tuple[Path | None, dict[str, Any] | None]:
    """A checkpoint and its record of the start, which all of a run share; whether it is whole is
    seen when it is read."""
    for folder in reversed(folders(root)):
        try:
            recorded = read_json_object(folder / PROGRESS).get(RECORD)
        except (UserError, OSError):
            continue
        if isinstance(recorded, dict) and (folder / CONFIG).is_file():
            return folder, recorded
    return None, None


def record_of(run: Run, start: Start) -> dict[str, Any]:
    """What a checkpoint keeps of a start, as JSON values."""
    return {**start.facts(), "named": _names(run)[0]}


def _names(run: Run) -> list[str]:
    """How a record may call what a run names: a path as it lies to the output directory."""
    source = run.model.from_
    assert source is not None
    paths = [Path(source)]
    if run.file is not None and not run.is_overridden((KEY, "from")):
        paths.append(run.file.parent / source)  # not resolved, where it is no longer there
    names = [os.path.relpath(path, run.output) for path in paths]
    named_on_hub = not is_path(source) and not Path(source).exists()
    return [source, *names] if named_on_hub else names


def backbone_config(
    beginning: Beginning, vocabulary: Vocabulary, text: TextCodec
) -> TransformersConfig | None:
    """The configuration; None for a model of this project's own architecture.

    Raises:
        UserError: at the key of the run that does not suit the architecture.
    """
    if not isinstance(beginning.pretrained, TransformersCheckpoint):
        return beginning.config
    with told_at_its_key(beginning.run):
        return beginning.pretrained.configuration(beginning.run, vocabulary, text)


def backbone_model(
    beginning: Beginning, config: TransformersConfig, names: Sequence[str | None], pieces: int
) -> tuple[TransformersBackbone, Start | None]:
    """The model, with the weights that it starts from; where a run goes on, they come later.

    Args:
        beginning: of the run.
        config: of `backbone_config`.
        names: what the rows of its embedding stand for (`codecs.row_names`).
        pieces: how many of them are the text tokenizer's.

    Raises:
        UserError: for weights that do not fit.
    """
    run = beginning.run
    if isinstance(beginning.pretrained, TransformersCheckpoint):
        with told_at_its_key(run):
            return beginning.pretrained.model(config, names, pieces, run.seed)
    torch.manual_seed(run.seed)
    return TransformersBackbone(config), beginning.start
