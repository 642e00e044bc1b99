"""Which split a row is in, where a spec says only how large each one is.

The split is a function of the value that `data.splits.by` names, and of nothing else: not of the
order of the rows, of how many there are, of a seed, or of the language. The formula:

    u = the first 8 bytes of BLAKE2b (digest of 8 bytes) of the value's UTF-8, big-endian, / 2**64
    test        0 <= u < f_test
    validation  f_test <= u < f_test + f_validation
    train       the rest

so a row stays in its split for ever, all rows of one value are in one split, and a larger share of
training takes rows from validation alone.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from unified_vl.specs.tasks.data import SplitName

if TYPE_CHECKING:
    from unified_vl.data.rows.selection import Selection

ORDER: tuple[SplitName, ...] = ("test", "validation", "train")
_RANGE = 1 << 64


def split_of(value: bytes, shares: Mapping[SplitName, float]) -> SplitName:
    """The split of a value, by the formula above.

    Args:
        value: what decides.
        shares: the share of each split; together they are 1.
    """
    number = int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "big")
    return next(name for name, end in _ends(shares) if number < end)


def _ends(shares: Mapping[SplitName, float]) -> Iterator[tuple[SplitName, int]]:
    """The end of the range of each split; exact, so that shares leave no row out."""
    end = Fraction(0)
    for name in ORDER:
        if name in shares:
            end += Fraction(str(shares[name]))
            yield name, -int(-end * _RANGE // 1)


def keep_share(rows: Selection, split: SplitName) -> None:
    """Only the rows of a split.

    Raises:
        UserError: for a row that has no value to go by, or several.
    """
    spec = rows.spec
    shares = spec.data.shares
    column = spec.split_by
    assert shares is not None and column is not None
    is_image = any(f.column == column and f.of_kind.has_pixels for f in spec.fields.values())
    values = rows.column(column)
    kept = []
    for index, value in enumerate(values):
        key = _bytes_of(value, is_image)
        if key is None:
            _, number = rows.place(index)
            found = "holds several values" if isinstance(value, list) else "is missing"
            raise spec.error(
                ("data", "splits", "by"),
                f"{column!r} {found} in row {number + 1}",
                expected="a column with one value in every row",
            )
        if split_of(key, shares) == split:
            kept.append(index)
    rows.keep(kept)


def _bytes_of(value: Any, is_image: bool) -> bytes | None:
    """What decides of a cell: a text, a number as it is written, the path, bytes or place of an
    image; None of what is missing or many."""
    if isinstance(value, list | tuple):
        return _bytes_of(value[0], is_image) if len(value) == 1 else None
    if isinstance(value, Mapping):
        if value.get("file") is not None:
            return f"{value['file']}:{value.get('offset')}".encode()
        return _bytes_of(value.get("bytes") or value.get("path"), is_image)
    if isinstance(value, bytes):
        return value or None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or value == "":
        return None
    text = posixpath.normpath(value) if is_image and isinstance(value, str) else str(value)
    return text.encode(errors="surrogatepass")
