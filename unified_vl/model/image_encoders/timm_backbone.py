"""One feature map of any `timm` backbone, at whatever size of image it can take.

Legend: N images, C channels, H height, W width, R rows and L columns of the grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from unified_vl.errors import UserError, nearest
from unified_vl.model.image_encoders.image_encoder import EncoderKind, Vision
from unified_vl.model.image_encoders.timm_hub import fetch_pretrained, refuse_unknown_tag
from unified_vl.model.image_encoders.timm_weights import (
    ColourScale,
    load_weights,
    source_of,
    trained_scale,
    whole_model,
)
from unified_vl.specs.runs.vision import RANDOM, TimmKeys


@dataclass(frozen=True)
class FeatureMap:
    """What a backbone gives for an image.

    Attributes:
        rows: of the grid.
        columns: of the grid.
        channels: of each place.
        channels_last: whether the map is (N, R, L, C), as some transformers', or (N, C, R, L).
    """

    rows: int
    columns: int
    channels: int
    channels_last: bool


class TimmBackbone(nn.Module):
    """One feature map of any `timm` backbone, projected to the model's width.

    Args:
        name: of the backbone.
        level: which of its feature maps.
        image_size: (height, width) in pixels that it is built for.
        width: of the model.
        colours: mean and standard deviation that the backbone reads, for colours from 0 to 1;
            None leaves them from -1 to 1.

    Raises:
        UserError: naming the key, for a backbone that does not exist or cannot take the images.
    """

    def __init__(
        self,
        name: str,
        level: int,
        image_size: tuple[int, int],
        width: int,
        colours: ColourScale | None = None,
    ) -> None:
        super().__init__()
        found = feature_map(name, level, image_size)
        self.name = name
        self.image_size = image_size
        self.backbone = _create(name, level, image_size)
        self.project = nn.Conv2d(found.channels, width, 1)
        self._channels_last = found.channels_last
        # (x / 2 + 1 / 2 - mean) / std
        colours = colours or {"mean": [0.5] * 3, "std": [0.5] * 3}
        self._factors = [0.5 / std for std in colours["std"]]
        self._shifts = [(0.5 - m) / s for m, s in zip(colours["mean"], colours["std"], strict=True)]
        for module in self.backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_pre_hook(_cast_statistics)

    def checkpoint_activations(self) -> None:
        """Let stages compute again in the backward pass, where timm can and that changes nothing:
        batch norms that learn their statistics would count each batch twice."""
        norms = [m for m in self.backbone.modules() if isinstance(m, _NormBase)]
        if any(norm.track_running_stats for norm in norms):
            return
        for module in (self.backbone, getattr(self.backbone, "model", None)):
            switch = getattr(module, "set_grad_checkpointing", None)
            if switch is not None:
                switch(True)
                return

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        return self.project(self.feature_map(x_NCHW))

    def feature_map(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """What the backbone itself gives (N, C, R, L), of colours from -1 to 1."""
        (feature_NCRL,) = self.backbone(self._scaled(x_NCHW))
        if self._channels_last:
            feature_NCRL = rearrange(feature_NCRL, "n r l c -> n c r l")
        return feature_NCRL

    def _scaled(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Colours from -1 to 1 at the scale of the backbone."""
        if self._factors == [1.0] * 3 and self._shifts == [0.0] * 3:
            return x_NCHW
        factor_C11, shift_C11 = (
            x_NCHW.new_tensor(numbers)[:, None, None] for numbers in (self._factors, self._shifts)
        )
        return x_NCHW * factor_C11 + shift_C11


