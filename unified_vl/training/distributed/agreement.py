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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed

from unified_vl.data.batching import Found
from unified_vl.data.counts import Counts, total
from unified_vl.errors import WRONG_INPUT, EndedElsewhere, TrainingEnded, TrainingFault, UserError
from unified_vl.training.distributed.process import Process
from unified_vl.training.update import TaskBatch

BUG = 1  # Python's exit code for an exception


@dataclass(frozen=True)
class Agreed:
    """What all ranks know of a step before they compute.

    Attributes:
        batches: this rank's share of it.
        tokens: target tokens of all ranks, of each batch.
        counts: what all ranks have to compute, of each batch.
        stop: number of a signal that asks any rank to end after this step, or 0.
        found: of each batch, what any rank found in reading its rows.
    """

    batches: list[TaskBatch]
    tokens: list[int]
    counts: list[Counts]
    stop: int
    found: list[Found]


def agree(
    process: Process,
    step: int,
    make: Callable[[], list[TaskBatch]],
    objectives: Mapping[str, Collection[str]],
    stop: int = 0,
) -> Agreed:
    """Make this rank's batches and be sure that all ranks do the same with theirs.

    Compared are the step, the tasks, the module graphs (images or only text, with or
    without other losses) and the bad rows that were left out when windows were built. Those
    that one rank met in reading its share are told to all.

    Args:
        step: of which these are the batches, counted from 1.
        make: this rank's share; what it raises ends the training on all ranks.
        objectives: of each task, beside the loss of its target tokens.
        stop: number of the signal that asked this rank to end, or 0.

    Raises:
        TrainingFault: when the ranks differ.
        EndedElsewhere: when another rank's `make` failed.
    """
    batches: list[TaskBatch] = []
    failure = None
    try:
        batches = make()
    except Exception as error:  # whatever it is, the others must hear of it
        failure = error
    own = [sum(part.target_tokens for part in batch.parts) for batch in batches]
    found = [batch.parts[0].found for batch in batches]
    counts = [total(part.counts for part in batch.parts) for batch in batches]
    if process.world == 1:
        if failure is not None:
            raise failure
        return Agreed(batches, own, counts, stop, found)
    plan = _describe(step, batches, objectives)
    digest = int.from_bytes(hashlib.sha256(plan.encode()).digest()[:7], "big")
    said = [digest, stop, failure is not None, any(found)]
    mine = torch.tensor(said, device=process.device)
    every = [torch.empty_like(mine) for _ in range(process.world)]
    torch.distributed.all_gather(every, mine)
    digests, signals, failed, finding = torch.stack(every).T.tolist()
    if any(failed):
        fail_together(process, failure)
    if min(digests) != max(digests):
        plans = process.gather_objects(plan)
        told = "; ".join(f"rank {rank} is at {plan}" for rank, plan in enumerate(plans))
        raise TrainingFault(f"the processes disagree ({told}): same code, run file and data?")
    rows = [(tokens, *vars(each).values()) for tokens, each in zip(own, counts, strict=True)]
    sums = torch.tensor(rows, device=process.device)
    torch.distributed.all_reduce(sums)
    tokens, *others = zip(*sums.tolist(), strict=True)
    counts = [Counts(*each) for each in zip(*others, strict=True)]
    if any(finding):
        found = found_by_all(process, found)
    return Agreed(batches, list(tokens), counts, max(signals), found)


def found_by_all(process: Process, own: Sequence[Found]) -> list[Found]:
    """What any rank found in reading each of some batches, from what this one did."""
    several = process.gather_objects(list(own))
    return [Found.merged(of_batch) for of_batch in zip(*several, strict=True)]


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
    told = None if failure is None else (exit_code_of(failure), str(failure))
    failures = process.gather_objects(told)
    first = next((rank for rank, found in enumerate(failures) if found), None)
    if first is None:
        return
    code, message = failures[first]
    if failure is not None and (process.rank == 0 or code == BUG):
        raise failure
    raise EndedElsewhere(f"rank {first}: {message}", code) from failure


def _describe(
    step: int, batches: Sequence[TaskBatch], objectives: Mapping[str, Collection[str]]
) -> str:
    plans = [_plan(batch, objectives[batch.task]) for batch in batches]
    return f"step {step} of {', then '.join(plans)}"


def _plan(batch: TaskBatch, objectives: Collection[str]) -> str:
    graphs = ["only text" if p.pixel_values_NCHW is None else "images" for p in batch.parts]
    graph = " and ".join((*dict.fromkeys(graphs), *objectives))
    skipped = sorted({row for part in batch.parts for row in part.skipped})
    without = f" without {', '.join(skipped)}" if skipped else ""
    times = f" in {len(graphs)} parts" if len(graphs) > 1 else ""
    return f"task {batch.task!r} with {graph}{times}{without}"


def exit_code_of(failure: Exception) -> int:
    """What the process ends with."""
    if isinstance(failure, UserError):
        return WRONG_INPUT
    return failure.exit_code if isinstance(failure, TrainingEnded) else BUG
