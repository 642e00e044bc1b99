"""Locks that a killed compilation left, for which every later start would wait for ever.

PyTorch compiles an extension under a lock file and, being killed, leaves the file; who needs
the extension next waits until it is gone. Nothing here needs one on a CPU or for what the
shipped engine files say, but DeepSpeed compiles for some keys of an engine file
(quantised weights) and for `DS_PIN_MEMORY_BACKEND=native`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

OLD = 3600.0  # seconds: no compilation takes as long, and another machine may be at it


def release_compiler_locks() -> Iterator[str]:
    """Remove old locks that nobody holds; yields a line for people about each lock found."""
    for lock in _locks(_extensions()):
        try:
            age = time.time() - lock.stat().st_mtime
            if _held(lock):
                continue
            if age > OLD:
                lock.unlink()
                yield f"removed {lock}, which a killed compilation left"
            else:
                yield (
                    f"{lock} keeps an extension from being compiled, and no process of this "
                    "machine holds it: if none of another does, remove it"
                )
        except OSError:  # released just now, or not ours to touch
            continue


def _extensions() -> Path:
    """Where PyTorch compiles (torch.utils.cpp_extension, which takes long to import)."""
    given = os.environ.get("TORCH_EXTENSIONS_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(cache) / "torch_extensions"


def _locks(root: Path) -> list[Path]:
    """ROOT/EXTENSION/lock, and below the folder of a Python version where none is given."""
    return sorted({*root.glob("*/lock"), *root.glob("*/*/lock")})


def _held(lock: Path) -> bool:
    """Whether a process of this user and machine has it open, as the compiling one does."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if link.samefile(lock):
                return True
        except OSError:  # closed meanwhile, or of somebody else
            continue
    return False
