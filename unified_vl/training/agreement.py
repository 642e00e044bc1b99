"""What the ranks decide together, so that none waits for one that is gone or elsewhere.

Ranks that train different tasks, or send different module graphs through ZeRO, get wrong
gradients without an error; and a rank that fails alone leaves the others in a collective
for ever. So every step begins with one small collective, in which all tell what they are
about to do and how it goes, and whatever may fail on one rank is done `together`. What
all ranks end with is told by rank 0.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed

from unified_vl.data.batching import Batch
from unified_vl.errors import WRONG_INPUT, EndedElsewhere, TrainingEnded, TrainingFault, UserError
from unified_vl.training.engine import Process

BUG = 1  # Python's exit code for an exception


@dataclass(frozen=True)
class Agreed:
    """What all ranks know of a step before they compute.

    Attributes:
        batch: this rank's share of it, on its device.
        tokens: target tokens of all ranks.
        stop: number of a signal that asks any rank to end after this step, or 0.
    """

    batch: Batch
    tokens: int
    stop: int


def agree(
    process: Process,
    step: int,
    task: str,
    make: Callable[[], Batch],
    *,
    contrast: bool = False,
    stop: int = 0,
) -> Agreed:
    """Make this rank's batch and be sure that all ranks do the same with theirs.

    Compared are the step, the task, the module graph (images or only text, with or
    without the contrastive loss) and the bad rows that were left out.

    Args:
        step: steps done.
        task: of the step.
        make: this rank's share; what it raises ends the training on all ranks.
        contrast: whether the step has a contrastive loss.
        stop: number of the signal that asked this rank to end, or 0.

    Raises:
        TrainingFault: when the ranks differ.
        EndedElsewhere: when another rank's `make` failed.
    """
    batch, failure = None, None
    try:
        batch = make().to(process.device)
    except Exception as error:  # whatever it is, the others must hear of it
        failure = error
    if process.world == 1:
        if batch is None:
            raise failure or AssertionError
        return Agreed(batch, batch.target_tokens, stop)
    plan = "" if batch is None else _describe(step, task, batch, contrast)
    digest = int.from_bytes(hashlib.sha256(plan.encode()).digest()[:7], "big")
    tokens = 0 if batch is None else batch.target_tokens
    mine = torch.tensor([digest, tokens, stop, batch is None], device=process.device)
    every = [torch.empty_like(mine) for _ in range(process.world)]
    torch.distributed.all_gather(every, mine)
    digests, counts, signals, failed = torch.stack(every).T.tolist()
    if any(failed):
        fail_together(process, failure)
    if min(digests) != max(digests):
        plans = gather_objects(process, plan)
        told = "; ".join(f"rank {rank} is at {plan}" for rank, plan in enumerate(plans))
        raise TrainingFault(f"the processes disagree ({told}): same code, run file and data?")
    assert batch is not None
    return Agreed(batch, sum(counts), max(signals))


@contextlib.contextmanager
def together(process: Process) -> Iterator[None]:
    """What fails inside on one rank ends the training on all of them.

    Inside there may be no collective that a rank which fails would leave out.

    Raises:
        EndedElsewhere: when another rank failed.
    """
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    fail_together(process, failure)


def fail_together(process: Process, failure: Exception | None) -> None:
    """Nothing where no rank has a failure; where one has, all ranks end with its exit code.

    Raises:
        EndedElsewhere: on ranks without a failure. Rank 0's message tells what happened,
            whichever rank met it; a bug keeps its traceback on the rank that has it.
    """
    told = None if failure is None else (_exit_code(failure), str(failure))
    failures = gather_objects(process, told)
    first = next((rank for rank, found in enumerate(failures) if found), None)
    if first is None:
        return
    code, message = failures[first]
    if failure is not None and (process.rank == 0 or code == BUG):
        raise failure
    raise EndedElsewhere(f"rank {first}: {message}", code) from failure


def gather_objects(process: Process, value: Any) -> list[Any]:
    """What each rank calls `value`, in the order of the ranks."""
    if process.world == 1:
        return [value]
    every: list[Any] = [None] * process.world
    torch.distributed.all_gather_object(every, value)
    return every


def _describe(step: int, task: str, batch: Batch, contrast: bool) -> str:
    graph = "only text" if batch.pixel_values_NCHW is None else "images"
    if contrast:
        graph += " and contrast"
    without = f" without {', '.join(sorted(batch.skipped))}" if batch.skipped else ""
    return f"step {step + 1} of task {task!r} with {graph}{without}"


def _exit_code(failure: Exception) -> int:
    if isinstance(failure, UserError):
        return WRONG_INPUT
    return failure.exit_code if isinstance(failure, TrainingEnded) else BUG
