"""T5 and its kin as they are published: T5 v1.0 and v1.1, Flan-T5, UL2, mT5, umT5 and ByT5.

Weights are found by the names that `transformers` gives them in safetensors files, whole or in
shards; sizes are from `config.json`, also from those of years ago, which leave keys out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from unified_vl.codecs.texts.published import published_text
from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object
from unified_vl.model.pretrained.rows import ROWS_AT_ONCE
from unified_vl.model.pretrained.tensor_files import TensorFiles, weight_files
from unified_vl.model.saved_configuration import CONFIG
from unified_vl.specs.runs.model import Architecture

T5_TYPES = ("t5", "mt5", "umt5")
EMBEDDING, HEAD = "encoder.embedding.weight", "lm_head.weight"
SHARED = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
ACTIVATION_OF = {  # names of transformers; those of one row are one function
    **dict.fromkeys(("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh"), "gelu_new"),
    **dict.fromkeys(("gelu_fast", "gelu_accurate"), "gelu_new"),
    **dict.fromkeys(("gelu", "gelu_python"), "gelu"),
    **dict.fromkeys(("silu", "swish"), "silu"),
    "relu": "relu",
}
_BLOCK = re.compile(r"(encoder|decoder)\.block\.")
_IDLE = "EncDecAttention.relative_attention_bias.weight"  # in T5 v1.0's files, of no use
DEFAULTS = {  # of configurations that do not say them
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
}


class T5:
    """A directory of the layout that the hub has; a `Pretrained`.

    Args:
        directory: with `config.json`, safetensors and the tokenizer's files.

    Raises:
        UserError: naming the file that is missing or broken, the key of an architecture that is
            another, or the tokenizer that does not fit the embedding.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.about = f"the checkpoint {directory}"
        self._files = TensorFiles(weight_files(directory))
        config = read_json_object(directory / CONFIG)
        self._parts = _parts(config, self._files, directory)
        head = self._parts[HEAD][0]
        tied = head not in self._files or self._equal(head, self._parts[EMBEDDING][0])
        if tied:
            del self._parts[HEAD]
        self.architecture = _architecture(config, tied, directory / CONFIG)

    @cached_property
    def row_names(self) -> Sequence[str | None]:
        """By the tokenizer beside the weights; rows behind its ids have none."""
        names = published_text(self.directory).names
        rows = self.shapes[EMBEDDING][0]
        if len(names) > rows:
            raise UserError(
                f"its tokenizer has {len(names)} ids, its embedding {rows} rows",
                file=self.directory,
                expected="the tokenizer that its weights were trained with",
            )
        return [*names, *[None] * (rows - len(names))]

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        found = {}
        for name, parts in self._parts.items():
            shapes = [self._files[part].shape for part in parts]
            found[name] = (sum(shape[0] for shape in shapes), *shapes[0][1:])
        return found

    def read(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        wanted = range(*slice(start, stop).indices(self.shapes[name][0]))
        found = []
        first = 0
        for part in self._parts[name]:
            rows = self._files[part].shape[0]
            low, high = max(wanted.start - first, 0), min(wanted.stop - first, rows)
            if low < high:
                found.append(self._files.read(part, low, high))
            first += rows
        return found[0] if len(found) == 1 else torch.cat(found)

    @cached_property
    def fingerprint(self) -> str:
        return self._files.fingerprint(self.directory / CONFIG)

    def _equal(self, name: str, other: str) -> bool:
        shape = self._files[name].shape
        if shape != self._files[other].shape:
            return False
        at_once = max(1, ROWS_AT_ONCE // max(shape[1], 1))
        return all(
            torch.equal(
                self._files.read(name, start, start + at_once),
                self._files.read(other, start, start + at_once),
            )
            for start in range(0, shape[0], at_once)
        )


def _architecture(config: Mapping[str, Any], tied: bool, path: Path) -> dict[str, Any]:
    """The keys of a run's `model`.

    T5 says in its configuration whether the decoder's output is scaled: by a key of its own, or, in
    older ones, by `tie_word_embeddings`. mT5 never scales. umT5 was trained with a head of its own
    and no scale (T5X); version 5 of `transformers` divides all the same, which is right only where
    the head is the embedding.
    """
    values = {key: config.get(key, usual) for key, usual in DEFAULTS.items()}
    depth = config.get("num_decoder_layers")
    values["num_decoder_layers"] = values["num_layers"] if depth is None else depth
    written = str(config.get("feed_forward_proj", "relu"))
    before, _, act = written.rpartition("-")
    activation = "gelu_new" if written == "gated-gelu" else ACTIVATION_OF.get(act)
    if activation is None or before not in ("", "gated"):
        known = [f"{gate}{name}" for gate in ("", "gated-") for name in ACTIVATION_OF]
        raise UserError(
            f"found {written!r}",
            file=path,
            field="feed_forward_proj",
            expected="an activation of this model, as in 'relu' or 'gated-gelu'",
            nearest=nearest(written, known),
        )
    kind = config["model_type"]
    says = config.get("scale_decoder_outputs", config.get("tie_word_embeddings") is not False)
    scales = {"t5": bool(says), "mt5": False, "umt5": tied}[kind]
    values |= {
        "encoder": {"kind": "joint"},
        "activation": activation,
        "gated": before == "gated",
        "bias_per_layer": kind == "umt5",
        "scale_attention": False,
        "scale_decoder_output": scales,
        "tie_word_embeddings": tied,
    }
    try:
        Architecture.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        found = f"found {problem['input']!r}: {problem['msg']}"
        raise UserError(found, file=path, field=key) from error
    return values


def _parts(
    config: Mapping[str, Any], files: TensorFiles, directory: Path
) -> dict[str, tuple[str, ...]]:
    """By this project's names the weights, one below the other, that each is made of."""
    embedding = next((name for name in SHARED if name in files), None)
    if embedding is None:
        raise UserError(
            f"the weight {SHARED[0]!r} is missing",
            file=directory,
            expected=f"the weights of a {config['model_type']} model",
            nearest=nearest(SHARED[0], list(files)),
        )
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated-")
    found: dict[str, tuple[str, ...]] = {
        EMBEDDING: (embedding,),
        HEAD: (HEAD,),
        "encoder.norm.weight": ("encoder.final_layer_norm.weight",),
        "decoder.norm.weight": ("decoder.final_layer_norm.weight",),
    }
    layers = config.get("num_layers", DEFAULTS["num_layers"])
    depth = config.get("num_decoder_layers")
    for side, count in (("encoder", layers), ("decoder", layers if depth is None else depth)):
        if not isinstance(count, int) or not 0 < count <= 512:
            field = "num_layers" if side == "encoder" else "num_decoder_layers"
            raise UserError(f"found {count!r}", file=directory / CONFIG, field=field)
        for layer in range(count):
            own = layer == 0 or config["model_type"] == "umt5"
            found |= dict(block_parts(side, layer, gated=gated, own_bias=own))
    missing = [p for name, parts in found.items() if name != HEAD for p in parts if p not in files]
    if missing:
        raise UserError(
            f"the weight {missing[0]!r} is missing",
            file=directory,
            expected=f"the {sum(map(len, found.values()))} weights that {CONFIG} says",
            nearest=nearest(missing[0], [n for n in files if n not in SHARED]),
        )
    known = {part for parts in found.values() for part in parts}
    for name in files:
        if name not in known and _BLOCK.match(name) and not name.endswith(_IDLE):
            raise UserError(
                f"the weight {name!r} is none of this model",
                file=directory,
                expected=f"the layers and feed-forward layers that {CONFIG} says",
            )
    return found


def block_parts(
    side: str, layer: int, *, gated: bool, own_bias: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Of a block the weights by this project's names, and the names of `transformers`."""
    theirs, ours = f"{side}.block.{layer}.layer", f"{side}.blocks.{layer}"
    attention = f"{theirs}.0.SelfAttention"
    feed = 2 if side == "decoder" else 1
    dense = f"{theirs}.{feed}.DenseReluDense"
    yield f"{ours}.norm_self.weight", (f"{theirs}.0.layer_norm.weight",)
    yield f"{ours}.attend_self.qkv.weight", tuple(f"{attention}.{x}.weight" for x in "qkv")
    yield f"{ours}.attend_self.out.weight", (f"{attention}.o.weight",)
    yield f"{ours}.norm_feed.weight", (f"{theirs}.{feed}.layer_norm.weight",)
    inner = ("wi_0", "wi_1") if gated else ("wi",)
    yield f"{ours}.feed.wi.weight", tuple(f"{dense}.{x}.weight" for x in inner)
    yield f"{ours}.feed.wo.weight", (f"{dense}.wo.weight",)
    if own_bias:
        bias = f"{attention}.relative_attention_bias.weight"
        yield f"{ours}.position_bias.weight", (bias,)
    if side == "decoder":
        cross = f"{theirs}.1.EncDecAttention"
        yield f"{ours}.norm_cross.weight", (f"{theirs}.1.layer_norm.weight",)
        yield f"{ours}.attend_cross.q.weight", (f"{cross}.q.weight",)
        yield f"{ours}.attend_cross.kv.weight", (f"{cross}.k.weight", f"{cross}.v.weight")
        yield f"{ours}.attend_cross.out.weight", (f"{cross}.o.weight",)
