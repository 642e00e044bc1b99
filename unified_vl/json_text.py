"""JSON that nobody vouches for: a text, or a file with a value a line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from unified_vl.errors import UserError

# brackets, and texts, in which they mean nothing
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
BOM = b"\xef\xbb\xbf"
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


def json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The values of a file with one a line, and the lines' numbers from 1; empty lines are none.

    Raises:
        UserError: for a line that is not UTF-8 or not JSON.
    """
    for number, line in full_lines(path):
        yield number, value_in(line, path, number)


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one a line, and the lines' numbers from 1.

    Raises:
        UserError: for a line that is not UTF-8, not JSON, or no object.
    """
    for number, line in full_lines(path):
        yield number, object_in(line, path, number)


def full_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not empty, with their numbers from 1.

    Raises:
        UserError: when it cannot be opened.
    """
    try:
        lines = path.open("rb")  # text would be decoded in blocks of many lines
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path) from error
    with lines:
        for number, line in enumerate(lines, 1):
            kept = line.removeprefix(BOM) if number == 1 else line
            if kept.strip():
                yield number, kept


def value_in(
    line: bytes, path: Path, number: int, parse: Callable[[bytes], Any] = parse_json
) -> Any:
    """The JSON value in a line of a file.

    Raises:
        UserError: when it is not UTF-8 or not JSON.
    """
    try:
        return parse(line)
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path, line=number, expected="UTF-8") from error
    except ValueError as error:
        raise UserError(f"is not JSON: {error}", file=path, line=number) from error


def object_in(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """The JSON object in a line of a file.

    Raises:
        UserError: when it is not UTF-8, not JSON, or no object.
    """
    value = value_in(line, path, number)
    if not isinstance(value, dict):
        raise UserError(
            "is not an object", file=path, line=number, expected="JSON Lines, an object a line"
        )
    return value


def written_lines(lines: Iterable[bytes]) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """The lines of a file that a kill may have cut short, each with its object, or None where it
    holds none."""
    for line in lines:
        try:
            value = parse_json(line)
        except ValueError:
            value = None
        yield line, value if isinstance(value, dict) else None


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
