"""What started this rank, what it says of it, and whether it still lives.

Nothing ends a rank when its launcher dies: `kill` at the `deepspeed` command ends that
process alone, `kill -9` gives `torchrun` no time to end its ranks. They would train on with
nobody to wait for them, and a requeued job would train the same run a second time.

A process cannot see that another died, but that its parent did: it gets a new one at that
moment. So a rank remembers the line of processes from the launcher down to itself, and looks
whether each is still the child of the one before. That holds for wrappers in between, too,
and for the two processes of `deepspeed`, the command and its `deepspeed.launcher.launch`.
(PR_SET_PDEATHSIG would tell of the direct parent only, and is Linux alone.)
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import psutil

from unified_vl.errors import UserError

GRACE = 10.0  # seconds for a launcher to end the ranks when one has failed
COMMANDS = ("deepspeed", "ds", "torchrun")
MODULES = (
    "deepspeed.launcher.launch",
    "deepspeed.launcher.runner",
    "torch.distributed.run",
    "torch.distributed.launch",
)


def own_rank() -> int:
    """This process's rank, as its launcher says, also before the ranks have met."""
    return int(os.environ.get("RANK", "0"))


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """What every rank finds wrong before the ranks can meet is told by the first of each host.

    The others wait for their launcher to end them, as it does when one rank fails. Who is not
    ended in time has failed alone, or has no launcher that cares, and tells, too.
    """
    try:
        yield
    except UserError:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            time.sleep(GRACE)
        raise


def ranks() -> int:
    """How many processes the run has, as its launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


class Launcher:
    """The line of processes from a launcher down to this one.

    Args:
        line: this process first, then its parents up to the launcher; only itself where no
            launcher started it, as from a shell, whose end must not end a training.
    """

    def __init__(self, line: Sequence[psutil.Process]) -> None:
        self._line = tuple(line)

    @property
    def gone(self) -> bool:
        """Whether any of them has ended."""
        pairs = itertools.pairwise(self._line)
        return any(_parent(child) != parent.pid for child, parent in pairs)


@functools.cache
def own_launcher() -> Launcher:
    """That of this process; ask early, for it is looked for once, among the living."""
    this = psutil.Process()
    line = [this, *this.parents()]
    launchers = [place for place, process in enumerate(line) if _launches(process)]
    return Launcher(line[: max(launchers, default=0) + 1])


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


def _launches(process: psutil.Process) -> bool:
    """`python /bin/deepspeed ...`, `python -u -m deepspeed.launcher.launch ...`, `torchrun ...`."""
    try:
        words = process.cmdline()
    except psutil.Error:  # of somebody else, or gone
        return False
    options = (place for place, word in enumerate(words[1:], 1) if not word.startswith("-"))
    first = next(options, 0)  # what Python runs
    if words[first - 1 : first] == ["-m"]:
        return words[first] in MODULES
    return any(PurePath(word).name in COMMANDS for word in words[: first + 1])
