"""Numbers, written in digits."""

from __future__ import annotations

from pydantic import Field

from unified_vl.kinds.kind import Kind
from unified_vl.parts import Part


class NumberKeys(Part):
    """What a field says of numbers."""

    decimals: int | None = Field(
        default=None,
        ge=0,
        le=9,
        description="Numbers only: digits behind the point (0).",
        examples=[1],
    )


class NumberKind(Kind):
    """A number with so many digits behind its point."""

    name = "number"
    allows = ("number",)
    reads = ("decimals",)
