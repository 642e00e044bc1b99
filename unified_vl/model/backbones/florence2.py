"""Florence-2 (arXiv 2311.06242): a DaViT in front of a BART whose vocabulary has 1000 bins.

Legend: N images, P places of one image.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from torch import nn

from unified_vl.errors import UserError
from unified_vl.model.backbones.family import Family


class Florence2(Family):
    """Images may be of any size up to 50 places a side; their mean stands before their places."""

    model_type = "florence2"
    config_class = "Florence2Config"
    model_class = "Florence2ForConditionalGeneration"
    parts = MappingProxyType({"vision_config": "florence_vision", "text_config": "bart"})
    reads_images = True
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    usual_size = (768, 768)
    lora_targets = ("model.model.language_model.*_attn.*_proj",)

    def text(self, config: Any) -> Any:
        return config.text_config

    def most_positions(self, config: Any) -> int | None:
        return int(config.text_config.max_position_embeddings)

    def prepare(self, config: Any) -> None:
        config.vision_config.drop_path_rate = 0.0  # else training is never deterministic

    def drop(self, config: Any, rate: float) -> None:
        super().drop(config, rate)
        config.vision_config.drop_path_rate = rate

    def set_rows(self, config: Any, rows: int) -> None:
        config.text_config.vocab_size = rows

    def image_tokens(self, config: Any, image_size: tuple[int, int]) -> int:
        most = int(config.vision_config.max_position_embeddings)
        rows, columns = self._grid(config, image_size)
        if not 0 < max(rows, columns) <= most:
            raise UserError(
                f"found {list(image_size)} pixels, which are {rows} x {columns} places",
                field="model.vision.image_size",
                expected=f"at most {most} places a side",
            )
        return 1 + rows * columns

    @staticmethod
    def _grid(config: Any, image_size: tuple[int, int]) -> tuple[int, int]:
        sides = list(image_size)
        vision = config.vision_config
        stages = zip(vision.patch_size, vision.patch_stride, vision.patch_padding, strict=True)
        for kernel, stride, padding in stages:
            sides = [(side + 2 * padding - kernel) // stride + 1 for side in sides]
        return sides[0], sides[1]

    def encoder(self, model: Any) -> nn.Module:
        return model.model.language_model.encoder

    def decoder(self, model: Any) -> nn.Module:
        return model.model.language_model.decoder

    def embedding(self, model: Any) -> nn.Module:
        return model.model.language_model.encoder.embed_tokens


FLORENCE2 = Florence2()
