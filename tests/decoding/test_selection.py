"""unified_vl/decoding/selection.py: what torch finds, by blocks."""

from __future__ import annotations

import torch

from unified_vl.decoding.selection import BLOCK, first_largest, largest


def test_the_best_of_blocks_are_the_best_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (BLOCK * 8, BLOCK * 8 + 1, BLOCK):
        values_RV = torch.randint(0, 300, (20, size), generator=generator).float()
        assert torch.equal(first_largest(values_RV), values_RV.argmax(-1))
        for count in (1, 5):
            add_BK = torch.randint(-9, 9, (5, 4), generator=generator).float()
            top_BC, place_BC = largest(values_RV, add_BK, count)
            sums_BN = (values_RV.view(5, 4, size) + add_BK[..., None]).flatten(1)
            assert torch.equal(top_BC, sums_BN.topk(count).values)
            assert torch.equal(sums_BN.gather(1, place_BC), top_BC)
            assert all(len(set(row)) == count for row in place_BC.tolist())
