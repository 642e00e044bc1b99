"""Images in grids of their own (`fit: pack`): what their strips say, and where their places are.

Rows and columns have the learned positions of the model's own grid, taken at the same fraction of
the image's height and width: between two of them both count. So they say what boxes say, whose
numbers are fractions, too (as NaFlex resizes its positions, arXiv 2502.14786, section 2.4.2).

Legend: N images, C channels, S side of a square, X width of a strip, P places of an image at most,
R rows and L columns of the model's own grid, M width of the model, 2 rows and columns.
"""

from __future__ import annotations

import torch

from unified_vl.codecs.strips import BASE, HEAD


def grids(strip_NCSX: torch.Tensor, side: int) -> torch.Tensor:
    """Rows and columns (N, 2) that strips of `unified_vl.codecs.strips` say, one at least."""
    first_N2, second_N2, third_N2 = strip_NCSX[:, :, 0, ::side][..., :2].long().unbind(1)
    return ((first_N2 * BASE + second_N2) * BASE + third_N2).clamp(min=1)


def squares(strip_NCSX: torch.Tensor, side: int) -> torch.Tensor:
    """The strips without what is no picture."""
    return strip_NCSX[..., HEAD * side :]


def is_place(grid_N2: torch.Tensor, places: int) -> torch.Tensor:
    """(N, P), True for the squares that an image has."""
    number_P = torch.arange(places, device=grid_N2.device)
    return number_P < grid_N2.prod(1, keepdim=True)


def positions(
    row_RM: torch.Tensor, column_LM: torch.Tensor, grid_N2: torch.Tensor, places: int
) -> torch.Tensor:
    """What is added to each place, (N, P, M); behind an image's last place it means nothing.

    Args:
        row_RM: learned, of the rows of the model's own grid.
        column_LM: of its columns.
        grid_N2: rows and columns of each image.
        places: P.
    """
    number_P = torch.arange(places, device=grid_N2.device)
    rows_N1, columns_N1 = grid_N2.unsqueeze(-1).unbind(1)
    row_NPM = _between(row_RM, number_P // columns_N1, rows_N1)
    return row_NPM + _between(column_LM, number_P % columns_N1, columns_N1)


def _between(
    table_RM: torch.Tensor, number_NP: torch.Tensor, count_N1: torch.Tensor
) -> torch.Tensor:
    """The table at the middles of `count` equal parts; exactly its rows, where it has as many."""
    most = len(table_RM) - 1
    at_NP = ((2 * number_NP + 1) * len(table_RM) / (2 * count_N1) - 0.5).clamp(0, most)
    low_NP = at_NP.floor().long()
    share_NP1 = (at_NP - low_NP).to(table_RM.dtype).unsqueeze(-1)
    high_NP = (low_NP + 1).clamp(max=most)
    return table_RM[low_NP] * (1 - share_NP1) + table_RM[high_NP] * share_NP1
