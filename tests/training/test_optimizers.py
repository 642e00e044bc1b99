"""The optimisers beside AdamW: their updates, what they refuse, and exact checkpoints."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.testing import assert_close

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.training.distributed.shards import load_shards, save_shard
from unified_vl.training.optimizers.registry import build_optimizer
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
ADAFACTOR = {"name": "adafactor", "lr": 0.01, "weight_decay": 0.0}
SCALED = {"name": "adamw_rms_scaled", "lr": 0.02, "weight_decay": 0.1}


def a_model() -> nn.Module:
    """A vector, a matrix and a kernel of four axes, of different sizes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, (2, 3)), nn.Linear(5, 7), nn.LayerNorm(6))
    with torch.no_grad():
        model[1].weight *= 100.0
        model[0].weight *= 1e-4  # below the floor
    return model


def ours(spec: dict[str, Any]) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = a_model()
    return model, build_optimizer(model, OptimizerSpec.model_validate(spec))


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int = 6) -> list[Any]:
    """The parameters after updates with gradients that are drawn, and of very different sizes."""
    draw = torch.Generator().manual_seed(1)
    for number in range(count):
        for parameter in model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=draw) * 10.0 ** (number - 3)
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("scale", [True, False])
def test_adafactor_is_that_of_transformers(scale: bool) -> None:
    import unified_vl.model.unified  # noqa: F401 (before it, transformers cannot be imported)

    theirs = pytest.importorskip("transformers.optimization").Adafactor
    model, optimizer = ours({**ADAFACTOR, "scale_parameter": scale, "clip_threshold": 0.7})
    other = a_model()
    expected = theirs(
        other.parameters(),
        lr=0.01,
        relative_step=False,
        scale_parameter=scale,
        clip_threshold=0.7,
    )
    for found, right in zip(steps(model, optimizer), steps(other, expected), strict=True):
        assert_close(found, right, rtol=1e-5, atol=1e-8)


def test_adafactor_is_that_of_torch_also_with_weight_decay() -> None:
    model, optimizer = ours({**ADAFACTOR, "weight_decay": 0.1})
    other = a_model()
    decayed = {id(other[0].weight), id(other[1].weight)}  # type: ignore[index]
    groups = [
        {
            "params": [p for p in other.parameters() if (id(p) in decayed) == wanted],
            "weight_decay": d,
        }
        for wanted, d in ((True, 0.1), (False, 0.0))
    ]
    expected = torch.optim.Adafactor(groups, lr=0.01, eps=(1e-30, 1e-3), foreach=False)
    for found, right in zip(steps(model, optimizer), steps(other, expected), strict=True):
        assert_close(found, right, rtol=1e-4, atol=1e-7)


def test_adamw_rms_scaled_is_its_formula() -> None:
    model, optimizer = ours(SCALED)
    found = steps(model, optimizer)
    spec = OptimizerSpec.model_validate(SCALED)
    draw = torch.Generator().manual_seed(1)
    xs = [p.detach().double() for p in a_model().parameters()]
    ms, vs = [0 * x for x in xs], [0 * x for x in xs]
    for number in range(6):
        for i, x in enumerate(xs):
            grad = (torch.randn(x.shape, generator=draw) * 10.0 ** (number - 3)).double()
            ms[i] = 0.9 * ms[i] + 0.1 * grad
            vs[i] = 0.98 * vs[i] + 0.02 * grad**2
            m, v = ms[i] / (1 - 0.9 ** (number + 1)), vs[i] / (1 - 0.98 ** (number + 1))
            size = max(float(x.pow(2).mean().sqrt()), spec.rms_floor)
            decay = 0.1 if x.ndim > 1 else 0.0
            xs[i] = x * (1 - 0.02 * decay) - 0.02 * size * m / (v.sqrt() + spec.eps)
    for ours_, right in zip(found, xs, strict=True):
        assert_close(ours_.double(), right, rtol=2e-5, atol=1e-8)


