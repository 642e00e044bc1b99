"""Rows that are held out for validation and test, where the data say of none that they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from unified_vl.authoring.drafting.plan import Plan
from unified_vl.authoring.drafting.writing import spec_of
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.readers.registry import READERS
from unified_vl.specs.tasks.data import SplitName

SHARES: tuple[dict[SplitName, float], ...] = (  # of few rows a tenth may be one or none
    {"train": 0.8, "validation": 0.1, "test": 0.1},
    {"train": 0.8, "test": 0.2},
    {"train": 0.5, "test": 0.5},
)
ENOUGH = 10  # rows of a split, to be scored by; of fewer than 100 rows a tenth of them


def hold_out(plan: Plan) -> None:
    """Share out the rows where all that is there is a train split; else leave the plan alone.

    What decides is, as far as it leaves a row in each split: the image, the key, a text. The
    shares are the first that leave enough of them, or else those that leave the most.
    """
    only_train = list(plan.place.splits) == ["train"]
    if not only_train or plan.split_column or READERS[plan.place.reader].own_splits:
        return
    named = plan.place, plan.images
    word = plan.place.splits["train"]
    parts = tuple(part.replace("{split}", word) for part in plan.place.parts)
    plan.place = replace(plan.place, parts=parts, splits={"train": "all"})
    plan.images = plan.images.replace("{split}", word)
    for by in _deciders(plan):
        plan.split_by = by
        best, most = None, 0
        for shares in SHARES:
            held = _held(plan, shares)
            fewest = min(held, default=0)
            if fewest > most:
                best, most = shares, fewest
            if fewest and fewest >= min(ENOUGH, sum(held) // 10):
                break
        if best is not None:
            plan.shares = best
            return
    (plan.place, plan.images), plan.shares, plan.split_by = named, None, None


def _deciders(plan: Plan) -> Iterator[str | None]:
    """Columns that a row may be in its split by; None for the one that needs no word."""
    images = [f for f in (*plan.roles.read, plan.roles.written) if f.guess.kind.is_seen]
    in_tars = plan.place.reader == "webdataset"  # where images have no name, and keys survive
    if images and not images[0].guess.missing and not in_tars:
        yield None
    if plan.key_column is not None:
        yield plan.key_column if images else None
    for field in (*plan.roles.read, plan.roles.written):
        guess = field.guess
        if guess.is_written_text and not guess.per_language and not guess.columns:
            yield guess.column


def _held(plan: Plan, shares: dict[SplitName, float]) -> list[int]:
    """How many rows each split has; none where one has no row, or a row lacks what decides."""
    plan.shares = shares
    try:
        spec = spec_of(plan)
        return [len(TaskData(spec, split, plan.place.root)) for split in spec.data.splits]
    except UserError:
        return []
