from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import VQModel
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_vl.errors import UserError
from unified_vl.image_tokenizer.convert_vqmodel import from_vqmodel
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer, to_bytes, to_floats
from unified_vl.specs.image_tokenizer import ConvolutionSpec, QuantizerSpec

QUANTIZERS: dict[str, dict[str, Any]] = {
    "vq": {"kind": "vq", "codes": 16},
    "fsq": {"kind": "fsq", "levels": [4, 3, 3, 3]},
    "lfq": {"kind": "lfq", "codes": 16},
}


def tokenizer(kind: str = "vq", **model: Any) -> ImageTokenizer:
    torch.manual_seed(0)
    shape = {"channels": (8, 16), "patch": 2, "blocks": 1, "groups": 4, "latent": 4, **model}
    made = ImageTokenizer(ConvolutionSpec(**shape), QuantizerSpec(**QUANTIZERS[kind]))
    made(torch.rand(2, 3, 16, 16) * 2 - 1)  # kmeans: VQ takes its first codes from a batch
    return made.eval()


LOCAL = {"channels": 24, "blocks": 2}


def noise(count: int, height: int, width: int) -> np.ndarray:
    draw = np.random.default_rng(height * width)
    return draw.integers(0, 256, (count, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", QUANTIZERS)
@settings(max_examples=10)
@given(height=st.integers(1, 5), width=st.integers(1, 5))
def test_any_rectangle_becomes_a_grid_of_codes_and_comes_back(
    kind: str, height: int, width: int
) -> None:
    made = tokenizer(kind)
    pixels = noise(2, 4 * height, 4 * width)
    codes = made.encode(pixels)
    assert codes.shape == (2, height, width)
    assert 0 <= int(codes.min()) <= int(codes.max()) < made.codes
    back = made.decode(codes)
    assert back.shape == pixels.shape and back.dtype == np.uint8
    whole = made(to_floats(torch.from_numpy(pixels)))[0]
    assert np.array_equal(back, to_bytes(whole).numpy())


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_what_is_saved_gives_the_same_codes(kind: str, tmp_path: Path) -> None:
    made = tokenizer(kind)
    made.save_pretrained(tmp_path, {"name": "tiny"})
    loaded = ImageTokenizer.from_pretrained(tmp_path)
    pixels = noise(3, 16, 16)
    assert np.array_equal(made.encode(pixels), loaded.encode(pixels))
    assert made.fingerprint == loaded.fingerprint
    assert not [path for path in tmp_path.iterdir() if path.suffix not in (".json", ".safetensors")]


@settings(max_examples=10)
@given(row=st.integers(0, 3), column=st.integers(0, 4))
def test_a_local_code_tells_of_its_own_square_alone(row: int, column: int) -> None:
    made = tokenizer(local_encoder=LOCAL)
    pixels = noise(1, 16, 20)
    before = made.encode(pixels)
    square = np.s_[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
    alone = made.encode(pixels[square][None])
    assert alone.item() == before[0, row, column]
    pixels[square] = 255 - pixels[square]
    after = made.encode(pixels)
    after[0, row, column] = before[0, row, column]
    assert np.array_equal(before, after)


def test_a_tokenizer_with_a_local_encoder_is_saved_like_any_other(tmp_path: Path) -> None:
    made = tokenizer(local_encoder=LOCAL)
    made.save_pretrained(tmp_path, {"name": "local"})
    loaded = ImageTokenizer.from_pretrained(tmp_path)
    assert loaded.model_spec.local_encoder == made.model_spec.local_encoder
    assert np.array_equal(made.encode(noise(3, 16, 16)), loaded.encode(noise(3, 16, 16)))


def test_another_codebook_has_another_fingerprint() -> None:
    one, other = tokenizer(), tokenizer()
    assert one.fingerprint == other.fingerprint
    other.quantizer.inner._codebook.embed += 1.0
    assert one.fingerprint != other.fingerprint


def test_sizes_and_codes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="10 x 16 pixels cannot be cut into squares of 4"):
        tokenizer().encode(noise(1, 10, 16))
    with pytest.raises(ValueError, match="codes are 0 to 15"):
        tokenizer().decode(np.full((1, 2, 2), 16))


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("middle", [False, True])
def test_vqmodel_weights_give_identical_codes_and_images(
    tmp_path: Path, attention: bool, middle: bool
) -> None:
    torch.manual_seed(1)
    down = ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"]
    up = ["UpDecoderBlock2D"] * 3
    if attention:
        down[2], up[0] = "AttnDownEncoderBlock2D", "AttnUpDecoderBlock2D"
    theirs = VQModel(
        block_out_channels=(8, 8, 16),
        down_block_types=down,
        up_block_types=up,
        layers_per_block=2,
        latent_channels=4,
        vq_embed_dim=4,
        num_vq_embeddings=64,
        norm_num_groups=4,
        mid_block_add_attention=middle,
    ).eval()
    with torch.no_grad():  # codes that images meet: latents of others
        latents = theirs.encode(torch.rand(4, 3, 32, 32) * 2 - 1).latents
        theirs.quantize.embedding.weight.copy_(latents.permute(0, 2, 3, 1).reshape(-1, 4)[::4])
    theirs.save_pretrained(tmp_path)
    ours = from_vqmodel(tmp_path)
    pixels = torch.from_numpy(noise(2, 32, 24))
    with torch.no_grad():
        latents = theirs.encode(to_floats(pixels)).latents
        expected = theirs.quantize(latents)[2][2].view(2, 8, 6)
        images = theirs.decode(latents).sample
        found = ours(to_floats(pixels))[0]
    assert len(expected.unique()) > 8
    assert np.array_equal(ours.encode(pixels.numpy()), expected.numpy())
    assert torch.allclose(found, images, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"norm_type": "spatial"}, "norm_type: found 'spatial'; expected 'group'"),
        ({"vq_embed_dim": 8}, "vq_embed_dim: found 8; expected 4"),
        ({"down_block_types": ["DownBlock2D"]}, "block types: found"),
        ({"block_out_channels": None}, "this is no VQModel's configuration"),
    ],
)
def test_a_vqmodel_of_other_parts_is_refused(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    theirs = VQModel(block_out_channels=(8,), norm_num_groups=4, latent_channels=4, vq_embed_dim=4)
    theirs.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(UserError, match=says):
        from_vqmodel(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{}", "this is no image tokenizer's configuration"),
        ("config.json", b"[]", "this is not a JSON object"),
        ("model.safetensors", b"cut", "these are not its weights"),
    ],
)
def test_a_broken_folder_is_refused(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    tokenizer().save_pretrained(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says):
        ImageTokenizer.from_pretrained(tmp_path)


def test_bytes_and_floats_are_one_to_one() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(-1, -1, -1, 3)
    assert np.array_equal(to_bytes(to_floats(pixels)).numpy(), pixels.numpy())
