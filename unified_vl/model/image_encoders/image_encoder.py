"""What an image encoder is to the model.

Legend: N images, H height, W width, R rows and L columns of the grid, M width of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from unified_vl.parts import Part, Problem
from unified_vl.specs.variants import Variant

Vision = Mapping[str, Any]
"""The `vision` keys of a model, with the defaults of those that were not given."""


def _none(vision: Any) -> Iterable[Problem]:
    return ()


def _as_given(vision: Vision) -> Vision:
    return vision


def _nothing(features: nn.Module, vision: Vision) -> None:
    return None


@dataclass(frozen=True)
class EncoderKind:
    """An image encoder that `vision: {kind: NAME}` names.

    The model brings pixels to [-1, 1], and normalises and places the features; training sends a
    blank image through the encoder where a batch has none, so it must take one image alone.

    Attributes:
        name: what specs call it.
        keys: its own keys under `vision`, each with a default;
            `unified_vl.parts.Part`.
        grid: rows and columns of the features of one image, for these keys. Raises `UserError`
            with a `field` (`model.vision.KEY`) for images that it cannot take.
        build: the module, given the keys and the width of the model, that makes (N, M, R, L) of
            pixels (N, 3, H, W). Its weights are drawn when it is made, or by `initialize`;
            those of a saved model are loaded into it afterwards.
        rules: what is wrong with keys whose types are right.
        settle: those of a run's keys that a saved model keeps, as it keeps them: what they take
            from elsewhere is written out. Raises `UserError` as `grid` does.
        start: loads what a run says that the module starts from. It is called once, in a new
            training, after `initialize`. Raises `UserError` as `grid` does.
    """

    name: str
    keys: type[Part]
    grid: Callable[[Vision], tuple[int, int]]
    build: Callable[[Vision, int], nn.Module]
    rules: Callable[[Any], Iterable[Problem]] = _none
    settle: Callable[[Vision], Vision] = _as_given
    start: Callable[[nn.Module, Vision], None] = _nothing

    @property
    def variant(self) -> Variant:
        """What specs know of it."""
        return Variant(self.name, self.keys, self.rules)
