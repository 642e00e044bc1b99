"""unified_vl/model/backbones: what `transformers` computes, and what our decoding makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.model.backbones.models import CONFIGS, ROWS, make
from unified_vl.decoding.choice_scoring import ChoiceScorer
from unified_vl.decoding.decoders import cached
from unified_vl.decoding.protocol import encode, read_targets
from unified_vl.decoding.search import beam_search, write
from unified_vl.errors import UserError
from unified_vl.model.backbones.adapter import TransformersBackbone
from unified_vl.model.backbones.checkpoint import image_settings, load_backbone
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.backbones.registry import FAMILIES

LIMIT = 14
IMAGE = 8  # the id of an image's places
WITH_IMAGES = ("t5gemma2", "florence2")


@pytest.fixture(params=list(CONFIGS))
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(directory: Path, **own: Any) -> TransformersBackbone:
    theirs = json.loads((directory / "config.json").read_text())
    settings = {**image_settings(directory), "image_token_id": IMAGE, "dropout_rate": 0.0, **own}
    return load_backbone(directory, TransformersConfig(theirs, **settings))


def sources(
    model: TransformersBackbone, seed: int, images: bool, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Ids, mask and pixels of 5 rows, the last two with an image each."""
    generator = torch.Generator().manual_seed(seed)
    pad = model.config.pad_token_id
    pixels_NCHW = None
    rows = [torch.randint(9, ROWS, (n,), generator=generator).tolist() for n in (3, 7, 5, 2, 4)]
    if images:
        size = (2, 3, *model.config.image_size)
        pixels_NCHW = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
        before, behind = model.config.around_image
        places = [*before, *[IMAGE] * model.config.image_tokens, *behind]
        rows[3:] = [places + row for row in rows[3:]]
    longest = max(map(len, rows))
    fill = [[pad] * (longest - len(row)) for row in rows]
    ids = [f + r if left else r + f for f, r in zip(fill, rows, strict=True)]
    masks = [
        [0] * len(f) + [1] * len(r) if left else [1] * len(r) + [0] * len(f)
        for f, r in zip(fill, rows, strict=True)
    ]
    return torch.tensor(ids), torch.tensor(masks), pixels_NCHW


def theirs_see(model: TransformersBackbone, pixels: torch.Tensor | None) -> dict[str, Any]:
    """Pixels as their processor would give them."""
    if pixels is None:
        return {}
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.3, 0.4])
    scaled = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    return {"pixel_values": scaled}


@torch.inference_mode()
def test_the_head_is_what_gives_logits(family: str, tmp_path: Path) -> None:
    make(family, tmp_path)
    model = load(tmp_path)
    head = model.head()
    assert head is not None
    hidden_XM = torch.randn(3, model.config.d_model)
    logits = torch.nn.functional.linear(hidden_XM * head.scale, head.weight, head.bias)
    if head.cap is not None:
        logits = torch.tanh(logits / head.cap) * head.cap
    torch.testing.assert_close(logits, model.logits(hidden_XM))


@torch.inference_mode()
@pytest.mark.parametrize("images", [False, True])
def test_logits_are_those_of_transformers(family: str, images: bool, tmp_path: Path) -> None:
    if images and family not in WITH_IMAGES:
        pytest.skip("reads text alone")
    theirs = make(family, tmp_path)
    model = load(tmp_path)
    ids, mask, pixels = sources(model, 1, images)
    target = torch.randint(9, ROWS, (len(ids), 9))
    inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": target}
    expected = theirs(**inputs, **theirs_see(model, pixels)).logits
    found = model(**inputs, pixel_values=pixels).logits
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4


@torch.inference_mode()
@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("beams", [1, 4])
def test_what_is_written_is_what_transformers_writes(
    family: str, beams: int, images: bool, tmp_path: Path
) -> None:
    if images and family not in WITH_IMAGES:
        pytest.skip("reads text alone")
    lengths = set()
    for seed in range(5):
        theirs = make(family, tmp_path / str(seed), seed)
        model = load(tmp_path / str(seed))
        ids, mask, pixels = sources(model, seed, images)
        expected = theirs.generate(
            input_ids=ids,
            attention_mask=mask,
            **theirs_see(model, pixels),
            do_sample=False,
            num_beams=beams,
            max_new_tokens=LIMIT,
            decoder_start_token_id=model.config.decoder_start_token_id,
        )[:, 1:]
        memory = encode(model, ids, mask, pixels)
        if beams == 1:
            found = write(model, memory, LIMIT)
        else:
            found = beam_search(model, memory, LIMIT, beams)
        for row, answers in enumerate(found):
            length = len(answers[0].ids)
            assert answers[0].ids == expected[row, :length].tolist()
            ends = {model.config.pad_token_id, model.config.eos_token_id}
            assert set(expected[row, length:].tolist()) <= ends
            lengths.add(length)
    assert len(lengths) > 1  # some end at once, some late


