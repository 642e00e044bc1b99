"""Rows of a table, whose gradients are summed in float32 whatever the table's type.

On a CPU, torch sums the gradients of `F.embedding` in the type of the table. In bfloat16 a sum
stands still once it is 256 times what is added: of the relative position bias of 512 tokens, where
each row is looked up thousands of times, nine tenths of the gradient were lost, of a frequent
token's embedding half. CUDA's kernels sum in float32 themselves
(by their source; not measured here).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

NARROW = (torch.bfloat16, torch.float16)


def lookup(index: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """The rows of a table (R, D) at `index` (...), shape (..., D)."""
    if table.dtype in NARROW and table.device.type == "cpu" and torch.is_grad_enabled():
        found: torch.Tensor = _Lookup.apply(index, table)
        return found
    return F.embedding(index, table)


class Embedding(nn.Embedding):
    """`nn.Embedding` by `lookup`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return lookup(input, self.weight)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, index: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(index)
        ctx.rows, ctx.dtype = table.shape[0], table.dtype
        return F.embedding(index, table)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[None, torch.Tensor]:
        (index,) = ctx.saved_tensors
        rows: int = ctx.rows
        if rows <= index.numel():
            summed = torch.ops.aten.embedding_dense_backward(grad.float(), index, rows, -1, False)
            return None, summed.to(ctx.dtype)
        # most rows of a large table get nothing: only those that were looked up are summed
        used, place = index.flatten().unique(return_inverse=True)
        flat = grad.reshape(-1, grad.shape[-1]).float()
        summed = flat.new_zeros(len(used), flat.shape[1]).index_add_(0, place, flat)
        whole = grad.new_zeros(rows, flat.shape[1], dtype=ctx.dtype)
        whole[used] = summed.to(ctx.dtype)
        return None, whole
