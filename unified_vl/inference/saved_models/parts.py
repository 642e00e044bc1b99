"""What a saved model holds beside its weights: configuration, tokenizer, specs, and its record."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unified_vl.codecs.model_codec import model_codec
from unified_vl.codecs.sequence import VOCABULARY, SequenceCodec, load_tokenizer
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.data.rows.other_rows import Shots
from unified_vl.errors import UserError
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer, load_image_tokenizer
from unified_vl.inference.saved_models.shot_files import read_shots
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.saved_configuration import (
    CONFIG,
    TOKENIZER,
    load_configuration,
    load_json,
)
from unified_vl.run_record import FACTS
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

SPECS = "specs"

Config = UnifiedVLConfig | TransformersConfig


@dataclass(frozen=True)
class SavedParts:
    """A model directory without its weights.

    Attributes:
        config: the model's.
        codec: its tokenizer, vocabulary and limits.
        specs: the tasks it was trained on, by name.
        facts: what was recorded about its training.
        shots: the rows that tasks show as examples, by task.
        image_tokenizer: that of a model with images in codes.
    """

    config: Config
    codec: SequenceCodec
    specs: dict[str, TaskSpec]
    facts: dict[str, Any]
    shots: Mapping[str, Shots] = field(default_factory=dict)
    image_tokenizer: ImageTokenizer | None = None


def load_parts(directory: Path) -> SavedParts:
    """Read all of a model directory but its weights.

    Args:
        directory: of `model_directory.save_model`.

    Raises:
        UserError: naming the file, when a part is missing or broken or the parts do not belong
            together.
    """
    if not directory.is_dir():
        raise UserError("there is no model directory here", file=directory)
    config = load_configuration(directory / CONFIG)
    tokenizer = directory / TOKENIZER
    vocabulary, text = load_tokenizer(tokenizer)
    _check_same(tokenizer / VOCABULARY, vocabulary.fingerprint, config.vocabulary_fingerprint)
    _check_same(tokenizer / text.FILE, text_fingerprint(text), config.text_fingerprint)
    specs = _load_specs(directory / SPECS)
    shots = {
        name: read_shots(directory / SPECS, spec, config.image_size, config.image_fit)
        for name, spec in specs.items()
        if spec.example.shots is not None
    }
    image_tokenizer = load_image_tokenizer(tokenizer, vocabulary)
    codec = model_codec(
        config,
        vocabulary,
        text,
        image_tokenizer,
        max_source=config.max_source_tokens,
        max_target=config.max_target_tokens,
    )
    return SavedParts(config, codec, specs, load_json(directory / FACTS), shots, image_tokenizer)


def text_fingerprint(text: TextCodec) -> str:
    """Differs where text tokenizers do; a model's configuration names that of its own."""
    return hashlib.sha256(text.content).hexdigest()[:16]


def _check_same(path: Path, found: str, expected: str | None) -> None:
    if found != expected:
        raise UserError(
            f"this file (fingerprint {found}) is not the one that the model was trained with",
            file=path,
            expected=f"fingerprint {expected}, named in {CONFIG}",
        )


def _load_specs(directory: Path) -> dict[str, TaskSpec]:
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise UserError("the model's task specs are missing", file=directory, expected="NAME.yaml")
    specs = [load_task(path) for path in files]
    return {spec.task: spec for spec in specs}
