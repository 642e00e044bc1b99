"""How unlike two readings are, against torch's own divergence."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from unified_vl.model.learning import symmetric_divergence
from unified_vl.model.learning.symmetric_divergence import (
    symmetric_divergence_of_logits,
    symmetric_divergence_sum,
)
from unified_vl.model.learning.target_loss import Head


@pytest.mark.parametrize("cap", [None, 1.5])
@pytest.mark.parametrize("chunk", [1 << 24, 100])
def test_loss_and_gradients_are_those_of_both_divergences(
    cap: float | None, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symmetric_divergence, "CHUNK", chunk)
    torch.manual_seed(0)
    one_RM, other_RM, head_VM = (torch.randn(rows, 4, requires_grad=True) for rows in (5, 5, 11))
    bias_V = None if cap is None else torch.randn(11)
    found = symmetric_divergence_sum(one_RM, other_RM, Head(head_VM, bias_V, cap, scale=0.5))
    logits = [0.5 * each @ head_VM.T for each in (one_RM, other_RM)]
    if cap is not None and bias_V is not None:
        logits = [cap * ((each + bias_V) / cap).tanh() for each in logits]
    expected = symmetric_divergence_of_logits(*logits)
    p_RV, q_RV = (each.softmax(-1) for each in logits)
    assert_close(expected, ((p_RV - q_RV) * (p_RV.log() - q_RV.log())).sum())
    assert_close(found, expected)
    assert_close(
        torch.autograd.grad(3 * found, (one_RM, other_RM, head_VM)),
        torch.autograd.grad(3 * expected, (one_RM, other_RM, head_VM)),
    )


def test_the_same_twice_is_not_unlike() -> None:
    state_RM, head = torch.randn(3, 4), Head(torch.randn(7, 4))
    assert_close(symmetric_divergence_sum(state_RM, state_RM, head), torch.zeros(()))
    assert F.relu(-symmetric_divergence_sum(state_RM, -state_RM, head)) == 0
