"""Options that a row lists: the letter of each, and what is written for it."""

from __future__ import annotations

from collections.abc import Sequence


def letter(place: int) -> str:
    """A for 0, B for 1, ..., AA for 26."""
    text = ""
    while place >= 0:
        place, digit = divmod(place, 26)
        text, place = chr(ord("A") + digit) + text, place - 1
    return text


def written_options(options: Sequence[str], write: str | None) -> list[str]:
    """What is written for each of the options: its letter unless `write` says number or text."""
    if write == "text":
        return list(options)
    number = write == "number"
    return [str(place + 1) if number else letter(place) for place in range(len(options))]
