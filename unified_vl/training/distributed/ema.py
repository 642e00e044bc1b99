"""An exponential running mean of the weights (Polyak and Juditsky 1992; arXiv 1703.01780).

Every rank keeps the mean of the float32 weights that it holds itself: of a share under ZeRO 1 to 3,
in the same flat tensors. So it costs 4 bytes a weight over all ranks, no rank tells another
anything, and checkpoints hold it as they hold the optimiser's state.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from unified_vl.specs.runs.course import EmaSpec


class WeightMean:
    """The mean of some tensors over the updates.

    Args:
        spec: the keys of the run.
        flats: the float32 tensors that an optimiser updates, each once.
        ramps: whether it follows the first updates faster, as the keys say.
    """

    def __init__(self, spec: EmaSpec, flats: Iterable[torch.Tensor], *, ramps: bool = True) -> None:
        self._decay, self._ramps = spec.decay, ramps
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
