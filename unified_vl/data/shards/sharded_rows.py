"""The rows of a train split whose files are opened one after the other, as their turn comes.

Files are dealt to *lanes*, and row r of every batch is the next one of lane r % lanes. So the
number of a batch, and of the rows that each lane had in the files before, say which rows it has:
the same for any number of ranks; and where that number divides the lanes, a rank opens the files of
its own lanes alone. The lanes are as many as divide the batch, and as there are files.

- A *shard* is a file, or with `data.file_parts` a part of one.
- Epoch e of lane l has the shards l, l + lanes, ... of
  `permutation(shards, seed, task, "shards", e)`: all lanes together have each once.
- `data.shuffle_shards` of a lane are open at once, as a *group*; their rows come in the order
  `permutation(rows, seed, task, "rows", group)`.

How many rows a group has shows when it is opened. Where a group began in its lane, which a resume
needs, is therefore known of those that were; ranks tell each other with the step.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unified_vl.data.order import permutation
from unified_vl.data.rows.paths import Shard, on_this_machine, shards_of
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.remote.fetching import fetched, release
from unified_vl.remote.urls import url_of
from unified_vl.specs.task import TaskSpec

KEPT = 2  # groups of a lane: batches of the last one are still read when the next is opened
_ROW_BITS = 40  # of an index; the rest is the number of the group
Begin = tuple[int, int, int]
"""Where a group begins: its first row's place in the lane, the epoch, and its turn in that."""


@dataclass(frozen=True)
class _Group:
    """Open files of a lane.

    Attributes:
        number: of the group, among all.
        shards: its files.
        rows: those of them.
        order: in which they come.
    """

    number: int
    shards: Sequence[Shard]
    rows: TaskData
    order: np.ndarray


