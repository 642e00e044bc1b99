"""What objectives remember between updates, in a checkpoint.

It is the same on all ranks, so that one writes it and any number of them read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from unified_vl.training.objectives.objective import Objective

MEMORY = "objectives.safetensors"
OfTasks = Mapping[str, Mapping[str, Objective]]


def save_memory(folder: Path, objectives: OfTasks) -> None:
    """Write a file into a checkpoint's folder, where any objective remembers anything.

    Args:
        folder: of the checkpoint.
        objectives: of each task, by name.

    Raises:
        OSError: when it cannot be written.
    """
    kept = {
        f"{task}/{name}/{key}": value.detach().cpu().contiguous()
        for task, of_task in objectives.items()
        for name, objective in of_task.items()
        for key, value in objective.state().items()
    }
    if kept:
        save_file(kept, folder / MEMORY)


def load_memory(folder: Path, objectives: OfTasks, device: torch.device) -> None:
    """Let all objectives go on from what a checkpoint holds; from the beginning without it.

    Args:
        folder: of the checkpoint.
        objectives: of each task, by name.
        device: of the training.
    """
    found: dict[str, torch.Tensor] = {}
    path = folder / MEMORY
    if path.exists():
        with safe_open(path, framework="pt", device=str(device)) as file:
            found = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    for task, of_task in objectives.items():
        for name, objective in of_task.items():
            start = f"{task}/{name}/"
            own = {k.removeprefix(start): v for k, v in found.items() if k.startswith(start)}
            objective.load_state(own)
