"""What each row shows: the places of its image, or of all frames of its video.

Legend: B rows, N images of the batch, P places of an image, F frames of the longest video, M width.
"""

from __future__ import annotations

import torch

from unified_vl.data.batching import Batch


def seen_in_rows(feature_NPM: torch.Tensor, batch: Batch) -> torch.Tensor:
    """(B, P, M), or of videos (B, F * P, M), zero where a video has fewer frames.

    A frame's number is no part of it: that is told to the encoder, which these come before. So a
    text finds a video by what any of its frames shows (the token-wise comparison of FILIP, arXiv
    2111.07783, over all frames, as CLIP4Clip's without parameters, arXiv 2104.08860, section 3.2).

    Args:
        feature_NPM: of the model's image branch, in the order of the rows.
        batch: has at least one image a row.
    """
    counts = batch.images_in_rows
    most = max(counts)
    if most == 1:
        return feature_NPM
    rows = feature_NPM.split(counts)
    padded = [torch.cat([row, row.new_zeros(most - len(row), *row.shape[1:])]) for row in rows]
    return torch.stack(padded).flatten(1, 2)
