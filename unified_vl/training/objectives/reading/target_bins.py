"""The boxes and moments that targets write, and what they cover of an axis.

Legend: B rows, T target length, K shapes of the row that has the most, N numbers of a shape, R
parts of an axis.
"""

from __future__ import annotations

import torch


def bins_of_targets(labels_BT: torch.Tensor, locations: range, numbers: int) -> torch.Tensor:
    """The bins (B, K, N) of the shapes that targets write; -1 where a row has fewer than others.

    Args:
        labels_BT: of targets that are made of shapes of one kind.
        locations: ids of the bins.
        numbers: of a shape (N).
    """
    is_bin_BT = (labels_BT >= locations.start) & (labels_BT < locations.stop)
    first_BT = is_bin_BT.long().argsort(dim=1, descending=True, stable=True)
    bin_BT = labels_BT.sub(locations.start).masked_fill(~is_bin_BT, -1).gather(1, first_BT)
    most = int(is_bin_BT.sum(1).max()) // numbers
    return bin_BT[:, : most * numbers].view(len(bin_BT), most, numbers)


def spans(bin_BKN: torch.Tensor, bins: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the second half of shapes' numbers, as fractions: both (B, K, N / 2), float32.

    Args:
        bin_BKN: lower numbers, then higher ones. Edges are the bins' centres, and a shape that is
            thinner than a bin is as wide as one.
        bins: of an axis.
    """
    low_BKH, high_BKH = ((bin_BKN + 0.5) / bins).chunk(2, dim=-1)
    return low_BKH, high_BKH.maximum(low_BKH + 1 / bins)


def most_of(share_BKR: torch.Tensor, bin_BKN: torch.Tensor) -> torch.Tensor:
    """Of each part the share of the shape that covers most of it: (B, R), float32.

    Args:
        share_BKR: of each shape.
        bin_BKN: of the shapes; -1 for none, which covers nothing.
    """
    share_BKR = share_BKR * (bin_BKN[..., :1] >= 0)
    if not share_BKR.shape[1]:
        return share_BKR.new_zeros(len(share_BKR), share_BKR.shape[2])
    return share_BKR.amax(1)


def shares_of_parts(
    low_BK: torch.Tensor, high_BK: torch.Tensor, parts: int | torch.Tensor, most: int
) -> torch.Tensor:
    """The share of each part of an axis that lies between two of its points: (B, K, R).

    Args:
        low_BK: the lower points, as fractions of the axis.
        high_BK: the higher ones.
        parts: of one length, that the axis has: in all rows, or in each (B).
        most: of these (R); a part beyond those of a row has nothing.
    """
    edge_R = torch.arange(most + 1, device=low_BK.device)
    count = parts[:, None, None] if isinstance(parts, torch.Tensor) else parts
    edge = edge_R / count
    begin = low_BK[..., None].maximum(edge[..., :-1])
    return (high_BK[..., None].minimum(edge[..., 1:]) - begin).clamp(min=0) * count
