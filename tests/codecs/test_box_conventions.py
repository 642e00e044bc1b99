from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.box_conventions import (
    from_florence,
    from_ofa,
    from_paligemma,
    to_florence,
    to_ofa,
    to_paligemma,
)
from unified_vl.geometry import Box, coordinates

BOX = Box(0.1, 0.25, 0.5, 0.75)


def test_known_boxes() -> None:
    assert to_ofa(BOX, 512, 512) == [100, 250, 500, 749]
    assert to_ofa(BOX, 256, 512) == [50, 250, 250, 749]
    assert to_paligemma(BOX) == [256, 102, 767, 512]
    assert to_paligemma(Box(0, 0, 1, 1)) == [0, 0, 1023, 1023]
    assert from_paligemma([0, 0, 1023, 1023]) == Box(0, 0, 1, 1)
    assert to_florence(BOX) == [100, 250, 500, 750]
    assert to_florence(Box(0, 0, 1, 1)) == [0, 0, 999, 999]


FRACTION = st.floats(0, 1)


@given(st.tuples(FRACTION, FRACTION), st.tuples(FRACTION, FRACTION), st.integers(64, 512))
def test_a_box_comes_back_within_a_bin(
    xs: tuple[float, float], ys: tuple[float, float], side: int
) -> None:
    box = Box(min(xs), min(ys), max(xs), max(ys))
    for found, error in (
        (from_ofa(to_ofa(box, side, 512), side, 512), 0.5 / 999 * 512 / 64),
        (from_paligemma(to_paligemma(box)), 0.5 / 1023),
        (from_florence(to_florence(box)), 0.5 / 1000),
    ):
        for before, after in zip(coordinates(box), coordinates(found), strict=True):
            assert abs(before - after) <= error + 1e-9
            assert 0 <= after <= 1


def test_what_is_no_box_is_refused() -> None:
    with pytest.raises(ValueError, match="four numbers from 0 to 1023"):
        from_paligemma([1, 2, 3, 1024])
    with pytest.raises(ValueError, match="four numbers from 0 to 999"):
        from_florence([1, 2, 3])
    with pytest.raises(ValueError, match="at most 512 pixels"):
        to_ofa(BOX, 513, 512)
