"""A T5, UL2, mT5 or umT5 of `transformers` in memory, in this project's modules.

From files `model.from` reads it (`unified_vl.model.pretrained.t5`), without a second copy.
"""

from __future__ import annotations

import torch
from transformers import PretrainedConfig, PreTrainedModel

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.t5 import ACTIVATION_OF, T5_TYPES, block_parts
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

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
    if theirs.model_type not in T5_TYPES or activation is None:
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
            own = layer == 0 or config.bias_per_layer
            for ours, parts in block_parts(side, layer, gated=config.gated, own_bias=own):
                weights[ours] = torch.cat([state[part] for part in parts])
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
