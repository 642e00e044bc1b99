"""What a directory to start from offers, of whatever family it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import torch


class Pretrained(Protocol):
    """Weights by this project's names, read when they are asked for, and what they are of.

    Attributes:
        directory: where they lie.
        about: what a line for people calls it, such as `the model runs/demo/model`.
    """

    directory: Path
    about: str

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The keys of a run's `model` that are decided, as JSON values; those of `vision` are a
        mapping of their own, which a text model does not have."""
        ...

    @property
    def row_names(self) -> Sequence[str | None] | None:
        """What each row of the embedding stands for (`codecs.row_names`), so that the rows of
        another vocabulary are found; None where a row has no name, or, for all, where ids mean
        the same there."""
        ...

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each weight, by this project's name."""
        ...

    def read(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        """Rows `start` to `stop` of a weight, all by default; of the type that it is kept in.

        Files are mapped, and no longer than this takes: no second copy of the weights stays.

        Raises:
            UserError: for a file that cannot be read.
        """
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever a weight, or what it is of, is another."""
        ...


class InMemory:
    """Weights that are in memory, offered as those of a directory are.

    Args:
        directory: where they were read from.
        weights: by name.
        fingerprint: of that directory.
    """

    architecture: Mapping[str, Any] = MappingProxyType({})
    row_names = None
    about = "weights in memory"

    def __init__(
        self, directory: Path, weights: Mapping[str, torch.Tensor], fingerprint: str = ""
    ) -> None:
        self.directory = directory
        self.fingerprint = fingerprint
        self.shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        self._weights = weights

    def read(self, name: str, start: int = 0, stop: int | None = None) -> torch.Tensor:
        weight = self._weights[name]
        return weight[start:stop] if weight.ndim else weight
