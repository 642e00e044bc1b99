"""Pickles of lists, mappings, texts and numbers, and of nothing else.

A pickle is a program that may call whatever it names. Here it can name nothing: every look-up
of a class or function is refused before anything is imported, so there is nothing to call.
What is left could still refer to one list a billion times, or to itself; that is refused too.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from unified_vl.errors import UserError

DEEPEST = 16
LARGEST = 1 << 63
MOST_PER_BYTE = 32  # values and characters; the published files have under 10


def _no_bytes(_: object) -> None:
    raise pickle.UnpicklingError("it holds bytes")


class _Plain(pickle._Unpickler):
    """Finds no class.

    The one in Python, not in C: that one makes room for as many values, or bytes, as a broken
    file says that it has.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a plain pickle has not")

    dispatch = pickle._Unpickler.dispatch | {pickle.BYTEARRAY8[0]: _no_bytes}


def read_plain_pickle(path: Path) -> Any:
    """What a pickle holds, as JSON could: tuples as lists, Python 2's texts as texts.

    Raises:
        UserError: when it asks for a class or function, is no whole pickle, or holds more
            than its size can.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path) from error
    try:
        value = _Plain(io.BytesIO(content), encoding="utf-8", errors="replace").load()
    except Exception as error:  # pickle documents no complete list of what a broken one raises
        reason = str(error) or "it is cut short"
        raise UserError(f"is not a plain pickle: {reason}", file=path) from error
    try:
        return _Copy(MOST_PER_BYTE * len(content)).of(value, 0)
    except ValueError as error:
        raise UserError(f"is not a plain pickle: {error}", file=path) from error


class _Copy:
    """Copies plain values, up to so many of them and their characters."""

    def __init__(self, left: int) -> None:
        self.left = left

    def of(self, value: Any, depth: int) -> Any:
        self.left -= 1 + (len(value) if isinstance(value, str) else 0)
        if self.left < 0 or depth > DEEPEST:
            raise ValueError("it refers to the same values over and over")
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)):
            if not abs(value) < LARGEST:  # nor one that is not a number
                raise ValueError("it holds a number that is too large")
            return value
        if isinstance(value, (list, tuple)):
            return [self.of(item, depth + 1) for item in value]
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise ValueError(f"it holds the key {key!r}, which is no text")
            return {key: self.of(item, depth + 1) for key, item in value.items()}
        raise ValueError(f"it holds {type(value).__name__}")
