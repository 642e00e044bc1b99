"""The configuration of a model that `transformers` computes: theirs, and what is ours beside it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import transformers
from transformers import PretrainedConfig, PreTrainedModel

from unified_vl.codecs.region_values import RegionSizes
from unified_vl.errors import UserError, nearest
from unified_vl.files import write_atomically
from unified_vl.kinds.hooks.fits import Fit
from unified_vl.model.backbones.family import Family
from unified_vl.model.backbones.registry import FAMILIES
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.specs.task import TaskTags

OWN = "unified_vl"  # the key of `config.json` under which this project's settings are
ATTENTION = "sdpa"
REMARKS = (  # what could name code or files elsewhere, or decides what is decided here
    *("auto_map", "attn_implementation", "_attn_implementation", "_attn_implementation_autoset"),
    *("_attn_implementation_internal", "_name_or_path", "_commit_hash", "torch_dtype", "dtype"),
    *("experts_implementation", "_experts_implementation", OWN),
)


class TransformersConfig:
    """What `unified_vl.model.backbone.BackboneConfig` says, of an architecture of `transformers`.

    Args:
        theirs: the keys of its `config.json`.
        image_token_id: holds an image's places in a source.
        image_size: (height, width) in pixels; that of the checkpoint unless given.
        mean: of the pixels of each channel, at scale 0 to 1.
        std: their standard deviation.
        vision: keys of `VisionSpec`, for a text model with an image branch of this project.
        dropout_rate: everywhere; that of the checkpoint unless given.
        task_tags: what told tasks apart in training.
        vocabulary_fingerprint: of the vocabulary that the rows of the embedding stand for.
        text_fingerprint: of the text tokenizer.
        max_source_tokens: longest source.
        max_target_tokens: longest target.

    Raises:
        UserError: for an architecture that is not known, or settings that it cannot have.
    """

    code_token_ids: list[int] | None = None  # images in codes are this project's model's alone
    code_grid: tuple[int, int] | None = None

    def __init__(
        self,
        theirs: Mapping[str, Any],
        *,
        image_token_id: int | None = None,
        image_size: tuple[int, int] | None = None,
        mean: tuple[float, float, float] | None = None,
        std: tuple[float, float, float] | None = None,
        vision: Mapping[str, Any] | None = None,
        dropout_rate: float | None = None,
        task_tags: TaskTags = "task",
        vocabulary_fingerprint: str | None = None,
        text_fingerprint: str | None = None,
        max_source_tokens: int = 256,
        max_target_tokens: int = 128,
    ) -> None:
        self.family = family_of(theirs)
        self.theirs = _parsed(self.family, theirs)
        if dropout_rate is not None:
            self.family.drop(self.theirs, dropout_rate)
        self.mean = tuple(mean or self.family.mean)
        self.std = tuple(std or self.family.std)
        self.image_token_id = image_token_id
        self.vision = None if vision is None or self.family.reads_images else dict(vision)
        self.task_tags = task_tags
        self.vocabulary_fingerprint = vocabulary_fingerprint
        self.text_fingerprint = text_fingerprint
        self.max_source_tokens = max_source_tokens
        self.max_target_tokens = max_target_tokens
        self.image_size = self._image_size(image_size)

    def _image_size(self, asked: tuple[int, int] | None) -> tuple[int, int]:
        if self.vision is not None:
            if self.own_vision.image_fit not in ("stretch", "pad"):
                raise UserError(
                    f"this {self.model_type} model takes images of one size",
                    field="model.vision.fit",
                    expected="stretch or pad",
                )
            return self.own_vision.image_size
        only = self.family.image_size(self.theirs)
        if only is not None and asked is not None and tuple(asked) != only:
            raise UserError(
                f"found {list(asked)}: this {self.model_type} model takes images of one size",
                field="model.vision.image_size",
                expected=str(list(only)),
            )
        height, width = asked or only or self.family.usual_size
        return int(height), int(width)

    @cached_property
    def own_vision(self) -> UnifiedVLConfig:
        """The settings of an image branch of this project."""
        text = self.family.text(self.theirs)
        return UnifiedVLConfig(d_model=int(text.hidden_size), vision=self.vision)

    @property
    def image_fit(self) -> Fit:
        """How images are brought to that size."""
        return "stretch" if self.vision is None else self.own_vision.image_fit

    @property
    def reads_images(self) -> bool:
        return self.family.reads_images or self.vision is not None

    @property
    def model_type(self) -> str:
        return self.family.model_type

    @property
    def vocab_size(self) -> int:
        return int(self.family.text(self.theirs).vocab_size)

    @property
    def d_model(self) -> int:
        return int(self.family.text(self.theirs).hidden_size)

    @property
    def pad_token_id(self) -> int:
        return int(self.family.text(self.theirs).pad_token_id)

    @property
    def eos_token_id(self) -> int:
        end = self.family.text(self.theirs).eos_token_id
        return int(end[0] if isinstance(end, list) else end)

    @property
    def decoder_start_token_id(self) -> int:
        return self.family.start_id(self.theirs)

    @property
    def tie_word_embeddings(self) -> bool:
        return bool(self.theirs.tie_word_embeddings)

    @property
    def image_tokens(self) -> int:
        """Places of one image in a source."""
        if self.vision is not None:
            return self.own_vision.image_tokens
        return self.family.image_tokens(self.theirs, self.image_size)

    @property
    def around_image(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids that stand before and behind an image's places."""
        return self.family.around_image(self.theirs)

    @property
    def region_sizes(self) -> RegionSizes | None:
        """Of the regions that the model reads: none."""
        return None

    @property
    def most_positions(self) -> int | None:
        """The longest sequence; None where any length goes."""
        return self.family.most_positions(self.theirs)

    def build(self) -> PreTrainedModel:
        """The model with random weights."""
        kind = getattr(transformers, self.family.model_class)
        model: PreTrainedModel = kind._from_config(
            copy.deepcopy(self.theirs), attn_implementation=ATTENTION
        )
        return model

    def save_pretrained(self, directory: Path) -> None:
        """Write `config.json`."""
        write_atomically(directory / "config.json", self.to_json_string())

    def to_json_string(self) -> str:
        """What `config.json` holds."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """What `config.json` says: `transformers` reads it too, and passes over our key."""
        theirs = json.loads(self.theirs.to_json_string(use_diff=False))
        theirs |= {"architectures": [self.family.model_class]}
        own = {
            "image_token_id": self.image_token_id,
            "image_size": list(self.image_size),
            "mean": list(self.mean),
            "std": list(self.std),
            "vision": self.vision,
            "task_tags": self.task_tags,
            "vocabulary_fingerprint": self.vocabulary_fingerprint,
            "text_fingerprint": self.text_fingerprint,
            "max_source_tokens": self.max_source_tokens,
            "max_target_tokens": self.max_target_tokens,
        }
        return {**theirs, OWN: own}


def family_of(theirs: Mapping[str, Any]) -> Family:
    """That of a `config.json`.

    Raises:
        UserError: for one that is not known.
    """
    name = str(theirs.get("model_type"))
    if name not in FAMILIES:
        raise UserError(
            f"a {name!r} model is not known",
            field="model_type",
            expected=f"one of {', '.join(FAMILIES)}",
            nearest=nearest(name, FAMILIES),
        )
    return FAMILIES[name]


def _parsed(family: Family, theirs: Mapping[str, Any]) -> PretrainedConfig:
    if theirs.get("quantization_config") is not None:
        raise UserError(
            "quantised weights cannot be trained",
            field="quantization_config",
            expected="the weights as they were before",
        )
    kind = getattr(transformers, family.config_class)
    values = _without_remarks(theirs)
    for path, known in family.parts.items():
        part: Any = values
        for key in path.split("."):
            part = part.get(key, {}) if isinstance(part, Mapping) else {}
        found = part.get("model_type", known) if isinstance(part, Mapping) else None
        if found != known:
            raise UserError(f"found {found!r}", field=f"{path}.model_type", expected=repr(known))
    try:
        config = kind.from_dict(values)
        family.prepare(config)
    except Exception as error:  # their validators raise almost anything
        reason = str(error).strip().splitlines()
        raise UserError(
            f"this is no configuration of a {family.model_type} model: {' '.join(reason)[:300]}"
        ) from error
    return config


def _without_remarks(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_remarks(value) if isinstance(value, Mapping) else copy.deepcopy(value)
        for key, value in values.items()
        if key not in REMARKS
    }
