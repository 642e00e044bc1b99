"""Lists of numbered files, as WebDataset and shells write them: `shard-{000..127}.tar`."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST = 1_000_000  # files of a list
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def shielded(text: str) -> str:
    """A template in which the lists are texts, not slots."""
    return _RANGE.sub(r"{{\1..\2}}", text)


def fault_of(text: str) -> str | None:
    """What is wrong with the lists of a path; None for nothing."""
    count = 1
    for found in _RANGE.finditer(text):
        first, last = int(found[1]), int(found[2])
        if first > last:
            return f"{found[0]} counts down"
        count *= last - first + 1
    return f"lists {count:,} files, more than {MOST:,}" if count > MOST else None


def listed(text: str) -> Iterator[str]:
    """The paths that one with lists stands for, in their order; the numbers are as wide as the
    first one.

    >>> list(listed("a-{08..10}.tar"))
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    found = _RANGE.search(text)
    if found is None:
        yield text
        return
    for number in range(int(found[1]), int(found[2]) + 1):
        said = f"{number:0{len(found[1])}}"
        yield from (f"{text[: found.start()]}{said}{rest}" for rest in listed(text[found.end() :]))
