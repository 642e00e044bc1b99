"""The contrast with a momentum copy of the weights and a queue of what it read.

The other side of each comparison is read by a copy that follows the weights slowly (MoCo,
arXiv 1911.05722). So what it made of earlier batches can still be compared with, and each image
and caption is told from many more than a batch has (ALBEF, arXiv 2107.07651, section 3.2; BriVL,
arXiv 2103.06561). The same may be asked within a modality (TCL, arXiv 2202.10401, section 3.2):
an image then is told from the other images, a caption from the other captions. Its own pair is
what the copy made of the same row. What is alike is decided token by token, as without a queue.

With momentum distillation (ALBEF, section 3.4) the right one is not all that counts: what the copy
finds alike of its own reading takes a share of the target, between image and caption.

Captions of the same words as a row's own are no negatives for it.

Legend: B rows of this rank, G rows of all ranks, Q rows of the queue, K = G + Q, T tokens, P places
of an image or video, M width, X and Y items that are compared, U their vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch.nn import functional as F

from unified_vl.data.batching import Batch
from unified_vl.model.backbone import Backbone, BackboneConfig, UnifiedVLOutput
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.momentum_distillation import share_at
from unified_vl.training.objectives.objective import Objective
from unified_vl.training.objectives.reading.captions import caption_inputs, fingerprints, words
from unified_vl.training.objectives.reading.seen import seen_in_rows

PRODUCTS = 1 << 24  # of vectors, at once: 64 MiB in float32


def alike(
    vector_XUM: torch.Tensor,
    counts_XU: torch.Tensor,
    other_YVM: torch.Tensor,
    counts_YV: torch.Tensor,
) -> torch.Tensor:
    """How alike each X is to each Y: the mean of its vectors' best products with Y's, (X, Y).

    Args:
        vector_XUM: of the first, of length 1.
        counts_XU: which of them there are; one at least of each X.
        other_YVM: of the second, likewise.
        counts_YV: which of them there are.
    """
    per_item = vector_XUM.shape[0] * vector_XUM.shape[1] * other_YVM.shape[1]
    step = max(1, PRODUCTS // per_item)
    weight_XU1 = counts_XU[..., None].float()
    found = []
    for start in range(0, len(other_YVM), step):
        part_YVM, counts = other_YVM[start : start + step], counts_YV[start : start + step]
        product_XUYV = torch.einsum("xum,yvm->xuyv", vector_XUM, part_YVM)
        best_XUY = product_XUYV.masked_fill(~counts, -1.0).max(dim=-1).values
        found.append((best_XUY * weight_XU1).sum(1) / weight_XU1.sum(1))
    return torch.cat(found, dim=1)


@dataclass(frozen=True)
class Keys:
    """What the momentum copy made of rows: vectors of length 1.

    Attributes:
        text: (K, T, M).
        of_text: (K, T), whether there is such a token.
        image: (K, P, M).
        of_image: (K, P), whether there is such a place.
        caption: (K,), what captions of the same words have in common.
    """

    text: torch.Tensor
    of_text: torch.Tensor
    image: torch.Tensor
    of_image: torch.Tensor
    caption: torch.Tensor

    def before(self, others: Keys, most: int) -> Keys:
        """These in front of the others, of which the last go beyond `most`."""
        pairs = ((getattr(self, f.name), getattr(others, f.name)) for f in fields(self))
        return Keys(*(_joined(new, old, most) for new, old in pairs))

    def whole(self) -> Mapping[str, torch.Tensor]:
        """Its tensors by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def _joined(new: torch.Tensor, old: torch.Tensor, most: int) -> torch.Tensor:
    """Rows of both, filled up to the same length."""
    if new.dim() > 1 and new.shape[1] != old.shape[1]:
        length = max(new.shape[1], old.shape[1])
        new, old = (_filled(each, length) for each in (new, old))
    return torch.cat([new, old])[:most]


def _filled(x: torch.Tensor, length: int) -> torch.Tensor:
    more = [0, 0] * (x.dim() - 2) + [0, length - x.shape[1]]
    return F.pad(x, more)


