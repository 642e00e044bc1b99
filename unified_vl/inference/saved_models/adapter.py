"""A saved model whose weights are an adapter: what was trained, and where all else lies.

    adapter.json                  the model that it was trained beside, rank and alpha
    adapter_model.safetensors     the adapters' matrices, named as `peft` names them
    adapter_config.json           for `peft`, which opens the folder beside the same model
    other_weights.safetensors     weights that the model beside it has not, or not like this:
                                  those trained whole, and the rows of another vocabulary

Nothing else of a model directory changes: tokenizer and specs are in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from safetensors.torch import save_file
from transformers.initialization import no_init_weights

from unified_vl.errors import UserError
from unified_vl.files import write_atomically
from unified_vl.model.backbone import Backbone
from unified_vl.model.backbones.adapter import empty_backbone, our_name
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.pretrained.pretrained import Pretrained
from unified_vl.model.pretrained.tensor_files import TensorFiles, refuse_no_number
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.model.saved_configuration import CONFIG, load_configuration, load_json
from unified_vl.model.tuning.adapters import KIND, A, B, adapted_layers
from unified_vl.model.tuning.names import saved_name, second_names
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.run_record import ADAPTER
from unified_vl.specs.reading.document import Document
from unified_vl.specs.reading.parse import Parsed, json_origin, validate
from unified_vl.specs.runs.lora import Alpha, LoraSpec, Rank

MATRICES = "adapter_model.safetensors"
OTHERS = "other_weights.safetensors"
OF_PEFT = "base_model.model."  # before every name


class AdapterSpec(Document):
    """What `adapter.json` says."""

    base: Annotated[str, Field(min_length=1)]
    beside: Annotated[str, Field(min_length=1)] | None = None
    fingerprint: Annotated[str, Field(min_length=1)]
    rank: Rank
    alpha: Alpha


@dataclass(frozen=True)
class Adapter:
    """What is to be written of a model with adapters.

    Attributes:
        base: a directory, or a name of the hub, as `model.from` has it.
        beside: the way there from the folder of the adapter, so that both can be moved together;
            None for a name of the hub.
        fingerprint: of what lies there.
        lora: the keys that the adapters were made by.
        weights: of the model with its adapters, by the names of its `state_dict`, in float32.
        others: names of those that are not as they are in the base.
        name_of: what a layer is called by `peft`, which wraps the model that the base is.
    """

    base: str
    fingerprint: str
    lora: LoraSpec
    weights: Mapping[str, torch.Tensor]
    others: tuple[str, ...]
    beside: str | None = None
    name_of: Callable[[str], str] = str

    def write(self, folder: Path) -> None:
        """Write the files of the adapter."""
        from peft import LoraConfig

        layers = adapted_layers(self.weights)
        matrices = {
            f"{OF_PEFT}{self.name_of(saved_name(layer + matrix))}": self.weights[
                layer + matrix
            ].contiguous()
            for layer in layers
            for matrix in (A, B)
        }
        save_file(matrices, folder / MATRICES, metadata={"format": "pt"})
        if self.others:
            others = {saved_name(name): self.weights[name].contiguous() for name in self.others}
            save_file(others, folder / OTHERS, metadata={"format": "pt"})
        rank, alpha = self.lora.rank, self.lora.alpha
        LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]
            lora_dropout=self.lora.dropout,
            target_modules=[self.name_of(layer) for layer in layers],
            base_model_name_or_path=self.base,
            inference_mode=True,
        ).save_pretrained(str(folder))
        told = {"base": self.base, "fingerprint": self.fingerprint, "rank": rank, "alpha": alpha}
        if self.beside is not None:
            told["beside"] = self.beside
        write_atomically(folder / ADAPTER, json.dumps(told, indent=1))


def unlike(
    weights: Mapping[str, torch.Tensor],
    base: Pretrained,
    dtype: torch.dtype,
    again: Container[str] = (),
) -> tuple[str, ...]:
    """The names of the weights that are not as in the base, adapters aside.

    Args:
        weights: of a model with adapters, by the names of its `state_dict`, in float32.
        base: what it started from.
        dtype: that it was trained in, to which the base's weights were rounded.
        again: names of tied weights that are there under another name.
    """
    found = []
    for name, weight in weights.items():
        if name.endswith((A, B)) or name in again:
            continue
        shape = base.shapes.get(saved_name(name))
        if shape is not None and tuple(shape) == tuple(weight.shape):
            theirs = base.read(saved_name(name))
            if theirs.is_floating_point():
                theirs = theirs.to(dtype)
            if torch.equal(theirs.to(weight.dtype), weight):
                continue
        found.append(name)
    return tuple(found)


def load_adapted(
    directory: Path, config: UnifiedVLConfig | TransformersConfig, *, check: bool = False
) -> Backbone:
    """The model of a folder with an adapter, merged with what lies at its base.

    Args:
        directory: that `Adapter.write` wrote to.
        config: of the model.
        check: also that every weight is a finite number.

    Raises:
        UserError: naming the file, where the base is not there or another, or weights do not fit.
    """
    path = directory / ADAPTER
    told = validate(AdapterSpec, Parsed(load_json(path), json_origin(path)))
    base = _open_base(directory, told, config)
    others = TensorFiles([directory / OTHERS] if (directory / OTHERS).is_file() else [])
    matrices = TensorFiles([directory / MATRICES])
    model = _empty(config)
    again = second_names(model)
    state = {name: each for name, each in model.state_dict().items() if name not in again}
    for name, weight in state.items():
        here = name in others
        found = others[name].shape if here else base.shapes.get(name)
        if found is None or tuple(found) != tuple(weight.shape):
            raise UserError(
                f"the weight {name!r} {'is missing' if found is None else f'has shape {found}'}",
                file=directory / OTHERS if here else base.directory,
                expected=f"{list(weight.shape)}, as config.json says",
            )
        weight.copy_(others.read(name) if here else base.read(name))
    _add(state, matrices, told, our_name if isinstance(config, TransformersConfig) else str)
    for name, weight in state.items():
        if check:
            refuse_no_number(name, weight, directory)
    return model


def count_weights(directory: Path) -> int:
    """How many numbers the weights of the model of a folder with an adapter hold.

    Raises:
        UserError: for a configuration that is missing or broken.
    """
    with torch.device("meta"):
        model = _empty(load_configuration(directory / CONFIG))
    again = second_names(model)
    return sum(each.numel() for name, each in model.state_dict().items() if name not in again)


def _empty(config: UnifiedVLConfig | TransformersConfig) -> Backbone:
    """A model whose weights are still to come."""
    if isinstance(config, TransformersConfig):
        return empty_backbone(config)
    with no_init_weights():
        model = UnifiedVLForConditionalGeneration(config)
    model.tie_weights()
    return model


def _open_base(
    directory: Path, told: AdapterSpec, config: UnifiedVLConfig | TransformersConfig
) -> Pretrained:
    source = told.base
    if told.beside is not None and not Path(source).is_dir():
        moved = directory / told.beside
        source = str(moved) if moved.is_dir() else source
    try:
        base = open_pretrained(source)
    except UserError as error:
        raise told.error(
            ("base",),
            f"{told.base!r}, which this adapter was trained beside, cannot be opened: {error}",
            expected="the directory or hub name of that model",
        ) from error
    theirs = isinstance(base, TransformersCheckpoint)
    if theirs != isinstance(config, TransformersConfig):
        raise told.error(
            ("base",),
            f"{told.base!r} is {'' if theirs else 'not '}a model that `transformers` computes, "
            f"and this adapter's is {'not' if theirs else 'one'}",
            expected="the model that it was trained beside",
        )
    if base.fingerprint != told.fingerprint:
        raise told.error(
            ("fingerprint",),
            f"{told.base!r} (fingerprint {base.fingerprint}) is not what this adapter was trained "
            "beside",
            expected=f"fingerprint {told.fingerprint}",
        )
    return base.in_memory() if isinstance(base, TransformersCheckpoint) else base


def _add(
    state: Mapping[str, torch.Tensor],
    matrices: TensorFiles,
    told: AdapterSpec,
    name_of: Callable[[str], str],
) -> None:
    """Add the product of each adapter's matrices to the weight that it stands beside.

    Args:
        name_of: what the model here calls a layer of `peft`'s.
    """
    first, second = saved_name(A), saved_name(B)
    layers = dict.fromkeys(
        name.removeprefix(OF_PEFT).removesuffix(first).removesuffix(second) for name in matrices
    )
    for layer in layers:
        weight = state.get(name_of(layer) + KIND)
        names = [f"{OF_PEFT}{layer}{matrix}" for matrix in (first, second)]
        shapes = [matrices[name].shape if name in matrices else None for name in names]
        if weight is None or shapes != [(told.rank, weight.shape[1]), (weight.shape[0], told.rank)]:
            raise UserError(
                f"the adapter of {layer!r} does not fit the model",
                file=matrices.paths[0],
                expected=f"two matrices of rank {told.rank} beside a weight of the model",
            )
        a, b = (matrices.read(name).float() for name in names)
        weight.add_(told.alpha / told.rank * (b @ a))
