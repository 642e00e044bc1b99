"""Keys that are said of a run's parts for a checkpoint to be continued, and those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from unified_vl.specs.balance import BalanceSpec
from unified_vl.specs.mixture import Mixture, MixtureTask
from unified_vl.specs.objectives.keys import ADDED_LATER
from unified_vl.specs.reading.document import Part
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.specs.schedule import PrioritizedKeys, ScheduleSpec
from unified_vl.specs.tasks.data import DataSpec
from unified_vl.specs.tasks.fields import FieldSpec
from unified_vl.training.record.fingerprints import said_of

PRIORITIES = {f"schedule.{key}" for key in PrioritizedKeys.model_fields}
ENTRY = MixtureTask(spec="a.yaml")
MATCHED = MixtureTask(spec="b.yaml", matching=0.5)
SHARDS = {
    "reader": "webdataset",
    "path": "a.tar",
    "splits": {"train": "train"},
    "languages": ["en"],
}


def mixture(*entries: MixtureTask, **more: Any) -> Mixture:
    return Mixture.model_construct(mixture="m", version=1, tasks=entries, **more)


def names(value: object, prefix: str = "") -> set[str]:
    """The keys of JSON with those they are in: `tasks.0.weight`."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = dict(enumerate(value)).items()
    else:
        return set()
    found: set[str] = set()
    for key, each in inner:
        found |= {f"{prefix}{key}"} | names(each, f"{prefix}{key}.")
    return found


CASES: dict[str, tuple[Part, set[str]]] = {  # what there is, and which of its keys are not said
    "mixture": (mixture(ENTRY), {"balance", *PRIORITIES, *(f"tasks.0.{k}" for k in ADDED_LATER)}),
    "one matched": (
        mixture(ENTRY, MATCHED),
        {
            "balance",
            *PRIORITIES,
            *(f"tasks.{i}.{k}" for i in range(2) for k in ADDED_LATER if (i, k) != (1, "matching")),
        },
    ),
    "balanced": (
        mixture(balance=BalanceSpec(kind="running_loss")),
        PRIORITIES,
    ),
    "prioritized": (mixture(schedule=ScheduleSpec(kind="prioritized")), {"balance"}),
    "rows": (DataSpec(**SHARDS), {"stream", "shuffle_shards", "file_parts"}),
    "streamed": (DataSpec(**SHARDS, stream=True), {"file_parts"}),
    "in parts": (DataSpec(**SHARDS, stream=True, file_parts=2), set()),
    "field": (
        FieldSpec(kind="text", column="a"),
        {"features", "most", "hide", "regions", "nearest"},
    ),
    "hiding": (
        FieldSpec(kind="regions", column="a", hide=0.1),
        {"features", "most", "regions", "nearest"},
    ),
    "model": (ModelSpec(), {"from", "vision.weights", "vision.freeze"}),
}


@pytest.mark.parametrize("case", CASES)
def test_keys_that_do_not_count_are_not_said(case: str) -> None:
    part, unsaid = CASES[case]
    every = names(part.model_dump(mode="json"))
    assert unsaid <= every
    assert every - names(said_of(part)) == unsaid
