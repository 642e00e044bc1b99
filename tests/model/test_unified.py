"""Images enter where the source says, and every batch has the same module graph."""

import pytest
import torch

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

IMAGE_ID = 290
KINDS = {
    "stem": {"kind": "stem", "patch_size": 16, "channels": [32, 48]},
    "patches": {"kind": "patches", "patch_size": 16},
    "timm_convolutional": {"kind": "timm", "backbone": "test_efficientnet", "feature_level": -1},
    "timm_transformer": {"kind": "timm", "backbone": "test_vit", "feature_level": -1},
}


def build(kind: str = "stem", **changes: object) -> UnifiedVLForConditionalGeneration:
    size = [160, 160] if kind == "timm_transformer" else [64, 64]
    sizes = {"d_model": 64, "d_kv": 16, "d_ff": 96, "num_heads": 4, "num_layers": 2}
    torch.manual_seed(0)
    config = UnifiedVLConfig(
        vocab_size=384,
        image_token_id=IMAGE_ID,
        vision={**KINDS[kind], "image_size": size},
        **{**sizes, **changes},
    )
    return UnifiedVLForConditionalGeneration(config)


def image_batch(model: UnifiedVLForConditionalGeneration, images: int = 3) -> dict:
    generator = torch.Generator().manual_seed(1)
    places = model.config.image_tokens
    text_BS = torch.randint(3, IMAGE_ID, (images, 6), generator=generator)
    ids_BS = torch.cat([text_BS, torch.full((images, places), IMAGE_ID)], dim=1)
    height, width = model.config.image_size
    shape = (images, 3, height, width)
    return {
        "input_ids": ids_BS,
        "attention_mask": torch.ones_like(ids_BS),
        "pixel_values": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        "labels": torch.randint(3, IMAGE_ID, (images, 5), generator=generator),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_reads_its_own_image(kind):
    model = build(kind).eval()
    batch = image_batch(model)
    with torch.no_grad():
        logits = model(**batch).logits
        batch["pixel_values"][1] = 255 - batch["pixel_values"][1]
        changed = (model(**batch).logits - logits).abs().amax(dim=(1, 2))
    assert changed[1] > 1e-3
    assert changed[[0, 2]].max() < 1e-5


@pytest.mark.parametrize("kind", ["stem", "patches", "timm_convolutional"])
def test_a_text_batch_gives_every_weight_a_gradient(kind):
    model = build(kind).train()
    batch = image_batch(model)
    model(
        input_ids=batch["input_ids"][:, :6],
        attention_mask=batch["attention_mask"][:, :6],
        labels=batch["labels"],
    ).loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad.abs().max() == 0 for p in model.encoder.vision.parameters())


def test_padding_changes_nothing():
    model = build().eval()
    batch = image_batch(model)
    labels = batch.pop("labels")
    with torch.no_grad():
        short = model(**batch, decoder_input_ids=labels).logits
        for key in ("input_ids", "attention_mask"):
            batch[key] = torch.nn.functional.pad(batch[key], (0, 7))
        long = model(**batch, decoder_input_ids=labels).logits
    assert (short - long).abs().max() < 1e-5


def test_scaled_attention_starts_as_the_unscaled_one():
    """Where T5 has small queries, scaled scores have plain ones: the same function."""
    batch = image_batch(build())
    plain, scaled = build(scale_attention=False).eval(), build().eval()
    with torch.no_grad():
        assert torch.allclose(plain(**batch).logits, scaled(**batch).logits, atol=1e-5)
    queries = [m.encoder.blocks[0].attend_self.qkv.weight[:64] for m in (plain, scaled)]
    assert torch.allclose(queries[0] * 16**0.5, queries[1])


@pytest.mark.parametrize("beams", [1, 4])
def test_cached_generation_equals_recomputation(beams):
    model = build().eval()
    batch = image_batch(model)
    del batch["labels"]
    options = {"max_new_tokens": 8, "num_beams": beams, "do_sample": False}
    with_cache = model.generate(**batch, **options)
    assert torch.equal(with_cache, model.generate(**batch, **options, use_cache=False))


def test_every_matrix_starts_at_its_scale():
    """transformers passes over modules without parameters of their own: the layers tell."""
    model = build()
    block = model.decoder.blocks[1]
    expected = {
        block.attend_self.qkv: 64**-0.5,
        block.attend_cross.q: 64**-0.5,
        block.attend_cross.out: 64**-0.5,
        block.feed.wo: 96**-0.5,
        model.lm_head: 64**-0.5,
    }
    for layer, std in expected.items():
        assert layer.weight.std().item() == pytest.approx(std, rel=0.05)
        assert layer.weight.abs().max() > 3 * std  # a normal distribution
    small = build(scale_attention=False).decoder.blocks[1].attend_self.qkv.weight
    assert small[:64].std().item() == pytest.approx((64 * 16) ** -0.5, rel=0.05)
    assert small[64:].std().item() == pytest.approx(64**-0.5, rel=0.05)


def test_the_first_loss_is_near_chance():
    model = build().eval()
    with torch.no_grad():
        loss = model(**image_batch(model)).loss
    assert abs(loss - torch.tensor(384.0).log()) < 1.0


def test_near_locations_start_alike_and_far_ones_do_not():
    model = build(location_token_ids=[100, 200])
    for weight in (model.encoder.embedding.weight, model.lm_head.weight):
        weight_VM = weight.detach()
        similar_LL = torch.corrcoef(weight_VM[100:200])
        assert similar_LL.diagonal(1).mean() > 0.8
        assert similar_LL.diagonal(40).mean().abs() < 0.2
        assert weight_VM[100:200].std() / weight_VM[:100].std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("tied", [False, True])
def test_saved_and_loaded_it_answers_the_same(tmp_path, tied):
    model = build(tie_word_embeddings=tied, scale_decoder_output=tied).eval()
    model.save_pretrained(tmp_path)
    assert [p.name for p in tmp_path.glob("*.safetensors")] == ["model.safetensors"]
    loaded = UnifiedVLForConditionalGeneration.from_pretrained(tmp_path).eval()
    batch = image_batch(model)
    with torch.no_grad():
        assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    assert (loaded.lm_head.weight is loaded.encoder.embedding.weight) is tied


@pytest.mark.parametrize(
    ("vision", "message"),
    [
        ({"knd": "stem"}, "did you mean 'kind'"),
        ({"kind": "stemm"}, "did you mean 'stem'"),
        ({"kind": "stem", "patch_size": 8, "channels": [16, 24]}, "24 channels cannot be normed"),
        ({"kind": "timm", "backbone": "resnet81"}, "did you mean 'resnet"),
        ({"kind": "patches", "image_size": [65, 64]}, "not a multiple of the stride 16"),
        ({"kind": "stem", "channels": [32, 32, 32, 32, 32]}, "stride 64"),
    ],
)
def test_an_image_branch_that_cannot_be_is_explained(vision, message):
    with pytest.raises(UserError, match=message):
        config = UnifiedVLConfig(vocab_size=384, image_token_id=IMAGE_ID, vision=vision)
        UnifiedVLForConditionalGeneration(config)
