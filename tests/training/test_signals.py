"""Signals are noted once and then obeyed; each kind of end has its exit code."""

from __future__ import annotations

import errno
import os
import signal
import threading

import pytest

from unified_vl.cli import main as command
from unified_vl.errors import (
    BadRow,
    DiskFull,
    EndedElsewhere,
    Stopped,
    TrainingFault,
    UserError,
)
from unified_vl.training.signals import StopSignals, name_of


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_noted_and_the_second_obeyed(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    class Obeyed(Exception): ...

    def obey(*_: object) -> None:
        raise Obeyed

    usual = signal.signal(number, obey)
    try:
        with StopSignals() as signals:
            assert signals.received == 0
            os.kill(os.getpid(), number)
            assert name_of(signals.received) == number.name
            assert "with a checkpoint" in capfd.readouterr().err
            with pytest.raises(Obeyed):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is obey
    finally:
        signal.signal(number, usual)


def test_outside_the_main_thread_nothing_is_touched() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def use() -> None:
        with StopSignals() as signals:
            found.append((signals.received, signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found == [(0, before)]


@pytest.mark.parametrize(
    ("ended", "code", "told"),
    [
        (UserError("no such key"), 2, "error: no such key\n"),
        (BadRow("no image", file="a.jsonl", line=3), 2, "error: a.jsonl:3: no image\n"),
        (Stopped("stopped after step 4"), 0, "stopped after step 4\n"),
        (TrainingFault("the loss is nan"), 3, "error: the loss is nan\n"),
        (DiskFull("no room"), 4, "error: no room\n"),
        (EndedElsewhere("rank 1: no room", 4), 4, "error: rank 1: no room\n"),
        (OSError(errno.ENOSPC, "No space left"), 4, "error: [Errno 28] No space left\n"),
    ],
)
@pytest.mark.parametrize("rank", ["0", "1"])
def test_every_end_has_its_exit_code_and_rank_0_tells(
    ended: Exception,
    code: int,
    told: str,
    rank: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def end() -> None:
        raise ended

    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(command, "app", end)
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code == code
    silent = rank == "1" and not isinstance(ended, UserError | OSError)
    assert capsys.readouterr().err == ("" if silent else told)
