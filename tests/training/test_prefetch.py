"""Prefetching changes when things are made, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.training.test_trainer import events
from unified_vl.specs.load import load_run
from unified_vl.training.build import build
from unified_vl.training.distributed.process import Process
from unified_vl.training.prefetch import Prefetch, batches_ahead
from unified_vl.training.trainer import train


@pytest.mark.parametrize("depth", [1, 3])
def test_it_gives_what_the_iterator_gives(depth: int) -> None:
    with Prefetch(iter(range(20)), depth) as ahead:
        assert list(ahead) == list(range(20))


def test_an_error_reaches_the_reader_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("broken")

    with Prefetch(items()) as ahead:
        assert next(ahead) == 1
        assert ahead.waited > 0
        with pytest.raises(KeyError, match="broken"):
            next(ahead)


def test_it_is_never_more_than_its_depth_ahead() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with Prefetch(items(), depth=2) as ahead:
        for read in range(10):
            next(ahead)
            assert len(made) <= read + 1 + 2 + 2  # read, queued, and one on its way


def test_the_thread_ends_with_the_reader() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 1

    before = threading.active_count()
    with Prefetch(endless()) as ahead:
        next(ahead)
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_those_to_come_when_they_were_asked_for(squares: Path, workers: int) -> None:
    run = load_run(squares / "run.yaml", [f"workers={workers}"])
    parts = build(run)
    process = Process(0, 1, torch.device("cpu"))
    drawn = dict.fromkeys(parts.streams, 0)
    training: Any = SimpleNamespace(run=run, parts=parts, process=process, drawn=drawn)
    ahead = batches_ahead(training)
    expected = []
    for _ in range(4):  # what the steps do while the thread has not begun
        (task,) = parts.schedule.next_update()
        expected.append((task, parts.streams[task].batch(drawn[task]).input_ids_BS.tolist()))
        drawn[task] += 1
    found = [batch for _ in range(4) for batch in next(ahead)]
    assert [(each.task, each.parts[0].input_ids_BS.tolist()) for each in found] == expected


def test_a_thread_that_begins_late_changes_no_step(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    fill, take = Prefetch._fill, Prefetch.__next__

    def late(self: Prefetch[Any]) -> None:
        asked.wait()
        fill(self)

    def asking(self: Prefetch[Any]) -> Any:
        asked.set()
        return take(self)

    told = []
    for name in ("as it comes", "late"):
        output = tmp_path / name
        train(load_run(squares / "run.yaml", [f"output={output}", "steps=3"]), progress=False)
        told.append(events(output))
        monkeypatch.setattr(Prefetch, "_fill", late)
        monkeypatch.setattr(Prefetch, "__next__", asking)
    assert told[0] == told[1]
