"""What is computed without padding is what is computed with it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unified_vl.data import packing as packings
from unified_vl.data.batching import IGNORED
from unified_vl.data.packing import pack
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.learning.target_loss import Targets
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

SOURCES, TARGETS = (9, 3, 12, 8, 7), (4, 6, 1, 6, 2)
WORDS, CODES, IMAGE = 90, 80, 7
MODELS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "biases in each layer": {"bias_per_layer": True},
    "as T5 is": {
        "tie_word_embeddings": True,
        "scale_decoder_output": True,
        "scale_attention": False,
        "gated": False,
    },
    "codes": {"code_token_ids": [CODES, WORDS], "code_downsampling": 4},
}
GROUPS = {"a row each": 0, "some": 100, "one": 1 << 14}


def make(keys: dict[str, Any]) -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        vocab_size=WORDS,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        image_token_id=IMAGE,
        vision={"kind": "patches", "image_size": [8, 8], "patch_size": 4},
        **keys,
    )
    return UnifiedVLForConditionalGeneration(config).double().train()


def inputs() -> dict[str, Any]:
    """Rows with and without an image and codes, and captions to be compared."""
    ids_BS = torch.zeros(5, 12, dtype=torch.int64)
    labels_BT = torch.full((5, 8), IGNORED)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        ids_BS[row, :source] = torch.randint(10, WORDS, (source,))
        labels_BT[row, :target] = torch.randint(10, WORDS, (target,))
    ids_BS[0, 2:6] = ids_BS[3, 4:8] = IMAGE
    ids_BS[1, :3] = ids_BS[2, 8:12] = torch.tensor(CODES)  # a run ends where the next row begins
    return {
        "input_ids": ids_BS,
        "attention_mask": ids_BS.gt(0).long(),
        "pixel_values": torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8),
        "labels": labels_BT,
        "caption_ids": labels_BT.clamp(min=0),
        "caption_mask": (labels_BT != IGNORED).long(),
    }


def learn(
    model: UnifiedVLForConditionalGeneration, packed: bool, logits: bool = False
) -> dict[str, torch.Tensor]:
    """Losses, and the gradient of every weight."""
    torch.manual_seed(1)
    given = inputs()
    labels_BT = given.pop("labels")
    output = model(
        **given,
        decoder_input_ids=model.prepare_decoder_input_ids_from_labels(labels_BT),
        targets=Targets(labels_BT, 0.1, 0.01, logits),
        packing=pack(SOURCES, TARGETS, 12, 8) if packed else None,
    )
    kept_BT1 = given["caption_mask"].unsqueeze(-1)
    contrast = (output.caption_features * kept_BT1).square().sum() + output.image_features.sum()
    loss = output.target_loss + contrast
    if logits:
        assert output.logits.shape == (*labels_BT.shape, WORDS)
        loss = loss + (output.logits * kept_BT1).square().sum()
        memory = output.encoder_last_hidden_state * given["attention_mask"].unsqueeze(-1)
        loss = loss + memory.square().sum()
    model.zero_grad()
    loss.backward()
    grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **grads}


def check(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        error, size = float((value - expected[name]).norm()), float(expected[name].norm())
        assert error <= 1e-6 * max(size, 1e-3), (name, error, size)


@pytest.mark.parametrize("overhead", GROUPS.values(), ids=GROUPS)
@pytest.mark.parametrize("keys", MODELS.values(), ids=MODELS)
def test_losses_and_gradients_are_those_of_padded_rows(
    keys: dict[str, Any], overhead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packings, "OVERHEAD", overhead)
    model = make(keys)
    check(learn(model, packed=True), learn(model, packed=False))


def test_objectives_that_read_logits_find_them_in_rows() -> None:
    model = make({})
    check(learn(model, packed=True, logits=True), learn(model, packed=False, logits=True))


def test_activations_that_are_computed_again_are_the_same() -> None:
    model = make({})
    plain = learn(model, packed=True)
    model.checkpoint_activations()
    assert all(torch.equal(value, plain[name]) for name, value in learn(model, packed=True).items())


@torch.no_grad()
def test_validation_loses_nothing_either() -> None:
    model = make({}).eval()
    given = inputs()
    labels_BT = given["labels"]
    of = {name: given[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    shifted = model.prepare_decoder_input_ids_from_labels(labels_BT)
    of |= {"decoder_input_ids": shifted, "targets": Targets(labels_BT, logits=False)}
    packed = model(**of, packing=pack(SOURCES, TARGETS, 12, 8)).target_loss
    torch.testing.assert_close(packed, model(**of).target_loss, rtol=1e-6, atol=1e-6)
