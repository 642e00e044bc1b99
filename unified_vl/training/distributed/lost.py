"""Failures that the ranks cannot agree on: one is gone, or fails within DeepSpeed.

Who fails inside a collective cannot tell the others by another one. What is left is the
store that the ranks met at. Rank 0 keeps it (under `torchrun` the launcher does), so it
is gone together with rank 0.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import os
import socket
from collections.abc import Iterator

from torch.distributed import distributed_c10d

from unified_vl.errors import EndedElsewhere, LostRank, UserError
from unified_vl.training.distributed.agreement import exit_code_of
from unified_vl.training.distributed.process import Process

BROKEN = (  # of gloo, of the store, and of NCCL
    "Connection closed by peer",
    "Connection reset by peer",
    "Connection refused",
    "Broken pipe",
    "remote process exited",
    "Timed out",
    "timed out",
)
GRACE = datetime.timedelta(seconds=10)  # for the others to fail, too
_calls = itertools.count()


@contextlib.contextmanager
def lost_ranks() -> Iterator[None]:
    """A connection that breaks inside ends this rank with a message, not with a traceback.

    Raises:
        LostRank: on every rank that is left; one of them tells.
        UserError: when they cannot meet because another program uses the port.
    """
    try:
        yield
    except RuntimeError as error:  # gloo's are nothing more
        if "EADDRINUSE" in str(error):
            raise UserError(
                f"the port {os.environ.get('MASTER_PORT')}, where the ranks are to meet, is in use",
                expected="a free one as MASTER_PORT, or the launcher's --master_port",
            ) from error
        if not any(sign in str(error) for sign in BROKEN):
            raise
        raise LostRank(_reason(str(error)), _first_to_tell()) from error


def _reason(error: str) -> str:
    text = error.splitlines()[0]
    text = text.partition("] ")[2] or text  # gloo says its source file first
    text = text.partition(". ")[0]
    if "clients joined" in text:
        return f"not all ranks came to MASTER_ADDR and MASTER_PORT ({text})"
    return (
        "the connection to another rank broke; if that rank tells nothing, it was killed, "
        f"perhaps for want of memory ({text}); the same command with --resume goes on"
    )


def _first_to_tell() -> bool:
    address = os.environ.get("MASTER_ADDR", ""), int(os.environ.get("MASTER_PORT", "0"))
    try:
        # the store itself would write C++ stacks to stderr where nobody answers
        with socket.create_connection(address, timeout=2):
            return _store().add("lost_ranks", 1) == 1
    except (OSError, RuntimeError, ValueError):  # rank 0 is gone, and the store with it
        return os.environ.get("RANK") == "1" or os.environ.get("LOCAL_RANK") == "0"


@contextlib.contextmanager
def failing_alike(process: Process) -> Iterator[None]:
    """Of a failure that all ranks meet inside, rank 0 alone tells.

    Other than in `together` there may be collectives inside. A rank that fails alone tells
    so itself, and the others, who wait for it, lose it.

    Args:
        process: this rank; all ranks come here equally often.

    Raises:
        EndedElsewhere: on ranks other than 0, when rank 0 failed too.
    """
    what = f"failing_alike/{next(_calls)}"
    try:
        yield
    except Exception as error:
        others = range(1, process.world) if process.rank == 0 else range(1)
        if process.world == 1 or not _all_failed(what, process.rank, others) or process.rank == 0:
            raise
        raise EndedElsewhere(str(error), exit_code_of(error)) from error


def _all_failed(what: str, rank: int, others: range) -> bool:
    try:
        store = _store()
        store.set(f"{what}/{rank}", "failed")
        store.wait([f"{what}/{other}" for other in others], GRACE)
    except (RuntimeError, ValueError):
        return False
    return True


def _store() -> distributed_c10d.Store:
    return distributed_c10d._get_default_store()