def test_a_parameter_without_a_gradient_stays() -> None:
    for spec in (ADAFACTOR, SCALED):
        model, optimizer = ours(spec)
        before = copy.deepcopy(model.state_dict())
        model[1].weight.grad = torch.ones(7, 5)  # type: ignore[index, union-attr]
        optimizer.step()
        changed = [k for k, v in model.state_dict().items() if not torch.equal(v, before[k])]
        assert changed == ["1.weight"]


@pytest.mark.parametrize("engine", ["zero0", "zero0_bf16"])
@pytest.mark.parametrize("name", ["adafactor", "adamw_rms_scaled"])
def test_a_resume_is_exact(squares: Path, tmp_path: Path, name: str, engine: str) -> None:
    def run(output: str, *more: str) -> Any:
        settings = [f"engine={ENGINES / f'{engine}.json'}", f"optimizer.name={name}"]
        places = [f"output={tmp_path / output}", "optimizer.decay=constant", "keep_best=false"]
        return load_run(squares / "run.yaml", [*settings, *places, *more])

    whole = train(run("whole", "steps=4"), progress=False)
    train(run("parts", "steps=2"), progress=False)
    parts = train(run("parts", "steps=4"), resume=True, progress=False)
    weights = [load_file(model / "model.safetensors") for model in (whole, parts)]
    assert_close(weights[1], weights[0], rtol=0, atol=0)
    states = [
        load_file(next((model.parent / "checkpoints/step-00000004/state").glob("*.safetensors")))
        for model in (whole, parts)
    ]
    assert_close(states[1], states[0], rtol=0, atol=0)
    kinds = {key.split(":")[0] for key in states[0]} - {"master", "buffer"}
    if name == "adafactor":
        assert kinds == {"step", "exp_avg_sq", "whole.exp_avg_sq_row", "whole.exp_avg_sq_col"}
    else:
        assert kinds == {"step", "exp_avg", "exp_avg_sq"}


def test_two_ranks_share_out_the_factors_and_one_finds_them_all(tmp_path: Path) -> None:
    model, optimizer = ours(ADAFACTOR)
    steps(model, optimizer)
    for rank in (0, 1):
        save_shard(tmp_path, model, optimizer, optimizer.state, rank, world=2)
    files = [set(load_file(path)) for path in sorted(tmp_path.glob("*.safetensors"))]
    assert len(files) == 2 and all(files) and not files[0] & files[1]
    other, empty = ours(ADAFACTOR)
    load_shards(tmp_path, other, empty, empty.state, rank=0)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert_close(theirs, mine, rtol=0, atol=0)
        assert_close(dict(empty.state[theirs]), dict(optimizer.state[mine]), rtol=0, atol=0)
    # and both go on alike
    assert_close(steps(other, empty), steps(model, optimizer), rtol=0, atol=0)


def test_another_optimiser_does_not_go_on_with_the_state_of_one(
    squares: Path, tmp_path: Path
) -> None:
    places = [f"output={tmp_path}", "steps=2", "optimizer.decay=constant"]
    train(load_run(squares / "run.yaml", places), progress=False)
    other = load_run(squares / "run.yaml", [*places, "optimizer.name=adafactor"])
    with pytest.raises(UserError, match=r"optimizer.name is not what it was"):
        train(other, resume=True, progress=False)


@pytest.mark.parametrize("name", ["adafactor", "adamw_rms_scaled"])
def test_zero_which_flattens_parameters_is_refused(
    squares: Path, tmp_path: Path, name: str
) -> None:
    engine = tmp_path / "engine.json"
    for stage in (1, 2, 3):
        engine.write_text(json.dumps({"zero_optimization": {"stage": stage}}))
        with pytest.raises(UserError) as refused:
            load_run(squares / "run.yaml", [f"engine={engine}", f"optimizer.name={name}"])
        assert str(refused.value) == (
            f"command line: optimizer.name: '{name}' needs every parameter whole, and ZeRO {stage} "
            "flattens and cuts them; expected an engine of stage 0, or adamw"
        )
