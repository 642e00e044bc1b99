"""A phrase is near the places that its boxes cover (the contrastive alignment of MDETR, arXiv
2104.12763, section 2.2.2; the alignment of words and regions of GLIP, arXiv 2112.03857, section
3.1, with places of a grid in the place of queries and proposals).

Phrase and image are read together by the encoder as the task reads them anyway, so nothing more is
computed than the similarity of what it gives.

Legend: B rows, S source length, P = R * L places of an image in rows and columns, T target length,
K boxes of the row that has the most, M width; 4 left, top, right and bottom.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.errors import UserError
from unified_vl.model.backbone import BackboneConfig, UnifiedVLOutput
from unified_vl.model.image_encoders.registry import grid_size
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.objectives.keys import OBJECTIVES, PhraseAlignmentKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.pairs import refuse_packed_images
from unified_vl.training.objectives.reading.source_words import SourceWords

NAME = "phrase_alignment"
TEMPERATURE = 0.1  # similarities are divided by it, as those of the contrast are


class PhraseAlignment(Objective):
    """The divergence of where a phrase is found among an image's places from where its boxes are,
    summed over rows: KL(boxes || softmax of cosines / 0.1).

    Args:
        weight: what it is multiplied by.
        config: of the model.

    Raises:
        UserError: for a model whose images are packed, or have no grid of places.
    """

    reads_logits = False
    per = "row"

    def __init__(self, weight: float, config: BackboneConfig) -> None:
        super().__init__(weight)
        refuse_packed_images(NAME, config)
        self.grid = _grid(config)
        self.config = config

    def meet(self, codec: SequenceCodec, mixture: Mixture) -> None:
        self._words, self._locations = SourceWords(codec.vocabulary), codec.vocabulary.locations

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        state_BSM, labels_BT = output.encoder_last_hidden_state, batch.labels_BT
        assert state_BSM is not None and labels_BT is not None
        state_BSM = state_BSM.float()
        word_BS = self._words.of(batch)
        phrase_BM = (state_BSM * word_BS.unsqueeze(-1)).sum(1)
        of_image_BS = batch.input_ids_BS == self.config.image_token_id
        place_BPM = state_BSM[of_image_BS].view(len(state_BSM), -1, state_BSM.shape[-1])
        cosine_BP = F.cosine_similarity(place_BPM, phrase_BM.unsqueeze(1), dim=-1)
        found_BP = (cosine_BP / TEMPERATURE).log_softmax(1)
        right_BP = covered(boxes(labels_BT, self._locations), *self.grid, len(self._locations))
        right_BP = right_BP / right_BP.sum(1, keepdim=True).clamp(min=1e-9)  # of no box: nothing
        told_B1 = word_BS.any(1, keepdim=True)  # a source that was cut to none says nothing
        return (F.kl_div(found_BP, right_BP, reduction="none") * told_B1).sum()


def boxes(labels_BT: torch.Tensor, locations: range) -> torch.Tensor:
    """The bins (B, K, 4) of the boxes that targets write; -1 where a row has fewer than others.

    Args:
        labels_BT: of targets that are made of boxes.
        locations: ids of the bins.
    """
    is_bin_BT = (labels_BT >= locations.start) & (labels_BT < locations.stop)
    first_BT = is_bin_BT.long().argsort(dim=1, descending=True, stable=True)
    bin_BT = labels_BT.sub(locations.start).masked_fill(~is_bin_BT, -1).gather(1, first_BT)
    most = int(is_bin_BT.sum(1).max()) // 4
    return bin_BT[:, : most * 4].view(len(bin_BT), most, 4)


def covered(box_BK4: torch.Tensor, rows: int, columns: int, bins: int) -> torch.Tensor:
    """The share of each place of a grid that boxes cover (B, P), float32; of several that of the
    one which covers most.

    Args:
        box_BK4: their bins, left, top, right and bottom; -1 for none. Edges are the bins' centres.
        rows: of the grid.
        columns: of the grid.
        bins: of an axis of the image.
    """
    low_BK2, high_BK2 = ((box_BK4 + 0.5) / bins).chunk(2, dim=-1)
    high_BK2 = high_BK2.maximum(low_BK2 + 1 / bins)  # one that is thinner than a bin covers some

    def shares(axis: int, cells: int) -> torch.Tensor:
        edge = torch.arange(cells + 1, device=box_BK4.device) / cells
        begin = low_BK2[..., axis, None].maximum(edge[:-1])
        return (high_BK2[..., axis, None].minimum(edge[1:]) - begin).clamp(min=0) * cells

    share_BKRL = shares(1, rows)[..., :, None] * shares(0, columns)[..., None, :]
    share_BKP = share_BKRL.flatten(2) * (box_BK4[..., :1] >= 0)
    if not share_BKP.shape[1]:
        return share_BKP.new_zeros(len(share_BKP), rows * columns)
    return share_BKP.amax(1)


def _grid(config: Any) -> tuple[int, int]:
    """Rows and columns of an image's places.

    Raises:
        UserError: for a model that has none.
    """
    own = getattr(config, "own_vision", config) if getattr(config, "vision", None) else None
    if own is None or (own.vision["pool"] or {}).get("kind") == "resampler":
        raise UserError(
            f"`{NAME}` of a task compares phrases with the places of an image's grid",
            field="model.vision",
            expected="an image branch of this project, whose tokens are places of a grid",
        )
    return grid_size(own.vision)


PHRASE_ALIGNMENT = ObjectiveKind(
    NAME,
    PhraseAlignmentKeys,
    lambda entry, config: PhraseAlignment(entry.phrase_alignment, config),
    OBJECTIVES[NAME].rules,
)
