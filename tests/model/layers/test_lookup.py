"""Gradients of what is looked up often, in bfloat16 as in float32."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.lookup import Embedding, lookup
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

PAD, IMAGE, MASK, FREQUENT, CODES = 0, 5, 6, 7, (64, 128)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [16, 4000], ids=["small table", "large table"])
def test_a_row_that_is_looked_up_often_gets_its_whole_gradient(
    rows: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    index = torch.randint(0, 16, (30, 100))
    index[:, ::2] = 3
    table = torch.randn(rows, 8).to(dtype).requires_grad_()
    lookup(index, table).backward(torch.ones(30, 100, 8, dtype=dtype))
    counted = torch.bincount(index.flatten(), minlength=rows)
    assert table.grad is not None
    assert table.grad.dtype == dtype
    assert torch.equal(table.grad[:, 0], counted.to(dtype))


def test_in_float32_nothing_changes() -> None:
    torch.manual_seed(0)
    index, gradient = torch.randint(0, 50, (40, 30)), torch.randn(40, 30, 8)
    ours, theirs = Embedding(50, 8), torch.nn.Embedding(50, 8)
    theirs.load_state_dict(ours.state_dict())
    for module in (ours, theirs):
        module(index).backward(gradient)
    assert torch.equal(ours(index), F.embedding(index, theirs.weight))
    assert torch.equal(ours.weight.grad, theirs.weight.grad)


def gradients(model: UnifiedVLForConditionalGeneration) -> dict[str, torch.Tensor]:
    """Of 24 sources of 256 tokens with an image, many codes and much padding."""
    generator = torch.Generator().manual_seed(1)
    ids_BS = torch.randint(8, CODES[0], (24, 256), generator=generator)
    labels_BT = torch.randint(8, CODES[0], (24, 64), generator=generator)
    for ids in (ids_BS[:, 4:], labels_BT):
        ids[:, :16] = torch.randint(*CODES, (24, 16), generator=generator)
        ids[:, 16:20] = FREQUENT
    ids_BS[:, :4] = IMAGE
    ids_BS[:, 128:] = PAD
    pixels = torch.randint(0, 256, (24, 3, 32, 32), generator=generator, dtype=torch.uint8)
    mask_BS = torch.ones_like(ids_BS)
    model.zero_grad()
    model(ids_BS, mask_BS, pixels, labels=labels_BT).loss.backward()
    return {n: p.grad.float().clone() for n, p in model.named_parameters() if p.grad is not None}


def test_every_gradient_in_bfloat16_is_that_in_float32() -> None:
    torch.manual_seed(0)
    model = UnifiedVLForConditionalGeneration(
        UnifiedVLConfig(
            vocab_size=128,
            d_model=32,
            d_kv=8,
            d_ff=48,
            num_layers=2,
            num_heads=4,
            image_token_id=IMAGE,
            code_token_ids=list(CODES),
            code_mask_id=MASK,
            code_downsampling=8,
            code_image_size=[32, 32],
            vision={"kind": "patches", "image_size": [32, 32], "patch_size": 16},
        )
    ).eval()
    for parameter in model.parameters():  # the same weights in both types
        parameter.data = parameter.data.bfloat16().float()
    expected = gradients(model)
    found = gradients(model.bfloat16())
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        error = ((found[name] - gradient).norm() / gradient.norm()).item()
        assert error < 0.03, f"{name}: {error:.3f}"
