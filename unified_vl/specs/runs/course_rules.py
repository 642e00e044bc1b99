"""What of a run's course its other keys and its tasks do not allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unified_vl.specs.optimizer import OPTIMIZERS, OptimizerVariant
from unified_vl.specs.runs.engine import read_engine

if TYPE_CHECKING:
    from unified_vl.specs.run import Run


def refuse_unfit_course(run: Run) -> None:
    """That what ends a run early is measured, and its optimiser gets what it needs.

    Raises:
        UserError: at the key that asks for it.
    """
    _refuse_flattened(run)
    if run.gradient_conflicts is not None:
        refuse_sharded_parameters(run, ("gradient_conflicts",))
    if run.compile and read_engine(run.engine).stage == 3:
        raise run.error(
            ("compile",),
            "ZeRO 3 gathers the parameters of each layer while a block computes, which no program "
            "of a whole block can do",
            expected="false, or an engine of stage 0, 1 or 2",
        )
    balance = run.loaded_mixture.balance
    if balance is not None and balance.variant.takes_gradients:
        refuse_sharded_parameters(run, ("engine",), f"the balance {balance.kind!r} of its mixture")
    stopping = run.early_stopping
    if stopping is None:
        return
    if stopping.metric == "score" and not run.score_every:
        raise run.error(
            ("early_stopping", "metric"),
            "nothing is scored: score_every is 0",
            expected="score_every: 1 or more, or metric: loss",
        )
    if not run.validation_rows:
        raise run.error(
            ("early_stopping",),
            "nothing is measured: validation_rows is 0",
            expected="validation_rows: 1 or more",
        )
    if not any("validation" in spec.data.splits for spec in run.loaded_mixture.specs):
        raise run.error(
            ("early_stopping",),
            "nothing is measured: no task of the mixture has a validation split",
            expected="a validation split under data.splits of a task",
        )


def refuse_sharded_parameters(run: Run, place: tuple[str, ...], asking: str = "") -> None:
    """That what needs the gradient of each task alone is not asked for at ZeRO 3.

    Raises:
        UserError: at the key that asks for it.
    """
    if read_engine(run.engine).stage == 3:
        raise run.error(
            place,
            "ZeRO 3 shards the parameters, and gives no gradient of one task alone"
            + (f", which {asking} takes" if asking else ""),
            expected="an engine of stage 0, 1 or 2",
        )


def _refuse_flattened(run: Run) -> None:
    """That ZeRO does not flatten the parameters of an optimiser that needs their shapes."""
    name = run.optimizer.name
    variant = OPTIMIZERS[name]
    stage = read_engine(run.engine).stage
    if stage and isinstance(variant, OptimizerVariant) and variant.whole:
        fitting = [each for each, of in OPTIMIZERS.items() if not getattr(of, "whole", False)]
        raise run.error(
            ("optimizer", "name"),
            f"{name!r} needs every parameter whole, and ZeRO {stage} flattens and cuts them",
            expected=f"an engine of stage 0, or {' or '.join(fitting)}",
        )
