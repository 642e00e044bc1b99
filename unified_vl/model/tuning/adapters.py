"""Low-rank adapters (LoRA, arXiv 2106.09685) beside a model's matrices, by `peft`.

An adapter of a matrix W (O, I) is B A, with A (R, I) drawn at random and B (O, R) of zeros: W x
becomes W x + alpha / R * B A x, which at first is W x. Query, key and value of our attention are
one matrix, and get one adapter: its A is the same for the three.

Legend: R rank, I width of a layer's input, O of its output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from unified_vl.errors import UserError, nearest
from unified_vl.extras import require
from unified_vl.model.tuning.freezing import still_norms
from unified_vl.model.tuning.names import ADAPTER, BASE, matching, named_weights
from unified_vl.specs.runs.lora import LoraSpec

A, B = f".lora_A.{ADAPTER}.weight", f".lora_B.{ADAPTER}.weight"
KIND = ".weight"


def add_adapters(model: nn.Module, lora: LoraSpec) -> None:
    """Put adapters beside the matrices that a run names, and freeze all else but `also_train`.

    Args:
        model: has `lora_targets`, the patterns of the layers that get one unless others are named.
        lora: the run's keys.

    Raises:
        UserError: naming the key, when a pattern matches nothing, or `peft` is not installed.
    """
    require("peft")
    from peft import LoraConfig

    targets = _targets(model, lora)
    weights = named_weights(model)
    whole = [
        name
        for index, pattern in enumerate(lora.also_train)
        for name in matching(pattern, model, weights, f"lora.also_train.{index}")
    ]
    for name in whole:
        if (module := name.removesuffix(KIND)) in targets:
            raise UserError(
                f"{name!r} is trained whole and would have an adapter too",
                field="lora.also_train",
                expected=f"targets that leave {module!r} out, or no such pattern here",
            )
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=targets,
    )
    _inject(config, model)
    for name in whole:
        weights[name].requires_grad_(True)
    still_norms(model)


def _inject(config: Any, model: nn.Module) -> None:
    """Let `peft` put its layers in, and see nothing of the model but its modules.

    With a configuration it would look for renamed weights of published checkpoints, which asks
    for more of a model than that it is a module.
    """
    from peft import inject_adapter_in_model

    modules = nn.Module()
    for name, child in model.named_children():
        modules.add_module(name, child)
    inject_adapter_in_model(config, modules, ADAPTER)
    for name, child in modules.named_children():
        model.add_module(name, child)


def _targets(model: nn.Module, lora: LoraSpec) -> list[str]:
    """The names of the linear layers that get an adapter."""
    linear = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    first = {id(weight): name for name, weight in named_weights(model).items()}
    patterns = lora.targets
    if patterns is None:
        patterns = getattr(model, "lora_targets", None)
        if patterns is None:
            raise UserError(
                "this model does not say which of its layers get adapters",
                field="lora.targets",
                expected=_expected(linear),
            )
    found: dict[str, None] = {}
    for index, pattern in enumerate(patterns):
        names = [name for name in linear if fnmatchcase(name, pattern)]
        if not names:
            raise UserError(
                f"no linear layer is called {pattern!r}",
                field="lora.targets" if lora.targets is None else f"lora.targets.{index}",
                expected=_expected(linear),
                nearest=_nearest(pattern, linear),
            )
        for name in names:
            if (tied := first[id(linear[name].weight)]) != name + KIND:
                raise UserError(
                    f"{name!r} is tied to {tied!r}, which an adapter would part it from",
                    field=f"lora.targets.{index}",
                    expected=f"also_train: [{tied}]",
                )
        found.update(dict.fromkeys(names))
    return list(found)


def _last(names: Mapping[str, nn.Module]) -> list[str]:
    return [f"*.{name}" for name in dict.fromkeys(each.rpartition(".")[2] for each in names)]


def _expected(linear: Mapping[str, nn.Module]) -> str:
    return f"patterns of linear layers, such as {', '.join(_last(linear)[:6])}"


def _nearest(pattern: str, linear: Mapping[str, nn.Module]) -> str | None:
    if f"{pattern}.*" in {f"{name.rpartition('.')[0]}.*" for name in linear}:
        return f"{pattern}.*"
    stem, dot, last = pattern.rpartition(".")
    ends = nearest(last, {each.removeprefix("*.") for each in _last(linear)})
    if ends is not None and ends != last and any(fnmatchcase(n, stem + dot + ends) for n in linear):
        return stem + dot + ends
    return nearest(pattern, linear)


def adapted_layers(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of the layers with adapters, among the names of a `state_dict`."""
    return [name.removesuffix(A) for name in weights if name.endswith(A)]


def merged_weights(weights: Mapping[str, torch.Tensor], lora: LoraSpec) -> dict[str, torch.Tensor]:
    """The weights of a model without adapters that computes the same.

    Args:
        weights: of a model with adapters, by the names of its `state_dict`, in float32.
        lora: of `add_adapters`.
    """
    merged = {}
    for name, weight in weights.items():
        if name.endswith((A, B)):
            continue
        if (layer := name.removesuffix(BASE + KIND)) != name:
            merged[layer + KIND] = weight + lora.alpha / lora.rank * (
                weights[layer + B] @ weights[layer + A]
            )
        else:
            merged[name.replace(f"{BASE}.", ".")] = weight
    return merged


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """The model without its adapters inside, but with what they do; then as before, bit by bit.

    A step of decoding is many small operations, and adapters would double those of attention.
    In bfloat16 nothing is merged: a sum loses what is less than a 256th of the larger part.
    """
    from peft.tuners.lora import Linear

    adapted: list[tuple[str, Any, torch.Tensor]] = []
    for name, module in list(model.named_modules()):
        base: Any = module.get_base_layer() if isinstance(module, Linear) else None
        if base is not None and base.weight.dtype == torch.float32:
            adapted.append((name, module, base.weight.data))
            base.weight.data = base.weight.data + module.get_delta_weight(ADAPTER)
            model.set_submodule(name, base)
    try:
        yield
    finally:
        for name, module, kept in adapted:
            module.get_base_layer().weight.data = kept
            model.set_submodule(name, module)
