"""The text path is T5, mT5 and umT5, weight for weight."""

import pytest
import torch
from transformers import (
    MT5Config,
    MT5ForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
    UMT5Config,
    UMT5ForConditionalGeneration,
)
from transformers.activations import ACT2FN

from unified_vl.errors import UserError
from unified_vl.model.convert import from_t5
from unified_vl.model.pretrained.t5 import ACTIVATION_OF

SIZES = {
    "vocab_size": 300,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 96,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}
PEERS = {
    "t5_v1_0": (
        T5Config,
        T5ForConditionalGeneration,
        {"tie_word_embeddings": True, "feed_forward_proj": "relu"},
    ),
    "t5_v1_1": (T5Config, T5ForConditionalGeneration, {"tie_word_embeddings": False}),
    "t5_tied": (T5Config, T5ForConditionalGeneration, {"tie_word_embeddings": True}),
    "mt5": (MT5Config, MT5ForConditionalGeneration, {"tie_word_embeddings": False}),
    "umt5": (UMT5Config, UMT5ForConditionalGeneration, {"tie_word_embeddings": False}),
    "umt5_tied": (UMT5Config, UMT5ForConditionalGeneration, {"tie_word_embeddings": True}),
}
UNSCALED = ("umt5",)  # as it was trained; transformers 5 divides by the root of d_model
ACTIVATIONS = sorted(ACT2FN.keys())  # what a T5 configuration can name behind "gated-"


def peer(name: str, **changes: object) -> torch.nn.Module:
    config_class, model_class, extra = PEERS[name]
    torch.manual_seed(0)
    model = model_class(config_class(**{**SIZES, **extra, **changes})).eval()
    with torch.no_grad():
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.1)
        if name.endswith("_tied") or name == "t5_v1_0":
            model.lm_head.weight = model.shared.weight
        for module_name, weight in model.named_parameters():
            if "norm" in module_name or "relative" in module_name:
                weight.add_(torch.randn_like(weight) * 0.3)
    return model


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids_BS = torch.randint(3, 300, (4, 150), generator=generator)
    mask_BS = torch.ones_like(ids_BS)
    mask_BS[1, 70:] = 0
    mask_BS[3, 5:] = 0
    decoder_BT = torch.randint(3, 300, (4, 140), generator=generator)
    return {"input_ids": ids_BS, "attention_mask": mask_BS, "decoder_input_ids": decoder_BT}


@pytest.mark.parametrize("name", PEERS)
def test_logits_equal_those_of_transformers(name, inputs):
    theirs = peer(name)
    ours = from_t5(theirs)
    with torch.no_grad():
        expected = theirs(**inputs).logits
        found = ours(**inputs).logits
    if name in UNSCALED:
        expected = expected * SIZES["d_model"] ** 0.5
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["t5_v1_1", "mt5", "umt5_tied"])
def test_an_activation_is_the_same_or_refused(name, activation, inputs):
    theirs = peer(name, feed_forward_proj=f"gated-{activation}", num_layers=1)
    if ACTIVATION_OF.get(activation) is None:
        with pytest.raises(UserError, match=f"'gated-{activation}' cannot be converted"):
            from_t5(theirs)
        return
    ours = from_t5(theirs)
    with torch.no_grad():
        assert (ours(**inputs).logits - theirs(**inputs).logits).abs().max() <= 1e-4


def test_a_model_with_another_activation_is_saved_and_answers_the_same(inputs, tmp_path):
    ours = from_t5(peer("t5_v1_1", feed_forward_proj="gated-silu"))
    ours.save_pretrained(tmp_path)
    again = type(ours).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.equal(again(**inputs).logits, ours(**inputs).logits)


@pytest.mark.parametrize("name", ["t5_v1_0", "t5_v1_1", "umt5_tied"])
@pytest.mark.parametrize("beams", [1, 3])
def test_generation_equals_that_of_transformers(name, beams, inputs):
    theirs = peer(name)
    ours = from_t5(theirs)
    source = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    options = {"max_new_tokens": 12, "num_beams": beams, "do_sample": False}
    assert torch.equal(ours.generate(**source, **options), theirs.generate(**source, **options))


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "gelu_new"])
def test_t5_without_a_gate_has_the_same_logits(activation, inputs):
    theirs = peer("t5_v1_0", feed_forward_proj=activation)
    ours = from_t5(theirs)
    with torch.no_grad():
        found, expected = ours(**inputs).logits, theirs(**inputs).logits
    assert expected.std() > 0.1
    assert (found - expected).abs().max() <= 1e-4
