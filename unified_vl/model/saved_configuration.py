"""The `config.json` of a saved model, read as the input that it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.backbones.registry import FAMILIES
from unified_vl.model.backbones.saved import saved_backbone
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.specs.reading.parse import Parsed, json_origin, validate
from unified_vl.specs.saved_model import REMARKS, SavedModelSpec

CONFIG = "config.json"
TOKENIZER = "tokenizer"
REQUIRED = ("vocabulary_fingerprint", "text_fingerprint", "max_source_tokens", "max_target_tokens")


def load_configuration(path: Path) -> UnifiedVLConfig | TransformersConfig:
    """The configuration of a saved model, of this project's architecture or another.

    Raises:
        UserError: at the key, for what is missing, wrong or not known.
    """
    values = load_json(path)
    if values.get("model_type") in FAMILIES:
        return saved_backbone(values, path)
    return own_configuration(path)


def own_configuration(path: Path) -> UnifiedVLConfig:
    """The configuration of a saved model of this project's architecture.

    Raises:
        UserError: at the key, for what is missing, wrong or not known.
    """
    values = load_json(path)
    if values.get("model_type") != UnifiedVLConfig.model_type:
        raise UserError(
            f"this is a {values.get('model_type')!r} model",
            file=path,
            field="model_type",
            expected=f"{UnifiedVLConfig.model_type!r}, or one of {', '.join(FAMILIES)}",
            nearest=nearest(str(values.get("model_type")), FAMILIES),
        )
    for key in REQUIRED:
        if values.get(key) is None:
            raise UserError(
                "the key is missing", file=path, field=key, expected="a saved unified_vl model"
            )
    spec = validate(SavedModelSpec, Parsed(values, json_origin(path)))
    config = UnifiedVLConfig(**spec.model_dump(mode="json", exclude=set(REMARKS)))
    try:
        _ = config.image_tokens, config.code_grid  # sizes that do not fit each other show here
    except UserError as error:
        error.file = str(path)
        raise
    return config


def load_json(path: Path) -> dict[str, Any]:
    """A JSON file of a saved model.

    Raises:
        UserError: when it is missing or no JSON object.
    """
    if not path.is_file():
        raise UserError("the file is missing", file=path, expected="a saved unified_vl model")
    return read_json_object(path)
