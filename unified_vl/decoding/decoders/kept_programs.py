"""Compiled programs on disk, so that the next process need not compile them.

    CACHE/programs/KEY-DIGEST.pt2    a program; KEY says what it is of, DIGEST is that of its bytes

A program is native code, which loading runs: it is read from a folder of the user's cache that
belongs to the user and that nobody else may write to, and from nowhere else. Nothing is unpickled.
Its key is a digest of all that it depends on: weights and sizes of the model, the code of model and
decoding, torch, the options of the compiler and the processor.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import stat
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch

import unified_vl.decoding
import unified_vl.model
from unified_vl.data.images.code_cache import cache_directory

MOST_BYTES = 1 << 31  # of all programs; those that were used longest ago go first
SUFFIX = ".pt2"


def is_own(directory: Path) -> bool:
    """Whether a folder is the user's and no other may put programs into it."""
    try:
        found = directory.stat()
    except OSError:
        return False
    others = stat.S_IWGRP | stat.S_IWOTH
    return os.name == "nt" or (found.st_uid == os.getuid() and not found.st_mode & others)


class KeptPrograms:
    """The programs of a model that were compiled before, by this process or another.

    Args:
        model: its weights must not change any more.
        options: of the compiler.
        directory: of the cache; unless given, the user's.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        options: Mapping[str, Any],
        directory: Path | None = None,
    ) -> None:
        self._model = model
        self._options = dict(options)
        self.directory = directory or cache_directory() / "programs"

    def find(self, name: str) -> Path | None:
        """The file of a program, where there is a whole one."""
        if not is_own(self.directory):
            return None
        for path in self.directory.glob(f"{self._key(name)}-*{SUFFIX}"):
            with contextlib.suppress(OSError):
                if path.stem.partition("-")[2] == _digest(path):
                    os.utime(path)
                    return path
                path.unlink()
        return None

    def keep(self, name: str, program: Path) -> None:
        """Copy the file of a program; where that fails, it is compiled again next time."""
        with contextlib.suppress(OSError):
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_own(self.directory) or program.stat().st_size > MOST_BYTES:
                return
            target = self.directory / f"{self._key(name)}-{_digest(program)}{SUFFIX}"
            partial = target.with_suffix(f".{os.getpid()}.partial")
            try:
                shutil.copyfile(program, partial)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
            self._drop_old()

    def _drop_old(self) -> None:
        files = {path: path.stat() for path in self.directory.glob(f"*{SUFFIX}")}
        newest = sorted(files, key=lambda path: files[path].st_mtime, reverse=True)
        held = 0
        for path in newest:
            held += files[path].st_size
            if held > MOST_BYTES:
                path.unlink()

    def _key(self, name: str) -> str:
        return hashlib.sha256(f"{self._of_model}\n{name}".encode()).hexdigest()[:32]

    @cached_property
    def _of_model(self) -> str:
        digest = hashlib.sha256(repr((_here(), sorted(self._options.items()))).encode())
        digest.update(self._model.config.to_json_string().encode())  # type: ignore[operator, union-attr]
        for name, weight in self._model.state_dict().items():
            whole = weight.detach().cpu().contiguous()
            digest.update(f"{name} {whole.dtype} {tuple(whole.shape)} {weight.device}".encode())
            digest.update(whole.flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


@cache
def _here() -> tuple[str, ...]:
    """What of this machine and this code a program depends on."""
    code = hashlib.sha256()
    for package in (unified_vl.model, unified_vl.decoding):
        for path in sorted(Path(package.__path__[0]).rglob("*.py")):
            code.update(path.read_bytes())
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return (torch.__version__, platform.machine(), _processor(), gpu, code.hexdigest())


def _processor() -> str:
    """Which operations the processor has: a program may use all of them."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return line
    return f"{platform.processor()} {torch.backends.cpu.get_cpu_capability()}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
