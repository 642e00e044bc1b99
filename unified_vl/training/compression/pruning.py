"""A smaller model of whole heads and feed-forward units of a larger one.

What is taken away leaves the matrices, so that what is left is an ordinary model: smaller on disk,
and faster. All attentions keep as many heads, and all feed-forward layers as many units, since
`num_heads` and `d_ff` are numbers of the whole model; *which* ones differs from layer to layer. The
heads of a layer keep their own position biases, so the smaller model has them in every layer
(`bias_per_layer`). With nothing taken away it computes what the larger one does.

Legend: H heads, D width of a head, F inner width of the feed-forward layer, M width of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.layers.attention import CrossAttention, SelfAttention
from unified_vl.model.layers.blocks import FeedForward
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

Kept = Mapping[str, tuple[int, ...]]
"""What is left of each module by name: numbers of heads, or of units, in ascending order."""


@dataclass(frozen=True)
class Prunable:
    """The modules of a model that lose heads or units, by name."""

    attentions: dict[str, SelfAttention | CrossAttention]
    feeds: dict[str, FeedForward]


def prunable(model: nn.Module) -> Prunable:
    """Those of a model: of its blocks, and of a resampler of its images."""
    named = list(model.named_modules())
    return Prunable(
        {n: each for n, each in named if isinstance(each, SelfAttention | CrossAttention)},
        {n: each for n, each in named if isinstance(each, FeedForward)},
    )


def like(model: UnifiedVLForConditionalGeneration, **keys: Any) -> Any:
    """A new model of the same configuration, but for these keys of it."""
    values = {**model.config.to_dict(), **keys}
    for remark in ("model_type", "transformers_version", "architectures", "auto_map"):
        values.pop(remark, None)
    found: Any = UnifiedVLForConditionalGeneration(UnifiedVLConfig(**values))
    return found.to(dtype=model.dtype)


def smaller(model: UnifiedVLForConditionalGeneration, kept: Kept) -> Any:
    """A model of the heads and units that are kept, with the weights that they have.

    Args:
        model: in evaluation mode or not; it stays as it is.
        kept: of each module of `prunable`; as many of each kind.
    """
    parts = prunable(model)
    heads = {len(kept[name]) for name in parts.attentions}
    units = {len(kept[name]) for name in parts.feeds}
    assert len(heads) == len(units) == 1, "a configuration has one number of heads and of units"
    found = like(model, num_heads=heads.pop(), d_ff=units.pop(), bias_per_layer=True)
    weights = {**model.state_dict(), **_weights_of_bias(model, kept)}
    for name, attention in parts.attentions.items():
        weights.update(_attention(name, attention, kept[name]))
    for name, feed in parts.feeds.items():
        weights.update(_feed(name, feed, kept[name]))
    found.load_state_dict(weights)
    return found.train(model.training)


def _attention(
    name: str, attention: SelfAttention | CrossAttention, heads: tuple[int, ...]
) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of an attention's heads: rows of its query, key and value, columns of `out`."""
    index = torch.tensor(heads)

    def rows(weight: torch.Tensor) -> torch.Tensor:
        by_head = weight.detach().unflatten(
            0, (-1, attention.heads, attention.inner // attention.heads)
        )
        return by_head[:, index].flatten(0, 2)

    for part in ("qkv",) if isinstance(attention, SelfAttention) else ("q", "kv"):
        yield f"{name}.{part}.weight", rows(getattr(attention, part).weight)
    yield f"{name}.out.weight", rows(attention.out.weight.T).T.contiguous()


def _feed(
    name: str, feed: FeedForward, units: tuple[int, ...]
) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights of units: their rows of gate and value, their columns of `wo`."""
    index = torch.tensor(units)
    inner = feed.wo.in_features
    wi = feed.wi.weight.detach().unflatten(0, (-1, inner))
    yield f"{name}.wi.weight", wi[:, index].flatten(0, 1)
    yield f"{name}.wo.weight", feed.wo.weight.detach()[:, index].contiguous()


def _weights_of_bias(model: Any, kept: Kept) -> dict[str, torch.Tensor]:
    """The position biases of each layer, of its own heads."""
    found = {}
    for side in ("encoder", "decoder"):
        weight: torch.Tensor | None = None
        for layer, block in enumerate(getattr(model, side).blocks):
            place = f"{side}.blocks.{layer}"
            if block.position_bias is not None:
                weight = block.position_bias.weight.detach()
            assert weight is not None, "the first layer has one"
            index = torch.tensor(kept[f"{place}.attend_self"])
            found[f"{place}.position_bias.weight"] = weight[:, index].contiguous()
    return found


def composed(first: Kept, then: Kept) -> dict[str, tuple[int, ...]]:
    """What is left of the first model, where `then` is of what `first` left of it."""
    return {name: tuple(first[name][each] for each in left) for name, left in then.items()}


def best(scores: Mapping[str, torch.Tensor], heads: int, units: int) -> dict[str, tuple[int, ...]]:
    """The most important heads and units of each module.

    Args:
        scores: of each module of `prunable`, (H,) or (F,); of an attention by `heads:NAME`.
        heads, units: how many are left.
    """
    found = {}
    for name, score in scores.items():
        kind, _, module = name.partition(":")
        count = heads if kind == "heads" else units
        order = score.sort(descending=True, stable=True).indices[:count]
        found[module] = tuple(sorted(order.tolist()))
    return found


def fewer_layers(
    model: UnifiedVLForConditionalGeneration, encoder: int, decoder: int
) -> UnifiedVLForConditionalGeneration:
    """A model of some of the blocks, evenly chosen, the last among them (arXiv 1910.01108).

    Args:
        model: it stays as it is.
        encoder, decoder: how many blocks are left.
    """
    chosen = {
        "encoder": _even(model.config.num_layers, encoder),
        "decoder": _even(model.config.num_decoder_layers, decoder),
    }
    found = like(model, num_layers=encoder, num_decoder_layers=decoder)
    weights = {}
    for name, weight in model.state_dict().items():
        side, _, rest = name.partition(".blocks.")
        number, _, part = rest.partition(".")
        shared = part.startswith("position_bias") and not model.config.bias_per_layer
        if side not in chosen or shared:
            weights[name] = weight  # the first block has the biases of all
        elif int(number) in chosen[side]:
            weights[f"{side}.blocks.{chosen[side].index(int(number))}.{part}"] = weight
    found.load_state_dict(weights)
    whole: UnifiedVLForConditionalGeneration = found.train(model.training)
    return whole


def _even(of: int, count: int) -> list[int]:
    return [-(-number * of // count) - 1 for number in range(1, count + 1)]
