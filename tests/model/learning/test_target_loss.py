"""The chunked loss is that of whole logits, and its gradients are theirs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from unified_vl.model.learning import target_loss
from unified_vl.model.learning.target_loss import Head, Targets, chunked_loss_sum, token_loss_sum

WORDS, WIDTH = 50, 16
LOSSES = {
    "plain": (0.0, 0.0),
    "smoothed": (0.1, 0.0),
    "z-loss": (0.0, 1e-2),
    "both": (0.2, 1e-2),
}
HEADS = {
    "weight": Head(torch.empty(0)),
    "scaled": Head(torch.empty(0), scale=0.25),
    "capped": Head(torch.empty(0), cap=2.0),
    "all": Head(torch.empty(0), torch.linspace(-1, 1, WORDS), 3.0, 0.5),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of three rows."""
    monkeypatch.setattr(target_loss, "CHUNK", 3 * WORDS)
    yield


def draw(rows: int, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    hidden_RM = torch.randn(rows, WIDTH, generator=random)
    weight_VM = torch.randn(WORDS, WIDTH, generator=random)
    labels_R = torch.randint(0, WORDS, (rows,), generator=random)
    return [hidden_RM.to(dtype).requires_grad_(), weight_VM.to(dtype).requires_grad_(), labels_R]


def whole(hidden: torch.Tensor, head: Head) -> torch.Tensor:
    logits = F.linear(hidden * head.scale, head.weight, head.bias)
    return logits if head.cap is None else torch.tanh(logits / head.cap) * head.cap


@pytest.mark.parametrize("rows", [0, 1, 3, 7])
@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("options", LOSSES.values(), ids=LOSSES)
def test_loss_and_gradients_are_those_of_whole_logits(
    options: tuple[float, float], head: Head, rows: int
) -> None:
    hidden_RM, weight_VM, labels_R = draw(rows)
    head = replace(head, weight=weight_VM)
    expected = token_loss_sum(whole(hidden_RM, head), labels_R, *options)
    gradients = torch.autograd.grad(expected * 0.3, (hidden_RM, weight_VM))
    found = chunked_loss_sum(hidden_RM, labels_R, head, Targets(labels_R, *options))
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(
        torch.autograd.grad(found * 0.3, (hidden_RM, weight_VM)), gradients, strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_keeps_the_loss_in_float32(dtype: torch.dtype) -> None:
    hidden_RM, weight_VM, labels_R = draw(7, dtype)
    found = chunked_loss_sum(hidden_RM, labels_R, Head(weight_VM), Targets(labels_R))
    found.backward()
    exact_RM, exact_VM = (x.detach().float().requires_grad_() for x in (hidden_RM, weight_VM))
    expected = token_loss_sum(exact_RM @ exact_VM.T, labels_R)
    expected.backward()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
    for mine, theirs in ((hidden_RM, exact_RM), (weight_VM, exact_VM)):
        assert mine.grad is not None and theirs.grad is not None
        torch.testing.assert_close(mine.grad.float(), theirs.grad, rtol=3e-2, atol=3e-2)


def test_improbable_words_have_gradients_in_float16() -> None:
    """Each alone is below what float16 holds."""
    hidden_RM = torch.ones(1, 1, dtype=torch.float16, requires_grad=True)
    weight_VM = torch.full((WORDS, 1), -18.0, dtype=torch.float16, requires_grad=True)
    with torch.no_grad():
        weight_VM[0] = 0.0
    label_R = torch.zeros(1, dtype=torch.int64)
    chunked_loss_sum(hidden_RM, label_R, Head(weight_VM), Targets(label_R)).mul(64).backward()
    assert weight_VM.grad is not None
    assert bool((weight_VM.grad[1:] > 0).all())


def test_what_is_frozen_has_no_gradient() -> None:
    hidden_RM, weight_VM, labels_R = draw(4)
    head = Head(weight_VM.detach())
    chunked_loss_sum(hidden_RM, labels_R, head, Targets(labels_R)).backward()
    assert hidden_RM.grad is not None
    with torch.no_grad():
        found = chunked_loss_sum(hidden_RM, labels_R, head, Targets(labels_R))
    assert not found.requires_grad