class ShardedRows(TaskData):
    """Rows by indices that their lanes give out; how many there are nobody knows.

    Args:
        spec: the task.
        root: the data root.
        batch_size: rows of a global batch.
        seed: decides the order.

    Attributes:
        shards: the files of the split, or their parts, in the order of their names.
        lanes: how many lanes they are dealt to.

    Raises:
        UserError: when there is no file, or one of this machine is missing.
    """

    def __init__(self, spec: TaskSpec, root: Path, batch_size: int, seed: int) -> None:
        self.spec = spec
        self.split = "train"
        self.root = root
        self.streamed = True
        self.batch_size = batch_size
        self.shards = shards_of(spec, "train", root)
        for shard in self.shards:
            if all(url_of(path) is None for path in shard.files.values()):
                on_this_machine(spec, shard.files)
        self.lanes = max(n for n in _divisors(batch_size) if n <= len(self.shards))
        self._seed = seed
        self._most_turns = math.ceil(
            math.ceil(len(self.shards) / self.lanes) / spec.data.shuffle_shards
        )
        self._begun: list[list[Begin]] = [[(0, 0, 0)] for _ in range(self.lanes)]
        self._open: list[list[_Group]] = [[] for _ in range(self.lanes)]
        self._guard = threading.RLock()

    def __len__(self) -> int:
        raise TypeError(f"nobody counts the rows of the streamed task {self.spec.task!r}")

    @property
    def fingerprint(self) -> list[list[str]]:
        """What has to be the same for a training to go on."""
        return [sorted(str(path) for path in shard.files.values()) for shard in self.shards]

    def place(self, position: int) -> tuple[int, int]:
        """The epoch of a position of the stream, and the index of its row."""
        with self._guard:
            epoch, group, offset = self._at(position)
            return epoch, _index(group, offset)

    def behind(self, position: int) -> Iterator[tuple[int, int]]:
        """The rows that may stand for that of a position: the others of its group."""
        with self._guard:
            epoch, group, offset = self._at(position)
        for step in range(1, len(group.order)):
            yield epoch, _index(group, (offset + step) % len(group.order))

    def rows(self, indices: Sequence[int]) -> list[Row]:
        by_group: dict[int, list[int]] = {}
        for position, index in enumerate(indices):
            by_group.setdefault(index >> _ROW_BITS, []).append(position)
        found: dict[int, Row] = {}
        for number, positions in by_group.items():
            local = [indices[position] & ((1 << _ROW_BITS) - 1) for position in positions]
            with self._guard:
                rows = self._group(number).rows.rows(local)
            found.update(zip(positions, rows, strict=True))
        return [found[position] for position in range(len(indices))]

    def begun_in(self, batch: int, positions: Iterable[int]) -> tuple[tuple[int, Begin], ...]:
        """The groups that begin in a batch, of the lanes of some of its positions."""
        each = self.batch_size // self.lanes
        first = max(batch * each, 1)  # where a lane itself begins is known
        found = set[tuple[int, Begin]]()
        with self._guard:
            for lane in {position % self.lanes for position in positions}:
                inside = (b for b in self._begun[lane] if first <= b[0] < (batch + 1) * each)
                found.update((lane, begin) for begin in inside)
        return tuple(sorted(found))

    def heard(self, begun: Iterable[tuple[int, Begin]]) -> None:
        """Groups that began in lanes of other ranks."""
        with self._guard:
            for lane, begin in begun:
                self._note(lane, begin)

    def state_at(self, batches: int) -> list[list[int]]:
        """For a checkpoint after so many batches: of each lane the group that it is in."""
        place = batches * (self.batch_size // self.lanes)
        with self._guard:
            return [list(_last(begun, place)) for begun in self._begun]

    def go_on(self, state: Sequence[Sequence[int]]) -> None:
        """The lanes are where `state_at` said."""
        with self._guard:
            self._begun = [[(first, epoch, turn)] for first, epoch, turn in state]

    def _note(self, lane: int, begin: Begin) -> None:
        if begin not in self._begun[lane]:
            insort(self._begun[lane], begin)

    def _at(self, position: int) -> tuple[int, _Group, int]:
        """The epoch of a position, its group, and its place in that."""
        lane, place = position % self.lanes, position // self.lanes
        first, epoch, turn = _last(self._begun[lane], place)
        empty = 0
        while True:
            group = self._group(self._number(lane, epoch, turn))
            count = len(group.order)
            if place - first < count:
                return epoch, group, place - first
            empty = 0 if count else empty + 1
            if empty > self._most_turns:
                message = f"no row in any of {len(group.shards)} or more files, one after the other"
                fewer = "a smaller data.file_parts" if self.spec.data.file_parts > 1 else None
                raise self.spec.error(("data", "stream"), message, expected=fewer)
            first, turn = first + count, turn + 1
            if turn == self._turns(lane):
                epoch, turn = epoch + 1, 0
            self._note(lane, (first, epoch, turn))

    def _number(self, lane: int, epoch: int, turn: int) -> int:
        return (epoch * self.lanes + lane) * self._most_turns + turn

    def _turns(self, lane: int) -> int:
        """Groups of a lane in an epoch."""
        shards = len(range(lane, len(self.shards), self.lanes))
        return math.ceil(shards / self.spec.data.shuffle_shards)

    def _shards_of(self, number: int) -> list[Shard]:
        rest, turn = divmod(number, self._most_turns)
        epoch, lane = divmod(rest, self.lanes)
        order = permutation(len(self.shards), self._seed, self.spec.task, "shards", epoch)
        mixed = self.spec.data.shuffle_shards
        of_lane = order[lane :: self.lanes][turn * mixed : (turn + 1) * mixed]
        return [self.shards[place] for place in of_lane]

    def _group(self, number: int) -> _Group:
        lane = number // self._most_turns % self.lanes
        kept = self._open[lane]
        found = next((group for group in kept if group.number == number), None)
        if found is not None:
            return found
        shards = self._shards_of(number)
        rows = TaskData(self.spec, "train", self.root, shards=shards)
        parts = (self._seed, self.spec.task, "rows", number)
        found = _Group(number, shards, rows, permutation(len(rows), *parts))
        kept.append(found)
        while len(kept) > KEPT:
            self._close(kept.pop(0))
        self._fetch_next(lane, number)
        return found

    def _close(self, group: _Group) -> None:
        """Let the cache remove its files, unless another group has them open, too."""
        held = {url for groups in self._open for each in groups for url in _urls(each.shards)}
        for url in _urls(group.shards):
            if url not in held:
                release(url)

    def _fetch_next(self, lane: int, number: int) -> None:
        """Begin to fetch what the lane needs next, while this group is read."""
        rest, turn = divmod(number, self._most_turns)
        last = turn + 1 == self._turns(lane)
        after = (rest + self.lanes) * self._most_turns if last else number + 1
        urls = list(_urls(self._shards_of(after)))

        def fetch() -> None:
            with suppress(Exception):  # when its turn comes, it is told
                for url in urls:
                    fetched(url)

        if urls:
            threading.Thread(target=fetch, name="next shard", daemon=True).start()


def _index(group: _Group, offset: int) -> int:
    return group.number << _ROW_BITS | int(group.order[offset])


def _last(begun: Sequence[Begin], place: int) -> Begin:
    """The last group that began at a place of its lane, or before."""
    return begun[bisect_right(begun, (place, math.inf, 0)) - 1]


def _urls(shards: Iterable[Shard]) -> Iterator[str]:
    paths = (path for shard in shards for path in shard.files.values())
    yield from (url for url in map(url_of, paths) if url is not None)


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


def refuse_streamed(spec: TaskSpec, why: str, expected: str) -> None:
    """That a task is none whose rows nobody counts.

    Raises:
        UserError: where it is.
    """
    if spec.data.stream:
        raise spec.error(("data", "stream"), why, expected=expected)
