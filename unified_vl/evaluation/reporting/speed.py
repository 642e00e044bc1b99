"""How fast a run was, for the report: means over its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from unified_vl.run_record import StepEvent, event_of

Speed = Mapping[str, float]
"""What a `step` event says of its steps."""


def speed_facts(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What is known of all steps of a run, by name; of an older record nothing."""
    found = [event for event in map(event_of, events) if isinstance(event, StepEvent)]
    measured = [(event.speed, event.density) for event in found if event.speed]
    speeds = [speed for speed, _ in measured]
    if not speeds:
        return []
    # a step's time counts for its padding as it does for what else took time
    padding = _mean([(1 - density, speed.get("step_seconds", 0.0)) for speed, density in measured])
    facts = [
        ("tokens a second", f"{_of_all(speeds, 'tokens_per_second'):,.0f}"),
        ("images a second", f"{_of_all(speeds, 'images_per_second'):,.0f}"),
        ("waiting for data", f"{_of_all(speeds, 'data_wait'):.1%}"),
        ("padding", f"{padding:.1%}"),
    ]
    if used := [speed for speed in speeds if "mfu" in speed]:
        facts.append(("model FLOP utilisation", f"{_of_all(used, 'mfu'):.1%}"))
    if most := max(speed.get("peak_memory_mb", 0.0) for speed in speeds):
        facts.append(("peak memory", f"{most:,.0f} MB"))
    return facts


def speed_of(speeds: Iterable[Speed]) -> list[tuple[str, str]]:
    """What is known of the steps of one task."""
    known = list(speeds)
    return [("tokens/s", f"{_of_all(known, 'tokens_per_second'):,.0f}")] if known else []


def _of_all(speeds: Iterable[Speed], name: str) -> float:
    return _mean([(speed.get(name, 0.0), speed.get("step_seconds", 0.0)) for speed in speeds])


def _mean(weighed: list[tuple[float, float]]) -> float:
    return sum(value * weight for value, weight in weighed) / max(sum(w for _, w in weighed), 1e-9)
