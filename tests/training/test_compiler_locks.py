"""A lock goes when its holder is gone, and not before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.file_baton import FileBaton

from unified_vl.training.distributed.compiler_locks import OLD, release_compiler_locks

KILLED = (  # what FileBaton.try_acquire does, without importing torch
    "import os, signal, sys; os.open(sys.argv[1], os.O_CREAT | os.O_EXCL);"
    " os.kill(os.getpid(), signal.SIGKILL)"
)


def age(lock: Path) -> None:
    stat = lock.stat()
    os.utime(lock, (stat.st_atime, stat.st_mtime - OLD - 60))


@pytest.mark.parametrize("folder", ["deepspeed_shm_comm", "py311_cpu/quantizer"])
def test_a_lock_of_a_killed_compilation_is_told_and_an_old_one_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    lock = tmp_path / folder / "lock"
    lock.parent.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED, str(lock)], check=False)
    (line,) = release_compiler_locks()
    assert str(lock) in line and "remove it" in line
    assert lock.exists(), "another machine may be compiling"
    age(lock)
    (line,) = release_compiler_locks()
    assert line.startswith(f"removed {lock}")
    assert not lock.exists()
    assert list(release_compiler_locks()) == []


def test_a_lock_that_is_held_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    lock = tmp_path / "operator" / "lock"
    lock.parent.mkdir()
    baton = FileBaton(str(lock))
    assert baton.try_acquire()
    age(lock)
    assert list(release_compiler_locks()) == []
    assert lock.exists()
    baton.release()
