"""Gradient surgery for joint updates: PCGrad (Yu et al., arXiv 2001.06782, algorithm 1)."""

from __future__ import annotations

import random
from collections.abc import Sequence

from unified_vl.specs.balance import BalanceSpec, PCGradKeys
from unified_vl.training.balancing.balance import Balance, BalanceKind, Square


class PCGrad(Balance):
    """Each task's gradient loses what of it is against another's, of the others in random order.

    What comes out is a sum of the gradients with factors, and these follow from the inner
    products alone: no projected gradient has to be held.
    """

    takes_gradients = True

    def combine(self, products: Square, draw: str) -> list[float]:
        count = len(products)
        order = random.Random(draw)
        total = [0.0] * count
        for task in range(count):
            factors = [float(other == task) for other in range(count)]
            others = [other for other in range(count) if other != task]
            order.shuffle(others)
            for other in others:
                along = sum(
                    factor * row[other] for factor, row in zip(factors, products, strict=True)
                )
                if along < 0 and products[other][other] > 0:
                    factors[other] -= along / products[other][other]
            total = [sum(pair) for pair in zip(total, factors, strict=True)]
        return total


def _make(spec: BalanceSpec, tasks: Sequence[str]) -> Balance:
    return PCGrad()


PCGRAD = BalanceKind("pcgrad", PCGradKeys, _make, update="joint", takes_gradients=True)
