"""Training, from top to bottom."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from unified_vl.data.batching import Found
from unified_vl.data.order import draw_seed
from unified_vl.errors import UserError
from unified_vl.locks import WITHIN
from unified_vl.model.work import work_of
from unified_vl.run_record import MODEL, SPECS
from unified_vl.specs.run import Run
from unified_vl.specs.runs.augment_rules import told
from unified_vl.specs.runs.engine import read_engine
from unified_vl.specs.runs.run_paths import only_writer_of_output, told_at_its_key
from unified_vl.specs.written import write_run
from unified_vl.training.bad_rows import BadRows
from unified_vl.training.balancing.balanced import balanced_backward, mean_of_each
from unified_vl.training.balancing.conflicts import measure_gradients
from unified_vl.training.balancing.registry import make_balance
from unified_vl.training.beginning import beginning_of
from unified_vl.training.build import Parts, build, rows_of
from unified_vl.training.course.between_steps import look_around, validation_batches
from unified_vl.training.course.early_stopping import EarlyStopping
from unified_vl.training.course.epochs import with_steps
from unified_vl.training.distillation.teacher import untaught
from unified_vl.training.distributed.agreement import agree, found_by_all, together
from unified_vl.training.distributed.devices import (
    SLOW_BF16,
    is_slow_in_bf16,
    peak_memory,
    peak_of,
)
from unified_vl.training.distributed.engine import Engine, refuse_unable_device
from unified_vl.training.distributed.lost import failing_alike, lost_ranks
from unified_vl.training.distributed.process import Process, start_process
from unified_vl.training.distributed.signals import StopSignals
from unified_vl.training.distributed.watchdog import STACKS, Watchdog
from unified_vl.training.gradients import GradientGuard
from unified_vl.training.learning_rate import LearningRate
from unified_vl.training.optimizers.registry import build_optimizer
from unified_vl.training.prefetch import Prefetch, share_of, updates_ahead
from unified_vl.training.record.best import Best
from unified_vl.training.record.fingerprints import fingerprints
from unified_vl.training.record.journal import Journal, name_of_update
from unified_vl.training.record.models import ModelWriter
from unified_vl.training.record.speed import SpeedMeter
from unified_vl.training.resume import look_at_data, restore
from unified_vl.training.schedules.registry import lower_is_better
from unified_vl.training.schedules.schedule import Schedule
from unified_vl.training.state import Training
from unified_vl.training.tuning.trained import trained_of, untrained_rows
from unified_vl.training.update import TaskBatch
from unified_vl.training.validation_scores import Scorer

LEFT = {WITHIN, STACKS}  # what a start that was killed or hung may leave in the output
AHEAD = 4  # batches that are prepared while a step computes


def train(
    run: Run, *, resume: bool = False, progress: bool = True, accept_changed_data: bool = False
) -> Path:
    """Train what a run file says, or a run made in Python; under the `deepspeed` launcher, one
    call a process.

    A run made in Python is written to OUTPUT/specs, so that the command line goes on with it, too:
    `unified-vl train OUTPUT/specs/run.yaml --resume`.

    Args:
        run: of `load_run`, or a `Run`.
        resume: go on from the last whole checkpoint of the output directory.
        progress: show a progress bar, or lines where stderr is no terminal.
        accept_changed_data: go on though the data are not what they were.

    Returns:
        The saved model's directory, OUTPUT/model.

    Raises:
        UserError: for input that cannot be used, an output directory that is not empty
            (without `resume`) or that another process writes, or a checkpoint of something else.
        TrainingEnded: when a signal, a fault or another rank ends it before its last step, or
            the launcher or another rank is gone.
    """
    with (
        lost_ranks(),
        Watchdog(run.output, run.hang_timeout) as watchdog,
        _only_job(run) as process,
    ):
        watchdog.beat("the data and the model are read")
        training = _prepare(run, process, resume=resume, progress=progress)
        with contextlib.closing(training.engine):
            _train(training, watchdog, resume=resume, accept_changed_data=accept_changed_data)
    return run.output / MODEL


def _train(
    training: Training, watchdog: Watchdog, *, resume: bool, accept_changed_data: bool
) -> None:
    """All of it, once the ranks have met and hold the model."""
    run, process = training.run, training.process
    start = restore(training, accept_changed_data) if resume else 0
    look_at_data(training)
    with together(process):  # bad data shows before anything is written
        _rehearse(training)
    with together(process):
        if run.file is None and process.rank == 0:
            write_run(run, run.output / SPECS)
    if training.parts.start is not None and not start:
        training.journal.note("started_from", 0, **training.parts.start.facts())
        training.journal.say(training.parts.start.line())
    if read_engine(run.engine).bf16.enabled and is_slow_in_bf16(process.device):
        training.journal.say(f"warning: {SLOW_BF16}; float32 may be many times as fast")
    training.journal.say(str(training.trained))
    if untrained := untrained_rows(training.parts.model, training.parts.start):
        training.journal.say(f"warning: {untrained}")
    if unknown := untaught(training.parts.teacher, training.parts.specs):
        training.journal.say(f"warning: {unknown}")
    if start == 0:
        training.journal.note("trained", 0, **training.trained.facts())
    with training.journal, StopSignals() as signals:
        _note_validation(training, start)
        last = _steps(training, start, watchdog, signals)
        watchdog.beat()
        training.bad_rows.summarize()
        training.models.write(MODEL, last)


@contextlib.contextmanager
def _only_job(run: Run) -> Iterator[Process]:
    """The ranks, once they have met, are the only processes that write the output directory."""
    process = start_process()
    with contextlib.ExitStack() as stack:
        with together(process):
            if process.rank == 0:
                stack.enter_context(only_writer_of_output(run))
        yield process


def _steps(training: Training, start: int, watchdog: Watchdog, signals: StopSignals) -> int:
    """All steps after `start`; returns the last one."""
    stopping = training.stopping
    if stopping.ended:
        training.journal.say(
            f"it has stopped early after step {start}: {stopping.reason()}; "
            "with more patience, or without early_stopping, it goes on"
        )
        return start
    for first, last in _stretches(start, training.run, training.parts.schedule):
        if _measures_gradients(training.run, first):
            watchdog.beat("the gradients of the tasks are measured")
            measure_gradients(training, first + 1)
            watchdog.beat()
        with Prefetch(updates_ahead(training), AHEAD) as prepared:
            for step in range(first + 1, last + 1):  # counted from 1
                watchdog.beat()
                stop = _step(training, step, prepared, signals.received)
                watchdog.beat()
                look_around(training, step, stop)
                if stopping.ended:
                    return step
    return training.run.last_step


def _step(
    training: Training, step: int, prepared: Prefetch[Callable[[], list[TaskBatch]]], stop: int
) -> int:
    """One update, or its refusal; returns the signal that asks any rank to end, or 0."""
    run, parts, engine, journal = training.run, training.parts, training.engine, training.journal
    started, waited = time.perf_counter(), prepared.waited
    tasks = parts.schedule.next_update()
    agreed = agree(training.process, step, lambda: next(prepared)(), parts.objectives, stop)
    assert [batch.task for batch in agreed.batches] == list(tasks), "prepared for another step"
    # dropout, too, is a function of the step: a resume needs no generator's state
    torch.manual_seed(draw_seed(run.seed, "step", step - 1, training.process.rank) % 2**63)
    told = balanced_backward(training, step, agreed.batches, agreed.tokens)
    rate = training.rate.at(step - 1)
    name = name_of_update(tasks)
    loss = sum(each.loss for each in told)  # no number where one of them is none
    norm = engine.step(rate, partial(training.guard.accept, step, name, loss))
    took = time.perf_counter() - started, prepared.waited - waited
    journal.meter.add([batch.task for batch in agreed.batches], agreed.counts, *took)
    for batch, found in zip(agreed.batches, agreed.found, strict=True):
        training.drawn[batch.task] += 1
        training.bad_rows.note(step, batch.parts[0], found)
        parts.streams[batch.task].heard(found.bad)
        parts.streams[batch.task].begins(found)
    rows = [batch.parts[0].global_rows for batch in agreed.batches]
    if engine.loss_scale is not None and engine.loss_scale.overflowed:
        journal.refused(step, tasks, engine.loss_scale.told(), rows)
    elif training.guard.reason is None:
        training.balance.observe(mean_of_each(told), norm)
        journal.update(step, told, rate, norm)
    else:
        journal.refused(step, tasks, training.guard.reason, rows)
        training.guard.enforce(step, name)
    return agreed.stop


def _note_validation(training: Training, start: int) -> None:
    """The bad rows of validation, as any rank found them."""
    validation = training.validation
    own = [Found.merged(batch.found for batch in batches) for batches in validation.values()]
    found = found_by_all(training.process, own)
    for batches, of_task in zip(validation.values(), found, strict=True):
        training.bad_rows.note(start, batches[0], of_task)


def _prepare(run: Run, process: Process, *, resume: bool, progress: bool) -> Training:
    with together(process):
        refuse_unable_device(run)
        if not resume:
            _refuse_used(run.output)
        beginning = beginning_of(run, resume=resume)
        run, parts = beginning.run, build(beginning)
        trained = trained_of(parts.model, digest=process.rank == 0)
        validation = validation_batches(parts, process)
    with failing_alike(process):
        with told_at_its_key(run):
            optimizer = build_optimizer(parts.model, run.optimizer)
        peak = peak_of(run, process.device)
        work = None if peak is None else work_of(parts.model)  # before weights are shared out
        engine = Engine(process, parts.model, optimizer, run, momentum=parts.reads_momentum)
    compiled = _compile(run, parts, process) if run.compile else None
    rows = rows_of(parts.streams)
    run, length = with_steps(run, rows)
    peaks = None if peak is None else peak * process.world
    meter = SpeedMeter(work, peaks, partial(peak_memory, process.device))
    journal = Journal(run, rows, writes=process.rank == 0, progress=progress, meter=meter)
    if length is not None:
        journal.say(length.told(run))
    for line in told(run):
        journal.say(line)
    if compiled is not None:
        journal.say(f"the blocks of encoder and decoder are compiled, in {compiled:.0f} s")
    lower = lower_is_better(parts.specs.values())
    best = Best(by_scores=run.score_every > 0, lower_is_better=lower)
    return Training(
        run=run,
        process=process,
        parts=parts,
        engine=engine,
        journal=journal,
        guard=GradientGuard(run.faults),
        balance=make_balance(run.loaded_mixture),
        bad_rows=BadRows(journal),
        rate=LearningRate(run.optimizer, run.last_step),
        best=best,
        stopping=EarlyStopping(run.early_stopping, by_scores=run.score_every > 0),
        scorer=Scorer(parts, engine, run.score_rows),
        models=ModelWriter(run, parts, engine, journal),
        validation=validation,
        drawn=dict.fromkeys(parts.streams, 0),
        fingerprints=fingerprints(run, parts),
        trained=trained,
        seen_files={},
    )


def _compile(run: Run, parts: Parts, process: Process) -> float:
    """Seconds that it took to compile the blocks, whose programs each rank makes."""
    from unified_vl.training.compiling.compiled_blocks import compile_blocks  # takes time to load

    with together(process), told_at_its_key(run):
        return compile_blocks(parts.model, packed=run.packing)


def _refuse_used(output: Path) -> None:
    """Every rank looks before any writes: the engine, which waits for all, comes after."""
    if output.exists() and any(path.name not in LEFT for path in output.iterdir()):
        raise UserError(
            "the output directory is not empty",
            file=output,
            expected="an empty one, or --resume to go on with the run in it",
        )


def _stretches(start: int, run: Run, schedule: Schedule) -> Iterator[tuple[int, int]]:
    """The steps in stretches during which batches can be prepared in advance.

    Scores may stop a task or let it go; and what is measured reads the same streams.
    """
    lengths = [run.score_every if schedule.goes_by_scores else 0]
    lengths.append(run.gradient_conflicts.every if run.gradient_conflicts is not None else 0)
    while start < run.last_step:
        ends = [(start // every + 1) * every for every in lengths if every]
        end = min([run.last_step, *ends])
        yield start, end
        start = end


def _measures_gradients(run: Run, done: int) -> bool:
    return run.gradient_conflicts is not None and done % run.gradient_conflicts.every == 0


def _rehearse(training: Training) -> None:
    """Make the next batch of every task."""
    for task, stream in training.parts.streams.items():
        stream.micro_batches(training.drawn[task], *share_of(training))
