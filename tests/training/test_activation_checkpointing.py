"""Blocks that compute their insides again in the backward pass give the same training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.trainer import train


def losses_and_gradients(squares: Path, *more: str) -> tuple[float, dict[str, torch.Tensor], int]:
    """Of a batch with dropout, and how many numbers were kept for the backward pass."""
    parts = build(load_run(squares / "run.yaml", ["model.dropout_rate=0.3", *more]))
    batch = parts.streams["see"].batch(0)
    kept = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    parts.model.train()
    torch.manual_seed(5)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        labels = batch.labels_BT
        loss = parts.model(**batch.model_inputs(), labels=labels, use_cache=False).loss
    loss.backward()
    gradients = {n: p.grad for n, p in parts.model.named_parameters() if p.grad is not None}
    return loss.item(), gradients, kept


def test_gradients_are_equal_to_the_last_bit_and_less_is_kept(squares: Path) -> None:
    plain = losses_and_gradients(squares)
    checkpointed = losses_and_gradients(squares, "activation_checkpointing=true")
    assert checkpointed[0] == plain[0]
    assert checkpointed[1].keys() == plain[1].keys()
    for name, gradient in checkpointed[1].items():
        assert_close(gradient, plain[1][name], rtol=0, atol=0, msg=name)
    assert checkpointed[2] < 0.6 * plain[2]


def test_without_gradients_nothing_is_checkpointed(
    squares: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = build(load_run(squares / "run.yaml", ["activation_checkpointing=true"]))

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("checkpointed")

    monkeypatch.setattr("unified_vl.model.activation_checkpointing.checkpoint", fail)
    batch = parts.streams["see"].batch(0)
    with torch.no_grad():
        parts.model.eval()(**batch.model_inputs(), labels=batch.labels_BT, use_cache=False)
    with pytest.raises(AssertionError, match="checkpointed"):
        parts.model(**batch.model_inputs(), labels=batch.labels_BT, use_cache=False)


def test_a_run_is_the_same_run(squares: Path, tmp_path: Path) -> None:
    found = []
    for key in ("false", "true"):
        more = [f"output={tmp_path / key}", f"activation_checkpointing={key}", "accumulate=2"]
        model = train(load_run(squares / "run.yaml", more), progress=False)
        found.append(load_file(model / "model.safetensors"))
    assert_close(found[1], found[0], rtol=0, atol=0)


VIT = "{kind: timm, backbone: test_vit, image_size: [32, 32], feature_level: -1}"
WITH_NORMS = "{kind: timm, backbone: test_efficientnet, image_size: [64, 64]}"


@pytest.mark.parametrize(("vision", "less"), [(VIT, True), (WITH_NORMS, False)])
def test_the_image_branch_computes_again_where_that_changes_nothing(
    squares: Path, vision: str, less: bool
) -> None:
    """Batch norms that learn would count each batch twice, and so keep what they keep."""
    found, statistics = [], []
    for checkpointed in (False, True):
        parts = build(load_run(squares / "run.yaml", [f"model.vision={vision}"]))
        branch = parts.model.image_branch
        assert branch is not None
        if checkpointed:
            branch.checkpoint_activations()
        pixels = parts.streams["see"].batch(0).model_inputs()["pixel_values"]
        kept = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        branch.train()
        torch.manual_seed(5)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = branch(pixels)[0].square().mean()
        loss.backward()
        gradients = {n: p.grad for n, p in branch.named_parameters() if p.grad is not None}
        found.append((gradients, kept))
        statistics.append(dict(branch.named_buffers()))
    assert_close(found[1][0], found[0][0], rtol=0, atol=0)
    assert_close(statistics[1], statistics[0], rtol=0, atol=0)
    assert (found[1][1] < 0.7 * found[0][1]) == less
