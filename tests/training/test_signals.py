"""Signals are noted once and then obeyed; each kind of end has its exit code."""

from __future__ import annotations

import errno
import os
import signal
import threading

import psutil
import pytest

from unified_vl.cli import main as command
from unified_vl.errors import (
    BadRow,
    DiskFull,
    EndedElsewhere,
    LostRank,
    Stopped,
    TrainingFault,
    UserError,
)
from unified_vl.training.distributed import signals as module
from unified_vl.training.distributed.launcher import Launcher, own_launcher
from unified_vl.training.distributed.signals import LAUNCHER_GONE, StopSignals, name_of

ASKING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", ASKING)
def test_the_first_signal_is_noted_and_a_later_one_of_its_kind_obeyed(
    number: signal.Signals, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
            os.kill(os.getpid(), number)  # the launcher's, a moment later
            for other in ASKING:  # and of another kind, whenever
                os.kill(os.getpid(), other)
            assert name_of(signals.received) == number.name
            assert capfd.readouterr().err == ""
            monkeypatch.setattr(module, "AGAIN", 0.0)
            with pytest.raises(Obeyed):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is obey
    finally:
        signal.signal(number, usual)


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    """As under `nohup`, or in the background of a shell without job control."""
    usual = signal.signal(number, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), number)
            assert signals.received == 0
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, usual)


def test_no_signal_is_lost_with_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def hung_up(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", hung_up)
    with StopSignals() as signals:
        os.kill(os.getpid(), signal.SIGHUP)
        assert signals.received == signal.SIGHUP


def test_a_launcher_that_is_gone_asks_for_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKS", 0.0)
    this = psutil.Process()
    with StopSignals(Launcher([this, psutil.Process(os.getppid())])) as signals:
        assert signals.received == 0
    with StopSignals(Launcher([this])) as signals:  # of a shell, whose end ends nothing
        assert signals.received == 0
    with StopSignals(Launcher([this, this])) as signals:  # its parent is another
        assert signals.received == LAUNCHER_GONE
        assert name_of(signals.received) == "the launcher is gone"
    assert not own_launcher().gone


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
        (LostRank("the connection broke"), 6, "error: the connection broke\n"),
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
    silent = rank == "1" and not isinstance(ended, UserError | OSError | LostRank)
    assert capsys.readouterr().err == ("" if silent else told)
