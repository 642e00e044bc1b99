"""How `kill_resume.py` starts trainings: as forks of itself, or under a launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import psutil
from dying_training import Death

from unified_vl.cli.main import main as unified_vl

SCRIPT = Path(__file__).with_name("dying_training.py")


class Training(Protocol):
    """One that goes on, in one process or several."""

    def poll(self) -> int | None:
        """Its exit code; None as long as it goes on."""

    def wait(self) -> int:
        """Its exit code, once nothing of it is left; negative for the signal that ended it."""

    def kill(self) -> None:
        """SIGKILL to all of it."""


Starter = Callable[[Sequence[str], Path, Death | None], Training]


class Fork:
    """Work in a fork of this process, which has its libraries already.

    Args:
        work: is done there.
        log: takes what it prints.
    """

    def __init__(self, work: Callable[[], object], log: Path) -> None:
        sys.stdout.flush()
        self._ended: int | None = None
        self._process = os.fork()
        if not self._process:
            os._exit(_worked(work, log))

    def poll(self, how: int = os.WNOHANG) -> int | None:
        if self._ended is None:
            ended, status = os.waitpid(self._process, how)
            self._ended = os.waitstatus_to_exitcode(status) if ended else None
        return self._ended

    def wait(self) -> int:
        code = self.poll(0)
        assert code is not None
        return code

    def kill(self) -> None:
        os.kill(self._process, signal.SIGKILL)
        self.wait()


def _worked(work: Callable[[], object], log: Path) -> int:
    """The exit code of `work`, which prints to `log`."""
    try:
        printed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        work()
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


class Launched:
    """A launcher and its ranks, in a process group of their own."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
        with log.open("w") as printed:
            self._process = subprocess.Popen(
                command, stdout=printed, stderr=printed, start_new_session=True, env=environment
            )

    def poll(self) -> int | None:
        return None if self._living() else self._process.wait()

    def wait(self) -> int:
        while self._living():
            time.sleep(0.05)
        return self._process.wait()

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self.wait()

    def _living(self) -> bool:
        """Whether anything of the group is left: ranks may outlive their launcher."""
        self._process.poll()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                ours = os.getpgid(process.pid) == self._process.pid
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    return True
        return False


def forking(arguments: Sequence[str], log: Path, death: Death | None) -> Training:
    """One process, without a launcher."""

    def work() -> None:
        sys.argv = ["unified-vl", *arguments]
        if death is not None:
            death.install()
        unified_vl()

    return Fork(work, log)


def launching(launcher: str, processes: int) -> Starter:
    """Several processes, under `deepspeed` or `torchrun`."""
    many = "--num_gpus" if launcher == "deepspeed" else "--nproc_per_node"

    def start(arguments: Sequence[str], log: Path, death: Death | None) -> Training:
        how = [] if death is None else ["--death", death.point, str(death.time), death.how]
        command = [
            sys.executable,
            str(Path(sys.executable).with_name(launcher)),
            f"{many}={processes}",
            f"--master_port={_free_port()}",
            str(SCRIPT),
            *how,
            *arguments,
        ]
        return Launched(command, log)

    return start


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
