"""Negatives that are drawn for images and captions, and what a pair is for each rank."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.training.objectives.pairs import _of_rank, draw_negatives


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.integers(1, 7))
def test_the_draw_goes_with_the_rows_and_not_with_their_order(seed: int, rows: int) -> None:
    random = torch.Generator().manual_seed(seed)
    score_GG = torch.randn(rows, rows, generator=random) / 10
    row_G = torch.randperm(100, generator=random)[:rows]
    caption_G = torch.randint(0, 4, (rows,), generator=random)
    image_G, text_G = draw_negatives(score_GG, row_G, caption_G)
    for found_G in (image_G, text_G):
        for own, other in enumerate(found_G.tolist()):
            others = (caption_G != caption_G[own]).any()
            assert caption_G[other] != caption_G[own] if others else other == -1
    order = torch.randperm(rows, generator=random)
    moved = draw_negatives(score_GG[order][:, order], row_G[order], caption_G[order])
    for before, after in zip((image_G, text_G), moved, strict=True):
        expected = [-1 if before[i] < 0 else order.tolist().index(int(before[i])) for i in order]
        assert after.tolist() == expected


def test_the_more_alike_is_the_likelier() -> None:
    """In proportion to the exponential of what is alike over the temperature."""
    score_GG = torch.tensor([[9.0, 0.1, 0.0], [0, 9, 0], [0, 0, 9]])
    drawn = [
        int(draw_negatives(score_GG, torch.tensor([1, 2, 3]) * n, torch.arange(3))[0][0])
        for n in range(1, 401)
    ]
    likely = 1 / (1 + torch.exp(torch.tensor(-1.0)))
    assert drawn.count(1) / len(drawn) == pytest.approx(float(likely), abs=0.07)
    assert drawn.count(0) == 0


def test_ranks_share_all_pairs_by_their_images() -> None:
    image_G, caption_G = torch.tensor([1, 0, -1, 0]), torch.tensor([3, -1, 1, 2])
    shares = [_of_rank(torch.tensor(own), image_G, caption_G) for own in ([0, 1], [2, 3])]
    together = [torch.cat(each).tolist() for each in zip(*shares, strict=True)]
    alone = [each.tolist() for each in _of_rank(torch.arange(4), image_G, caption_G)]
    assert sorted(zip(*together, strict=True)) == sorted(zip(*alone, strict=True))
    assert sum(alone[2]) == 4 and len(alone[2]) == 4 + 3 + 3
