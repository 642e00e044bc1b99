"""Public VQGAN weights, in the format of `diffusers`' `VQModel`, to an `ImageTokenizer`.

Only its folder of `config.json` and `diffusion_pytorch_model.safetensors` is read; `diffusers`
itself is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.image_tokenizer.image_tokenizer import CONFIG, ImageTokenizer
from unified_vl.specs.image_tokenizer import ConvolutionSpec, QuantizerSpec

THEIR_WEIGHTS = "diffusion_pytorch_model.safetensors"
PLAIN, ATTENDING = ("DownEncoderBlock2D", "UpDecoderBlock2D"), ("AttnDownEncoderBlock2D",)
_NAMES = (  # theirs, ours
    (r"^(encoder|decoder)\.conv_norm_out\.", r"\1.norm_out."),
    (r"\.mid_block\.resnets\.0\.", ".middle.first."),
    (r"\.mid_block\.attentions\.0\.", ".middle.attention."),
    (r"\.mid_block\.resnets\.1\.", ".middle.last."),
    (r"\.(?:down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0\.conv\.", r".sampler.\1."),
    (r"\.(?:down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.", r".levels.\1.\2.\3."),
    (r"\.conv_shortcut\.", ".shortcut."),
    (r"\.group_norm\.", ".norm."),
    (r"\.to_(q|k|v)\.", r".\1."),
    (r"\.to_out\.0\.", ".out."),
    (r"^quant_conv\.", "before."),
    (r"^post_quant_conv\.", "after."),
)


def from_vqmodel(directory: Path) -> ImageTokenizer:
    """The image tokenizer with the same weights, in evaluation mode; its codes are the same.

    Args:
        directory: a saved `VQModel`.

    Raises:
        UserError: when a file is missing or broken, or the model has parts that an
            `ImageTokenizer` has not.
    """
    config, weights = directory / CONFIG, directory / THEIR_WEIGHTS
    for path in (config, weights):
        if not path.is_file():
            raise UserError("there is no such file", file=path, expected="a saved VQModel")
    tokenizer = _empty(read_json_object(config), config)
    try:
        theirs = load_file(weights)
    except SafetensorError as error:
        raise UserError(f"these are no weights: {error}", file=weights) from error
    try:
        tokenizer.load_state_dict(_renamed(theirs, tokenizer))
    except (RuntimeError, KeyError) as error:
        said = str(error).strip().split("\n")[-1].strip()
        raise UserError(f"these are not its weights: {said}", file=weights) from error
    return tokenizer.eval()


def _empty(values: Mapping[str, Any], path: Path) -> ImageTokenizer:
    """The tokenizer of a VQModel's configuration, whose weights are yet to come."""
    try:
        kinds = [*values["down_block_types"], *values["up_block_types"]]
        latent = int(values["latent_channels"])
        given = {
            "act_fn": ("silu", values.get("act_fn", "silu")),
            "norm_type": ("group", values.get("norm_type", "group")),
            "vq_embed_dim": (latent, values.get("vq_embed_dim") or latent),
            "in_channels": (3, values.get("in_channels", 3)),
            "out_channels": (3, values.get("out_channels", 3)),
            "block types": ([], [kind for kind in kinds if kind not in _known(kinds)]),
        }
        for key, (expected, found) in given.items():
            if found != expected:
                message = f"found {found!r}"
                raise UserError(message, file=path, field=key, expected=repr(expected))
        attention = [n for n, kind in enumerate(values["down_block_types"]) if kind in ATTENDING]
        model = ConvolutionSpec(
            channels=tuple(values["block_out_channels"]),
            blocks=values["layers_per_block"],
            groups=values["norm_num_groups"],
            latent=latent,
            attention=tuple(attention),
            attend_in_the_middle=values.get("mid_block_add_attention", True),
        )
        quantizer = QuantizerSpec(kind="vq", codes=values["num_vq_embeddings"])
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(f"this is no VQModel's configuration: {error}", file=path) from error
    return ImageTokenizer(model, quantizer, projected=True)


def _known(kinds: list[str]) -> tuple[str, ...]:
    return (*PLAIN, *ATTENDING, "AttnUpDecoderBlock2D")


def _renamed(
    theirs: Mapping[str, torch.Tensor], tokenizer: ImageTokenizer
) -> dict[str, torch.Tensor]:
    """Their tensors by our names; what a training of ours keeps beside the codebook is made."""
    found = tokenizer.state_dict()
    for name, tensor in theirs.items():
        if name == "quantize.embedding.weight":
            found["quantizer.inner._codebook.embed"] = tensor[None].float()
            found["quantizer.inner._codebook.embed_avg"] = tensor[None].float()
            found["quantizer.inner._codebook.cluster_size"] = torch.ones(1, len(tensor))
            found["quantizer.inner._codebook.initted"] = torch.ones_like(
                found["quantizer.inner._codebook.initted"]
            )
        else:
            found[_ours(name, tokenizer)] = tensor
    return found


def _ours(name: str, tokenizer: ImageTokenizer) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    half, _, rest = name.partition(".")
    attends = tokenizer.model_spec.attend_in_the_middle
    places = {"first": 0, "attention": 1, "last": 2 if attends else 1}
    rest = re.sub(r"^middle\.(\w+)\.", lambda m: f"middle.{places[m[1]]}.", rest)
    rest = re.sub(r"^sampler\.", "down." if half == "encoder" else "up.", rest)
    level = re.match(r"levels\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", rest)
    if level:
        levels = len(tokenizer.model_spec.channels)
        number, block = int(level[1]), int(level[3])
        own = number if half == "encoder" else levels - 1 - number
        wide = own in tokenizer.model_spec.attention
        place = block * 2 + (level[2] == "attentions") if wide else block
        rest = f"levels.{number}.{place}.{level[4]}"
    return f"{half}.{rest}"
