"""How fast a run was, in the report."""

from __future__ import annotations

from typing import Any

from unified_vl.evaluation.reporting.charts import curves_of
from unified_vl.evaluation.reporting.speed import speed_facts, speed_of
from unified_vl.run_record import event_of
from unified_vl.training.record.trackers import numbers_of

SLOW = {
    "step_seconds": 3.0,
    "tokens_per_second": 1000.0,
    "images_per_second": 0.0,
    "data_wait": 0.2,
    "mfu": 0.1,
    "peak_memory_mb": 900.0,
}
FAST = {
    "step_seconds": 1.0,
    "tokens_per_second": 5000.0,
    "images_per_second": 80.0,
    "data_wait": 0.0,
    "mfu": 0.5,
    "peak_memory_mb": 1200.0,
}


def step(task: str, speed: dict[str, float], **more: Any) -> dict[str, Any]:
    return {"event": "step", "step": 20, "task": task, "loss": 1.0, "speed": speed, **more}


def test_rates_are_means_over_the_time_of_all_steps() -> None:
    events = [
        step("see", SLOW, density=0.5),
        step("say", FAST, density=0.9),
        step("say", {}, density=0.1),  # of steps before a resume
        {"event": "validation", "step": 20, "task": "see", "loss": 1.0},
    ]
    assert speed_facts(events) == [
        ("tokens a second", "2,000"),
        ("images a second", "20"),
        ("waiting for data", "15.0%"),
        ("padding", "40.0%"),
        ("model FLOP utilisation", "20.0%"),
        ("peak memory", "1,200 MB"),
    ]
    curves = curves_of(events)
    assert speed_of(curves["say"].speeds) == [("tokens/s", "5,000")]


def test_an_older_record_says_nothing() -> None:
    older = {"event": "step", "step": 20, "task": "see", "loss": 1.0}
    assert speed_facts([older]) == speed_of(curves_of([older])["see"].speeds) == []


def test_trackers_show_it_beside_the_losses() -> None:
    event = event_of(step("see", SLOW, density=0.75))
    assert event is not None
    numbers = numbers_of(event)
    assert numbers["tokens_per_second/see"] == 1000 and numbers["mfu/see"] == 0.1
    assert numbers["padding/see"] == 0.25
