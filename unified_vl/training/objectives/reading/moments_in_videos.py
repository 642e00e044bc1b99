"""Which frames of a row's video lie in the moments of its target.

Frame i of the N that are read stands for the part of the video from i / N to (i + 1) / N: training
reads each at one offset within its part (`data.videos.sampling`). So the share of the part that a
moment covers is also how likely the frame read of it lies in the moment.

Legend: B rows, S source length, F frames of the longest video, P places of a frame, K moments of
the row that has the most; 2 start and end.
"""

from __future__ import annotations

import torch

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.vocabulary import frame_ids
from unified_vl.data.batching import Batch
from unified_vl.model.backbone import BackboneConfig
from unified_vl.training.objectives.reading.target_bins import (
    bins_of_targets,
    most_of,
    shares_of_parts,
    spans,
)


class MomentsInVideos:
    """Of a task with one video in its source and moments as its target.

    Args:
        config: of the model, of which all images have as many places.
        codec: gives the ids.
    """

    def __init__(self, config: BackboneConfig, codec: SequenceCodec) -> None:
        self._frame_ids = torch.tensor(frame_ids(codec.vocabulary))
        self._places, self._locations = config.image_tokens, codec.vocabulary.locations

    def found(self, likeness_BS: torch.Tensor, batch: Batch) -> torch.Tensor:
        """How likely it is each frame that shows what is meant, as logarithms (B, F); 0 where a
        video has fewer frames.

        At which place of a frame it is seen is not known: the exponentials of all its places are
        added up, as those of all candidates are in MIL-NCE (arXiv 1912.06430).

        Args:
            likeness_BS: of a place of the source to what is meant, as logits.
            batch: its rows.
        """
        self._frame_ids = self._frame_ids.to(likeness_BS.device)  # a copy in the first step alone
        is_frame_BS = torch.isin(batch.input_ids_BS, self._frame_ids)
        most = max(batch.images_in_rows)
        first_BS = is_frame_BS.long().argsort(dim=1, descending=True, stable=True)
        likeness_BN = likeness_BS.gather(1, first_BS[:, : most * self._places])
        likeness_BF = likeness_BN.unflatten(1, (most, self._places)).logsumexp(2)
        read_B1 = self._frames(batch).unsqueeze(1)
        absent_BF = torch.arange(most, device=read_B1.device) >= read_B1
        found_BF = likeness_BF.masked_fill(absent_BF, -torch.inf).log_softmax(1)
        return found_BF.masked_fill(absent_BF, 0)

    def covered(self, batch: Batch) -> torch.Tensor:
        """The share of each frame's part of the video that moments cover: (B, F), float32."""
        assert batch.labels_BT is not None, "rows of training have targets"
        moment_BK2 = bins_of_targets(batch.labels_BT, self._locations, 2)
        return covered_frames(moment_BK2, self._frames(batch), len(self._locations))

    def _frames(self, batch: Batch) -> torch.Tensor:
        """How many frames of each row's video are read (B)."""
        return torch.tensor(batch.images_in_rows, device=batch.input_ids_BS.device)


def covered_frames(moment_BK2: torch.Tensor, frame_B: torch.Tensor, bins: int) -> torch.Tensor:
    """The share of each frame's part of a video that moments cover (B, F), float32; of several
    that of the one which covers most.

    Args:
        moment_BK2: their bins, start and end; -1 for none. Edges are the bins' centres.
        frame_B: how many frames are read of each row's video, each of a part of one length.
        bins: of the axis of time.
    """
    low_BK1, high_BK1 = spans(moment_BK2, bins)
    most = int(frame_B.max())
    return most_of(shares_of_parts(low_BK1[..., 0], high_BK1[..., 0], frame_B, most), moment_BK2)
