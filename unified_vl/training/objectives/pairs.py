"""Captions with their images and with hard negatives, read together by the encoder.

A negative is drawn among all ranks' rows, the likelier the more alike the contrast's features find
image and caption (ALBEF, arXiv 2107.07651, section 3.2; VLMo, arXiv 2111.02358). A pair is computed
by the rank that has its image, so that its gradient meets the image branch there; of the captions
of other ranks ids alone are sent.

Legend: B rows of this rank, G rows of all ranks, R pairs of this rank, T caption length, P places
of an image, S = ids of places and caption, M width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from unified_vl.data.batching import Batch
from unified_vl.errors import UserError
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE
from unified_vl.kinds.hooks.fits import Pack
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.model.layers.matching_head import captions_behind_images
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.contrast import similarity
from unified_vl.training.objectives.reading.captions import caption_inputs, fingerprints, words

PAIRS = "pairs"  # in `output.beside`: they are the same for all objectives of a task


@dataclass(frozen=True)
class Pairs:
    """What the encoder makes of an image's places followed by a caption.

    Attributes:
        hidden: (R, P + T, M).
        places: of an image (P).
        words: (R, T), whether a caption has a token there; its end is none.
        read: (R, T), the same with the end.
        belongs: (R,), whether image and caption are of one row: first this rank's own rows.
        own, drawn: how many pairs of all ranks do, and how many do not.
    """

    hidden: torch.Tensor
    places: int
    words: torch.Tensor
    read: torch.Tensor
    belongs: torch.Tensor
    own: int
    drawn: int


def pairs_of(
    model: Backbone,
    output: UnifiedVLOutput,
    batch: Batch,
    process: Process,
    config: BackboneConfig,
) -> Mapping[str, Pairs]:
    """What `Objective.within` gives where a task has objectives of pairs; they are read once.

    Args:
        model: within its call.
        output: with features of captions and images.
        batch: this rank's rows, each of one image and one caption.
        process: of the run.
        config: of the model.
    """
    if output.beside and PAIRS in output.beside:
        return {}
    assert output.caption_features is not None and output.image_features is not None
    captions = caption_inputs(batch, config)
    words_BT = words(batch, config)
    ids_GT, read_GT, words_GT = (
        process.gather(each)
        for each in (captions["caption_ids"], captions["caption_mask"], words_BT.long())
    )
    with torch.no_grad():
        score_GG = similarity(
            process.gather(output.caption_features.detach()),
            words_GT.float(),
            process.gather(output.image_features.detach()),
        )
        image_G, caption_G = draw_negatives(score_GG, *_fingerprints(batch, process))
    own_B = process.own_rows(len(words_BT))
    image_R, caption_R, belongs_R = _of_rank(own_B, image_G, caption_G)
    local_G = torch.full_like(image_G, -1)
    local_G[own_B] = torch.arange(len(own_B), device=own_B.device)
    feature_RPM = output.image_features[local_G[image_R]]
    read_RT = read_GT[caption_R]
    ids_RT = ids_GT[caption_R].masked_fill(read_RT == 0, config.pad_token_id)
    places = feature_RPM.shape[1]
    ids_RS, mask_RS, start = captions_behind_images(ids_RT, read_RT, places, config)
    hidden_RSM = model.encode(ids_RS, mask_RS, None, feature_RPM)
    seen_RPM = hidden_RSM[:, start : start + places]
    hidden_RSM = torch.cat([seen_RPM, hidden_RSM[:, -ids_RT.shape[1] :]], dim=1)
    drawn = int((image_G >= 0).sum() + (caption_G >= 0).sum())
    found = Pairs(
        hidden_RSM, places, words_GT[caption_R] > 0, read_RT > 0, belongs_R, len(image_G), drawn
    )
    return {PAIRS: found}


def refuse_packed_images(name: str, config: BackboneConfig) -> None:
    """That all images have as many places.

    Raises:
        UserError: for a model whose images are packed.
    """
    if isinstance(config.image_fit, Pack):
        raise UserError(
            f"`{name}` of a task reads images with captions, and cannot where they are packed",
            field="model.vision.fit",
            expected="another way to fit images",
        )


def draw_negatives(
    score_GG: torch.Tensor, row_G: torch.Tensor, caption_G: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """An image for each caption and a caption for each image; -1 where all captions are the same.

    The draw is a function of the rows and of how alike they are, not of their order: so it is the
    same on all ranks, for any number of ranks, and after a resume.

    Args:
        score_GG: how alike each caption (rows) is to each image (columns).
        row_G: int64, what tells rows apart.
        caption_G: int64, the same for captions of the same words, which are no negatives.
    """
    order_G = row_G.sort(stable=True).indices.cpu()
    random = torch.Generator().manual_seed(int(row_G.sum()) & (2**63 - 1))
    uniform = torch.rand(2, len(row_G), len(row_G), generator=random, dtype=torch.float64)
    noise = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-12)))  # the largest sum is a draw
    same_GG = caption_G[:, None] == caption_G
    found = []
    for score, gumbel in zip((score_GG, score_GG.T), noise, strict=True):
        placed = torch.empty_like(gumbel)
        placed[order_G[:, None], order_G] = gumbel
        sum_GG = score.double() / TEMPERATURE + placed.to(score.device)
        drawn_G = sum_GG.masked_fill(same_GG, -torch.inf).argmax(dim=1)
        found.append(drawn_G.masked_fill(same_GG.all(dim=1), -1))
    return found[0], found[1]


def _fingerprints(batch: Batch, process: Process) -> tuple[torch.Tensor, torch.Tensor]:
    """Of rows and of captions, of all ranks."""
    assert batch.pixel_values_NCHW is not None, "each row has an image"
    caption_B = fingerprints(batch)
    light_B = batch.pixel_values_NCHW.sum(dim=(1, 2, 3), dtype=torch.int64)
    both_G2 = process.gather(torch.stack([caption_B * 31 + light_B, caption_B], dim=1))
    return both_G2[:, 0], both_G2[:, 1]


def _of_rank(
    own_B: torch.Tensor, image_G: torch.Tensor, caption_G: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Image and caption of each pair of this rank's images, and whether they belong together."""
    all_G = torch.arange(len(image_G), device=own_B.device)
    other_B = caption_G[own_B]
    has_B = other_B >= 0
    here_G = torch.isin(image_G, own_B)
    images = [own_B, own_B[has_B], image_G[here_G]]
    captions = [own_B, other_B[has_B], all_G[here_G]]
    image_R, caption_R = torch.cat(images), torch.cat(captions)
    return image_R, caption_R, image_R == caption_R
