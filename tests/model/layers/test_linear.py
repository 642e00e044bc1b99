"""The packed weight is the weight, whatever becomes of it."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.nn import functional as F

from unified_vl.model.layers.linear import Linear


@pytest.fixture
def layer() -> Linear:
    torch.manual_seed(0)
    return Linear(48, (80, 0.1)).eval()


def error_of(layer: Linear, rows: int = 16) -> float:
    x_RM = torch.randn(2, rows // 2, 48)
    with torch.no_grad():
        return (layer(x_RM) - F.linear(x_RM, layer.weight)).abs().max().item()


def test_one_row_or_many_the_product_is_the_same(layer: Linear) -> None:
    assert max(error_of(layer, rows) for rows in (2, 4, 16, 200)) < 1e-5


def change_in_place(layer: Linear) -> None:
    with torch.no_grad():
        layer.weight.mul_(-2.0)


def replace_the_data(layer: Linear) -> None:
    layer.train()
    layer.weight.data.copy_(torch.randn(80, 48))
    layer.eval()


def load(layer: Linear) -> None:
    layer.load_state_dict({"weight": torch.randn(80, 48)})


def replace_the_parameter(layer: Linear) -> None:
    layer.weight = torch.nn.Parameter(torch.randn(80, 48))


@pytest.mark.parametrize("change", [change_in_place, replace_the_data, load, replace_the_parameter])
def test_a_changed_weight_is_seen(layer: Linear, change) -> None:
    assert error_of(layer) < 1e-5
    before = layer.weight.detach().clone()
    change(layer)
    assert not torch.equal(layer.weight, before)
    assert error_of(layer) < 1e-5


def test_gradients_flow_and_training_reads_the_weight_itself(layer: Linear) -> None:
    error_of(layer)
    for training in (True, False):
        layer.train(training)
        layer.zero_grad()
        layer(torch.ones(8, 48)).sum().backward()
        assert torch.allclose(layer.weight.grad, torch.full((80, 48), 8.0))


def test_it_is_copied_pickled_and_saved_without_its_packed_weight(layer: Linear) -> None:
    error_of(layer)
    assert list(layer.state_dict()) == ["weight"]
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other.weight, layer.weight)
        assert error_of(other) < 1e-5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_numbers_are_computed_too(layer: Linear, dtype: torch.dtype) -> None:
    layer.to(dtype)
    with torch.no_grad():
        assert layer(torch.ones(8, 48, dtype=dtype)).dtype == dtype
