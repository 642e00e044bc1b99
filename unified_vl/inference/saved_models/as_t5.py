"""The text part of a saved model as a T5 of `transformers`: weights, configuration, tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.texts.text_codec import SPACE
from unified_vl.codecs.texts.tokenizers_file import TokenizersText
from unified_vl.errors import UserError
from unified_vl.files import new_directory, write_atomically
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.int8 import refuse_int8
from unified_vl.model.pretrained.t5 import EMBEDDING, HEAD, block_parts
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

FEED_FORWARD = {  # (activation, gated) by the name that transformers has for it
    ("gelu_new", True): "gated-gelu",
    ("gelu", True): "gated-gelu_python",
    ("silu", True): "gated-silu",
    ("relu", True): "gated-relu",
    **{(name, False): name for name in ("gelu_new", "gelu", "silu", "relu")},
}
SAME = (
    *("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads"),
    *("relative_attention_num_buckets", "relative_attention_max_distance", "dropout_rate"),
    *("layer_norm_epsilon", "pad_token_id", "eos_token_id", "decoder_start_token_id"),
)


@dataclass(frozen=True)
class WrittenT5:
    """What was written.

    Attributes:
        left_out: parts that a T5 does not have.
        notes: what a user of it has to know.
    """

    left_out: list[str]
    notes: list[str]


def write_t5(saved: SavedModel, directory: Path) -> WrittenT5:
    """Write a directory that `T5ForConditionalGeneration.from_pretrained` loads.

    Ids stay: tags and locations are special tokens such as `<task:say>` and `<location:17>`. A
    divided attention goes into the weights of queries, a scaled output with a head of its own into
    the head, so logits are the same.

    Args:
        saved: of `load_model`.
        directory: to write, whole or not at all; one that is there is replaced.

    Raises:
        UserError: for a model that is none of T5's kin, or a tokenizer that cannot be written.
    """
    model = _own(saved.model)
    config = model.config
    left = [
        said
        for said, part in (
            ("the image branch", model.encoder.vision),
            ("the positions of images in codes", model.encoder.code_positions),
        )
        if part is not None
    ]
    tied, scaled = config.tie_word_embeddings, config.scale_decoder_output
    kind = "umt5" if config.bias_per_layer else "t5"
    values = {key: getattr(config, key) for key in SAME} | {
        "model_type": kind,
        "architectures": [f"{'UMT5' if kind == 'umt5' else 'T5'}ForConditionalGeneration"],
        "feed_forward_proj": FEED_FORWARD[config.activation, config.gated],
        "is_encoder_decoder": True,
        "scale_decoder_outputs": tied and scaled,
        "tie_word_embeddings": tied and scaled,
        "torch_dtype": str(model.dtype).removeprefix("torch."),
    }
    with new_directory(directory) as partial:
        weights = {name: part.contiguous() for name, part in _weights(model).items()}
        save_file(weights, partial / "model.safetensors", metadata={"format": "pt"})
        write_atomically(partial / "config.json", json.dumps(values, indent=1))
        start = {key: values[key] for key in SAME[-3:]}
        write_atomically(partial / "generation_config.json", json.dumps(start, indent=1))
        notes = _write_tokenizer(saved.codec, partial)
    return WrittenT5(left, notes)


def _own(model: Any) -> UnifiedVLForConditionalGeneration:
    """The model, where it is one of T5's kin.

    Raises:
        UserError: where it is not.
    """
    if not isinstance(model, UnifiedVLForConditionalGeneration):
        raise UserError(
            "the layers of this model are those of `transformers`, and not those of a T5",
            expected="a model of this project's own architecture; a saved model of another one is "
            "a checkpoint of `transformers` already",
        )
    refuse_int8(model, "written as a T5")
    model.config.refuse_two_streams("model.encoder", "written as a T5")
    config = model.config
    if config.bias_per_layer and not (config.tie_word_embeddings and config.scale_decoder_output):
        raise UserError(
            "a model with biases in every layer and no tied, scaled head cannot be a umT5 of "
            "transformers, whose version 5 divides the output of each",
            field="bias_per_layer",
        )
    return model


@torch.no_grad()
def _weights(model: UnifiedVLForConditionalGeneration) -> dict[str, torch.Tensor]:
    config: UnifiedVLConfig = model.config
    state = model.state_dict()
    found = {
        "shared.weight": state[EMBEDDING],
        "encoder.final_layer_norm.weight": state["encoder.norm.weight"],
        "decoder.final_layer_norm.weight": state["decoder.norm.weight"],
    }
    if not (config.tie_word_embeddings and config.scale_decoder_output):
        scale = config.d_model**-0.5 if config.scale_decoder_output else 1.0
        found[HEAD] = state[HEAD] * scale
    depths = (("encoder", config.num_layers), ("decoder", config.num_decoder_layers))
    for side, depth in depths:
        for layer in range(depth):
            own = layer == 0 or config.bias_per_layer
            for ours, theirs in block_parts(side, layer, gated=config.gated, own_bias=own):
                parts = state[ours].chunk(len(theirs))
                for name, part in zip(theirs, parts, strict=True):
                    folded = config.scale_attention and name.endswith("Attention.q.weight")
                    found[name] = part * config.d_kv**-0.5 if folded else part.clone()
    return found


def _write_tokenizer(codec: SequenceCodec, directory: Path) -> list[str]:
    vocabulary, text = codec.vocabulary, codec.text
    pieces = text.pieces(list(vocabulary.special))
    configuration: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": pieces[0],
        "eos_token": pieces[1],
        "unk_token": pieces[2],
        "model_max_length": codec.max_source,
        "clean_up_tokenization_spaces": False,
    }
    more = [f"<{tag}>" for tag in vocabulary.tags]
    more += [f"<location:{place}>" for place in range(len(vocabulary.locations))]
    notes = []
    if isinstance(text, SentencePieceText):
        tokenizer = _unigram(text)
        write_atomically(directory / "spiece.model", text.content)
    elif isinstance(text, TokenizersText):
        tokenizer = Tokenizer.from_str(text.content.decode())
    else:
        configuration |= {"tokenizer_class": "ByT5Tokenizer", "extra_ids": 0}
        notes.append("bytes have no ids of tags and locations in a tokenizer of transformers")
        write_atomically(directory / "tokenizer_config.json", json.dumps(configuration, indent=1))
        return notes
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in more])
    write_atomically(directory / "tokenizer.json", tokenizer.to_str())
    write_atomically(directory / "tokenizer_config.json", json.dumps(configuration, indent=1))
    notes.append("the tokenizer adds no end: write the end's piece behind a source")
    return notes


def _unigram(text: SentencePieceText) -> Tokenizer:
    """The pieces and scores of a SentencePiece model in `tokenizers`."""
    if not text.proto.is_unigram:
        raise UserError(
            "a SentencePiece model of another kind than unigram has no equal in tokenizers",
            field="tokenizer",
        )
    unk = text.special_ids["unk_id"]
    found = Tokenizer(models.Unigram(text.scored(), unk, bool(text.byte_ids)))
    rules = text.proto.charsmap
    steps: list[Any] = [normalizers.Precompiled(rules) if rules else normalizers.NFC()]
    if text.proto.removes_spaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    found.normalizer = normalizers.Sequence(steps)
    found.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "always", split=False)
    found.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    found.add_special_tokens(
        [AddedToken(piece, special=True) for piece in text.pieces(sorted(text.control_ids))]
    )
    return found
