"""The contrastive loss against its definition, written out."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.training.conftest import SEE
from unified_vl.errors import UserError
from unified_vl.specs.mixture import load_mixture
from unified_vl.training.objectives.contrast import TEMPERATURE, contrastive_loss, similarity


def draw(seed: int, pairs: int, tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    caption_BTM = torch.randn(pairs, tokens, 8, generator=random)
    lengths_B1 = torch.randint(1, tokens + 1, (pairs, 1), generator=random)
    mask_BT = (torch.arange(tokens) < lengths_B1).float()
    return caption_BTM, mask_BT, torch.randn(pairs, 5, 8, generator=random)


@given(seed=st.integers(0, 1000), pairs=st.integers(1, 5), tokens=st.integers(1, 6))
def test_each_token_counts_with_the_place_that_fits_it_best(
    seed: int, pairs: int, tokens: int
) -> None:
    caption_BTM, mask_BT, image_BPM = draw(seed, pairs, tokens)
    found_BB = similarity(caption_BTM, mask_BT, image_BPM)
    for i in range(pairs):
        for j in range(pairs):
            best = [
                max(float(F.cosine_similarity(token, place, dim=0)) for place in image_BPM[j])
                for token, counts in zip(caption_BTM[i], mask_BT[i], strict=True)
                if counts
            ]
            assert float(found_BB[i, j]) == pytest.approx(sum(best) / len(best), abs=1e-5)


@given(seed=st.integers(0, 1000))
def test_padding_changes_nothing(seed: int) -> None:
    caption_BTM, mask_BT, image_BPM = draw(seed, 3, 4)
    longer_BTM = torch.cat([caption_BTM, torch.full((3, 2, 8), 7.0)], dim=1)
    longer_BT = torch.cat([mask_BT, torch.zeros(3, 2)], dim=1)
    loss = contrastive_loss(caption_BTM, mask_BT, image_BPM)
    assert contrastive_loss(longer_BTM, longer_BT, image_BPM) == pytest.approx(float(loss))


def test_it_is_chance_for_equal_pairs_and_small_for_own_ones() -> None:
    same = torch.ones(4, 1, 8)
    mask_BT = torch.ones(4, 1)
    assert float(contrastive_loss(same, mask_BT, same)) == pytest.approx(math.log(4))
    own = torch.eye(4).unsqueeze(1)
    expected = math.log(1 + 3 * math.exp(-1 / TEMPERATURE))
    assert float(contrastive_loss(own, mask_BT, own)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("key", ["contrast", "matching", "alignment"])
def test_an_image_that_is_shown_twice_is_refused(tmp_path: Path, key: str) -> None:
    spec = SEE.replace('"{task} {image}"', '"{task} {image} {image}"')
    (tmp_path / "see.yaml").write_text(spec, encoding="utf-8")
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(f"mixture: twice\nversion: 1\ntasks:\n  - {{spec: see.yaml, {key}: 1.0}}\n")
    with pytest.raises(UserError, match=f"{key}: the task 'see' does not describe an image"):
        load_mixture(mixture)
