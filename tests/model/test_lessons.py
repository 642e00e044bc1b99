"""What a student is told of a teacher, against its definition."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from unified_vl.model.learning import teacher_logits
from unified_vl.model.learning.lessons import map_divergence, pairs
from unified_vl.model.learning.target_loss import Head
from unified_vl.model.learning.teacher_logits import divergence_sum


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("chunk", [1 << 24, 60])
@pytest.mark.parametrize("cap", [None, 1.5])
def test_the_divergence_and_its_gradients_are_those_of_torch(
    temperature: float, chunk: int, cap: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_logits, "CHUNK", chunk)
    torch.manual_seed(0)
    own_RM, own_VM = torch.randn(5, 4, requires_grad=True), torch.randn(11, 4, requires_grad=True)
    shown_RW, shown_VW = torch.randn(5, 6), torch.randn(11, 6)
    bias_V = None if cap is None else torch.randn(11)
    heads = Head(own_VM, bias_V, cap, scale=0.5), Head(shown_VW, bias_V, cap, scale=2.0)
    found = divergence_sum(own_RM, shown_RW, *heads, temperature)
    logits = [0.5 * own_RM @ own_VM.T, 2.0 * shown_RW @ shown_VW.T]
    if cap is not None and bias_V is not None:
        logits = [cap * ((each + bias_V) / cap).tanh() for each in logits]
    own, shown = ((each / temperature).log_softmax(-1) for each in logits)
    expected = F.kl_div(own, shown, reduction="sum", log_target=True) * temperature**2
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(3 * found, (own_RM, own_VM)),
        torch.autograd.grad(3 * expected, (own_RM, own_VM)),
    )


@given(seed=st.integers(0, 999), heads=st.sampled_from([(3, 3), (3, 2), (1, 4)]))
def test_the_divergence_of_maps_is_no_less_than_nothing_and_nothing_of_the_same(
    seed: int, heads: tuple[int, int]
) -> None:
    torch.manual_seed(seed)
    own, shown = (torch.randn(2, h, 4, 5).masked_fill_(_hidden(), -3e38) for h in heads)
    found = map_divergence(own.log_softmax(-1), shown.log_softmax(-1))
    assert found.shape == (2, 4)
    assert bool((found > -1e-6).all())
    torch.testing.assert_close(map_divergence(own, own), torch.zeros(2, 4))


def _hidden() -> torch.Tensor:
    return torch.tensor([False, False, False, True, True])


@pytest.mark.parametrize(
    ("own", "shown", "expected"),
    [(2, 4, [1, 3]), (4, 2, [0, 0, 1, 1]), (3, 3, [0, 1, 2]), (2, 3, [1, 2]), (1, 5, [4])],
)
def test_a_block_learns_from_that_at_its_depth(own: int, shown: int, expected: list[int]) -> None:
    assert [layer for _, layer in pairs(range(own), range(shown))] == expected
