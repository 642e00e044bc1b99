"""The loss: a mean over all target tokens, however they are dealt to ranks."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from unified_vl.data.batching import IGNORED
from unified_vl.model.learning.target_loss import token_loss_sum
from unified_vl.training.loss import step_loss


def make_batch(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(len(lengths), 8, 11, generator=generator)
    labels = torch.randint(0, 11, (len(lengths), 8), generator=generator)
    labels[torch.arange(8) >= torch.tensor(lengths)[:, None]] = IGNORED
    return logits, labels


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_torchs_sum_over_the_target_tokens(smoothing: float) -> None:
    logits, labels = make_batch([3, 8, 1])
    expected = F.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), reduction="sum", label_smoothing=smoothing
    )
    torch.testing.assert_close(token_loss_sum(logits, labels, smoothing), expected)


def test_it_is_computed_in_float32() -> None:
    logits, labels = make_batch([3, 8])
    coarse = logits.bfloat16()
    assert token_loss_sum(coarse, labels).dtype == torch.float32
    torch.testing.assert_close(
        token_loss_sum(coarse, labels), token_loss_sum(coarse.float(), labels)
    )


@pytest.mark.parametrize("world", [1, 2, 4])
def test_averaged_gradients_are_those_of_the_global_mean(world: int) -> None:
    lengths = [1, 8, 2, 7, 3, 6, 1, 1]
    logits, labels = make_batch(lengths)
    tokens = sum(lengths)

    def gradient(rank: int, of: int) -> torch.Tensor:
        leaf = logits.clone().requires_grad_()
        loss = token_loss_sum(leaf[rank::of], labels[rank::of])
        step_loss(loss, tokens, of, weight=0.5).backward()
        assert leaf.grad is not None
        return leaf.grad

    leaf = logits.clone().requires_grad_()
    (0.5 * F.cross_entropy(leaf.flatten(0, 1), labels.flatten())).backward()
    averaged = torch.stack([gradient(rank, world) for rank in range(world)]).mean(0)
    torch.testing.assert_close(averaged, leaf.grad)
