"""Python processes that are there at once.

To import torch and DeepSpeed takes most of what a short process takes. Here it is done once, in a
process without threads from which all others are forked (`multiprocessing`'s fork server). What
a test says of imports, of threads, or of a launcher needs a `subprocess`, as a user starts it.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from types import TracebackType
from unittest import mock

ROOT = Path(__file__).parents[1]
CPU = {"DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
PATIENCE = 600  # seconds: a test that waits longer has failed, however slow the machine
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.preloaded"])


class Forked:
    """A Python program in a process of its own; as a context manager it ends with the block.

    Args:
        program: a file, or a module's name.
        arguments: its `sys.argv`, but for the first.
        cwd: where it runs.
        environment: beside what this process has.
    """

    def __init__(
        self,
        program: Path | str,
        *arguments: object,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with mock.patch.dict(os.environ, {**CPU, "PYTHONPATH": path}):
            forkserver.ensure_running()
        self._folder = tempfile.TemporaryDirectory()
        self._process = _context.Process(
            target=_run,
            args=(
                program,
                [str(argument) for argument in arguments],
                Path.cwd() if cwd is None else cwd,
                {**os.environ, **CPU, **(environment or {})},
                Path(self._folder.name),
            ),
        )
        self._process.start()

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.join()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def stdout(self) -> str:
        return self._told("stdout")

    @property
    def stderr(self) -> str:
        return self._told("stderr")

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.exitcode

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        self._process.join(PATIENCE)
        assert self.returncode is not None, self.stderr
        return self.returncode

    def _told(self, stream: str) -> str:
        path = Path(self._folder.name, stream)
        return path.read_text(encoding="utf-8") if path.exists() else ""


@dataclass(frozen=True)
class Ended:
    """What is left of a process."""

    returncode: int
    stdout: str
    stderr: str


def run_command(
    program: Path | str,
    *arguments: object,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run it to its end, whatever that is."""
    with Forked(program, *arguments, cwd=cwd, environment=environment) as process:
        return Ended(process.wait(), process.stdout, process.stderr)


def _run(
    program: Path | str,
    arguments: list[str],
    cwd: Path,
    environment: dict[str, str],
    folder: Path,
) -> None:
    for number, stream in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / stream, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = [str(program), *arguments]
    if isinstance(program, Path):
        sys.path.insert(0, str(program.parent))
        runpy.run_path(str(program), run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def started_ranks(program: Path, *arguments: object, world: int = 2) -> Iterator[list[Forked]]:
    """A job of `world` processes, as a launcher would start them; it ends with the block."""
    job = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Forked(program, *arguments, environment={**job, "RANK": rank, "LOCAL_RANK": rank})
            )
            for rank in map(str, range(world))
        ]


def run_ranks(program: Path, *arguments: object, world: int = 2) -> None:
    """The same, to a good end.

    Raises:
        AssertionError: with what a rank told that ended otherwise.
    """
    with started_ranks(program, *arguments, world=world) as ranks:
        for rank in ranks:
            assert rank.wait() == 0, "\n".join(each.stderr for each in ranks)
