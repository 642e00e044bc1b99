"""Files that may be compressed as a whole: gzip, bzip2 and xz, by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from unified_vl.errors import UserError
from unified_vl.readers.source import first_line

MOST_BYTES = 1 << 31  # of what a file unpacks to
_BLOCK = 1 << 20
_KINDS: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


def open_unpacked(path: Path) -> tuple[BinaryIO, bool]:
    """A file as it is, or what it unpacks to, which is held in memory; and whether it is that.

    Raises:
        UserError: for what is broken, or unpacks to more than 2 GiB.
    """
    file = path.open("rb")
    head = file.read(6)
    file.seek(0)
    kind = next((unpack for magic, unpack in _KINDS.items() if head.startswith(magic)), None)
    if kind is None:
        return file, False
    content = io.BytesIO()
    try:
        with file, kind(file) as unpacked:
            while block := unpacked.read(_BLOCK):
                content.write(block)
                if content.tell() > MOST_BYTES:
                    raise UserError(
                        "unpacks to more than 2 GiB", file=path, expected="it unpacked, on disk"
                    )
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"is broken: {first_line(error)}", file=path) from error
    content.seek(0)
    return content, True
