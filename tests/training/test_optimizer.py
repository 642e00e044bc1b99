"""The learning rate over time, and what is not decayed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.training.learning_rate import learning_rate
from unified_vl.training.optimizers.registry import build_optimizer


def rates(steps: int, **keys: object) -> list[float]:
    spec = OptimizerSpec.model_validate({"lr": 1.0, **keys})
    return [learning_rate(step, steps, spec) for step in range(steps)]


def test_it_rises_stays_and_falls() -> None:
    assert rates(10, warmup_steps=4, decay_from=0.6) == pytest.approx(
        [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    )
    cosine = rates(10, decay="cosine", decay_from=0.6)
    assert cosine[:7] == [1.0] * 7
    assert cosine[7:] == pytest.approx([0.853553, 0.5, 0.146447], abs=1e-6)
    assert rates(5, decay="constant", decay_from=0) == [1.0] * 5


@given(
    steps=st.integers(1, 60),
    warmup=st.integers(0, 80),
    decay=st.sampled_from(["linear", "cosine", "constant"]),
    start=st.floats(0, 1),
)
def test_it_is_always_above_zero_up_to_its_peak_and_up_comes_before_down(
    steps: int, warmup: int, decay: str, start: float
) -> None:
    found = rates(steps, warmup_steps=warmup, decay=decay, decay_from=start)
    assert all(0 < rate <= 1 for rate in found)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


def test_only_matrices_are_decayed_and_embeddings_are_none() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(5, 4)
            self.linear = nn.Linear(4, 4)
            self.norm = nn.LayerNorm(4)
            self.head = nn.Linear(4, 5, bias=False)
            self.tied = nn.Linear(4, 5, bias=False)
            self.tied.weight = self.embedding.weight

    model = Model()
    groups = build_optimizer(model, OptimizerSpec(weight_decay=0.1)).param_groups
    decayed, others = sorted(groups, key=lambda group: -group["weight_decay"])
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(model.linear.weight), id(model.head.weight)}
    assert len(others["params"]) == 4


def test_the_image_branch_can_learn_at_its_own_rate() -> None:
    model = nn.ModuleDict({"vision": nn.Linear(4, 4), "trunk": nn.Linear(4, 4)})
    groups = build_optimizer(model, OptimizerSpec(vision_lr_scale=3)).param_groups
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    assert [scales[id(p)] for p in model["vision"].parameters()] == [3, 3]
    assert [scales[id(p)] for p in model["trunk"].parameters()] == [1, 1]


def test_embeddings_can_learn_at_their_own_rate() -> None:
    model = nn.ModuleDict({"names": nn.Embedding(5, 4), "trunk": nn.Linear(4, 4)})
    groups = build_optimizer(model, OptimizerSpec(embedding_lr_scale=2)).param_groups
    scales = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    assert scales[id(model["names"].weight)] == 2
    assert [scales[id(p)] for p in model["trunk"].parameters()] == [1, 1]
