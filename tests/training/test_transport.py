"""The transport of IPOT against the exact one of a linear program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from unified_vl.training.objectives.transport import transport_distance, transport_plan


def exact(cost_XY: torch.Tensor) -> float:
    """What the cheapest plan between uniform masses costs."""
    x, y = cost_XY.shape
    sums = np.concatenate([np.kron(np.eye(x), np.ones(y)), np.kron(np.ones(x), np.eye(y))])
    masses = np.concatenate([np.full(x, 1 / x), np.full(y, 1 / y)])
    return float(linprog(cost_XY.double().numpy().ravel(), A_eq=sums, b_eq=masses).fun)


def uniform(rows: int, count: int) -> torch.Tensor:
    return torch.full((rows, count), 1 / count)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), x=st.integers(1, 6), y=st.integers(1, 9))
def test_many_steps_find_the_exact_plan(seed: int, x: int, y: int) -> None:
    cost_1XY = torch.rand(1, x, y, generator=torch.Generator().manual_seed(seed)) * 2
    plan_1XY = transport_plan(cost_1XY, uniform(1, x), uniform(1, y), beta=0.1, steps=300)
    assert float((plan_1XY * cost_1XY).sum()) == pytest.approx(exact(cost_1XY[0]), abs=5e-3)
    torch.testing.assert_close(plan_1XY.sum(1), uniform(1, y), rtol=0, atol=1e-5)
    torch.testing.assert_close(plan_1XY.sum(2), uniform(1, x), rtol=0, atol=2e-2)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_steps_of_training_come_near_and_padding_is_nothing(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    text_RXM = torch.randn(2, 4, 8, generator=random)
    seen_RYM = torch.randn(2, 6, 8, generator=random)
    there_RX = torch.tensor([[True] * 4, [True, True, False, False]])
    found_R = transport_distance(text_RXM, there_RX, seen_RYM, torch.ones(2, 6).bool())
    for row, count in enumerate((4, 2)):
        unit = [
            torch.nn.functional.normalize(x, dim=-1) for x in (text_RXM[row, :count], seen_RYM[row])
        ]
        assert float(found_R[row]) == pytest.approx(exact(1 - unit[0] @ unit[1].T), abs=0.03)


def test_gradients_are_of_the_cost_alone_and_finite() -> None:
    text_RXM = torch.randn(1, 3, 4, requires_grad=True)
    all_there = torch.ones(1, 3).bool()
    distance = transport_distance(text_RXM, all_there, text_RXM.detach(), all_there)
    assert float(distance.detach()) == pytest.approx(0, abs=0.02)  # each goes to itself
    distance.sum().backward()
    assert text_RXM.grad is not None and text_RXM.grad.isfinite().all()
