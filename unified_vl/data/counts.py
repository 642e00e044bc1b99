"""How much there is to compute for examples, whatever is padded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Counts:
    """Of some examples; padding does not count.

    Attributes:
        source, target: ids.
        images: of their sources.
        source_pairs, target_pairs, cross_pairs: of ids of the same example, which attention
            compares: of its source, of its target, and of its target with its source.
    """

    source: int = 0
    target: int = 0
    images: int = 0
    source_pairs: int = 0
    target_pairs: int = 0
    cross_pairs: int = 0

    @property
    def tokens(self) -> int:
        """Ids of sources and targets."""
        return self.source + self.target


def counts_of(sources: Sequence[int], targets: Sequence[int], images: int) -> Counts:
    """Counts of examples with so many ids each; without targets of none."""
    targets = targets or [0] * len(sources)
    return Counts(
        source=sum(sources),
        target=sum(targets),
        images=images,
        source_pairs=sum(length**2 for length in sources),
        target_pairs=sum(length**2 for length in targets),
        cross_pairs=sum(map(int.__mul__, sources, targets)),
    )


def total(counts: Iterable[Counts]) -> Counts:
    """Of all examples together."""
    rows = [tuple(vars(each).values()) for each in counts]
    return Counts(*map(sum, zip(*rows, strict=True)))
