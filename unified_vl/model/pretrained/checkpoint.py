"""The weights in a checkpoint of this project's training, of whatever architecture.

Its files hold flattened stretches of the weights, as many as there were ranks (the names are told
in `training.distributed.shards`). What is beside the weights, an optimiser's state, is not read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch

from unified_vl.checkpoint_folders import MANIFEST, PROGRESS, SHARDS, STATE, find_fault
from unified_vl.errors import UserError
from unified_vl.files import read_json_object
from unified_vl.model.pretrained.tensor_files import TensorFiles
from unified_vl.model.saved_configuration import CONFIG
from unified_vl.run_record import BEST_MODEL, MODEL

WEIGHTS = ("master:", "buffer:")  # how the names of weights begin, among what is remembered

OF_TRAINING = "student."  # before the names of weights that no saved model has (`learning.lessons`)


class Stretches:
    """Weights that lie in stretches, read as if they were whole.

    Args:
        directory: OUTPUT/checkpoints/step-...

    Raises:
        UserError: for a checkpoint that is not whole, or holds a part of the weights.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        fault = find_fault(directory)
        if fault is not None:
            raise UserError(f"this checkpoint is not whole: {fault}", file=directory)
        if read_json_object(directory / PROGRESS).get("weights", {}).get("trained") is not None:
            raise UserError(
                "this checkpoint holds the weights that its run trains, not those that are frozen",
                file=directory,
                expected=f"a model of the run, {directory.parent.parent / MODEL} or {BEST_MODEL}",
            )
        self._files = TensorFiles(sorted((directory / STATE).glob(SHARDS)))
        self._parts = self._find_parts()
        self.shapes: dict[str, tuple[int, ...]] = {}

    def _find_parts(self) -> dict[str, list[tuple[int, int, str]]]:
        """By weight: where each stretch begins and ends, and its name in the files."""
        parts: dict[str, list[tuple[int, int, str]]] = {}
        for key, stored in self._files.items():
            if key.startswith(WEIGHTS):
                _, start, name = key.split(":", 2)
                if name.startswith(OF_TRAINING):
                    continue
                stretch = (int(start), int(start) + math.prod(stored.shape), key)
                parts.setdefault(name, []).append(stretch)
        return {name: sorted(stretches) for name, stretches in parts.items()}

    def shape(self, expected: Mapping[str, torch.Tensor]) -> None:
        """Find the shape of each weight.

        Args:
            expected: the state of the model that they are of; a weight that it does not have is
                taken for a list of numbers.

        Raises:
            UserError: where the stretches of a weight are not all of it.
        """
        for name, stretches in self._parts.items():
            end = 0
            for start, stop, _ in stretches:
                end = max(end, stop) if start <= end else end
            weight = expected.get(name)
            if weight is not None and weight.numel() > end:
                raise UserError(
                    f"the weight {name!r} has {end} of its {weight.numel()} numbers",
                    file=self.directory,
                )
            self.shapes[name] = (end,) if weight is None else tuple(weight.shape)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """Rows of a weight, as `Pretrained` has it."""
        shape = self.shapes[name]
        if not shape:
            return self._stretch(name, 0, 1).reshape(())
        rows = range(*slice(start, stop).indices(shape[0]))
        width = math.prod(shape[1:])
        flat = self._stretch(name, rows.start * width, rows.stop * width)
        return flat.reshape(len(rows), *shape[1:])

    def _stretch(self, name: str, first: int, last: int) -> torch.Tensor:
        """Numbers `first` to `last` of the flattened weight."""
        whole: torch.Tensor | None = None
        for start, stop, key in self._parts[name]:
            begin, end = max(start, first), min(stop, last)
            if begin < end:
                part = self._files.read(key, begin - start, end - start)
                if whole is None:
                    whole = torch.empty(last - first, dtype=part.dtype)
                whole[begin - first : end - first] = part
        assert whole is not None
        return whole

    @cached_property
    def fingerprint(self) -> str:
        """Of the manifest, which has the digest of every file."""
        files = read_json_object(self.directory / MANIFEST)["files"]
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def described(directory: Path) -> Path:
    """The folder with the configuration and the tokenizer of a checkpoint.

    Checkpoints before version 0.3 have none of their own; the models beside them do.

    Raises:
        UserError: where there is none.
    """
    output = directory.parent.parent
    for folder in (directory, output / MODEL, output / BEST_MODEL):
        if (folder / CONFIG).is_file():
            return folder
    raise UserError(
        f"there is no {CONFIG} here, nor a model of the same run",
        file=directory,
        expected="a checkpoint of this version, or a saved model",
    )
