"""Training, from top to bottom."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from unified_vl.data.batching import Batch
from unified_vl.data.streams import TaskStream, draw_seed
from unified_vl.errors import UserError
from unified_vl.inference.model_directory import save_model
from unified_vl.specs.run import Run
from unified_vl.training import checkpoint
from unified_vl.training.build import Parts, build, fingerprints
from unified_vl.training.engine import Engine, Process, start_process
from unified_vl.training.journal import Journal
from unified_vl.training.optimizer import build_optimizer, learning_rate
from unified_vl.training.prefetch import Prefetch
from unified_vl.training.schedule import Schedule
from unified_vl.training.scoring import Scorer
from unified_vl.training.update import TaskBatch, backward, target_loss_sum

CHECKPOINTS = "checkpoints"
MODEL = "model"
AHEAD = 4  # batches that are prepared while a step computes


def train(run: Run, *, resume: bool = False, progress: bool = True) -> Path:
    """Train what a run file says; under the `deepspeed` launcher, one call a process.

    Args:
        run: of `load_run`.
        resume: go on from the last whole checkpoint of the output directory.
        progress: show a progress bar, or lines where stderr is no terminal.

    Returns:
        The saved model's directory, OUTPUT/model.

    Raises:
        UserError: for input that cannot be used, an output directory that is not empty
            (without `resume`), or a checkpoint of something else.
        RuntimeError: when the loss is no longer a number, or the processes disagree.
    """
    process = start_process()
    if not resume:
        _refuse_used(run.output)
    parts = build(run)
    validation = _validation_batches(parts, process)
    engine = Engine(process, parts.model, build_optimizer(parts.model, run.optimizer), run)
    rows = {task: len(stream.data) for task, stream in parts.streams.items()}
    journal = Journal(run, rows, writes=process.rank == 0, progress=progress)
    drawn = dict.fromkeys(parts.streams, 0)  # batches of each task
    prints = fingerprints(run, parts, process.world)
    start = _restore(run, engine, parts.schedule, drawn, journal, prints) if resume else 0
    for task, stream in parts.streams.items():  # bad data shows before anything is written
        stream.micro_batches(drawn[task], process.rank, process.world, run.accumulate)
    scorer = Scorer(parts, engine, run.score_rows)
    with journal:
        for first, last in _stretches(start, run, parts.schedule):
            ahead = _updates(run, parts.streams, parts.schedule, drawn, process)
            with Prefetch(ahead, AHEAD) as prepared:
                for step in range(first + 1, last + 1):  # counted from 1
                    tasks = parts.schedule.next_update()
                    batches = next(prepared)
                    # dropout, too, is a function of the step: a resume needs no generator's state
                    seed = draw_seed(run.seed, "step", step, process.rank) % 2**63
                    torch.manual_seed(seed)
                    told = backward(engine, step, batches, run, parts.weights, parts.contrasts)
                    for each in told:  # the same on all ranks; the weights are untouched
                        if not math.isfinite(each.loss):
                            raise RuntimeError(
                                f"step {step}, task {each.task!r}: the loss is {each.loss}"
                            )
                    rate = learning_rate(step - 1, run.steps, run.optimizer)
                    norm = engine.step(rate)
                    for task in tasks:
                        drawn[task] += 1
                    journal.update(step, told, rate, norm)
                    if _due(step, run.validate_every, run):
                        journal.validation(step, _validate(engine, validation))
                    if _due(step, run.score_every, run):
                        _score(step, scorer, parts, journal, drawn)
                    if _due(step, run.checkpoint_every, run):
                        state = _progress(step, parts.schedule, drawn, journal, prints)
                        checkpoint.save(
                            run.output / CHECKPOINTS, step, engine, state, run.keep_checkpoints
                        )
        for task, stream in parts.streams.items():
            journal.skipped(task, stream.skipped)
        _save_model(run, parts, engine, journal)
    return run.output / MODEL


def _refuse_used(output: Path) -> None:
    """Every rank looks before any writes: the engine, which waits for all, comes after."""
    if output.exists() and any(output.iterdir()):
        raise UserError(
            "the output directory is not empty",
            file=output,
            expected="an empty one, or --resume to go on with the run in it",
        )


def _restore(
    run: Run,
    engine: Engine,
    schedule: Schedule,
    drawn: dict[str, int],
    journal: Journal,
    prints: Mapping[str, str],
) -> int:
    """Put everything where the last checkpoint had it; returns the steps done then."""
    state = checkpoint.load(run.output / CHECKPOINTS, engine, prints)
    if state is None:  # killed before its first checkpoint
        journal.restart()
        return 0
    if state["step"] > run.steps:
        raise run.error(
            ("steps",),
            f"the checkpoint has {state['step']} steps already",
            expected=f"at least {state['step']}",
        )
    schedule.load_state_dict(state["schedule"])
    drawn.update(state["drawn"])
    journal.restart(state["journal"], state["step"])
    return int(state["step"])


def _progress(
    step: int,
    schedule: Schedule,
    drawn: Mapping[str, int],
    journal: Journal,
    prints: Mapping[str, str],
) -> dict[str, Any]:
    """What `_restore` needs, beside the weights."""
    return {
        "step": step,
        "schedule": schedule.state_dict(),
        "drawn": dict(drawn),
        "journal": journal.state_dict(),
        "fingerprints": dict(prints),
    }


def _due(step: int, every: int, run: Run) -> bool:
    """Whether what is done every so many steps, and at the end, is done after this one."""
    return every > 0 and (step == run.steps or step % every == 0)


def _stretches(start: int, run: Run, schedule: Schedule) -> Iterator[tuple[int, int]]:
    """The steps in stretches during which it is known whose turn it is.

    Scores may stop a task or let it go, which ends what can be prepared in advance.
    """
    every = run.score_every if schedule.controllers else 0
    while start < run.steps:
        end = min(run.steps, (start // every + 1) * every) if every else run.steps
        yield start, end
        start = end


def _updates(
    run: Run,
    streams: Mapping[str, TaskStream],
    schedule: Schedule,
    drawn: Mapping[str, int],
    process: Process,
) -> Iterator[list[TaskBatch]]:
    """This rank's share of the batches of each update to come, as things stand."""
    schedule, drawn = copy.deepcopy(schedule), dict(drawn)
    return _prepare(run, streams, schedule, drawn, process)


