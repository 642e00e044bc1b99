"""Updates that are refused, by the norms of those before."""

from __future__ import annotations

import json
import math
import random

import pytest

from unified_vl.errors import TrainingFault
from unified_vl.specs.runs.course import FaultSpec
from unified_vl.training.gradients import GradientGuard


def feed(guard: GradientGuard, *norms: float, task: str = "see", start: int = 1) -> list[bool]:
    return [guard.accept(step, task, 1.0, norm) for step, norm in enumerate(norms, start)]


def noise(count: int, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(1.0, 0.1) for _ in range(count)]


def test_a_spike_is_six_deviations_above_the_last_128() -> None:
    guard = GradientGuard(FaultSpec())
    assert all(feed(guard, *noise(128)))
    assert guard.accept(129, "see", 1.0, 1.5)
    assert not guard.accept(130, "see", 1.0, 2.0)
    assert guard.reason is not None and "6 standard deviations above the last 128" in guard.reason
    assert guard.accept(131, "see", 1.0, 0.1)  # small ones do no harm
    assert guard.reason is None


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_number_is_refused_from_the_first_step(bad: float) -> None:
    guard = GradientGuard(FaultSpec())
    assert not guard.accept(1, "see", 1.0, bad)
    assert not guard.accept(2, "see", bad, 1.0)
    assert guard.accept(3, "see", 1.0, 1.0)


def test_a_task_is_compared_with_its_own_norms() -> None:
    guard = GradientGuard(FaultSpec(window=8))
    assert all(feed(guard, *noise(8)))
    assert all(feed(guard, *[100 * norm for norm in noise(8)], task="say"))
    assert not guard.accept(20, "see", 1.0, 100.0)
    assert guard.accept(21, "say", 1.0, 100.0)


def test_a_lasting_change_of_level_is_followed() -> None:
    guard = GradientGuard(FaultSpec())
    feed(guard, *noise(128))
    refused = feed(guard, *[5 * norm for norm in noise(40, seed=1)], start=129).count(False)
    assert 0 < refused <= 16
    assert all(feed(guard, *[5 * norm for norm in noise(40, seed=2)], start=169))


def test_norms_that_keep_rising_are_another_level_after_eight_refusals() -> None:
    """A task that was all but done, while another begins to move what they share."""
    guard = GradientGuard(FaultSpec())
    feed(guard, *[0.1 * norm for norm in noise(128)])
    rising = [0.1 * 1.5**n for n in range(7, 13)] + [15 * norm for norm in noise(60, seed=1)]
    accepted = feed(guard, *rising, start=129)
    assert accepted[:8] == [False] * 7 + [True] and all(accepted[7:])
    feed(guard, *noise(128, seed=2), start=300)
    assert not guard.accept(500, "see", 1.0, 9.0)  # and then spikes are refused again


def test_policy_and_limit_end_the_training() -> None:
    guard = GradientGuard(FaultSpec(limit=2, window=8))
    for step in (1, 2, 20, 21):  # the first two are forgotten by then
        assert not guard.accept(step, "see", 1.0, math.nan)
        guard.enforce(step, "see")
    guard.accept(22, "see", 1.0, math.inf)
    with pytest.raises(TrainingFault, match=r"step 22.*3 of the last 8 updates.*faults.limit"):
        guard.enforce(22, "see")
    abort = GradientGuard(FaultSpec(policy="abort"))
    abort.accept(1, "see", 1.0, 1.0)
    abort.enforce(1, "see")
    abort.accept(2, "see", 1.0, math.nan)
    with pytest.raises(TrainingFault, match=r"step 2, task 'see': the gradient is not finite"):
        abort.enforce(2, "see")


def test_after_a_resume_the_decisions_are_the_same() -> None:
    spec = FaultSpec(window=16)
    norms = [norm * (9 if index % 40 == 39 else 1) for index, norm in enumerate(noise(200))]
    whole = GradientGuard(spec)
    expected = feed(whole, *norms)
    assert False in expected
    first = GradientGuard(spec)
    before = feed(first, *norms[:77])
    second = GradientGuard(spec)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + feed(second, *norms[77:], start=78) == expected
    assert second.state_dict() == whole.state_dict()
