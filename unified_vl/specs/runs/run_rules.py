"""What the keys of a run ask of each other, of its engine's file and of its mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.specs.optimizer import OPTIMIZERS
from unified_vl.specs.reading.document import Problem, refuse
from unified_vl.specs.runs.engine import read_engine
from unified_vl.specs.runs.teacher import teacher_problems
from unified_vl.specs.runs.vision import ENCODERS

if TYPE_CHECKING:
    from unified_vl.specs.run import Run


def refuse_unfit_keys(run: Run) -> None:
    """That keys fit together, whatever files they name.

    Raises:
        PydanticCustomError: naming the keys, for a validator of pydantic.
    """
    _refuse_unfit_amounts(run)
    _refuse_unread_keys(run)
    _refuse_unfit_adapters(run)
    refuse(teacher_problems(run))


def _refuse_unfit_amounts(run: Run) -> None:
    if run.batch_size is None and run.batch_tokens is None:
        expected = "a whole number, or batch_tokens"
        refuse([Problem(("batch_size",), "is missing", expected=expected)])
    if run.batch_size is not None and run.batch_tokens is not None:
        what = "there is batch_size, too, which says how many examples a step has"
        refuse([Problem(("batch_tokens",), what, expected="one of the two")])
    if run.batch_tokens is not None and run.batch_tokens < run.fewest_tokens():
        what = f"found {run.batch_tokens}, too few for examples of {run.longest} ids"
        expected = f"at least {run.fewest_tokens()}"
        refuse([Problem(("batch_tokens",), what, expected=expected)])
    if run.batch_tokens is not None and run.epochs is not None:
        what = "how many steps they take is not known before all lengths are"
        refuse([Problem(("epochs",), what, expected="steps, beside batch_tokens")])
    if run.steps is None and run.epochs is None:
        refuse([Problem(("steps",), "is missing", expected="a whole number, or epochs")])
    if run.steps is not None and run.epochs is not None:
        what = "there are steps, too, which say how long it trains"
        refuse([Problem(("epochs",), what, expected="one of the two, and null for the other")])


def _refuse_unread_keys(run: Run) -> None:
    """Keys that the image branch or the optimiser of this kind does not read."""
    vision, optimizer = run.model.vision, run.optimizer
    said = f"an image branch of kind {vision.kind!r} does not read this"
    given = vision.model_fields_set
    if run.model.from_ is not None and "kind" not in given:
        given = set()  # what it starts from says of which kind it is
    refuse(ENCODERS.idle_problems(vision.kind, given, ("model", "vision"), said))
    said = f"the optimiser {optimizer.name!r} does not read this"
    given = optimizer.model_fields_set
    refuse(OPTIMIZERS.idle_problems(optimizer.name, given, ("optimizer",), said))


def _refuse_unfit_adapters(run: Run) -> None:
    if run.lora is not None and run.freeze:
        said = "adapters leave all other weights as they are anyway"
        refuse([Problem(("freeze",), said, expected="no `freeze` beside `lora`")])
    if run.lora is not None and run.lora.save == "adapter" and run.model.from_ is None:
        said = "adapters alone need a saved model to be opened beside"
        refuse([Problem(("lora", "save"), said, expected="model.from, or save: merged")])


def check_engine(run: Run) -> None:
    """That the engine's file is there and right; a mistake in it is told at its own key.

    Raises:
        UserError: where it is not.
    """
    path = run.engine
    if path is None:
        return
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.json")] if path.parent.is_dir() else []
        close = nearest(path.name, beside)
        raise run.error(("engine",), f"there is no file {str(path)!r}", nearest=close)
    read_engine(path)


def check_scored(run: Run) -> None:
    """That a mixture whose schedule goes by scores gets some.

    Raises:
        UserError: at the key that gives none.
    """
    mixture = run.loaded_mixture
    if mixture.schedule.scored_key is not None and not run.score_every:
        rests = mixture.schedule.stop_and_go is not None
        asking = "stop-and-go" if rests else f"a schedule of kind {mixture.schedule.kind!r}"
        raise run.error(
            ("score_every",),
            f"{asking} goes by scores, which mixture {mixture.mixture!r} asks for",
            expected="1 or more",
        )


def refuse_uneven(run: Run, world: int) -> None:
    """That the processes can share a batch evenly.

    Raises:
        UserError: at the key of its size.
    """
    parts = world * run.accumulate
    shared = f"by {world} processes in {run.accumulate} parts each"
    if run.batch_size is not None and run.batch_size % parts:
        raise run.error(
            ("batch_size",),
            f"{run.batch_size} rows cannot be shared {shared} evenly",
            expected=f"a multiple of {parts}",
        )
    if run.batch_tokens is not None and run.batch_tokens < run.fewest_tokens(world):
        raise run.error(
            ("batch_tokens",),
            f"{run.batch_tokens} ids cannot be shared {shared}, of examples up to {run.longest}",
            expected=f"at least {run.fewest_tokens(world)}",
        )
