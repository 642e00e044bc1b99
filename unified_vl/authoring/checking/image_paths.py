"""Paths of images as Windows writes them, which are read all the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.authoring.checking.findings import Findings, share
from unified_vl.data.rows.row import Row
from unified_vl.errors import UserError
from unified_vl.kinds.hooks.cells import unpacked
from unified_vl.specs.task import TaskSpec


class ImagePaths:
    """Takes in the good rows of one split, and says how many name images with backslashes."""

    def __init__(self, spec: TaskSpec) -> None:
        images = [f for f in spec.fields.values() if f.of_kind.is_image]
        self._columns = {field.column_in(tag) for field in images for tag in spec.data.languages}
        self._rows = self._with = 0
        self._first = ""

    def add(self, row: Row) -> None:
        self._rows += 1
        values = (row.columns.get(column) for column in self._columns)
        if any("\\" in path for value in values for path in _paths(value)):
            self._with += 1
            self._first = self._first or row.where

    def report(self, findings: Findings) -> None:
        if self._with:
            shown = share(self._with, self._rows)
            error = UserError(f"{shown} name images with backslashes", file=self._first)
            remedy = "none: each is read as /, as Windows means it"
            findings.add(error, "warning", remedy=remedy, rate=self._with / self._rows)


def _paths(value: Any) -> Iterator[str]:
    found = unpacked(value)
    yield from (each for each in (found if isinstance(found, list) else [found]) if _is_path(each))


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 1000
