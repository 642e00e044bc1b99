"""An encoder of two streams: what each reads, what passes by, and what it refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.testing import assert_close

from unified_vl.decoding.decoders.compiled import compile_model
from unified_vl.errors import UserError
from unified_vl.export.onnx_directory import own_model
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

IMAGE = 2  # the id of an image's four places
SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 4,
    "d_ff": 24,
    "num_heads": 4,
    "num_decoder_layers": 1,
    "image_token_id": IMAGE,
    "vision": {"kind": "patches", "image_size": [8, 8], "patch_size": 4},
}
STREAMS = {"kind": "two_streams", "cross_layers": 1}
TEXT = [5, 6, 7, 1, 0, 0, 0, 0]
SEEN = [8, IMAGE, IMAGE, IMAGE, IMAGE, 9, 3, 1]


@pytest.fixture(scope="module")
def model() -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    config = UnifiedVLConfig(**SIZES, num_layers=3, encoder=STREAMS)
    return UnifiedVLForConditionalGeneration(config).eval()


def pixels(seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8, generator=random)


def encode(
    model: UnifiedVLForConditionalGeneration, rows: list[list[int]], *images: torch.Tensor
) -> torch.Tensor:
    ids_BS = torch.tensor(rows)
    return model.encode(ids_BS, (ids_BS > 0).long(), torch.cat(images) if images else None)


def test_a_text_alone_is_what_a_joint_encoder_of_its_layers_makes_of_it(
    model: UnifiedVLForConditionalGeneration,
) -> None:
    joint = UnifiedVLForConditionalGeneration(UnifiedVLConfig(**SIZES, num_layers=2)).eval()
    streams: Any = model.encoder.streams
    joint.encoder.blocks = streams.text
    joint.encoder.embedding, joint.encoder.norm = model.encoder.embedding, model.encoder.norm
    assert_close(encode(model, [TEXT])[:, :4], encode(joint, [TEXT])[:, :4])


@pytest.mark.parametrize("training", [False, True])
def test_a_row_is_the_same_whatever_it_stands_beside(
    model: UnifiedVLForConditionalGeneration, training: bool
) -> None:
    model.train(training)
    both = encode(model, [TEXT, SEEN], pixels(1))
    assert_close(both[0, :4], encode(model, [TEXT[:4]])[0])
    longer = [*SEEN[:-1], 9, 9, 9, 1]
    many = encode(model, [longer, [*SEEN, 0, 0, 0]], pixels(2), pixels(1))
    assert_close(many[1, :8], both[1])
    model.eval()


def test_streams_meet_in_the_cross_modal_layers_alone(
    model: UnifiedVLForConditionalGeneration,
) -> None:
    text, words = [0, 5, 6, 7], slice(5, 8)
    first, second = (encode(model, [SEEN], pixels(seed))[0] for seed in (1, 2))
    assert not torch.allclose(first[words], second[words], atol=1e-3)
    apart = copy.deepcopy(model)
    streams: Any = apart.encoder.streams
    for block in (*streams.cross_text, *streams.cross_image):
        block.attend_cross.out.weight.data.zero_()
    first, second = (encode(apart, [SEEN], pixels(seed))[0] for seed in (1, 2))
    assert_close(first[text], second[text])  # the words know nothing of the image
    assert not torch.allclose(first[1:5], second[1:5], atol=1e-3)
    other = [11, *SEEN[1:5], 12, 13, 1]  # nor the image of the words
    assert_close(encode(apart, [other], pixels(1))[0, 1:5], first[1:5])
    assert not torch.allclose(encode(apart, [other], pixels(1))[0, 5], first[5], atol=1e-3)


def test_all_weights_learn_and_without_images_they_are_all_computed(
    model: UnifiedVLForConditionalGeneration,
) -> None:
    learner = copy.deepcopy(model).train()
    for rows, images in (([SEEN], [pixels(1)]), ([TEXT], [])):
        learner.zero_grad()
        encode(learner, rows, *images).square().sum().backward()
        gradients = {name: each.grad for name, each in learner.encoder.named_parameters()}
        assert all(grad is not None for grad in gradients.values())
        idle = {name for name, grad in gradients.items() if grad is not None and not grad.any()}
        assert bool(idle) is not bool(images), idle


def test_the_same_with_activation_checkpointing(model: UnifiedVLForConditionalGeneration) -> None:
    gradients = []
    for checkpointed in (False, True):
        learner = copy.deepcopy(model).train()
        if checkpointed:
            learner.checkpoint_activations()
        encode(learner, [SEEN], pixels(1)).square().sum().backward()
        gradients.append([each.grad for each in learner.encoder.parameters()])
    assert_close(*gradients)


@pytest.mark.parametrize(("call", "done"), [(compile_model, "compiled"), (own_model, "exported")])
def test_what_needs_a_joint_encoder_is_refused(
    model: UnifiedVLForConditionalGeneration, call: Any, done: str
) -> None:
    with pytest.raises(UserError, match=f"encoder has two streams cannot be {done}"):
        call(model)
