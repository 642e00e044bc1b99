"""What an example takes from other rows than its own: shots, and wrong partners."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from unified_vl.codecs.segments import Image, ImageCodes
from unified_vl.data.draws import Draws
from unified_vl.data.images.unread import UnreadImage
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.rows.values import Value, ValueReader
from unified_vl.data.templates import Plan
from unified_vl.errors import BadRow
from unified_vl.languages.letter_case import fold_case
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.template import slots

MOST_DRAWS = 200  # rows that are looked at for one that will do
Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Shot:
    """The values of a row that is shown as an example.

    Attributes:
        where: `file:row`; a row is never a shot of its own.
        language: of the row.
        values: all values of each field that a shot names.
        matches: whether they belong together, where that is asked.
    """

    where: str
    language: str
    values: Values
    matches: bool = True


Shots = Mapping[str, Sequence[Shot]]
"""Shots of evaluation by language: one more than asked for, where there are as many."""


def train_rows(spec: TaskSpec, root: Path, at_hand: TaskData | None = None) -> TaskData | None:
    """The rows that a task's shots come from; None for a task without shots.

    Args:
        spec: the task.
        root: the data root.
        at_hand: rows of any split, taken where they are the right ones.

    Raises:
        UserError: when they cannot be read.
    """
    if spec.example.shots is None:
        return None
    if at_hand is not None and at_hand.split == "train":
        return at_hand
    return TaskData(spec, "train", root)


class OtherRows:
    """Draws from other rows.

    Args:
        spec: the task.
        values: reads their fields.
        plan_of: the plan of a row.
        rows: of the split that examples are made of; wrong partners are among them.
        train: where shots come from.
        shots: those of evaluation, where they are known already.
    """

    def __init__(
        self,
        spec: TaskSpec,
        values: ValueReader,
        plan_of: Callable[[Row], Plan],
        rows: TaskData | None,
        train: TaskData | None,
        shots: Shots | None,
    ) -> None:
        self.spec = spec
        self._values = values
        self._plan_of = plan_of
        self._rows = None if rows is None else _Pool(rows)
        self._train = None if train is None else _Pool(train)
        self._fields = spec.fields_of(spec.shot or ())
        self._known = shots
        self.fixed = cache(self._fixed)

    def unread(self, values: ValueReader) -> OtherRows:
        """Draws the same, and reads with these."""
        other = copy(self)
        other._values = values
        other.fixed = cache(other._fixed)
        return other

    def exchanged(self, row: Row, plan: Plan, values: Values, draws: Draws) -> tuple[Values, bool]:
        """The values with a field of another row, now and then, and whether they are its own.

        Raises:
            BadRow: when no row of its language has another value.
        """
        mismatch = self.spec.example.mismatch
        if mismatch is None:
            return values, True
        random = draws.random("mismatch")
        if random.random() >= mismatch.rate:
            return values, True
        name = mismatch.field
        found = self.of_another(row, plan, values, (name,), random)
        if found is None:
            raise BadRow(
                f"no other row in {plan.language!r} has another {name!r}, for a wrong pair",
                file=row.where,
                field=plan.columns[name],
            )
        return {**values, **found}, False

    def of_another(
        self, row: Row, plan: Plan, values: Values, names: tuple[str, ...], random: Random
    ) -> dict[str, Value] | None:
        """Fields of another row of its language that belong with nothing of this one.

        Args:
            row: the row.
            plan: of its language.
            values: its own.
            names: the fields to take from one row.
            random: draws it.

        Returns:
            By name, what of them this row does not have itself; None where no row has such.

        Raises:
            BadRow: for a value of another row that breaks the spec.
        """
        if self._rows is None:
            raise ValueError("wrong pairs need the rows that examples are made of")
        for other in self._rows.draw(plan.language, random):
            if any(self._may_match(name, plan, row, other) for name in names):
                continue
            read, _ = self._values.read(other, names, plan.columns, plan.language, sized=False)
            found = {name: _others(read[name], values[name], plan.language) for name in names}
            if all(found.values()):
                return found
        return None

    def shots(self, row: Row, plan: Plan, draws: Draws) -> list[Shot]:
        """Rows of the train split to show before a row, never itself: fixed in evaluation.

        Raises:
            UserError: when there are too few.
            BadRow: for one that breaks the spec, where such rows stop the work.
        """
        asked = self.spec.example.shots
        if asked is None:
            return []
        if draws.seed is None:
            found = [shot for shot in self.fixed(plan.language) if shot.where != row.where]
        else:
            found = self._draw_shots(plan.language, draws.of("shots"), asked.count, row.where)
        if len(found) < asked.count:
            raise self.spec.error(
                ("example", "shots", "count"),
                f"found {len(found)} in the train split beside {row.where}",
                expected=f"{asked.count} or more",
            )
        return found[: asked.count]

    def _fixed(self, language: str) -> list[Shot]:
        """The shots of evaluation, and one more for a row that is among them."""
        asked = self.spec.example.shots
        assert asked is not None
        if self._known is not None:
            return list(self._known.get(language, ()))
        draws = Draws(None, f"{self.spec.task} {language} shots")
        return self._draw_shots(language, draws, asked.count + 1, None)

    def _draw_shots(self, language: str, draws: Draws, count: int, but: str | None) -> list[Shot]:
        """At most `count`; bad ones are passed over where the spec skips them."""
        if self._train is None:
            raise self.spec.error(
                ("example", "shots"),
                "the rows of the train split are not at hand",
                expected="a model that was trained on this task, or the task's data",
            )
        found: list[Shot] = []
        for row in self._train.draw(language, draws.random("rows"), least=count + 1):
            if len(found) == count:
                break
            if row.where == but:
                continue
            try:
                found.append(self._shot(row, draws.of(len(found))))
            except BadRow as error:
                self.spec.data.stop_or_skip(error)
        return found

    def _shot(self, row: Row, draws: Draws) -> Shot:
        plan = self._plan_of(row)
        values: Values
        values, _ = self._values.read(row, self._fields, plan.columns, plan.language, sized=False)
        mismatch, matches = self.spec.example.mismatch, True
        # where a shot does not say whether it is right, it is
        if mismatch is not None and mismatch.slot in slots(self.spec.shot or ()):
            values, matches = self.exchanged(row, plan, values, draws)
        return Shot(row.where, plan.language, values, matches)

    def _may_match(self, exchanged: str, plan: Plan, row: Row, other: Row) -> bool:
        """Whether the value of another row may well belong to this one: a caption of the same
        image, or an image of the same caption."""
        fields = self.spec.fields
        return row.where == other.where or any(
            row.columns.get(plan.columns[name]) == other.columns.get(plan.columns[name])
            for name in self.spec.fields_of(self.spec.source)
            if fields[name].of_kind.exchanged and fields[name].kind != fields[exchanged].kind
        )


class _Pool:
    """The rows of a split, to draw from by language."""

    def __init__(self, data: TaskData) -> None:
        self._data = data

    def draw(self, language: str, random: Random, least: int = 0) -> Iterator[Row]:
        """Distinct rows in a random order, `MOST_DRAWS` at most.

        They are of a language, or of any where fewer than `least` are of it.
        """
        indices: Sequence[int] = self._by_language.get(language, ())
        if len(indices) < least:
            indices = range(len(self._data))
        seen: set[int] = set()
        while len(seen) < min(len(indices), MOST_DRAWS):
            place = random.randrange(len(indices))
            if place not in seen:
                seen.add(place)
                yield self._data[indices[place]]

    @cached_property
    def _by_language(self) -> Mapping[str | None, Sequence[int]]:
        return self._data.by_language()


def _others(found: Value, own: Value, language: str) -> Value:
    """The values that a row does not have itself."""

    def same(a: object, b: object) -> bool:
        if isinstance(a, (Image, ImageCodes)) and isinstance(b, (Image, ImageCodes)):
            assert a.image is not None and b.image is not None  # of kind image
            if isinstance(a.image, UnreadImage):
                return False  # of their lengths alone; who reads them compares the pixels
            return np.array_equal(a.image.pixels_HWC, b.image.pixels_HWC)
        return fold_case(str(a), language) == fold_case(str(b), language)

    kept: Any = tuple(a for a in found if not any(same(a, b) for b in own))
    return kept