@torch.inference_mode()
@pytest.mark.parametrize("at_once", [1, 1 << 28])
def test_choices_score_as_if_each_were_alone(
    family: str, at_once: int, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(cached, "MOST_BYTES", at_once)
    make(family, tmp_path)
    model = load(tmp_path)
    ids, mask, pixels = sources(model, 2, family in WITH_IMAGES)
    end = model.config.eos_token_id
    long = [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]  # beyond the window
    choices = [[20, end], [20, 21, end], [30, 31, end], [30, 32, 33, end], [*long, end]]
    memory = encode(model, ids, mask, pixels)
    scorer = ChoiceScorer(choices, model.config.decoder_start_token_id, torch.device("cpu"))
    found_BC = scorer(model, memory)
    for place, choice in enumerate(choices):
        labels_BT = torch.tensor([choice] * len(ids))
        gained_BTV = read_targets(model, memory, labels_BT).log_softmax(-1)
        expected_B = gained_BTV.gather(2, labels_BT[..., None]).sum((1, 2))
        assert found_BC[:, place] == pytest.approx(expected_B, abs=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("images", [False, True])
def test_it_is_all_one_on_which_side_t5gemma2_is_padded(images: bool, tmp_path: Path) -> None:
    """Its positions are relative; BART and its kin count from the left, and so does our padding."""
    make("t5gemma2", tmp_path)
    model = load(tmp_path)
    written = []
    for left in (False, True):
        memory = encode(model, *sources(model, 3, images, left))
        written.append([row[0].ids for row in write(model, memory, LIMIT)])
    assert written[0] == written[1]


@pytest.mark.parametrize("family", WITH_IMAGES)
def test_a_batch_without_images_uses_the_image_branch(family: str, tmp_path: Path) -> None:
    """ZeRO needs the same graph at each step; the gradient of the blank image is zero."""
    make(family, tmp_path)
    model = load(tmp_path).train()
    ids, mask, _ = sources(model, 1, False)
    model(input_ids=ids, attention_mask=mask, labels=ids).loss.backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None]
    seen = [name for name in gradients if "vision_tower" in name or "projector" in name]
    assert seen
    assert all(not gradients[name].any() for name in seen)


@pytest.mark.parametrize("family", WITH_IMAGES)
def test_training_is_a_function_of_the_batch(family: str, tmp_path: Path) -> None:
    """Florence-2's own configuration drops paths in training."""
    make(family, tmp_path)
    model = load(tmp_path).train()
    ids, mask, pixels = sources(model, 1, True)
    losses = {
        model(input_ids=ids, attention_mask=mask, pixel_values=pixels, labels=ids).loss.item()
        for _ in range(3)
    }
    assert len(losses) == 1


@pytest.mark.parametrize("family", WITH_IMAGES)
def test_places_of_images_are_counted_by_row(family: str, tmp_path: Path) -> None:
    make(family, tmp_path)
    model = load(tmp_path)
    ids, mask, pixels = sources(model, 1, True)
    ids[0, 0], ids[3, ids[3].eq(IMAGE).nonzero()[0, 0]] = IMAGE, 20  # the sum stays
    with pytest.raises(UserError, match="row 0 of a batch has 1 places of images"):
        encode(model, ids, mask, pixels)


def test_features_of_images_may_be_given(tmp_path: Path) -> None:
    make("florence2", tmp_path)
    model = load(tmp_path)
    ids, mask, pixels = sources(model, 1, True)
    assert pixels is not None
    with torch.inference_mode():
        features = model.image_features(pixels)
        assert features.shape[:2] == (2, model.config.image_tokens)
        seen = encode(model, ids, mask, image_features=features).hidden_ASM
        assert torch.equal(seen, encode(model, ids, mask, pixels).hidden_ASM)


@torch.inference_mode()
def test_new_rows_leave_the_old_ones(family: str, tmp_path: Path) -> None:
    theirs = make(family, tmp_path)
    model = load(tmp_path)
    model.resize(256)
    assert model.config.vocab_size == 256
    ids, mask, pixels = sources(model, 1, family in WITH_IMAGES)
    inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids}
    expected = theirs(**inputs, **theirs_see(model, pixels)).logits
    found = model(**inputs, pixel_values=pixels).logits
    assert found.shape[-1] == 256
    assert (found[..., :ROWS] - expected).abs().max() < 1e-4
    new = torch.full_like(ids, 200)
    assert model(input_ids=new, attention_mask=mask, decoder_input_ids=new).logits.isfinite().all()


@torch.inference_mode()
def test_what_is_saved_is_loaded_here_and_by_transformers(family: str, tmp_path: Path) -> None:
    theirs = make(family, tmp_path / "theirs", max_shard_size="20KB")
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1  # in shards
    model = load(tmp_path / "theirs")
    model.resize(256)
    (tmp_path / "ours").mkdir()
    model.save_weights(tmp_path / "ours")
    again = load_backbone(
        tmp_path / "ours",
        TransformersConfig(model.config.to_dict(), image_size=model.config.image_size),
    )
    ids, mask, _ = sources(model, 1, False)
    inputs = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids}
    expected = model(**inputs).logits
    assert torch.equal(again(**inputs).logits, expected)
    opened, told = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not told["missing_keys"]
    assert not told["unexpected_keys"]
    assert (opened(**inputs).logits - expected).abs().max() < 1e-4


def test_no_family_is_missing_here() -> None:
    assert set(FAMILIES) == set(CONFIGS)


def test_checkpointed_activations_give_the_same_gradients(tmp_path: Path, family: str) -> None:
    make(family, tmp_path)
    found = []
    for checkpointed in (False, True):
        model = load(tmp_path).train()
        if checkpointed:
            model.checkpoint_activations()
        ids_BS, mask_BS, pixels_NCHW = sources(model, 1, family in WITH_IMAGES)
        kept = 0

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += tensor.numel()
            return tensor

        torch.manual_seed(0)  # the drop path of Florence-2
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = model(ids_BS, mask_BS, pixels_NCHW, labels=ids_BS.clamp(min=9))
        assert output.loss is not None
        output.loss.backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        found.append((gradients, kept))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-7)
    assert found[1][1] < found[0][1]
