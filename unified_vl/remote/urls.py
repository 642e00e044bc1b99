"""URLs where the rest of the code has paths.

A path of pathlib swallows one of two slashes: `s3://bucket/a` becomes `s3:/bucket/a`. So a path
whose first part is a known scheme stands for a URL, and joins to further paths as any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, unquote

PACKAGES = MappingProxyType(
    {  # by scheme: the module that fsspec needs for it; None where it needs none
        "http": "aiohttp",
        "https": "aiohttp",
        "s3": "s3fs",
        "s3a": "s3fs",
        "gs": "gcsfs",
        "gcs": "gcsfs",
        "az": "adlfs",
        "abfs": "adlfs",
        "hf": None,
        "memory": None,
    }
)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


def is_url(text: str) -> bool:
    """Whether a text begins as a URL does, of whatever scheme."""
    return _URL.match(text) is not None


def fault_of(url: str) -> str | None:
    """What keeps a URL from being used, whatever it names; None for nothing."""
    found = _URL.match(url)
    scheme = "" if found is None else found[1]
    if scheme not in PACKAGES:
        return f"{scheme}:// is none of {', '.join(f'{name}://' for name in PACKAGES)}"
    rest = url[len(scheme) + 3 :]
    if not rest.strip("/"):
        return "names nothing behind its scheme"
    if "//" in rest or "::" in rest:
        return "has // or :: in its path, which is not read"
    return None


def url_of(path: Path) -> str | None:
    """The URL that a path stands for; None for one of this machine."""
    first, *rest = path.parts or ("",)
    if first.endswith(":") and first[:-1] in PACKAGES:
        return f"{first}//{'/'.join(rest)}"
    return None


def joined(root: Path, text: str) -> Path:
    """What a text of a spec names: a URL itself, all else below the data root."""
    return Path(text) if is_url(text) else root / text


def is_folder(root: Path) -> bool:
    """Whether something may be a data root: a folder, or a URL, of which only use will tell."""
    return url_of(root) is not None or root.is_dir()


def url_below(name: str, root: Path | None, others: Iterable[Path]) -> str | None:
    """The URL of a file that a row names, if it names one.

    Args:
        name: a path relative to the root, or a URL that is one of `others` or below one.
        root: the data root.
        others: what else the spec itself names.

    Raises:
        ValueError: for what is below none of them.
    """
    base = None if root is None else url_of(root)
    if not is_url(name):
        return None if base is None else _below(base, name)
    for folder in (base, *map(url_of, others)):
        if folder is not None and name == folder:
            return name
        if folder is not None and name.startswith(f"{folder}/"):
            return _below(folder, name[len(folder) + 1 :])
    raise ValueError("a URL that only a row names")


def _below(folder: str, name: str) -> str:
    """A file below a URL. Servers may take `%2e%2e` for `..`, so a row's name is quoted."""
    if name.startswith("/") or ".." in unquote(name).replace("\\", "/").split("/"):
        raise ValueError("it leaves the folder")
    name = re.sub("/+", "/", name)
    said = quote(name) if folder.startswith("http") else name
    return f"{folder}/{said}"
