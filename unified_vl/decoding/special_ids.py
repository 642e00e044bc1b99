"""The ids with which answers begin and end."""

from __future__ import annotations

from typing import NamedTuple

from unified_vl.model.backbone import BackboneConfig


class SpecialIds(NamedTuple):
    """Those of a model.

    Attributes:
        start: what a decoder reads first.
        end: what an answer ends with.
        pad: what stands behind it in a tensor.
    """

    start: int
    end: int
    pad: int

    @classmethod
    def of(cls, config: BackboneConfig) -> SpecialIds:
        start, end, pad = config.decoder_start_token_id, config.eos_token_id, config.pad_token_id
        return cls(int(start), int(end), int(pad))
