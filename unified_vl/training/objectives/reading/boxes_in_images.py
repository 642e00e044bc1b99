"""Which places of a row's image the boxes of its target cover.

Legend: B rows, S source length, P = R * L places of an image in rows and columns, K boxes of the
row that has the most; 4 left, top, right and bottom.
"""

from __future__ import annotations

from typing import Any

import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.errors import UserError
from unified_vl.model.backbone import BackboneConfig
from unified_vl.model.image_encoders.registry import grid_size
from unified_vl.training.objectives.reading.target_bins import (
    bins_of_targets,
    most_of,
    shares_of_parts,
    spans,
)


class BoxesInImages:
    """Of a task with one image in its source and boxes as its target.

    Args:
        config: of the model.
        codec: gives the ids.

    Raises:
        UserError: for a model whose images have no grid of places.
    """

    def __init__(self, config: BackboneConfig, codec: SequenceCodec) -> None:
        self._grid, self._image_id = _grid(config), config.image_token_id
        self._locations = codec.vocabulary.locations

    def found(self, likeness_BS: torch.Tensor, batch: Batch) -> torch.Tensor:
        """How likely each place is what is meant, as logarithms (B, P).

        Args:
            likeness_BS: of a place of the source to what is meant, as logits.
            batch: its rows.
        """
        likeness_BP = likeness_BS[batch.input_ids_BS == self._image_id].view(len(likeness_BS), -1)
        return likeness_BP.log_softmax(1)

    def covered(self, batch: Batch) -> torch.Tensor:
        """The share of each place that boxes cover: (B, P), float32."""
        assert batch.labels_BT is not None, "rows of training have targets"
        box_BK4 = bins_of_targets(batch.labels_BT, self._locations, 4)
        return covered_places(box_BK4, *self._grid, len(self._locations))


def covered_places(box_BK4: torch.Tensor, rows: int, columns: int, bins: int) -> torch.Tensor:
    """The share of each place of a grid that boxes cover (B, P), float32; of several that of the
    one which covers most.

    Args:
        box_BK4: their bins, left, top, right and bottom; -1 for none. Edges are the bins' centres.
        rows: of the grid.
        columns: of the grid.
        bins: of an axis of the image.
    """
    low_BK2, high_BK2 = spans(box_BK4, bins)
    across_BKL = shares_of_parts(low_BK2[..., 0], high_BK2[..., 0], columns, columns)
    down_BKR = shares_of_parts(low_BK2[..., 1], high_BK2[..., 1], rows, rows)
    share_BKP = (down_BKR[..., :, None] * across_BKL[..., None, :]).flatten(2)
    return most_of(share_BKP, box_BK4)


def _grid(config: Any) -> tuple[int, int]:
    """Rows and columns of an image's places.

    Raises:
        UserError: for a model that has none.
    """
    own = getattr(config, "own_vision", config) if getattr(config, "vision", None) else None
    if own is None or (own.vision["pool"] or {}).get("kind") == "resampler":
        raise UserError(
            "`phrase_alignment` of a task compares phrases with the places of an image's grid",
            field="model.vision",
            expected="an image branch of this project, whose tokens are places of a grid",
        )
    return grid_size(own.vision)