@lru_cache(maxsize=32)
def feature_map(name: str, level: int, image_size: tuple[int, int]) -> FeatureMap:
    """What a backbone makes of an image of a size, without computing it.

    Args:
        name: of the backbone.
        level: which of its feature maps; -1 is the last.
        image_size: (height, width) in pixels.

    Raises:
        UserError: naming the key, when the backbone does not exist, has no such level or cannot
            take such an image.
    """
    height, width = image_size
    with torch.device("meta"):
        model = _create(name, level, image_size)
        channels = int(model.feature_info.channels()[-1])
        stride = int(model.feature_info.reduction()[-1])
        if height % stride or width % stride:
            raise UserError(
                f"{height} x {width} pixels are not a multiple of the stride {stride} of {name!r}",
                field="model.vision.image_size",
                expected=f"multiples of {stride}",
            )
        try:
            # learning, and one image alone: so a batch without images goes through it
            (feature,) = model.train()(torch.empty(1, 3, height, width))
        except Exception as error:  # each backbone has its own way to say that it cannot
            raise _too_odd(name, image_size, error) from error
    return _map_of(tuple(feature.shape[1:]), channels, (height // stride, width // stride), name)


def _map_of(shape: tuple[int, ...], channels: int, grid: tuple[int, int], name: str) -> FeatureMap:
    """The feature map of a shape without N."""
    if shape == (channels, *grid):
        return FeatureMap(*grid, channels, channels_last=False)
    if shape == (*grid, channels):
        return FeatureMap(*grid, channels, channels_last=True)
    raise UserError(
        f"the backbone {name!r} gives features of shape {shape}, not a grid of {grid[0]} x "
        f"{grid[1]} with {channels} channels",
        field="model.vision.backbone",
    )


def _create(name: str, level: int, image_size: tuple[int, int]) -> Any:
    """A backbone with random weights, built for the size where it has one."""
    import timm

    known = timm.list_models()
    if name.split(".")[0] not in known:
        raise UserError(
            f"timm has no backbone {name!r}",
            field="model.vision.backbone",
            nearest=nearest(name, known),
        )
    refuse_unknown_tag(name)
    options: dict[str, Any] = {"features_only": True, "out_indices": (level,)}
    try:
        return _made(name, image_size, **options)
    except (AssertionError, IndexError, ValueError) as error:
        raise UserError(
            f"the backbone {name!r} has no feature map {level} ({_first_line(error)})",
            field="model.vision.feature_level",
            expected="-1 for the last, or a number from 0",
        ) from error
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        raise UserError(
            f"the backbone {name!r} gives no feature maps ({_first_line(error)})",
            field="model.vision.backbone",
        ) from error


def _made(name: str, image_size: tuple[int, int], **options: Any) -> Any:
    """A model of timm, built for the size where it has one."""
    import timm

    try:
        return timm.create_model(name, img_size=image_size, **options)
    except Exception as error:  # convolutions have no such option; else it says what is wrong
        fault = error
    model = timm.create_model(name, **options)
    if isinstance(fault, TypeError) and "img_size" in str(fault):
        return model
    raise _too_odd(name, image_size, fault) from fault


def _too_odd(name: str, image_size: tuple[int, int], error: Exception) -> UserError:
    """That a backbone cannot take the images."""
    return UserError(
        f"the backbone {name!r} cannot take one image of {image_size[0]} x {image_size[1]} pixels "
        f"({_first_line(error)})",
        field="model.vision.image_size",
        expected=f"a size that suits its windows and strides, such as {_own_size(name)}",
    )


def _own_size(name: str) -> str:
    """The size of the images that a backbone was made for."""
    import timm

    made_for: Any = timm.get_pretrained_cfg(name)
    _, height, width = made_for.input_size
    return f"{height} x {width}"


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if len(text) <= 100 else f"{text[:97]}..."


def _cast_statistics(norm: nn.BatchNorm2d, _: object) -> None:
    """Give a batch norm's statistics the type of its weights.

    An engine in bf16 casts the weights alone, and torch refuses the two types together.
    """
    dtype = norm.weight.dtype
    for statistic in ("running_mean", "running_var"):
        if getattr(norm, statistic) is not None:
            setattr(norm, statistic, getattr(norm, statistic).to(dtype))


def _size(vision: Vision) -> tuple[int, int]:
    height, width = vision["image_size"]
    return int(height), int(width)


def grid(vision: Vision) -> tuple[int, int]:
    """Rows and columns of the feature map.

    Raises:
        UserError: as for `feature_map`.
    """
    found = feature_map(vision["backbone"], vision["feature_level"], _size(vision))
    return found.rows, found.columns


def build(vision: Vision, width: int) -> nn.Module:
    colours: Any = vision.get("normalize")
    if colours == "backbone":
        colours = trained_scale(vision["backbone"])
    return TimmBackbone(
        vision["backbone"],
        vision["feature_level"],
        _size(vision),
        width,
        colours if isinstance(colours, Mapping) else None,
    )


def settle(vision: Vision) -> Vision:
    """The keys with the scale of the colours written out.

    Raises:
        UserError: for weights that are not there or belong to another backbone.
    """
    feature_map(vision["backbone"], vision["feature_level"], _size(vision))  # it is there
    source = source_of(vision["backbone"], vision.get("weights") or RANDOM)
    colours = vision.get("normalize")
    if colours is None and source is not None:
        colours = "backbone"
    if colours == "backbone":
        scale = trained_scale(vision["backbone"])
        found = (scale["mean"], scale["std"]) if source is None else (source.mean, source.std)
        colours = dict(zip(("mean", "std"), found, strict=True))
    return {**vision, "normalize": colours}


def start(features: nn.Module, vision: Vision) -> None:
    """Load the weights that a run says.

    Raises:
        UserError: for weights that cannot be had, read, or put into the backbone.
    """
    assert isinstance(features, TimmBackbone)
    source = source_of(vision["backbone"], vision.get("weights") or RANDOM)
    if source is not None:
        path = source.path or fetch_pretrained(features.name)
        load_backbone(features, path)


def load_backbone(features: TimmBackbone, path: Path) -> None:
    """Put the weights of a safetensors file into a backbone.

    Raises:
        UserError: when they are not those of this backbone.
    """
    name, size = features.name, features.image_size
    whole = whole_model(lambda **options: _made(name, size, **options))
    load_weights(features.backbone, name, size, path, whole)


TIMM = EncoderKind("timm", TimmKeys, grid, build, settle=settle, start=start)
