"""The `config.json` of a saved model that `transformers` computes, read as the input that it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.model.backbones.configuration import OWN, TransformersConfig
from unified_vl.specs.reading.parse import Parsed, json_origin, validate
from unified_vl.specs.saved_backbone import SavedBackboneSpec


def saved_backbone(values: Mapping[str, Any], path: Path) -> TransformersConfig:
    """The configuration of a saved model.

    Args:
        values: of its `config.json`, whose `model_type` is one of `FAMILIES`.
        path: of it.

    Raises:
        UserError: at the key, for what is missing, wrong or not known; also for a checkpoint that
            is no saved model of this project.
    """
    own = values.get(OWN)
    if not isinstance(own, Mapping):
        raise UserError(
            f"this {values.get('model_type')!r} model was not trained here",
            file=path,
            field=OWN,
            expected="a saved model of this project; a run starts from others (model.from)",
        )
    spec = validate(SavedBackboneSpec, Parsed(dict(own), json_origin(path)))
    try:
        config = TransformersConfig(values, **spec.model_dump(mode="json"))
        _ = config.image_tokens  # sizes that do not fit each other show here
    except UserError as error:
        error.file = str(path)
        raise
    image = config.image_token_id
    if image is not None and image >= config.vocab_size:
        raise UserError(
            f"found {image}",
            file=path,
            field=f"{OWN}.image_token_id",
            expected=f"below {config.vocab_size}",
        )
    return config
