"""How many tokens pooling leaves of the features of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.errors import UserError


def pooled_grid(pool: Mapping[str, Any] | None, rows: int, columns: int) -> tuple[int, int]:
    """Rows and columns of the tokens that are left of a grid.

    Raises:
        UserError: for more of them than there are.
    """
    if pool is None:
        return rows, columns
    if pool["kind"] == "resampler":
        return 1, pool["tokens"]
    left, across = pool["grid"]
    if left > rows or across > columns:
        raise UserError(
            f"found {left} x {across}, and an image has {rows} x {columns} features",
            field="model.vision.pool.grid",
            expected="at most as many rows and columns",
        )
    return left, across
