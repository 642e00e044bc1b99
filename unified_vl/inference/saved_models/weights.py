"""The weights of a saved model: compared with its configuration before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from transformers.initialization import no_init_weights

from unified_vl.errors import UserError
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.int8 import take_int8_parts
from unified_vl.model.pretrained.tensor_files import refuse_no_number
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

WHOLE_BYTES = {"I8": torch.int8}  # matrices of int8
FLOATS = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
WHOLE = {"I64": torch.int64, "BOOL": torch.bool}  # buffers, such as the count of a batch norm
Header = Mapping[str, tuple[tuple[int, ...], str]]


def load_weights(
    path: Path, config: UnifiedVLConfig, *, check: bool = False
) -> UnifiedVLForConditionalGeneration:
    """The model with every weight from the file.

    Args:
        path: a safetensors file.
        config: of the model.
        check: also that every weight is a finite number.

    Raises:
        UserError: naming the weight, when one is missing, too many, of another shape or type, or
            no finite number.
    """
    if not path.is_file():
        raise UserError("the model's weights are missing", file=path)
    try:
        with safe_open(path, framework="pt") as file:
            header: Header = {
                name: (tuple(part.get_shape()), part.get_dtype())
                for name in file.keys()  # noqa: SIM118 (no mapping)
                for part in [file.get_slice(name)]
            }
            dtype = _check_header(path, header, config)
            with no_init_weights():
                model = _built(config)
            model.to(dtype)  # type: ignore[arg-type]
            state = model.state_dict()
            for name in header:
                tensor = file.get_tensor(name)
                if check:
                    refuse_no_number(name, tensor, path)
                state[name].copy_(tensor)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise UserError(f"these weights cannot be read: {error}", file=path) from error
    return model


def _built(config: UnifiedVLConfig) -> UnifiedVLForConditionalGeneration:
    """A model of the configuration, whose weights are yet to come."""
    int8 = bool(getattr(config, "int8", False))
    model = UnifiedVLForConditionalGeneration(config)
    if int8:
        take_int8_parts(model)
    else:
        model.tie_weights()
    return model


def _check_header(path: Path, header: Header, config: UnifiedVLConfig) -> torch.dtype:
    """Compare names, shapes and types with those of the model; returns its type.

    The model is built without memory for its weights: sizes that the file does not have would
    otherwise fill the machine's before they could be refused.
    """
    with torch.device("meta"):
        expected = _built(config).state_dict()
    if config.tie_word_embeddings:
        expected.pop("lm_head.weight", None)
    for name, weight in expected.items():
        kind = header[name][1] if name in header else None
        known: Mapping[str, torch.dtype] = FLOATS if weight.is_floating_point() else WHOLE
        if weight.dtype == torch.int8:
            known = WHOLE_BYTES
        if kind is not None and kind not in known:
            raise UserError(
                f"the weight {name!r} is of type {kind}", file=path, expected=" or ".join(known)
            )
    wrong = [name for name in expected if header.get(name, (None,))[0] != expected[name].shape]
    wrong += [name for name in header if name not in expected]
    if wrong:
        raise UserError(
            f"{len(wrong)} of the {len(header)} weights do not fit config.json, "
            f"such as {min(wrong)!r}",
            file=path,
        )
    kinds = {kind for _, kind in header.values() if kind in FLOATS}
    return FLOATS[kinds.pop()] if len(kinds) == 1 else torch.float32
