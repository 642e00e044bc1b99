"""A linear layer that knows how it starts, and reads packed weights once nothing is learnt.

A plain product reorders its weight matrix into the blocks of the processor's vector
units on every call. oneDNN can keep it reordered, which halves the time of a product on
CPUs on which MKL does not use AVX-512 (`benchmarks/generation.py` measures what comes
of it).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

FEWEST_PRODUCTS = 180_000  # for fewer the call costs more than the reordering
_packed_linear: Any = None
if torch.backends.mkldnn.is_available() and hasattr(torch.ops, "mkldnn"):
    _pack: Any = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
    _packed_linear = _pack and getattr(torch.ops.mkldnn, "_linear_pointwise", None)


_packing = False  # whether what is exported now becomes a program of this processor


@contextmanager
def packing_weights() -> Iterator[None]:
    """Let what is exported inside pack its weights, which only this processor's programs can."""
    global _packing
    _packing = True
    try:
        yield
    finally:
        _packing = False


def can_pack(weight: torch.Tensor) -> bool:
    """Whether products with this weight are faster where it is packed."""
    return (
        _packed_linear is not None and weight.dtype == torch.float32 and weight.device.type == "cpu"
    )


class Linear(nn.Linear):
    """`nn.Linear` without a bias, of one or several products of the same input.

    In evaluation on a CPU in fp32 its weight is packed. The packed copy belongs to one
    version of the weight: whatever torch knows to have changed the weight, and every
    `train()` and `eval()`, drops it.

    Args:
        in_features: width of the input.
        parts: (rows, standard deviation of their initial weights) of each product.
    """

    def __init__(self, in_features: int, *parts: tuple[int, float]) -> None:
        super().__init__(in_features, sum(rows for rows, _ in parts), bias=False)
        self.parts = parts
        self._packed: tuple[Any, torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_exporting() and _packing and can_pack(self.weight):
            rows_RI = x.reshape(-1, self.in_features)  # a program packs when it is compiled
            y_RO = _packed_linear(rows_RI, _pack(self.weight, None), None, "none", [], "")
            return y_RO.view(*x.shape[:-1], self.out_features)
        if (
            self.training
            or not can_pack(self.weight)
            or torch.is_grad_enabled()
            or x.numel() * self.out_features < FEWEST_PRODUCTS
            or x.dtype != torch.float32
            or torch.compiler.is_compiling()
            or torch.is_autocast_enabled("cpu")
        ):
            return F.linear(x, self.weight)
        return _packed_linear(x, self._packed_weight(), None, "none", [], "")

    def train(self, mode: bool = True) -> Linear:
        self._packed = None
        return super().train(mode)

    def _packed_weight(self) -> torch.Tensor:
        weight = self.weight
        state = (weight.data_ptr(), None if weight.is_inference() else weight._version)
        if self._packed is None or self._packed[0] != state:
            self._packed = state, _pack(weight.detach(), None)
        return self._packed[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # a copy packs its own
