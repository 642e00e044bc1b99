"""Random choices that are functions of a seed or, in evaluation, of a row."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from unified_vl.data.order import draw_seed


@dataclass(frozen=True, slots=True)
class Draws:
    """Where an example's choices come from, each kind of them apart from the others.

    Attributes:
        seed: of the example; None in evaluation.
        row: what evaluation goes by.
    """

    seed: int | None
    row: str

    def random(self, *what: str | int) -> Random:
        """For what is drawn in evaluation too: the same each time for a row."""
        return Random(draw_seed(self.row if self.seed is None else self.seed, *what))

    def training(self, *what: str | int) -> Random | None:
        """For what is drawn in training alone; None in evaluation, which takes the first."""
        return None if self.seed is None else self.random(*what)

    def of(self, *what: str | int) -> Draws:
        """Those of something within the example."""
        seed = None if self.seed is None else draw_seed(self.seed, *what)
        return Draws(seed, "\x1f".join(map(str, (self.row, *what))))
