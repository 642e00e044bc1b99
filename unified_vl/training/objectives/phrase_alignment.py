"""A phrase is near the places that its boxes cover (the contrastive alignment of MDETR, arXiv
2104.12763, section 2.2.2; the alignment of words and regions of GLIP, arXiv 2112.03857, section
3.1, with places of a grid in the place of queries and proposals), or near the frames that lie in
its moments (the saliency of frames of Moment-DETR, arXiv 2107.09609, and UniVTG, arXiv 2307.16715,
which compares the cosines of a query and the frames of one video).

Phrase and image or video are read together by the encoder as the task reads them anyway, so nothing
more is computed than the similarity of what it gives.

Legend: B rows, S source length, N places of an image or frames of a video, M width.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch
from unified_vl.model.backbone import BackboneConfig, UnifiedVLOutput
from unified_vl.specs.mixture import Mixture, MixtureTask
from unified_vl.specs.objectives.keys import OBJECTIVES, PhraseAlignmentKeys
from unified_vl.training.distributed.process import Process
from unified_vl.training.objectives.objective import Objective, ObjectiveKind
from unified_vl.training.objectives.pairs import refuse_packed_images
from unified_vl.training.objectives.reading.boxes_in_images import BoxesInImages
from unified_vl.training.objectives.reading.moments_in_videos import MomentsInVideos
from unified_vl.training.objectives.reading.source_words import SourceWords

NAME = "phrase_alignment"
TEMPERATURE = 0.1  # similarities are divided by it, as those of the contrast are


class PhraseAlignment(Objective):
    """The divergence of where a phrase is found from where its target says that it is, summed over
    rows: KL(boxes || softmax of cosines / 0.1) over an image's places, or KL(moments || likewise)
    over a video's frames, each with the sum of its places' shares.

    Args:
        entry: the keys of the task.
        config: of the model.

    Raises:
        UserError: for a model whose images are packed; from `meet`, where a task answers with
            boxes, for one whose images have no grid of places.
    """

    reads_logits = False
    per = "row"

    def __init__(self, entry: MixtureTask, config: BackboneConfig) -> None:
        super().__init__(entry.phrase_alignment)
        refuse_packed_images(NAME, config)
        self.entry, self.config = entry, config

    def meet(self, codec: SequenceCodec, mixture: Mixture) -> None:
        self._words = SourceWords(codec.vocabulary)
        both = zip(mixture.tasks, mixture.specs, strict=True)
        spec = next(spec for entry, spec in both if entry is self.entry)
        watches = any(spec.fields[name].of_kind.is_video for name in spec.fields_of(spec.source))
        self._where = (MomentsInVideos if watches else BoxesInImages)(self.config, codec)

    def loss(self, output: UnifiedVLOutput, batch: Batch, process: Process) -> torch.Tensor:
        state_BSM = output.encoder_last_hidden_state
        assert state_BSM is not None
        state_BSM = state_BSM.float()
        word_BS = self._words.of(batch)
        phrase_B1M = (state_BSM * word_BS.unsqueeze(-1)).sum(1, keepdim=True)
        cosine_BS = F.cosine_similarity(state_BSM, phrase_B1M, dim=-1)
        found_BN = self._where.found(cosine_BS / TEMPERATURE, batch)
        right_BN = self._where.covered(batch)
        right_BN = right_BN / right_BN.sum(1, keepdim=True).clamp(min=1e-9)  # of none: nothing
        told_B1 = word_BS.any(1, keepdim=True)  # a source that was cut to none says nothing
        return (F.kl_div(found_BN, right_BN, reduction="none") * told_B1).sum()


PHRASE_ALIGNMENT = ObjectiveKind(NAME, PhraseAlignmentKeys, PhraseAlignment, OBJECTIVES[NAME].rules)
