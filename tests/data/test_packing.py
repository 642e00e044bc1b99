"""Which tokens a batch has, and in which groups they attend."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.data.packing import Places, pack

LENGTHS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 30)), min_size=1, max_size=40)


@given(LENGTHS)
def test_every_token_is_in_one_place_and_comes_back(lengths: list[tuple[int, int]]) -> None:
    sources, targets = zip(*lengths, strict=True)
    packing = pack(sources, targets, 64, 32)
    assert sum(group.rows for group in packing.groups) == len(lengths)
    for places, of_rows, width in (
        (packing.source, sources, 64),
        (packing.target, targets, 32),
    ):
        row_N = np.repeat(np.arange(len(of_rows)), of_rows)
        assert places.token_N.tolist() == [
            row * width + place for row, n in enumerate(of_rows) for place in range(n)
        ]
        _check(places, torch.from_numpy(row_N))


def _check(places: Places, row_N: torch.Tensor) -> None:
    tokens = torch.arange(len(row_N))
    assert torch.equal(places.take_P[places.back_N], tokens)
    empty = torch.ones(len(places.take_P), dtype=torch.bool)
    empty[places.back_N] = False
    assert torch.equal(empty.nonzero().squeeze(1), places.empty_E)


@given(LENGTHS)
def test_rows_of_a_group_are_examples_from_their_start(lengths: list[tuple[int, int]]) -> None:
    sources, targets = zip(*lengths, strict=True)
    packing = pack(sources, targets, 64, 32)
    for side, of_rows in (("source", sources), ("target", targets)):
        place_N = np.concatenate([np.arange(n) for n in of_rows])
        row_N = np.repeat(np.arange(len(of_rows)), of_rows)
        taken, met = getattr(packing, side).take_P.numpy(), []
        for group in packing.groups:
            longest, mask = getattr(group, side), getattr(group, f"{side}_mask_B{side[0].upper()}")
            of_group, taken = np.split(taken, [group.rows * longest])
            place_BL = place_N[of_group].reshape(group.rows, longest)
            row_BL = row_N[of_group].reshape(group.rows, longest)
            assert (row_BL == row_BL[:, :1]).all()
            length_B = np.asarray(of_rows)[row_BL[:, 0]]
            real_BL = np.arange(longest) < length_B[:, None]
            assert (place_BL == np.arange(longest))[real_BL].all()
            assert real_BL.all() if mask is None else (mask.numpy() == real_BL).all()
            met.extend(row_BL[:, 0].tolist())
        assert sorted(met) == list(range(len(of_rows)))


def test_groups_are_of_like_lengths_where_that_is_cheaper() -> None:
    many = pack([10] * 50 + [200] * 50, [10] * 100, 200, 12)
    assert [(group.rows, group.source) for group in many.groups] == [(50, 10), (50, 200)]
    few = pack([10, 20], [10, 10], 20, 12)
    assert [(group.rows, group.source) for group in few.groups] == [(2, 20)]
