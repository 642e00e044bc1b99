"""Exponential running means of the weights, and what they are exchanged with.

A run keeps up to two: the mean that validation and models are of (Polyak and Juditsky 1992; arXiv
1703.01780), and the momentum copy that objectives read (arXiv 1911.05722).

Every rank keeps the mean of the float32 weights that it holds itself: of a share under ZeRO 1 to 3,
in the same flat tensors. So it costs 4 bytes a weight over all ranks, no rank tells another
anything, and checkpoints hold it as they hold the optimiser's state.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from unified_vl.specs.run import Run
from unified_vl.training.distributed.masters import changing_masters

EMA, MOMENTUM = "ema", "momentum"


class WeightMean:
    """The mean of some tensors over the updates.

    Args:
        decay: what each update leaves of it.
        flats: the float32 tensors that an optimiser updates, each once.
        ramps: whether it follows the first updates faster, as the key `ema` says.
    """

    def __init__(self, decay: float, flats: Iterable[torch.Tensor], *, ramps: bool = True) -> None:
        self._decay, self._ramps = decay, ramps
        self._flats = list({id(flat): flat for flat in flats}.values())
        with torch.no_grad():
            self._means = [flat.detach().clone() for flat in self._flats]
        self._mean_of = dict(zip(map(id, self._flats), self._means, strict=True))
        self.updates = 0

    def update(self) -> None:
        """Take in the weights after an update."""
        self.updates += 1
        decay = self._decay
        if self._ramps:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            torch._foreach_lerp_(self._means, self._flats, 1 - decay)

    def begin(self) -> None:
        """Begin anew at the weights as they are."""
        with torch.no_grad():
            torch._foreach_copy_(self._means, self._flats)
        self.updates = 0

    def of(self, flat: torch.Tensor) -> torch.Tensor:
        """The mean of one of the tensors."""
        return self._mean_of[id(flat)]

    def exchange(self) -> None:
        """Put the means in the place of the weights, and these in theirs; again: back."""
        with torch.no_grad():
            for mean, flat in zip(self._means, self._flats, strict=True):
                weights = flat.clone()
                flat.copy_(mean)
                mean.copy_(weights)


class WeightMeans:
    """Those that a run keeps.

    Args:
        run: decays, and whether it keeps the mean that validation is of.
        optimizer: as for `changing_masters`.
        flats: the float32 tensors that it updates, any number of times each.
        momentum: whether objectives read a momentum copy.

    Attributes:
        by_kind: the means by what checkpoints call them.
    """

    def __init__(
        self, run: Run, optimizer: Any, flats: Sequence[torch.Tensor], *, momentum: bool
    ) -> None:
        self._optimizer = optimizer
        self.by_kind: dict[str, WeightMean] = {}
        if run.ema is not None:
            self.by_kind[EMA] = WeightMean(run.ema.decay, flats)
        if momentum:
            self.by_kind[MOMENTUM] = WeightMean(run.momentum_decay, flats, ramps=False)

    def update(self) -> None:
        """Take in the weights after an update."""
        for mean in self.by_kind.values():
            mean.update()

    @contextlib.contextmanager
    def exchanged(self, kind: str) -> Iterator[None]:
        """A mean is in the place of the weights inside, where the run keeps one of this kind."""
        mean = self.by_kind.get(kind)
        if mean is None:
            yield
            return
        with changing_masters(self._optimizer):
            mean.exchange()
        try:
            yield
        finally:
            with changing_masters(self._optimizer):
                mean.exchange()
