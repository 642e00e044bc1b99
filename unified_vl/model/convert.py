"""Public T5 v1.1, mT5 and umT5 weights as a `UnifiedVLForConditionalGeneration`."""

from __future__ import annotations

import torch
from transformers import PretrainedConfig, PreTrainedModel

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

SUPPORTED = ("t5", "mt5", "umt5")
_COPIED = (
    "d_model",
    "d_kv",
    "d_ff",
    "num_layers",
    "num_decoder_layers",
    "num_heads",
    "relative_attention_num_buckets",
    "relative_attention_max_distance",
    "dropout_rate",
    "layer_norm_epsilon",
    "vocab_size",
)


def from_t5(source: PreTrainedModel) -> UnifiedVLForConditionalGeneration:
    """The same text model, with the same logits, in this project's modules.

    Args:
        source: a `T5ForConditionalGeneration` of version 1.1, or an mT5 or umT5.

    Raises:
        UserError: for another architecture, or T5 v1.0 (its feed-forward has no gate).
    """
    theirs = source.config
    if theirs.model_type not in SUPPORTED or not getattr(theirs, "is_gated_act", False):
        raise UserError(
            f"a {theirs.model_type} model with feed-forward "
            f"{getattr(theirs, 'feed_forward_proj', '?')!r} cannot be converted",
            expected="T5 v1.1, mT5 or umT5 (feed_forward_proj 'gated-gelu')",
        )
    state = source.state_dict()
    head = state.get("lm_head.weight", state["shared.weight"])
    config = UnifiedVLConfig(
        **{key: getattr(theirs, key) for key in _COPIED},
        scale_attention=False,
        bias_per_layer=theirs.model_type == "umt5",
        scale_decoder_output=_scales_decoder_output(theirs),
        tie_word_embeddings=bool(torch.equal(head, state["shared.weight"])),
    )
    model = UnifiedVLForConditionalGeneration(config)
    weights = {
        "encoder.embedding.weight": state["shared.weight"],
        "encoder.norm.weight": state["encoder.final_layer_norm.weight"],
        "decoder.norm.weight": state["decoder.final_layer_norm.weight"],
        "lm_head.weight": head,
    }
    for side, depth in (("encoder", config.num_layers), ("decoder", config.num_decoder_layers)):
        for layer in range(depth):
            weights |= _block(state, side, layer)
    model.load_state_dict(weights)
    return model.eval()


def _scales_decoder_output(theirs: PretrainedConfig) -> bool:
    """Each architecture of `transformers` says it differently; mT5 never scales."""
    if theirs.model_type == "umt5":
        return bool(theirs.tie_word_embeddings)
    return bool(getattr(theirs, "scale_decoder_outputs", False))


def _block(state: dict[str, torch.Tensor], side: str, layer: int) -> dict[str, torch.Tensor]:
    """The weights of one block under this project's names."""
    theirs = f"{side}.block.{layer}.layer"
    ours = f"{side}.blocks.{layer}"
    attention = f"{theirs}.0.SelfAttention"
    feed = 2 if side == "decoder" else 1
    dense = f"{theirs}.{feed}.DenseReluDense"

    def joined(*names: str) -> torch.Tensor:
        return torch.cat([state[f"{name}.weight"] for name in names])

    weights = {
        f"{ours}.norm_self.weight": state[f"{theirs}.0.layer_norm.weight"],
        f"{ours}.attend_self.qkv.weight": joined(*(f"{attention}.{x}" for x in "qkv")),
        f"{ours}.attend_self.out.weight": state[f"{attention}.o.weight"],
        f"{ours}.norm_feed.weight": state[f"{theirs}.{feed}.layer_norm.weight"],
        f"{ours}.feed.wi.weight": joined(f"{dense}.wi_0", f"{dense}.wi_1"),
        f"{ours}.feed.wo.weight": state[f"{dense}.wo.weight"],
    }
    bias = f"{attention}.relative_attention_bias.weight"
    if bias in state:
        weights[f"{ours}.position_bias.weight"] = state[bias]
    if side == "decoder":
        cross = f"{theirs}.1.EncDecAttention"
        weights |= {
            f"{ours}.norm_cross.weight": state[f"{theirs}.1.layer_norm.weight"],
            f"{ours}.attend_cross.q.weight": state[f"{cross}.q.weight"],
            f"{ours}.attend_cross.kv.weight": joined(f"{cross}.k", f"{cross}.v"),
            f"{ours}.attend_cross.out.weight": state[f"{cross}.o.weight"],
        }
    return weights
