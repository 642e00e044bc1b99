"""unified_vl/metrics/pictures/pictures.py, on pictures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.pictures import pictures
from unified_vl.metrics.pictures.images import psnr, ssim
from unified_vl.metrics.places.masks import pictures_iou
from unified_vl.metrics.registry import METRICS

BLACK, WHITE = np.zeros((12, 12, 3), np.uint8), np.full((12, 12, 3), 255, np.uint8)


def score(name: str, found: list[np.ndarray], true: list[np.ndarray], top: int = 1) -> float:
    answers = Answers(found, [(t,) for t in true], [None] * len(found), top=top)
    return METRICS[name].score(answers)


def test_psnr_is_the_mean_of_decibels_and_equal_pictures_have_100() -> None:
    grey = np.full_like(BLACK, 51)  # a fifth of the range: 20 log10(5) = 13.98 dB
    assert score("psnr", [grey, BLACK], [BLACK, BLACK]) == pytest.approx(
        (13.979 + 100) / 2, abs=0.01
    )
    assert score("ssim", [WHITE, BLACK], [WHITE, BLACK]) == pytest.approx(100.0)


def test_a_mask_is_what_is_bright() -> None:
    left, top = BLACK.copy(), BLACK.copy()
    left[:, :6], top[:6] = 255, 200
    assert pictures_iou(left, top) == pytest.approx(1 / 3)
    assert pictures_iou(left, left // 2 + 70) == 1.0
    assert pictures_iou(BLACK, BLACK) == 1.0 and pictures_iou(BLACK, WHITE) == 0.0
    assert score("mask_iou", [left, left], [top, left]) == pytest.approx(100 * (1 / 3 + 1) / 2)
    mask, peak = METRICS["mask_iou"], METRICS["psnr"]
    assert mask.is_right(left, (left,)) and not mask.is_right(left, (top,))
    assert peak.is_right(left, (left,)) and not peak.is_right(left, (top,))


@given(seed=st.integers(0, 2**31), top=st.integers(1, 4))
def test_nearest_reference_is_that_of_a_search_by_hand(seed: int, top: int) -> None:
    draw = np.random.default_rng(seed)
    classes = draw.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8)
    own = draw.integers(0, 4, 7)
    found = draw.integers(0, 256, (7, 3, 3, 3)).astype(np.uint8)
    hits = []
    seen = sorted(set(own.tolist()))
    for picture, k in zip(found, own, strict=True):
        errors = {c: ((picture.astype(float) - classes[c]) ** 2).sum() for c in seen}
        hits.append(sorted(errors, key=lambda c: (errors[c], c == k)).index(k) < top)
    true = [classes[k] for k in own]
    assert score("nearest_reference", list(found), true, top) == pytest.approx(100 * np.mean(hits))


def test_a_picture_that_is_as_near_to_another_is_not_right() -> None:
    grey = np.full_like(BLACK, 100)
    assert score("nearest_reference", [grey, grey], [BLACK, WHITE]) == 50.0
    assert score("nearest_reference", [grey, grey], [BLACK, WHITE], top=2) == 100.0
    even = np.stack([np.full((12, 12), v, np.uint8) for v in (0, 255, 0)], axis=2)
    odd = 255 - even
    middle = [np.where(np.indices((12, 12)).sum(0)[..., None] % 2, even, odd).astype(np.uint8)] * 2
    assert score("nearest_reference", middle, [even, odd]) == 0.0


def test_of_several_texts_the_best_of_the_first_few_counts() -> None:
    answers = Answers([("a", "b"), ("c", "d")], [("b",), ("c",)], ["en"] * 2)
    assert METRICS["exact_match"].score(answers) == 50.0
    both = Answers(answers.predictions, answers.references, answers.languages, top=2)
    assert METRICS["exact_match"].score(both) == 100.0


def test_many_pictures_score_what_they_do_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    found, classes = (draw.integers(0, 256, (n, 12, 12, 3)).astype(np.uint8) for n in (9, 5))
    classes //= 2  # nearer to each other than to what was drawn
    true = [classes[k] for k in draw.integers(0, 5, 9)]
    measured = {}
    for at_once in (64, 2):
        monkeypatch.setattr(pictures, "AT_ONCE", at_once)
        measured[at_once] = [
            rule(found, true, *more)
            for rule, *more in (
                (pictures.psnr_rows,),
                (pictures.ssim_rows,),
                (pictures.nearest_rows, 1),
                (pictures.nearest_rows, 3),
            )
        ]
    for whole, parts in zip(*measured.values(), strict=True):
        np.testing.assert_array_equal(whole, parts)
    whole, alike, nearest, nearest_3 = measured[64]
    assert whole[:, 0] == pytest.approx(psnr(found, np.stack(true)))
    assert alike[:, 0] == pytest.approx(ssim(found, np.stack(true)))
    assert 0 < nearest[:, 0].sum() < nearest_3[:, 0].sum() < 9
