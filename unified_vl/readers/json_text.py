"""JSON as files of rows hold it: text to Python's values, however deep or odd it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from unified_vl.errors import UserError

# brackets, and texts, in which they mean nothing
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
MOST_DEPTH = 100  # lists and objects in each other; boxes and polygons have four at most


def parse_json(text: str | bytes) -> Any:
    """A JSON text.

    Raises:
        ValueError: when it is none, is not UTF-8, or is nested beyond reason.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")  # `json` would also guess UTF-16
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise too_deep() from error
    if text.count("[") + text.count("{") > MOST_DEPTH and is_deep(value):
        raise too_deep()
    return value


def fast_json(text: bytes) -> Any:
    """A JSON text as `parse_json` reads it, but for whole numbers beyond 64 bits.

    Raises:
        ValueError: as `parse_json`.
    """
    try:
        value = orjson.loads(text)
    except ValueError:  # which a surrogate and a NaN are to it
        return parse_json(text)
    if text.count(b"[") + text.count(b"{") > MOST_DEPTH and is_deep(value):
        raise too_deep()
    return value


def refuse_deep_file(path: Path) -> None:
    """Look through a JSON file that another library will read.

    Raises:
        UserError: naming the line, where it is nested beyond reason.
    """
    depth = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            for mark in _BRACKETS.findall(line):
                depth += (mark in b"[{") - (mark in b"]}")
                if depth > MOST_DEPTH:
                    raise UserError(str(too_deep()), file=path, line=number)


def is_deep(value: Any) -> bool:
    """Whether a value has lists or objects in each other beyond `MOST_DEPTH`."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [item for each in level if isinstance(each, list | dict) for item in _items(each)]
    return any(isinstance(each, list | dict) for each in level)


def _items(value: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def too_deep() -> ValueError:
    return ValueError(f"it is nested more than {MOST_DEPTH} deep")
