"""The order of a task's rows: formulas of seed, task, epoch and position, without a state."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


def draw_seed(*parts: str | int) -> int:
    """128 bits that only depend on `parts`."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:16], "little")


def permutation(count: int, *parts: str | int) -> np.ndarray:
    """The numbers below `count` in an order that only depends on `parts`."""
    return np.random.Generator(np.random.Philox(key=draw_seed(*parts))).permutation(count)


class Order(Protocol):
    """Which row stands where in the endless stream of a task."""

    def place(self, position: int) -> tuple[int, int]:
        """How often the rows were gone through before, and the row."""


class RowOrder:
    """Every row once an epoch: position p is row `permutation(seed, task, epoch)[p % rows]`
    of epoch `p // rows`."""

    def __init__(self, count: int, seed: int, task: str) -> None:
        self._count = count
        self._parts = (seed, task)
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def place(self, position: int) -> tuple[int, int]:
        epoch, offset = divmod(position, self._count)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, permutation(self._count, *self._parts, epoch))
        return epoch, int(self._epoch[1][offset])


@dataclass(frozen=True)
class _Epoch:
    """The languages of an epoch's positions.

    Attributes:
        number: of the epoch.
        language_P: the language of each position.
        before_P: how many positions of that language the epoch has before it.
    """

    number: int
    language_P: np.ndarray
    before_P: np.ndarray


class LanguageOrder:
    """Languages in proportion to a power of their rows (mT5, arXiv 2010.11934, section 3.2).

    An epoch has as many positions as there are rows. Each language has a fixed number of
    them, in proportion to `rows ** temperature` and at least one, in an order drawn for the
    epoch. The k-th position of a language since the beginning is row `k % rows` of the
    permutation `k // rows` of its own rows: none of them is passed over.

    Legend: P positions of an epoch.
    """

    def __init__(
        self,
        rows: Mapping[str | None, Sequence[int]],
        temperature: float,
        seed: int,
        task: str,
    ) -> None:
        self._languages = sorted(rows, key=str)
        self._rows = [np.asarray(rows[language], np.int64) for language in self._languages]
        weights = [float(len(each)) ** temperature for each in self._rows]
        self.counts = apportion(sum(map(len, self._rows)), weights)
        self._parts = (seed, task)
        nothing = np.empty(0, np.int64)
        self._epoch = _Epoch(-1, nothing, nothing)
        self._turns: dict[int, tuple[int, np.ndarray]] = {}

    def place(self, position: int) -> tuple[int, int]:
        number, offset = divmod(position, sum(self.counts))
        if self._epoch.number != number:
            self._epoch = self._epoch_of(number)
        language = int(self._epoch.language_P[offset])
        met = number * self.counts[language] + int(self._epoch.before_P[offset])
        rows = self._rows[language]
        turn, place = divmod(met, len(rows))
        if self._turns.get(language, (-1,))[0] != turn:
            tag = str(self._languages[language])
            self._turns[language] = turn, permutation(len(rows), *self._parts, tag, turn)
        return turn, int(rows[self._turns[language][1][place]])

    def _epoch_of(self, number: int) -> _Epoch:
        sorted_P = np.repeat(np.arange(len(self.counts)), self.counts)
        before_P = np.concatenate([np.arange(count) for count in self.counts])
        order_P = permutation(len(sorted_P), *self._parts, "languages", number)
        language_P = sorted_P[order_P]
        by_language_P = np.argsort(language_P, kind="stable")
        in_turn_P = np.empty_like(before_P)
        in_turn_P[by_language_P] = before_P
        return _Epoch(number, language_P, in_turn_P)


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers of the sum `total`, in proportion to `weights`, each at least 1.

    The largest remainders are rounded up (Hamilton's method). `total` is at least the number
    of weights.
    """
    quotas = np.asarray(weights) * total / sum(weights)
    counts = np.maximum(np.floor(quotas).astype(np.int64), 1)
    while (missing := total - int(counts.sum())) != 0:
        step = 1 if missing > 0 else -1
        owed = np.where(counts + step >= 1, (quotas - counts) * step, -np.inf)
        counts[int(owed.argmax())] += step
    return [int(count) for count in counts]
