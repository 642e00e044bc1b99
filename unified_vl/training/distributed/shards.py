"""Weights and optimiser state on disk: safetensors that any number of ranks can read.

Each rank writes the fragments of parameters that it holds, as plain tensors with a name:

    state/rank-00001.safetensors   "master:4096:shared.weight", "exp_avg:4096:shared.weight", ...

`master` are the float32 weights, `exp_avg` and `exp_avg_sq` the moments of AdamW and `step`
its count of updates, and so on for what another optimiser remembers; `ema` and `ema_updates` are
the running mean of the weights and its count, `momentum` and `momentum_updates` those of the
momentum copy, where the run keeps them. The number is where in the flattened parameter the
fragment begins.
A reader takes from all files what overlaps with the fragments that it holds itself. So a
checkpoint fits every number of ranks, nothing is unpickled, and no rank has to hold a
whole parameter. (DeepSpeed's universal checkpoints are pickles, made in a step of their own
from its ordinary ones, and do not know stage 0.)

What a rank holds is read from DeepSpeed's optimisers of each stage; they are given as
arguments, because only `engine.py` and `process.py` import DeepSpeed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from unified_vl.checkpoint_folders import SHARDS
from unified_vl.files import OS_ERROR
from unified_vl.training.distributed.weight_means import EMA, MOMENTUM, WeightMean

NUMBER = "number."  # before the name of what an optimiser remembers as one number, but for `step`
UPDATES = "_updates"  # behind the kind of a mean of weights: its count
NO_STATE = (
    "master",
    "buffer",
    *(kind + more for kind in (EMA, MOMENTUM) for more in ("", UPDATES)),
)  # what no optimiser remembers
WHOLE = "whole."  # before that of what has a shape of its own, as the factors of a matrix


@dataclass(frozen=True)
class Fragment:
    """A stretch of a flattened parameter that this rank holds.

    Attributes:
        start: of the stretch in the parameter.
        numel: its length.
        flat: the float32 tensor that the optimiser updates and the stretch lies in.
        offset: where it lies in it.
        replicated: whether every rank holds the same.
    """

    start: int
    numel: int
    flat: torch.Tensor
    offset: int
    replicated: bool = False

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The stretch of `flat`, or of a tensor of its shape."""
        return tensor.detach().reshape(-1).narrow(0, self.offset, self.numel)


def fragments(model: nn.Module, optimizer: Any, rank: int) -> dict[str, Fragment]:
    """What `rank` holds of each parameter that is trained, by its name.

    Args:
        model: as given to DeepSpeed.
        optimizer: DeepSpeed's, of any ZeRO stage, or torch's where DeepSpeed has none.
        rank: of this process.
    """
    masters = {}
    if hasattr(optimizer, "fp32_groups"):  # stage 0 in bf16: whole masters beside the weights
        pairs = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
        masters = {id(p): m for ps, ms in pairs for p, m in zip(ps, ms, strict=True)}
    found = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if hasattr(parameter, "ds_id"):  # stage 3
            fragment = _fragment_of_stage_3(parameter, optimizer, rank)
        elif hasattr(parameter, "_hp_mapping"):  # stages 1 and 2
            fragment = _fragment_of_stage_2(parameter, optimizer)
        else:
            master = masters.get(id(parameter), parameter)
            fragment = Fragment(0, master.numel(), master, 0, replicated=True)
        if fragment is not None:
            found[name] = fragment
    return found


def _fragment_of_stage_2(parameter: Any, optimizer: Any) -> Fragment | None:
    mapping = parameter._hp_mapping
    if mapping is None:  # the parameter lies on other ranks
        return None
    flats = getattr(optimizer, "single_partition_of_fp32_groups", None)
    if flats is None:  # stage 1 in bf16 with float32 gradients
        flats = optimizer.fp32_groups_flat_partition
    here, there = mapping.lp_fragment_address, mapping.hp_fragment_address
    return Fragment(here.start, here.numel, flats[mapping.param_group_index], there.start)


def _fragment_of_stage_3(parameter: Any, optimizer: Any, rank: int) -> Fragment | None:
    group, offset, length = optimizer.grad_position[optimizer.get_param_id(parameter)]
    start = length * rank
    numel = min(length, parameter.ds_numel - start)  # the last ranks' are padded
    if numel <= 0:
        return None
    return Fragment(start, numel, optimizer.fp32_partitioned_groups_flat[group], offset)