def _prepare(
    run: Run,
    streams: Mapping[str, TaskStream],
    schedule: Schedule,
    drawn: dict[str, int],
    process: Process,
) -> Iterator[list[TaskBatch]]:
    while True:
        batches = []
        for task in schedule.next_update():
            parts = streams[task].micro_batches(
                drawn[task], process.rank, process.world, run.accumulate
            )
            batches.append(TaskBatch(task, tuple(parts)))
            drawn[task] += 1
        yield batches


def _score(
    step: int, scorer: Scorer, parts: Parts, journal: Journal, drawn: Mapping[str, int]
) -> None:
    """Score the tasks; some may rest from now on, and some train again."""
    for task, score in scorer.scores().items():
        transition = parts.schedule.observe(task, score)
        metric = parts.specs[task].primary.metric
        journal.score(step, task, metric, score, drawn[task])
        if transition is not None:
            journal.transition(step, transition)


def _validation_batches(parts: Parts, process: Process) -> dict[str, list[Batch]]:
    """The same rows each time: the first window of a fixed order, in whole batches."""
    return {
        task: [stream.batch(n, process.rank, process.world) for n in range(stream.window)]
        for task, stream in parts.validation.items()
    }


def _validate(engine: Engine, batches: Mapping[str, list[Batch]]) -> dict[str, float]:
    """The token mean of the loss of each task, without label smoothing."""
    losses = {}
    with engine.evaluating():
        for task, of_task in batches.items():
            sums = torch.zeros(2, dtype=torch.float64, device=engine.process.device)
            for batch in of_task:
                moved = batch.to(engine.process.device)
                sums[0] += target_loss_sum(engine.outputs(moved), moved)
                sums[1] += batch.target_tokens
            loss, tokens = engine.total(sums)
            losses[task] = loss / tokens
    return losses


def _save_model(run: Run, parts: Parts, engine: Engine, journal: Journal) -> None:
    weights = engine.weights()
    if engine.process.rank == 0:
        whole = type(parts.model)(parts.model.config)
        whole.load_state_dict(weights)
        facts = {
            "run": run.run,
            "steps": run.steps,
            "seed": run.seed,
            "batch_size": run.batch_size,
            "processes": engine.process.world,
            "seconds": round(journal.seconds, 1),
        }
        save_model(run.output / MODEL, whole, parts.codec, parts.specs.values(), facts)
        journal.say(f"the model is in {run.output / MODEL}")
    engine.barrier()
