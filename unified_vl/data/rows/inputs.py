"""What the model is asked of a row, on its way into the templates, and who may change it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from unified_vl.data.rows.other_rows import OtherRows
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.values import Value
from unified_vl.data.templates import Plan


@dataclass(frozen=True, slots=True)
class Inputs:
    """A row that was read.

    Attributes:
        row: the row.
        plan: what its language has in common, with its wordings.
        asked: the values that fill the templates, by field.
        own: those that right answers come from; the same as `asked` but for a wrong pair.
        others: draws from other rows.
    """

    row: Row
    plan: Plan
    asked: Mapping[str, Value]
    own: Mapping[str, Value]
    others: OtherRows


class Perturber(Protocol):
    """Changes inputs in evaluation: the same each time for a row."""

    def __call__(self, inputs: Inputs) -> Inputs:
        """The changed inputs, or those that were given where there is nothing to change."""
