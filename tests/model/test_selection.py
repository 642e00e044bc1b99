"""unified_vl/model/selection.py: what torch finds, by blocks."""

from __future__ import annotations

import torch

from unified_vl.model.selection import BLOCK, first_largest, largest


def test_the_best_of_blocks_are_the_best_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (BLOCK * 8, BLOCK * 8 + 1, BLOCK):
        values_RV = torch.randint(0, 300, (20, size), generator=generator).float()
        assert torch.equal(first_largest(values_RV), values_RV.argmax(-1))
        for count in (1, 5):
            top_RC, place_RC = largest(values_RV, count)
            assert torch.equal(top_RC, values_RV.topk(count).values)
            assert torch.equal(values_RV.gather(1, place_RC), top_RC)
            assert all(len(set(row)) == count for row in place_RC.tolist())