def save_shard(
    folder: Path,
    model: nn.Module,
    optimizer: Any,
    state: Any,
    rank: int,
    world: int,
    means: Mapping[str, WeightMean] = MappingProxyType({}),
) -> None:
    """Write what `rank` holds; what all ranks hold they share out among them.

    Args:
        folder: made if need be.
        model: as given to DeepSpeed.
        optimizer: as for `fragments`.
        state: of torch's optimiser: by flat tensor, what it remembers of it.
        rank: of this process.
        world: number of ranks.
        means: of the weights, which the run keeps, by kind.

    Raises:
        OSError: when it cannot be written, with the system's number of the error.
        TypeError: for what an optimiser remembers and no checkpoint can hold.
    """
    tensors: dict[str, torch.Tensor] = {}
    for index, (name, fragment) in enumerate(fragments(model, optimizer, rank).items()):
        if fragment.replicated and index % world != rank:
            continue
        tensors[f"master:{fragment.start}:{name}"] = fragment.of(fragment.flat)
        for kind, value in _remembered(state.get(fragment.flat), fragment):  # none at first
            tensors[f"{kind}:{fragment.start}:{name}"] = value
        for kind, mean in means.items():
            tensors[f"{kind}:{fragment.start}:{name}"] = fragment.of(mean.of(fragment.flat))
            tensors[f"{kind}{UPDATES}:{fragment.start}:{name}"] = torch.tensor([mean.updates])
    if rank == 0:
        for name, buffer in model.named_buffers():
            tensors[f"buffer:0:{name}"] = buffer.reshape(-1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rank-{rank:05d}.safetensors"
    try:
        save_file({key: value.detach().cpu().clone() for key, value in tensors.items()}, path)
    except SafetensorError as error:
        told = OS_ERROR.search(str(error))
        number = int(told[1]) if told else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error


def load_shards(
    folder: Path,
    model: nn.Module,
    optimizer: Any,
    state: Any,
    rank: int,
    means: Mapping[str, WeightMean] = MappingProxyType({}),
) -> None:
    """Fill what `rank` holds from what any number of ranks wrote with `save_shard`.

    The weights that the model computes with have to be made from the masters afterwards. A mean of
    weights that the files do not hold begins at the weights.

    Raises:
        RuntimeError: when the files do not hold all of it.
    """
    with contextlib.ExitStack() as stack:
        shards = Shards(folder, stack)
        held = fragments(model, optimizer, rank)
        for name, fragment in held.items():
            shards.fill("master", name, fragment, fragment.flat)
            for kind in shards.kinds(name):
                _fill_remembered(shards, kind, name, fragment, state[fragment.flat])
        for kind, mean in means.items():
            mean.begin()
            for name, fragment in held.items():
                if shards.has(kind, name):
                    shards.fill(kind, name, fragment, mean.of(fragment.flat))
                    mean.updates = int(shards.scalar(kind + UPDATES, name))
        for name, buffer in model.named_buffers():
            whole = Fragment(0, buffer.numel(), buffer, 0)
            shards.fill("buffer", name, whole, buffer)


def _is_number(kind: str) -> bool:
    return kind == "step" or kind.startswith(NUMBER)


def _remembered(of_flat: Any, fragment: Fragment) -> Iterator[tuple[str, torch.Tensor]]:
    """What an optimiser remembers of a fragment, by the kind that a file calls it.

    Raises:
        TypeError: for what is neither one number nor as many as the tensor has, of a flat tensor.
    """
    flat = fragment.flat
    for name, value in (of_flat or {}).items():
        if value is None:
            continue
        kept = value if isinstance(value, torch.Tensor) else torch.tensor(value)
        if kept.shape == flat.shape:
            yield name, fragment.of(kept)
        elif fragment.replicated and kept.ndim:  # of a whole parameter
            yield f"{WHOLE}{name}", kept
        elif kept.numel() == 1:
            yield name if name == "step" else f"{NUMBER}{name}", kept.reshape(1)
        else:
            raise TypeError(
                f"the optimiser remembers {tuple(kept.shape)} as {name!r} of a tensor of "
                f"{tuple(flat.shape)}: a checkpoint holds one number, or as many as there are"
            )


def _fill_remembered(
    shards: Shards, kind: str, name: str, fragment: Fragment, of_flat: dict[str, Any]
) -> None:
    """Put back what the optimiser remembered of a fragment."""
    key = kind.removeprefix(NUMBER).removeprefix(WHOLE)
    if kind.startswith(WHOLE):
        of_flat[key] = shards.whole(kind, name).to(fragment.flat.device)
        return
    if _is_number(kind):
        if key not in of_flat:
            device = fragment.flat.device
            of_flat[key] = torch.zeros((), dtype=torch.float32, device=device)
        of_flat[key].fill_(shards.scalar(kind, name))
        return
    if key not in of_flat:
        of_flat[key] = torch.zeros_like(fragment.flat)
    shards.fill(kind, name, fragment, of_flat[key])


class Shards:
    """The tensors in all files of a folder, by kind and name of the parameter.

    Args:
        folder: of `save_shard`'s files.
        stack: closes them.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._found: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        for path in sorted(folder.glob(SHARDS)):
            file = stack.enter_context(safe_open(path, framework="pt"))
            for key in file.keys():  # noqa: SIM118 (a file is no mapping)
                kind, start, name = key.split(":", 2)
                where = (int(start), file.get_slice(key))
                self._found.setdefault((kind, name), []).append(where)

    def kinds(self, name: str) -> list[str]:
        """What the files hold of a parameter beside its weights, the numbers first."""
        found = [kind for kind, of in self._found if of == name and kind not in NO_STATE]
        return sorted(found, key=lambda kind: not _is_number(kind))

    def has(self, kind: str, name: str) -> bool:
        """Whether the files hold any of it."""
        return (kind, name) in self._found

    def scalar(self, kind: str, name: str) -> float:
        """The one number that all fragments of `name` carry."""
        return float(self._found[kind, name][0][1][:].item())

    def whole(self, kind: str, name: str) -> torch.Tensor:
        """A tensor of a shape of its own."""
        read: torch.Tensor = self._found[kind, name][0][1][:]
        return read

    def fill(self, kind: str, name: str, fragment: Fragment, target: torch.Tensor) -> None:
        """Write the fragment's stretch of `name` to its place in `target`."""
        place = fragment.of(target)
        missing = fragment.numel
        for begin, end, part in self._overlaps(kind, name, fragment):
            place[begin:end].copy_(part)
            missing -= end - begin
        if missing:
            raise RuntimeError(f"the checkpoint lacks {missing} values of {kind} of {name}")

    def _overlaps(
        self, kind: str, name: str, fragment: Fragment
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Stretches of the fragment, relative to its start, and what the files hold of them."""
        last = fragment.start + fragment.numel
        for start, part in self._found.get((kind, name), []):
            (numel,) = part.get_shape()
            begin, end = max(start, fragment.start), min(start + numel, last)
            if begin < end:
                read = part[begin - start : end - start]
                yield begin - fragment.start, end - fragment.start, read
