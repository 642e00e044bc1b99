"""JSON files of annotations, whole or by items, and what the objects in them hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.json_text import parse_json

_SPACE = re.compile(r"[ \t\r\n]*")


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        UserError: when it is not UTF-8 or not JSON.
    """
    text = _text_of(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"is not JSON: {error}", file=path) from error


def read_items(path: Path, kind: type) -> Iterator[tuple[str, Any]]:
    """The items of a large JSON file, one after the other.

    As Python's objects all of them at once would take several times the room of the file.

    Args:
        path: the file.
        kind: list, whose items come with their numbers from 0, or dict, with their keys.

    Raises:
        UserError: when it is not UTF-8, not JSON, or holds something else.
    """
    text = _text_of(path)
    opening, closing = ("{", "}") if kind is dict else ("[", "]")
    decode = json.JSONDecoder().raw_decode
    at = _skip(text, 0)
    if text[at : at + 1] and text[at] != opening:
        raise UserError(f"starts with {text[at : at + 20]!r}", file=path, expected=_KINDS[kind])
    try:
        at = _skip(text, at, opening)
        number = 0
        while text[at : at + 1] != closing:
            at = _skip(text, at, ",") if number else at
            key = str(number)
            if kind is dict:
                if not text.startswith('"', at):
                    raise json.JSONDecodeError("Expecting a name in double quotes", text, at)
                key, at = decode(text, at)
                at = _skip(text, _skip(text, at), ":")
            value, at = decode(text, at)
            yield key, value
            at = _skip(text, at)
            number += 1
        at = _skip(text, at, closing)
        if at < len(text):
            raise json.JSONDecodeError("Extra data", text, at)
    except (ValueError, RecursionError) as error:
        raise UserError(f"is not JSON: {error}", file=path) from error


def _skip(text: str, at: int, mark: str = "") -> int:
    """The place behind a mark and the space that follows it."""
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, at)
    found = _SPACE.match(text, at + len(mark))
    return at if found is None else found.end()


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error


def member(
    value: Any, key: str, kind: type, path: Path, where: str = "", *, line: int | None = None
) -> Any:
    """What a JSON object holds under `key`.

    Args:
        value: the object.
        key: the key.
        kind: the type that it must have: dict, list, str, int, or float for any number.
        path: the file, for messages.
        where: the place of the object in it: `annotations.3`.
        line: the line of the object in it, from 1.

    Raises:
        UserError: when `value` is no object, has no such key, or holds another type there.
    """
    field = f"{where}.{key}" if where else key
    expected = _KINDS[kind]
    if not isinstance(value, dict) or key not in value:
        close = nearest(key, value) if isinstance(value, dict) else None
        raise UserError(
            "is missing", file=path, line=line, field=field, expected=expected, nearest=close
        )
    found = value[key]
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(found, kinds) or (isinstance(found, bool) and kind is not bool):
        message = f"found {str(found)[:60]!r}"
        raise UserError(message, file=path, line=line, field=field, expected=expected)
    return found


def texts(
    value: Any, key: str, path: Path, where: str = "", *, line: int | None = None
) -> list[str]:
    """The list of texts that an object holds under `key`; arguments as of `member`.

    Raises:
        UserError: when it holds something else.
    """
    found = member(value, key, list, path, where, line=line)
    for number, text in enumerate(found):
        if not isinstance(text, str):
            place = f"{where}.{key}.{number}" if where else f"{key}.{number}"
            message = f"found {str(text)[:60]!r}"
            raise UserError(message, file=path, line=line, field=place, expected="text")
    return found


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
