"""What a line of events.jsonl says, and what is read back from it."""

from __future__ import annotations

import json

import pytest

from unified_vl.run_record import (
    DRAWN,
    Event,
    NoteEvent,
    ScoreEvent,
    SkippedEvent,
    StepEvent,
    StopAndGoEvent,
    ValidationEvent,
    event_of,
)

EVENTS: list[tuple[Event, dict[str, object]]] = [
    (
        StepEvent(step=3, task="see", loss=1.5, lr=0.1, updates=2, objectives={"contrast": 0.5}),
        {"event": "step", "step": 3, "task": "see", "loss": 1.5, "contrast": 0.5},
    ),
    (
        ValidationEvent(step=3, task="see", loss=1.5),
        {"event": "validation", "step": 3, "task": "see", "loss": 1.5},
    ),
    (
        ScoreEvent(step=3, task="see", metric="chrf", score=40.0, updates=2),
        {"event": "score", "metric": "chrf", "score": 40.0, "updates": 2},
    ),
    (
        StopAndGoEvent(step=3, task="see", state="STOP", reason="no gain"),
        {"event": "stop_and_go", "state": "STOP", "reason": "no gain"},
    ),
    (SkippedEvent(task="see", rows=2), {"event": "skipped", "task": "see", "rows": 2}),
    (
        NoteEvent(name="changed", step=3, facts={"key": "steps", "before": 4, "now": 5}),
        {"event": "changed", "step": 3, "key": "steps", "before": 4, "now": 5},
    ),
]


@pytest.mark.parametrize(("event", "line"), EVENTS, ids=lambda each: type(each).__name__)
def test_an_event_is_read_as_it_was_written(event: Event, line: dict[str, object]) -> None:
    said = json.loads(json.dumps(event.to_json()))
    assert {key: said[key] for key in line} == line
    assert event_of(said) == (event if isinstance(event, DRAWN) else None)


@pytest.mark.parametrize(
    "line",
    [
        {"event": "score", "step": 3, "task": "see", "metric": "chrf", "score": "high"},
        {"event": "validation", "step": 3},
        {"event": "step", "step": "last", "task": "see", "loss": 1},
    ],
)
def test_a_broken_event_is_refused(line: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"incomplete|could not convert|invalid literal"):
        event_of(line)
