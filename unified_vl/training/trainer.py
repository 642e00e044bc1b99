"""Training, from top to bottom."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.data.batching import Batch
from unified_vl.data.streams import TaskStream, draw_seed
from unified_vl.errors import Stopped, UserError
from unified_vl.inference.model_directory import save_model
from unified_vl.model.unified import UnifiedVLOutput
from unified_vl.specs.run import Run
from unified_vl.training import checkpoint
from unified_vl.training.agreement import agree, together
from unified_vl.training.bad_rows import BadRows
from unified_vl.training.build import Parts, build, fingerprints
from unified_vl.training.contrast import contrastive_loss
from unified_vl.training.engine import Engine, Process, start_process
from unified_vl.training.gradients import GradientGuard
from unified_vl.training.journal import Journal
from unified_vl.training.loss import step_loss, token_loss_sum
from unified_vl.training.optimizer import build_optimizer, learning_rate
from unified_vl.training.prefetch import Prefetch
from unified_vl.training.schedule import Schedule
from unified_vl.training.signals import StopSignals, name_of
from unified_vl.training.watchdog import Watchdog

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
        TrainingEnded: when a signal, a fault or another rank ends it before its last step.
    """
    process = start_process()
    with Watchdog(process, run.output, run.hang_timeout) as watchdog:
        return _train(run, process, watchdog, resume=resume, progress=progress)


def _train(run: Run, process: Process, watchdog: Watchdog, *, resume: bool, progress: bool) -> Path:
    with together(process):
        if not resume:
            _refuse_used(run.output)
        parts = build(run)
        validation = _validation_batches(parts, process)
    engine = Engine(process, parts.model, build_optimizer(parts.model, run.optimizer), run)
    journal = Journal(run, writes=process.rank == 0, progress=progress)
    guard, bad_rows = GradientGuard(run.faults), BadRows(journal)
    drawn = dict.fromkeys(parts.streams, 0)  # batches of each task
    prints = fingerprints(run, parts)
    start = 0
    if resume:
        start = _restore(run, engine, parts, drawn, journal, guard, bad_rows, prints)
    with together(process):  # bad data shows before anything is written
        for task, stream in parts.streams.items():
            stream.batch(drawn[task], process.rank, process.world)
    batches = _batches(parts.streams, copy.deepcopy(parts.schedule), dict(drawn), process)
    with journal, StopSignals() as signals:
        for task, of_task in validation.items():
            bad_rows.note(start, task, of_task[0].skipped)
        with Prefetch(batches, AHEAD) as prepared:
            for step in range(start, run.steps):
                watchdog.beat()
                task = parts.schedule.next_task()
                contrasted = parts.contrasts[task] > 0
                agreed = agree(
                    process,
                    step,
                    task,
                    prepared.__next__,
                    contrast=contrasted,
                    stop=signals.received,
                )
                batch, tokens = agreed.batch, agreed.tokens
                rate = learning_rate(step, run.steps, run.optimizer)
                # dropout, too, is a function of the step: a resume needs no generator's state
                torch.manual_seed(draw_seed(run.seed, "step", step, process.rank) % 2**63)
                output = engine.outputs(batch, contrast=contrasted)
                loss_sum = _loss_sum(output, batch, run.label_smoothing)
                objective = step_loss(loss_sum, tokens, process.world, parts.weights[task])
                told: float | None = None
                if contrasted:
                    contrast = _contrast(engine, output, batch)
                    # every rank holds the whole loss, but gradients of its own rows only
                    objective = objective + parts.contrasts[task] * process.world * contrast
                    told = contrast.item()
                engine.backward(objective)
                loss = engine.total(loss_sum)[0] / tokens
                norm = engine.step(rate, partial(guard.accept, step + 1, task, loss))
                drawn[task] += 1
                bad_rows.note(step + 1, task, batch.skipped)
                if guard.reason is None:
                    journal.step(step + 1, task, loss, rate, norm, tokens, told)
                else:
                    journal.refused(step + 1, task, guard.reason)
                    guard.enforce(step + 1, task)
                last = step + 1 == run.steps
                if last or (step + 1) % run.validate_every == 0:
                    journal.validation(step + 1, _validate(engine, validation))
                if last or agreed.stop or (step + 1) % run.checkpoint_every == 0:
                    watchdog.beat()
                    state = _progress(
                        step + 1, parts.schedule, drawn, journal, guard, bad_rows, prints
                    )
                    checkpoint.save(
                        run.output / CHECKPOINTS, step + 1, engine, state, run.keep_checkpoints
                    )
                if agreed.stop and not last:
                    raise Stopped(
                        f"{name_of(agreed.stop)}: stopped after step {step + 1} of {run.steps}, "
                        f"which is saved in {run.output}; the same command with --resume goes on"
                    )
        watchdog.beat()
        bad_rows.summarize()
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
    parts: Parts,
    drawn: dict[str, int],
    journal: Journal,
    guard: GradientGuard,
    bad_rows: BadRows,
    prints: Mapping[str, str],
) -> int:
    """Put everything where the last checkpoint had it; returns the steps done then."""
    state = checkpoint.load(run.output / CHECKPOINTS, engine, prints, journal.say)
    if state is None:  # killed before its first checkpoint
        journal.restart()
        return 0
    if state["step"] > run.steps:
        raise run.error(
            ("steps",),
            f"the checkpoint has {state['step']} steps already",
            expected=f"at least {state['step']}",
        )
    parts.schedule.load_state_dict(state["schedule"])
    drawn.update(state["drawn"])
    guard.load_state_dict(state["gradients"])
    bad_rows.known = state["bad_rows"]
    for task, stream in parts.streams.items():  # their number stays limited
        stream.skipped.update(bad_rows.known.get(task, {}))
    journal.restart(state["journal"], state["step"])
    return int(state["step"])


def _progress(
    step: int,
    schedule: Schedule,
    drawn: Mapping[str, int],
    journal: Journal,
    guard: GradientGuard,
    bad_rows: BadRows,
    prints: Mapping[str, str],
) -> dict[str, Any]:
    """What `_restore` needs, beside the weights."""
    return {
        "step": step,
        "schedule": schedule.state_dict(),
        "drawn": dict(drawn),
        "journal": journal.state_dict(),
        "gradients": guard.state_dict(),
        "bad_rows": bad_rows.known,
        "fingerprints": dict(prints),
    }


def _batches(
    streams: Mapping[str, TaskStream],
    schedule: Schedule,
    drawn: dict[str, int],
    process: Process,
) -> Iterator[Batch]:
    """This rank's share of the batches to come, for ever."""
    while True:
        task = schedule.next_task()
        yield streams[task].batch(drawn[task], process.rank, process.world)
        drawn[task] += 1


def _loss_sum(output: UnifiedVLOutput, batch: Batch, label_smoothing: float = 0.0) -> torch.Tensor:
    assert batch.labels_BT is not None, "rows of training and validation have targets"
    assert output.logits is not None
    return token_loss_sum(output.logits, batch.labels_BT, label_smoothing)


def _contrast(engine: Engine, output: UnifiedVLOutput, batch: Batch) -> torch.Tensor:
    """The contrastive loss of the global batch: its end token is no part of a caption."""
    assert batch.labels_BT is not None
    assert output.caption_features is not None
    assert output.image_features is not None
    words_BT = (batch.labels_BT > EOS_ID).to(output.caption_features.dtype)
    return contrastive_loss(
        engine.gather(output.caption_features),
        engine.gather(words_BT),
        engine.gather(output.image_features),
    )


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
                sums[0] += _loss_sum(engine.outputs(moved), moved)
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
