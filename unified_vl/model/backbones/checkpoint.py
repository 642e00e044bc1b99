"""Read a checkpoint of `transformers` from a folder: JSON and safetensors, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers.utils import logging as transformers_logging

from unified_vl.errors import UserError, number_of
from unified_vl.files import read_json_object
from unified_vl.model.backbones.adapter import OWN_BRANCH, TransformersBackbone
from unified_vl.model.backbones.configuration import ATTENTION, TransformersConfig
from unified_vl.model.pretrained.tensor_files import (
    WEIGHTS,
    adapters_alone,
    refuse_no_number,
    refuse_pickles,
)

PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def image_settings(directory: Path) -> dict[str, Any]:
    """`mean`, `std` and `image_size`, as far as the checkpoint's image processor says them.

    Raises:
        UserError: for numbers that cannot be those of images.
    """
    for name in PROCESSORS:
        path = directory / name
        if not path.is_file():
            continue
        said = read_json_object(path)
        said = said.get("image_processor", said)
        if not isinstance(said, Mapping):
            continue
        found: dict[str, Any] = {}
        if said.get("do_normalize", True):
            for key, theirs in (("mean", "image_mean"), ("std", "image_std")):
                if theirs in said:
                    found[key] = _channels(said[theirs], path, theirs)
        else:
            found |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
        size = said.get("size")
        if isinstance(size, Mapping) and {"height", "width"} <= set(size):
            found["image_size"] = _size(size, path)
        if found:
            return found
    return {}


def _channels(value: Any, path: Path, key: str) -> tuple[float, ...]:
    positive = key == "image_std"
    right = isinstance(value, list) and len(value) == 3
    if not right or not all(_is_number(one) and (one > 0 or not positive) for one in value):
        raise UserError(
            f"found {value!r}",
            file=path,
            field=key,
            expected="three positive numbers" if positive else "three numbers",
        )
    return tuple(float(one) for one in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _size(size: Mapping[str, Any], path: Path) -> tuple[int, int]:
    sides = size["height"], size["width"]
    if not all(isinstance(side, int) and 0 < side <= 8192 for side in sides):
        raise UserError(
            f"found {dict(size)}", file=path, field="size", expected="a height and a width"
        )
    return sides


def refuse_others(directory: Path) -> None:
    """Raise where the weights are no safetensors, or not all of the model's.

    Raises:
        UserError: naming the file, and how to convert it.
    """
    if (directory / "adapter_config.json").is_file():
        raise adapters_alone(
            directory / "adapter_config.json",
            "the model that they were merged into (peft: `merge_and_unload`)",
        )
    if any(directory.glob("*.safetensors")):
        return
    refuse_pickles(directory)
    raise UserError("the model's weights are missing", file=directory / WEIGHTS)


def load_backbone(
    directory: Path,
    config: TransformersConfig,
    *,
    check: bool = False,
    fresh_vision: bool = False,
) -> TransformersBackbone:
    """The model with every weight from the folder, in float32.

    Args:
        directory: has `config.json` and safetensors, whole or in shards.
        config: made of that `config.json`.
        check: look at every weight, which must be a finite number.
        fresh_vision: an image branch of this project is not there, and starts at random.

    Raises:
        UserError: naming the weight, when one is missing, too many, of another shape, or no
            finite number.
    """
    refuse_others(directory)
    kind = getattr(transformers, config.family.model_class)
    try:
        with quiet_transformers():
            model, told = kind.from_pretrained(
                directory,
                config=config.theirs,
                use_safetensors=True,
                local_files_only=True,
                attn_implementation=ATTENTION,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (OSError, RuntimeError, ValueError, SafetensorError, KeyError) as error:
        reason = " ".join(str(error).split())[:400]
        raise UserError(f"these weights cannot be read: {reason}", file=directory) from error
    backbone = TransformersBackbone(config, model)
    unexpected = {name for name in told["unexpected_keys"] if not config.family.unused(name)}
    missing = set(told["missing_keys"])
    if backbone.vision is not None and not fresh_vision:
        ours = {name for name in unexpected if name.startswith(OWN_BRANCH)}
        unexpected -= ours
        missing |= _fill_vision(backbone, directory)
    for names, what in ((missing, "missing"), (unexpected, "not of this model")):
        if names:
            raise UserError(
                f"{number_of(len(names), 'weight')} {what}, such as {min(names)!r}", file=directory
            )
    if check:
        for name, weight in backbone.named_parameters():
            refuse_no_number(name, weight, directory)
    return backbone.eval()


def _fill_vision(backbone: TransformersBackbone, directory: Path) -> set[str]:
    """Load the image branch of this project; returns the names that are missing."""
    assert backbone.vision is not None
    state = backbone.vision.state_dict()
    with safe_open(directory / WEIGHTS, framework="pt") as file:
        there = {name for name in file.keys() if name.startswith(OWN_BRANCH)}  # noqa: SIM118
        for name in there:
            key = name.removeprefix(OWN_BRANCH)
            shape = tuple(file.get_slice(name).get_shape())
            if key not in state or tuple(state[key].shape) != shape:
                raise UserError(
                    f"the weight {name!r} of shape {list(shape)} does not fit config.json",
                    file=directory / WEIGHTS,
                )
            state[key].copy_(file.get_tensor(name))
    return {OWN_BRANCH + key for key in state} - there


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """What `transformers` says of the weights is said by us, as one error."""
    shown = transformers_logging.is_progress_bar_enabled()
    level = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if shown:
            transformers_logging.enable_progress_bar()
