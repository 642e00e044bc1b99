"""Which bytes may follow which in the UTF-8 of some characters, as a table.

Pieces of single bytes spell the characters that have no piece; a mask over characters must know
where within one a text stands.

Legend: P places within a character, 256 bytes.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import regex

from unified_vl.languages.scripts import class_of

WHOLE = 0  # the place between two characters
NEVER = -1
SURROGATES = range(0xD800, 0xE000)


@cache
def byte_places(scripts: tuple[str, ...] | None) -> np.ndarray:
    """Where a byte leads to from each place (P, 256), `NEVER` where no character of the scripts
    goes on so (none at all, for None).

    >>> places = byte_places(("Latn",))
    >>> first, second = "é".encode()
    >>> places[places[WHOLE, first], second] == WHOLE, places[WHOLE, "я".encode()[0]] == NEVER
    (True, True)
    """
    characters = _characters(scripts)
    rows = [np.full(256, NEVER, np.int64)]
    ascii_part = characters[characters < 0x80]
    rows[WHOLE][ascii_part] = WHOLE
    others = characters[characters >= 0x80]
    _, starts = np.unique(others >> 6, return_index=True)
    for block in np.split(others, starts[1:]):  # characters that differ in their last byte
        place = WHOLE
        for byte in chr(block[0]).encode()[:-1]:
            if rows[place][byte] == NEVER:
                rows[place][byte] = len(rows)
                rows.append(np.full(256, NEVER, np.int64))
            place = int(rows[place][byte])
        rows[place][0x80 | (block & 0x3F)] = WHOLE
    return np.stack(rows)


def _characters(scripts: tuple[str, ...] | None) -> np.ndarray:
    """The code points that texts in these scripts may hold, in rising order."""
    found = _all_characters()
    if scripts is not None:
        found = "".join(regex.findall(f"[{class_of(scripts)}]+", found))
    return np.frombuffer(found.encode("utf-32-le"), np.uint32).astype(np.int64)


@cache
def _all_characters() -> str:
    points = (p for p in range(0x110000) if p not in SURROGATES)
    return "".join(map(chr, points))
