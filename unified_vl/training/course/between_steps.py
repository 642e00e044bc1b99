"""What is done between the steps of a training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from unified_vl.data.batching import Batch
from unified_vl.errors import Stopped
from unified_vl.model.learning.target_loss import Targets
from unified_vl.run_record import CHECKPOINTS
from unified_vl.specs.run import Run
from unified_vl.training import checkpoint
from unified_vl.training.build import Parts
from unified_vl.training.data_files import to_json
from unified_vl.training.distributed.process import Process
from unified_vl.training.distributed.signals import name_of
from unified_vl.training.objectives.memory import save_memory
from unified_vl.training.record.best import mean_of_losses, mean_of_scores
from unified_vl.training.resume import progress_of
from unified_vl.training.state import Training


def look_around(training: Training, step: int, stop: int) -> None:
    """What is done between steps: validation, scores, checkpoints, and the end asked for."""
    run, stopping = training.run, training.stopping
    complete = training.parts.schedule.is_complete
    if _due(step, run.validate_every, run):
        losses = _validate(training)
        training.best.losses(step, losses)
        training.journal.validation(step, losses)
        if complete:
            stopping.observe(step, mean_of_losses(losses), of_scores=False)
    if _due(step, run.score_every, run):
        mean = mean_of_scores(_score(training, step), training.best.lower_is_better)
        if complete:
            stopping.observe(step, mean, of_scores=True)
    if stopping.ended and step < run.last_step:
        training.journal.settle()
        training.journal.note("early_stop", step, **stopping.facts())
        training.journal.say(
            f"stopped early after step {step} of {run.last_step}: {stopping.reason()}"
        )
    due = stopping.ended or _due(step, run.checkpoint_every, run)
    if stop or due:
        # a stop between two checkpoints decides nothing that the run would not have decided
        is_best = due and run.keep_best and training.best.checkpoint(step)
        if is_best:
            training.journal.note("best", step, **training.best.facts())
        checkpoint.save(
            run.output / CHECKPOINTS,
            step,
            training.engine,
            progress_of(training, step),
            run.keep_checkpoints,
            training.best.step,
            to_json(training.seen_files),
            partial(_describe, training),
        )
        if is_best:
            training.models.write_best(training.best)
    if stop and step < run.last_step and not stopping.ended:
        raise Stopped(
            f"{name_of(stop)}: stopped after step {step} of {run.last_step}, "
            f"which is saved in {run.output}; the same command with --resume goes on"
        )


def _describe(training: Training, folder: Path) -> None:
    """What a checkpoint holds beside weights and progress; on rank 0."""
    training.models.describe(folder)
    save_memory(folder, training.parts.objectives)


def _due(step: int, every: int, run: Run) -> bool:
    """Whether what is done every so many steps, and at the end, is done after this one."""
    return every > 0 and (step == run.last_step or step % every == 0)


def validation_batches(parts: Parts, process: Process) -> dict[str, list[Batch]]:
    """The same rows each time: the first window of a fixed order, in whole batches."""
    batches = {}
    for task, stream in parts.validation.items():
        batches[task] = [
            stream.batch(n, process.rank, process.world) for n in range(stream.in_first_window())
        ]
        stream.forget()  # the batches have all of it
    return batches


def _validate(training: Training) -> dict[str, float]:
    """The token mean of the loss of each task, without label smoothing or z-loss."""
    engine = training.engine
    losses = {}
    with engine.evaluating():
        for task, of_task in training.validation.items():
            sums = torch.zeros(2, dtype=torch.float64, device=engine.process.device)
            for batch in of_task:
                moved = batch.to(engine.process.device)
                assert moved.labels_BT is not None, "rows of validation have targets"
                found = engine.outputs(moved, Targets(moved.labels_BT, logits=False))
                assert found.target_loss is not None
                sums[0] += found.target_loss
                sums[1] += batch.target_tokens
            loss, tokens = training.process.total(sums)
            losses[task] = loss / tokens
    return losses


def _score(training: Training, step: int) -> dict[str, float]:
    """Score the tasks; some may rest from now on, and some train again."""
    parts, journal = training.parts, training.journal
    scores = training.scorer.scores()
    training.best.scores(step, scores)
    for task, score in scores.items():
        transition = parts.schedule.observe(task, score)
        metric = parts.specs[task].primary.metric
        journal.score(step, task, metric, score)
        if transition is not None:
            journal.transition(step, transition)
    return scores
