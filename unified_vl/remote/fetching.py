"""Remote files to copies of this machine, through fsspec.

Readers seek, and come back to the same rows in every epoch. So a file is fetched as a whole, once
for each version of it (URL, ETag or time, size), and read as any other of this machine: nothing is
slower than there once it is here. Which version counts is asked once in a process.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from unified_vl.errors import COPIES, DiskFull, UserError
from unified_vl.extras import require
from unified_vl.files import no_room
from unified_vl.remote.cache import Cache, cache_folder
from unified_vl.remote.urls import PACKAGES, fault_of, url_of

WAITS = (0.5, 2.0, 8.0)  # seconds before what may pass is tried again
_VERSION = ("ETag", "etag", "md5Hash", "blob_id", "Last-Modified", "LastModified", "mtime")
_CREATED = "created"  # of a file in memory
_PATIENCE = 60.0  # seconds without a byte
_PASSING = (408, 425, 429)
_LONGEST = 100  # characters of a copy's name
Result = TypeVar("Result")


class Missing(UserError):
    """There is no such remote file."""


@cache
def _cache_at(folder: Path) -> Cache:
    return Cache(folder)


_here: dict[str, tuple[str, str]] = {}  # by URL: key and name of its copy, as this process has it
_origins: dict[str, str] = {}  # by the path of a copy that is kept: its URL
_lock = threading.Lock()


def fetched(url: str, *, keep: bool = False) -> Path:
    """A copy of a remote file.

    Args:
        url: of the file.
        keep: whether it has to stay while this process runs, or until it is released; messages
            that name it name the URL.

    Raises:
        Missing: when there is no such file.
        UserError: when it cannot be read: no access, no answer, less than its size, a package
            that is not installed, or no room in the cache.
    """
    store = _cache_at(cache_folder())
    with _lock:
        known = _here.get(url)
    path = None if known is None else store.find(*known, keep)
    if path is None:
        path = _fetch(url, keep, store)
    if keep:
        _origins[str(path)] = COPIES[str(path)] = url
    return path


def release(url: str) -> None:
    """The copy of a file, if there is one that was kept, need not stay any longer."""
    known = _here.get(url)
    if known is None:
        return
    store = _cache_at(cache_folder())
    store.release(known[0])
    for path in [path for path, origin in _origins.items() if origin == url]:
        del _origins[path]
        COPIES.pop(path, None)


def local(path: Path) -> Path:
    """A file of this machine as it is, a remote one as a copy that is kept.

    Raises:
        UserError: as `fetched` does.
    """
    url = url_of(path)
    return path if url is None else fetched(url, keep=True)


def name_below(root: Path, path: Path) -> str:
    """A file as rows name it: relative to the data root; a remote one elsewhere by its URL."""
    url = _origins.get(str(path)) or url_of(path)
    if url is None:
        return path.relative_to(root).as_posix()
    base = url_of(root)
    below = base is not None and url.startswith(f"{base}/")
    return url[len(base) + 1 :] if base is not None and below else url


def matching(pattern: str) -> list[str]:
    """The URLs of the files that a pattern with `*` stands for, sorted.

    Raises:
        UserError: when they cannot be listed.
    """

    def listed() -> list[str]:
        files, path = _opened(pattern)
        return sorted(files.unstrip_protocol(found) for found in files.glob(path))

    return _tried(pattern, listed)


def _fetch(url: str, keep: bool, store: Cache) -> Path:
    def told() -> dict[str, Any]:
        files, path = _opened(url)
        return files.info(path)

    info = _tried(url, told)
    if info.get("type") == "directory":
        raise UserError("is a folder", file=url, expected="a file")
    said = next((info[key] for key in (*_VERSION, _CREATED) if info.get(key)), "")
    size = info.get("size")
    key = hashlib.sha256(f"{url}\0{said}\0{size}".encode()).hexdigest()[:40]
    name = _name_of(url)

    def get(path: Path) -> None:
        def copy() -> None:
            files, remote = _opened(url)
            files.get_file(remote, str(path))
            written = path.stat().st_size
            if size is not None and written != size:
                raise EOFError(f"ended after {written} of {size} bytes")

        _tried(url, copy)

    found = store.find(key, name, keep) or store.add(key, name, size or 0, keep, get)
    with _lock:
        _here[url] = key, name
    return found


def _name_of(url: str) -> str:
    """What a copy is called: as the file, whose ending says what it is."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name.replace("\0", "") or "file"
    return name[-_LONGEST:]


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    fault = fault_of(url)
    if fault is not None:
        raise UserError(fault, file=url)
    scheme = url.partition("://")[0]
    package = PACKAGES[scheme]
    options: dict[str, Any] = {}
    if package is not None:
        require(package)
    from fsspec.core import url_to_fs

    if package == "aiohttp":
        import aiohttp

        # its own limit is five minutes a file
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE, sock_read=_PATIENCE)
        options["client_kwargs"] = {"timeout": timeout}
    if scheme == "hf":
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars("huggingface_hub.http_get")  # one for each image
    files, path = url_to_fs(url, use_listings_cache=False, **options)
    return files, path


def _tried(url: str, do: Callable[[], Result]) -> Result:
    """What `do` gives, tried again where what is wrong may pass."""
    for wait in (*WAITS, None):
        try:
            return do()
        except (UserError, DiskFull):
            raise
        except Exception as error:  # fsspec's systems and the network raise almost anything
            fault, passes = _fault(url, error)
            if wait is None or not passes:
                raise fault from error
            time.sleep(wait)
    raise AssertionError("the last one returns or raises")


def _fault(url: str, error: Exception) -> tuple[Exception, bool]:
    """What to say of an error, and whether it may pass."""
    status = next((code for each in _chain(error) if (code := _status(each))), None)
    names = {type(each).__name__ for each in _chain(error)}
    if status in (404, 410):
        return Missing("there is no such file", file=url), False
    if status in (401, 403) or names & {"NoCredentialsError", "PermissionError"}:
        told = f" (HTTP {status})" if status else ""
        expected = "credentials that may read it, where its package looks for them"
        return UserError(f"may not be read{told}", file=url, expected=expected), False
    if status is not None:
        passes = status >= 500 or status in _PASSING
        return UserError(f"cannot be read: HTTP {status}", file=url), passes
    if isinstance(error, FileNotFoundError) and error.__cause__ is None:
        return Missing("there is no such file", file=url), False
    if no_room(error):
        return error, False  # of this machine's disk
    cause = list(_chain(error))[-1] if isinstance(error, FileNotFoundError) else error
    reason = str(cause).strip().split("\n", 1)[0] or type(cause).__name__
    return UserError(f"cannot be read: {reason}", file=url), True


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error of aiohttp, requests, httpx or botocore holds."""
    found: Any = getattr(error, "status", None)
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif response is not None:
        found = getattr(response, "status_code", None)
    return found if isinstance(found, int) else None
