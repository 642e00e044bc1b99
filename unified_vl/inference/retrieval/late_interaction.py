"""Images and texts as bags of vectors, and how alike two bags are (FILIP, arXiv 2111.07783).

An image is its places as the image branch sees them, a text its tokens as the encoder reads
them alone: the features that the contrastive loss of a captioning task brings together. No
text meets an image here, so a collection is computed once and compared by matrix products.

Legend: A and B bags of the two sides, T vectors of a bag with padding, M width,
N vectors of all bags together, 2 rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

TEMPERATURE = 0.1  # that the contrastive loss trains with
MOST_PRODUCTS = 1 << 23  # numbers that are held at once


@dataclass(frozen=True)
class Features:
    """Bags of vectors, each vector as a direction and a length.

    Attributes:
        unit_ATM: float32, of length 1; 0 where padded.
        norm_AT: the lengths that the vectors had; 0 where padded.
        grid_A2: int64, of each packed image's places; None for other images and for texts.
    """

    unit_ATM: torch.Tensor
    norm_AT: torch.Tensor
    grid_A2: torch.Tensor | None = None

    @classmethod
    def of(cls, vectors_ATM: torch.Tensor, mask_AT: torch.Tensor | None = None) -> Features:
        """Features of vectors; the mask is 1 for those that count, or there is no padding."""
        vectors_ATM = vectors_ATM.float()
        if mask_AT is not None:
            vectors_ATM = vectors_ATM * mask_AT[..., None]
        return cls(F.normalize(vectors_ATM, dim=-1), vectors_ATM.norm(dim=-1))

    @classmethod
    def joined(cls, parts: Sequence[Features]) -> Features:
        """All bags of several features, padded alike; at least one part."""
        longest = max(part.norm_AT.shape[1] for part in parts)
        room = [longest - part.norm_AT.shape[1] for part in parts]
        units = [F.pad(p.unit_ATM, (0, 0, 0, n)) for p, n in zip(parts, room, strict=True)]
        norms = [F.pad(p.norm_AT, (0, n)) for p, n in zip(parts, room, strict=True)]
        grids = [part.grid_A2 for part in parts if part.grid_A2 is not None]
        return cls(torch.cat(units), torch.cat(norms), torch.cat(grids) if grids else None)

    def __len__(self) -> int:
        return len(self.norm_AT)

    def __getitem__(self, rows: slice | Sequence[int] | torch.Tensor) -> Features:
        grid_A2 = None if self.grid_A2 is None else self.grid_A2[rows]
        return Features(self.unit_ATM[rows], self.norm_AT[rows], grid_A2)

    @property
    def vectors_ATM(self) -> torch.Tensor:
        """The vectors as they were."""
        return self.unit_ATM * self.norm_AT[..., None]

    def packed(self) -> dict[str, torch.Tensor]:
        """The features without their padding: `unit` (N, M), `norm` (N,), `length` (A,), and of
        packed images `grid` (A, 2)."""
        mask_AT = self.norm_AT > 0
        grid = {} if self.grid_A2 is None else {"grid": self.grid_A2}
        return grid | {
            "unit": self.unit_ATM[mask_AT],
            "norm": self.norm_AT[mask_AT],
            "length": mask_AT.sum(1),
        }

    @classmethod
    def unpacked(cls, tensors: dict[str, torch.Tensor]) -> Features:
        """The features that `packed` gave."""
        length_A = tensors["length"]
        mask_AT = torch.arange(int(length_A.max())) < length_A[:, None]
        norm_AT = tensors["norm"].new_zeros(mask_AT.shape)
        unit_ATM = tensors["unit"].new_zeros((*mask_AT.shape, tensors["unit"].shape[1]))
        norm_AT[mask_AT], unit_ATM[mask_AT] = tensors["norm"], tensors["unit"]
        return cls(unit_ATM, norm_AT, tensors.get("grid"))


def late_interaction(a: Features, b: Features) -> torch.Tensor:
    """How alike each bag of `a` is to each of `b`, in [-2, 2]: (A, B).

    The mean, over the vectors of one bag, of the cosine with the most similar vector of the
    other; both ways, added. (One way alone finds a part as good as the whole.)
    """
    found_AB = a.norm_AT.new_empty((len(a), len(b)))
    a_length, b_length = a.norm_AT.shape[1], b.norm_AT.shape[1]
    wide = max(1, MOST_PRODUCTS // (a_length * b_length))
    columns = min(len(b), max(64, wide // max(len(a), 1)))
    rows = max(1, wide // max(columns, 1))
    for i in range(0, len(a), rows):
        for j in range(0, len(b), columns):
            part_a, part_b = a[i : i + rows], b[j : j + columns]
            found_AB[i : i + rows, j : j + columns] = _block(part_a, part_b)
    return found_AB


def _block(a: Features, b: Features) -> torch.Tensor:
    a_mask, b_mask = a.norm_AT > 0, b.norm_AT > 0
    cosine = a.unit_ATM.flatten(0, 1) @ b.unit_ATM.flatten(0, 1).T
    cosine = cosine.view(*a.norm_AT.shape, *b.norm_AT.shape)  # (A, T, B, T)
    if not b_mask.all():
        cosine = cosine.masked_fill(~b_mask, -2.0)
    best_of_b = (cosine.amax(3) * a_mask[..., None]).sum(1) / a_mask.sum(1).clamp(min=1)[:, None]
    if not a_mask.all():
        cosine = cosine.masked_fill(~a_mask[:, :, None, None], -2.0)
    best_of_a = (cosine.amax(1) * b_mask).sum(2) / b_mask.sum(1).clamp(min=1)
    return best_of_b + best_of_a
