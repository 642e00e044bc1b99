"""The gradients of several tasks side by side, each rank with a share of each.

Legend: T tasks, W trained weights that this rank holds, G groups of weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from unified_vl.model.backbone import Backbone
from unified_vl.run_record import ALL_WEIGHTS
from unified_vl.training.distributed.process import Process

BLOCK = re.compile(r"(.*?\.\d+)\.")


class TaskGradients:
    """Gradients of the same weights, flattened; a rank keeps the part of its own.

    Args:
        process: of the run.
        model: whose trained weights they are of.
    """

    def __init__(self, process: Process, model: Backbone) -> None:
        self._process = process
        self._groups: dict[str, list[tuple[int, int]]] = {}
        weights = group_names(model)
        place = 0
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                stretch = (place, place + parameter.numel())
                self._groups.setdefault(weights[name], []).append(stretch)
                place = stretch[1]
        self._size = place
        share = -(-place // process.world)
        self._start = min(process.rank * share, place)
        self._stop = min(self._start + share, place)
        self._kept: dict[str, torch.Tensor] = {}

    @property
    def tasks(self) -> list[str]:
        """Those whose gradients are here, in the order of their coming."""
        return list(self._kept)

    def add(self, task: str, gradient: torch.Tensor) -> None:
        """Keep this rank's part of a gradient; several of a task are added up.

        Args:
            task: its name.
            gradient: of all trained weights, the same on all ranks, as `Engine.gradient`.
        """
        own_W = gradient[self._start : self._stop]
        if task in self._kept:
            self._kept[task] += own_W
        else:
            self._kept[task] = own_W.clone()

    def products(self) -> dict[str, torch.Tensor]:
        """The inner products of all pairs of tasks, by group of weights and for `all`.

        Returns:
            (T, T) for each group, float64 on the CPU, the same on all ranks.
        """
        side_TW = torch.stack(list(self._kept.values()))
        tasks = len(side_TW)
        found = []
        for stretches in self._groups.values():
            group_TT = torch.zeros(tasks, tasks, dtype=torch.float64, device=side_TW.device)
            for begin, end in stretches:
                low, high = max(begin, self._start), min(end, self._stop)
                if low < high:
                    part_TW = side_TW[:, low - self._start : high - self._start]
                    group_TT += (part_TW @ part_TW.T).double()
            # a product of matrices need not be symmetric to the last bit
            found.append((group_TT + group_TT.T) / 2)
        sums = self._process.total(torch.stack(found))
        sums_GTT = torch.tensor(sums, dtype=torch.float64).reshape(-1, tasks, tasks)
        return {ALL_WEIGHTS: sums_GTT.sum(0), **dict(zip(self._groups, sums_GTT, strict=True))}

    def combined(self, factors: Mapping[str, float]) -> torch.Tensor:
        """A sum of the tasks' gradients, each with its factor: zero outside this rank's part.

        Returns:
            (all trained weights,); the sum over the ranks is the sum of the gradients.
        """
        whole = next(iter(self._kept.values())).new_zeros(self._size)
        for task, own_W in self._kept.items():
            whole[self._start : self._stop].add_(own_W, alpha=factors[task])
        return whole


def group_names(model: Backbone) -> dict[str, str]:
    """The group of each parameter: the image branch, the embedding, a head of its own, a block of
    encoder or decoder (whatever has a number), or the module that a weight is of."""
    branch = model.image_branch
    known = {} if branch is None else {id(each): "image branch" for each in branch.parameters()}
    known |= {id(table): name for name, table in model.tables().items()}
    found = {}
    for name, parameter in model.named_parameters():
        block = BLOCK.match(name)
        other = block[1] if block else name.rpartition(".")[0] or name
        found[name] = known.get(id(parameter), other)
    return found
