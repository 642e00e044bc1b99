"""Smaller models are cut out of larger ones, and compute what these would without the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.training.compression.compress import Pruning
from unified_vl.training.compression.importance import importance
from unified_vl.training.compression.pruning import (
    best,
    composed,
    fewer_layers,
    prunable,
    smaller,
)

RESAMPLER = {"kind": "resampler", "tokens": 3, "layers": 1}


def model_of(**keys: Any) -> UnifiedVLForConditionalGeneration:
    torch.manual_seed(0)
    vision = {"kind": "patches", "image_size": [8, 8], "patch_size": 4, **keys.pop("vision", {})}
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 12, "num_layers": 2, "num_heads": 3}
    config = UnifiedVLConfig(
        **{"vocab_size": 40, "image_token_id": 39, "vision": vision, **sizes, **keys}
    )
    return UnifiedVLForConditionalGeneration(config).eval()


def logits_of(model: Any, image: bool = True) -> torch.Tensor:
    ids_BS = torch.arange(2, 22).view(2, 10).clone()
    pixels = None
    if image:
        ids_BS[:, : model.config.image_tokens] = 39
        pixels = torch.arange(2 * 3 * 64).view(2, 3, 8, 8).to(torch.uint8)
    mask_BS = torch.ones_like(ids_BS)
    mask_BS[1, 8:] = 0
    with torch.no_grad():
        return model(
            ids_BS, mask_BS, pixels, decoder_input_ids=torch.tensor([[0, 5, 6], [0, 7, 8]])
        ).logits


def kept_of(model: Any, heads: tuple[int, ...], units: tuple[int, ...]) -> dict[str, Any]:
    parts = prunable(model)
    return dict.fromkeys(parts.attentions, heads) | dict.fromkeys(parts.feeds, units)


WAYS = [
    {},
    {"gated": False, "activation": "relu"},
    {"bias_per_layer": True},
    {"tie_word_embeddings": True},
    {"vision": {"pool": RESAMPLER}},
]


@pytest.mark.parametrize("keys", WAYS)
def test_a_model_of_all_heads_and_units_is_the_model(keys: dict[str, Any]) -> None:
    model = model_of(**keys)
    whole = smaller(model, kept_of(model, (0, 1, 2), tuple(range(12))))
    torch.testing.assert_close(logits_of(whole), logits_of(model))


@pytest.mark.parametrize("keys", WAYS)
def test_what_is_cut_out_computes_as_if_the_rest_gave_nothing(keys: dict[str, Any]) -> None:
    """Each attention loses another head, and each layer other units."""
    model = model_of(**keys)
    parts = prunable(model)
    torch.manual_seed(1)
    kept = {n: tuple(sorted(torch.randperm(3)[:2].tolist())) for n in parts.attentions}
    kept |= {n: tuple(sorted(torch.randperm(12)[:5].tolist())) for n in parts.feeds}
    found = smaller(model, kept)
    assert found.num_parameters() < model.num_parameters()
    assert (found.config.num_heads, found.config.d_ff) == (2, 5)
    with torch.no_grad():
        for name, attention in parts.attentions.items():
            for head in set(range(3)) - set(kept[name]):
                attention.out.weight[:, head * 4 : head * 4 + 4] = 0
        for name, feed in parts.feeds.items():
            feed.wo.weight[:, sorted(set(range(12)) - set(kept[name]))] = 0
    torch.testing.assert_close(logits_of(found), logits_of(model))
    torch.testing.assert_close(logits_of(found, image=False), logits_of(model, image=False))


def test_rounds_are_told_by_the_heads_of_the_first_model() -> None:
    model = model_of()
    first = kept_of(model, (0, 2), (1, 3, 5, 7))
    then = kept_of(model, (1,), (0, 3))
    twice = smaller(smaller(model, first), then)
    once = smaller(model, composed(first, then))
    torch.testing.assert_close(twice.state_dict(), once.state_dict())


def test_groups_that_do_nothing_matter_least() -> None:
    model = model_of()
    parts = prunable(model)
    with torch.no_grad():
        for attention in parts.attentions.values():
            attention.out.weight[:, 4:8] = 0
        for feed in parts.feeds.values():
            feed.wo.weight[:, [0, 7]] = 0
    kept = best(importance(model, [], "magnitude"), 2, 10)
    assert all(kept[name] == (0, 2) for name in parts.attentions)
    assert all(kept[name] == (1, 2, 3, 4, 5, 6, 8, 9, 10, 11) for name in parts.feeds)


@pytest.mark.parametrize(("encoder", "decoder", "blocks"), [(2, 1, [1, 3]), (4, 2, [0, 1, 2, 3])])
def test_fewer_layers_are_evenly_chosen(encoder: int, decoder: int, blocks: list[int]) -> None:
    model = model_of(num_layers=4, num_decoder_layers=2)
    found = fewer_layers(model, encoder, decoder)
    own, theirs = found.encoder.blocks, model.encoder.blocks
    for place, block in enumerate(blocks):
        torch.testing.assert_close(own[place].feed.state_dict(), theirs[block].feed.state_dict())
    if blocks == [0, 1, 2, 3]:
        torch.testing.assert_close(logits_of(found), logits_of(model))
    assert own[0].position_bias is not None


@pytest.mark.parametrize(
    ("share", "rounds", "of", "left"),
    [(0.5, 1, 8, [4]), (0.5, 2, 8, [6, 4]), (0.75, 2, 16, [8, 4]), (0.9, 1, 4, [1])],
)
def test_rounds_take_the_same_share_of_what_is_left(
    share: float, rounds: int, of: int, left: list[int]
) -> None:
    how = Pruning(share, rounds)
    assert [how.left(of, number) for number in range(1, rounds + 1)] == left
