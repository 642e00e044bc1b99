"""Who watches a training may leave it."""

from __future__ import annotations

import errno
import os
import pty
from typing import TextIO
from unittest import mock

import pytest
from rich.console import Console

from unified_vl.streams import unbroken


def pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    return reader, writer


@pytest.mark.parametrize("opened", [pipe, pty.openpty], ids=["pipe", "terminal"])
def test_a_stream_that_is_gone_ends_nothing(opened: object) -> None:
    assert callable(opened)
    reader, writer = opened()
    with os.fdopen(writer, "w", buffering=1) as stream:
        console = Console(file=unbroken(stream))
        console.print("here")
        assert os.read(reader, 100).split() == [b"here"]
        os.close(reader)
        for _ in range(3):
            console.print("gone")
        print("other writers", file=stream, flush=True)  # do not fail either


def test_a_full_disk_drops_a_line_and_no_later_one() -> None:
    full = mock.Mock(spec=TextIO)
    full.write.side_effect = OSError(errno.ENOSPC, "No space left on device")
    assert unbroken(full).write("lost") == 4
    full.fileno.assert_not_called()
