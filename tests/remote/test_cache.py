"""The cache of remote files is bounded, and never takes a file from who reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from unified_vl.errors import UserError
from unified_vl.remote import fetching
from unified_vl.remote.cache import GIB, LIMIT, Cache
from unified_vl.remote.fetching import fetched, release

SIZE = 1000


def put(count: int) -> list[str]:
    memory = fsspec.filesystem("memory")
    for number in range(count):
        memory.pipe(f"/files/{number}", bytes(SIZE))
    return [f"memory://files/{number}" for number in range(count)]


def names(cache: Path) -> set[str]:
    return {path.name for path in cache.glob("??/*/*")}


def age(path: Path, seconds: float) -> None:
    """Make a copy one that was used so long ago."""
    used = path.parent.stat().st_mtime - seconds
    os.utime(path.parent, (used, used))


def test_what_was_used_longest_ago_goes_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, str(3.5 * SIZE / GIB))
    urls = put(5)
    for number, url in enumerate(urls[:3]):
        age(fetched(url), 1000 - 100 * number)
    fetching._cache_at(cache)._touched.clear()
    fetched(urls[0])  # used again
    fetched(urls[3])
    assert names(cache) == {"0", "2", "3"}


def test_what_is_in_use_stays(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, str(2.5 * SIZE / GIB))
    urls = put(4)
    kept = [fetched(url, keep=True) for url in urls[:2]]
    with pytest.raises(UserError, match=rf"no room for {SIZE} bytes.*; expected a larger {LIMIT}"):
        fetched(urls[2])
    release(urls[0])
    assert fetched(urls[2]).is_file()
    assert kept[1].is_file() and not kept[0].is_file()


def test_what_another_process_uses_stays_until_it_ends(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, str(1.5 * SIZE / GIB))
    code = (
        "import sys, pathlib; from unified_vl.remote.cache import Cache\n"
        "store = Cache(pathlib.Path(sys.argv[1]))\n"
        "store.add('ab' * 20, 'theirs', 1000, True, lambda p: p.write_bytes(bytes(1000)))\n"
        "print('ready', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(cache)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"ready\n"
        with pytest.raises(UserError, match="no room"):
            fetched(put(1)[0])
        other.communicate()
    fetched(put(1)[0])
    assert names(cache) == {"0"}


def test_a_copy_that_was_removed_is_fetched_again(cache: Path) -> None:
    url = put(1)[0]
    fetched(url).unlink()
    assert fetched(url).stat().st_size == SIZE


def test_half_a_copy_is_none(cache: Path) -> None:
    def half(path: Path) -> None:
        path.write_bytes(b"half")
        raise EOFError

    with pytest.raises(EOFError):
        Cache(cache).add("ab" * 20, "a", 8, False, half)
    assert not list(cache.glob("??/*"))


def test_a_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "much")
    with pytest.raises(UserError, match=f"{LIMIT}: found 'much'; expected a number of GiB"):
        fetched(put(1)[0])


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNIFIED_VL_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written"):
        fetched(put(1)[0])
