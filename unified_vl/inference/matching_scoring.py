"""How well an image and a text belong together, by the model's matching head.

It is what training with `matching` learns: the encoder reads the image's places in front of the
caption, and a head the mean of the caption's states (ALBEF, arXiv 2107.07651, sections 3.2 and
4.2, searches so, too).

Legend: R pairs of a batch, P places of an image, T caption length, S = ids of places and caption,
M width, 2 no and yes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from unified_vl.data.batching import pad
from unified_vl.decoding.protocol import encode
from unified_vl.errors import UserError
from unified_vl.inference.inputs import Shown, chunks
from unified_vl.inference.pair_scoring import Pair, PairScorer, Sentence
from unified_vl.inference.retrieval.features import BATCH
from unified_vl.inference.retrieval.late_interaction import Features
from unified_vl.model.layers.matching_head import caption_means, captions_behind_images
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.inference.predictor import UnifiedVL


class MatchingScorer(PairScorer):
    """Scores pairs of an image and a caption by the head; a pair's score is the logarithm of the
    probability that they belong together.

    Args:
        predictor: the model.
        task: a captioning task of images, whose targets the captions are written as; the model's
            only one unless given.
        shown: what is asked for: images alone can be read.

    Raises:
        UserError: for a model without the head, or when there is no such task.
    """

    def __init__(
        self,
        predictor: UnifiedVL,
        task: str | Path | TaskSpec | None = None,
        shown: Shown | None = None,
    ) -> None:
        if not getattr(predictor.model.config, "matching_head", False):
            raise UserError(
                "the model has no matching head",
                field="rerank",
                expected="task, or a model that was trained with `matching` of a task",
            )
        super().__init__(predictor, task, shown=shown)
        if self.shown == "video":
            raise UserError("the matching head reads no videos", field="rerank", expected="task")
        if self.matches:
            raise UserError(
                f"the task {self.spec.task!r} matches by words, and not by the head",
                field="task",
                expected="a captioning task",
            )

    def scored(
        self, images: Features, texts: Sequence[Sentence], pairs: Sequence[Pair]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        model, pad_id = self.predictor.model, self.predictor.codec.vocabulary.pad_id
        targets = {text: self.target(texts[text]) for _, text in pairs}
        ordered = sorted(range(len(pairs)), key=lambda place: len(targets[pairs[place][1]]))
        for batch in chunks(ordered, BATCH):
            ids_RT, read_RT = (
                torch.from_numpy(each).to(model.device)
                for each in pad([targets[pairs[place][1]] for place in batch], pad_id, 1)
            )
            vectors_RPM = images[[pairs[place][0] for place in batch]].vectors_ATM
            feature_RPM = vectors_RPM.to(model.device, model.dtype)
            places = feature_RPM.shape[1]
            ids_RS, mask_RS, _ = captions_behind_images(ids_RT, read_RT, places, model.config)
            hidden_RSM = encode(model, ids_RS, mask_RS, image_features=feature_RPM).hidden_ASM
            mean_RM = caption_means(hidden_RSM[:, -ids_RT.shape[1] :], read_RT)
            yield batch, model.matching(mean_RM).float().log_softmax(-1)[:, 1]
