"""What the learning rate does where a run goes on with another number of steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.errors import number_of
from unified_vl.specs.optimizer import OptimizerSpec
from unified_vl.specs.run import Run
from unified_vl.training.learning_rate import LearningRate

RISE = 1.1  # a rate that is higher by no more than this is none that rises
WAYS = {
    "replan": "as if {steps} steps had been planned from the beginning",
    "rewarm": "{rise} and decays until step {steps}",
    "cooldown": "it decays to zero at step {steps}",
    "constant": "it stays there",
}


def go_on(rate: LearningRate, run: Run, state: Mapping[str, Any]) -> str | None:
    """Let the rate go on after a checkpoint as the run says; returns what it does then.

    Where the number of steps is what it was it goes on as it did, and None is returned.

    Args:
        rate: of the run; it is that of the checkpoint from here on.
        run: has been given its steps.
        state: of the checkpoint.

    Raises:
        UserError: at the number of steps, where the rate would rise unasked.
    """
    if "learning_rate" in state:
        rate.load_state_dict(state["learning_rate"])
    settings, step = state.get("settings"), state["step"]
    if settings is None or settings["steps"] == run.last_step or step == run.last_step:
        return None
    before = before_of(state)
    way = run.continuation or "replan"
    last, due = before.at(max(step - 1, 0)), _planned(before, run, step)
    rate.go_on(way, step, last)
    new = rate.at(min(step, run.last_step - 1))
    if run.continuation is None and new > RISE * due:
        raise run.error(
            ("steps" if run.epochs is None else "epochs",),
            f"with {run.last_step} steps in place of {settings['steps']} the learning rate would "
            f"go from {last:.4g} at step {step} to {new:.4g} at the next",
            expected="continuation: rewarm, cooldown, constant or, to have that, replan",
        )
    lr, warmup = run.optimizer.lr, run.optimizer.warmup_steps
    rise = f"it increases to {lr:g} in {number_of(warmup, 'step')}"
    told = WAYS[way].format(steps=run.last_step, rise=rise if warmup else f"it is {lr:g} at once")
    return f"continuation: {way}: from {last:.4g} {told}"


def before_of(state: Mapping[str, Any]) -> LearningRate:
    """The rate as the run that wrote a checkpoint had it."""
    settings = state["settings"]
    optimizer = OptimizerSpec.model_validate(settings["optimizer"])
    before = LearningRate(optimizer, settings["steps"])
    if "learning_rate" in state:
        before.load_state_dict(state["learning_rate"])
    return before


def _planned(before: LearningRate, run: Run, step: int) -> float:
    """The rate of the next step, had the number of steps stayed; other keys are the new ones."""
    planned = LearningRate(run.optimizer, before.steps)
    planned.load_state_dict(before.state_dict())
    return planned.at(min(step, before.steps - 1))
