"""The formula for a model's work gives what torch counts in a step without padding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from unified_vl.data.counts import counts_of
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.model.work import work_of

IMAGE, PLACES = 7, 4


def make(**keys: Any) -> UnifiedVLForConditionalGeneration:
    config = UnifiedVLConfig(
        vocab_size=90,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=3,
        num_heads=4,
        image_token_id=IMAGE,
        vision={"kind": "patches", "image_size": [8, 8], "patch_size": 4},
        **keys,
    )
    return UnifiedVLForConditionalGeneration(config).train()


@pytest.mark.parametrize("keys", [{}, {"tie_word_embeddings": True, "gated": False}], ids=str)
def test_it_is_what_torch_counts(keys: dict[str, Any]) -> None:
    model, rows, source, target = make(**keys), 3, 12, 5
    ids_BS = torch.randint(10, 90, (rows, source))
    ids_BS[:, :PLACES] = IMAGE
    labels_BT = torch.randint(10, 90, (rows, target))
    with FlopCounterMode(display=False) as counter:
        output = model(
            input_ids=ids_BS,
            pixel_values=torch.zeros(rows, 3, 8, 8, dtype=torch.uint8),
            decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels_BT),
            targets=Targets(labels_BT, logits=False),
        )
        output.target_loss.backward()
    work = work_of(model)
    assert work is not None
    found = work.operations(counts_of([source] * rows, [target] * rows, rows))
    # the first convolution needs no gradient of its pixels, which the formula counts
    assert found == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_frozen_weights_need_no_gradient() -> None:
    model = make()
    whole = work_of(model)
    for block in model.decoder.blocks:
        block.requires_grad_(False)
    frozen = work_of(model)
    assert whole is not None and frozen is not None
    weights = model.lm_head.weight.numel()
    assert frozen.target - 6 * weights == pytest.approx((whole.target - 6 * weights) * 4 / 6)
    assert frozen.image == whole.image
