"""Public T5, UL2, mT5 and umT5 weights as a `UnifiedVLForConditionalGeneration`."""

from __future__ import annotations

import torch
from transformers import PretrainedConfig, PreTrainedModel

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

SUPPORTED = ("t5", "mt5", "umt5")
ACTIVATION_OF = {  # names of transformers; those of one row are one function
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh"), "gelu_new"),
    **dict.fromkeys(("gelu_fast", "gelu_accurate"), "gelu_new"),
    **dict.fromkeys(("gelu", "gelu_python"), "gelu"),
    **dict.fromkeys(("silu", "swish"), "silu"),
    "relu": "relu",
}
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
        source: a `T5ForConditionalGeneration` (T5 v1.0, v1.1, UL2), or an mT5 or umT5.

    Raises:
        UserError: for another architecture, or an activation that this model does not have.
    """
    theirs = source.config
    activation = ACTIVATION_OF.get(getattr(theirs, "dense_act_fn", ""))
    if theirs.model_type not in SUPPORTED or activation is None:
        raise UserError(
            f"a {theirs.model_type} model with feed-forward "
            f"{getattr(theirs, 'feed_forward_proj', '?')!r} cannot be converted",
            expected="T5, UL2, mT5 or umT5 (feed_forward_proj 'gated-gelu', 'gated-silu', "
            "'gated-relu', or one of them without a gate)",
        )
    state = source.state_dict()
    head = state.get("lm_head.weight", state["shared.weight"])
    tied = bool(torch.equal(head, state["shared.weight"]))
    config = UnifiedVLConfig(
        **{key: getattr(theirs, key) for key in _COPIED},
        scale_attention=False,
        bias_per_layer=theirs.model_type == "umt5",
        scale_decoder_output=_scales_decoder_output(theirs, tied),
        activation=activation,
        gated=theirs.is_gated_act,
        tie_word_embeddings=tied,
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


def _scales_decoder_output(theirs: PretrainedConfig, tied: bool) -> bool:
    """Whether the architecture was trained with outputs divided by the root of the width.

    T5 says it in its configuration, mT5 never does. umT5 was trained with a head of its own and
    no scale (T5X; `transformers` 4.57); version 5 of `transformers` takes every umT5 for tied and
    divides, which is right only where the head is the embedding.
    """
    if theirs.model_type == "umt5":
        return tied
    return bool(getattr(theirs, "scale_decoder_outputs", False))


def _block(state: dict[str, torch.Tensor], side: str, layer: int) -> dict[str, torch.Tensor]:
    """The weights of one block under this project's names."""
    theirs = f"{side}.block.{layer}.layer"
    ours = f"{side}.blocks.{layer}"
    attention = f"{theirs}.0.SelfAttention"
    feed = 2 if side == "decoder" else 1
    dense = f"{theirs}.{feed}.DenseReluDense"
    wi = ("wi",) if f"{dense}.wi.weight" in state else ("wi_0", "wi_1")

    def joined(*names: str) -> torch.Tensor:
        return torch.cat([state[f"{name}.weight"] for name in names])

    weights = {
        f"{ours}.norm_self.weight": state[f"{theirs}.0.layer_norm.weight"],
        f"{ours}.attend_self.qkv.weight": joined(*(f"{attention}.{x}" for x in "qkv")),
        f"{ours}.attend_self.out.weight": state[f"{attention}.o.weight"],
        f"{ours}.norm_feed.weight": state[f"{theirs}.{feed}.layer_norm.weight"],
        f"{ours}.feed.wi.weight": joined(*(f"{dense}.{x}" for x in wi)),
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