def soft_loss_sum(logits_BK: torch.Tensor, shown_BK: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with the probabilities of other logits, summed over rows; -inf in both is of
    what none may choose."""
    log_BK = logits_BK.log_softmax(-1).masked_fill(logits_BK.isinf(), 0.0)
    return -(shown_BK.softmax(-1) * log_BK).sum()


class MomentumContrast(Objective):
    """The mean, over the rows of all ranks, of choosing the right one among batch and queue.

    Args:
        weight: what it is multiplied by.
        config: of the model.
        temperature: what similarities are divided by.
        queue: rows that are kept, at most.
        within: weight of the loss within a modality.
        soft: share of the targets between modalities that is as the copy finds them alike.
        ramp: batches of the task over which that grows from 0.
    """

    reads_logits = False
    reads_momentum = True

    def __init__(
        self,
        weight: float,
        config: BackboneConfig,
        temperature: float,
        queue: int,
        within: float,
        soft: float = 0.0,
        ramp: int = 0,
    ) -> None:
        super().__init__(weight)
        self.config = config
        self.soft, self.share, self.ramp = soft, soft, ramp
        self.temperature, self.queue, self.share_within = temperature, queue, within
        self._kept: Keys | None = None
        self._fresh: Keys | None = None

    def begin(self, batches: int) -> None:
        self.soft = share_at(batches, self.share, self.ramp)

    def inputs(self, batch: Batch) -> Mapping[str, torch.Tensor]:
        """As of the contrast without a queue."""
        return caption_inputs(batch, self.config)

    def momentum(self, model: Backbone, batch: Batch) -> Mapping[str, torch.Tensor]:
        """Captions and images as the copy reads them: `contrast_text` (B, T, M) and
        `contrast_image` (B, P, M)."""
        assert batch.pixel_values_NCHW is not None, "each row has an image"
        captions = caption_inputs(batch, self.config)
        return {
            "contrast_text": model.encode(captions["caption_ids"], captions["caption_mask"]),
            "contrast_image": seen_in_rows(model.image_features(batch.pixel_values_NCHW), batch),
        }

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        """Each rank's own rows, among the keys of all."""
        assert output.caption_features is not None and output.image_features is not None
        assert output.momentum is not None
        words_BT = words(batch, self.config)
        text_BTM = F.normalize(output.caption_features.float(), dim=-1)
        own_BPM = seen_in_rows(output.image_features, batch)
        image_BPM = F.normalize(own_BPM.float(), dim=-1)
        places_BP = own_BPM.any(dim=-1)
        seen_BPM, read_BTM = output.momentum["contrast_image"], output.momentum["contrast_text"]
        caption_B = fingerprints(batch)
        fresh = Keys(
            text=process.gather(F.normalize(read_BTM, dim=-1)),
            of_text=process.gather(words_BT.to(torch.uint8)).bool(),
            image=process.gather(F.normalize(seen_BPM, dim=-1)),
            of_image=process.gather(seen_BPM.any(dim=-1).to(torch.uint8)).bool(),
            caption=process.gather(caption_B[:, None])[:, 0],
        )
        keys = (
            fresh
            if self._kept is None
            else fresh.before(self._kept, len(fresh.caption) + self.queue)
        )
        self._fresh = fresh
        own_B = process.own_rows(len(caption_B))
        same_BK = caption_B[:, None] == keys.caption
        same_BK[torch.arange(len(own_B), device=own_B.device), own_B] = False
        texts, images = (keys.text.float(), keys.of_text), (keys.image.float(), keys.of_image)
        own_texts, own_images = (text_BTM, words_BT), (image_BPM, places_BP)
        found = [alike(*own_texts, *images), alike(*texts, *own_images).T]
        if self.share_within:
            found += [alike(*own_texts, *texts), alike(*own_images, *images)]
        copied: list[torch.Tensor] = []
        if self.soft:
            seen = (fresh.text[own_B].float(), fresh.of_text[own_B])
            read = (fresh.image[own_B].float(), fresh.of_image[own_B])
            copied = [alike(*seen, *images), alike(*texts, *read).T]
        total = torch.zeros((), device=own_B.device)
        for place, score_BK in enumerate(found):
            share = 0.5 if place < 2 else self.share_within / 2
            logits_BK = (score_BK / self.temperature).masked_fill(same_BK, -torch.inf)
            hard = F.cross_entropy(logits_BK, own_B, reduction="sum")
            if place < len(copied):
                shown_BK = (copied[place] / self.temperature).masked_fill(same_BK, -torch.inf)
                hard = (1 - self.soft) * hard + self.soft * soft_loss_sum(logits_BK, shown_BK)
            total = total + share * hard
        return process.told_whole(total / len(fresh.caption))

    def remember(self) -> None:
        if self._fresh is not None and self.queue:
            fresh = self._fresh
            empty = Keys(*(each[:0] for each in fresh.whole().values()))
            self._kept = fresh.before(self._kept or empty, self.queue)
        self._fresh = None

    def state(self) -> Mapping[str, torch.Tensor]:
        return {} if self._kept is None else self._kept.whole()

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self._fresh, self._kept = None, None
        if state and self.queue:
            self._kept = Keys(**{key: value[: self.queue] for key, value in state.items()})
