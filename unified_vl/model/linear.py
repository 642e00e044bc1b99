"""Linear layers that know how they start."""

from __future__ import annotations

from torch import nn


class Linear(nn.Linear):
    """`nn.Linear` without a bias, of one or several products of the same input.

    Args:
        in_features: width of the input.
        parts: (rows, standard deviation of their initial weights) of each product.
    """

    def __init__(self, in_features: int, *parts: tuple[int, float]) -> None:
        super().__init__(in_features, sum(rows for rows, _ in parts), bias=False)
        self.parts = parts
