"""The endless stream of batches of a task whose files are read as their turn comes.

Each rank reads only its rows, so nobody knows lengths before: batches are as the lanes give them
(`sharded_rows`), and not sorted by length. A bad row gives way to the next good one of the files
that its lane has open, which only its rank sees, and tells with the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Found
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.order import Order
from unified_vl.data.placed_rows import Placed, PlacedRows
from unified_vl.data.shards.sharded_rows import ShardedRows
from unified_vl.data.streams import TaskStream
from unified_vl.data.workers import Workers
from unified_vl.errors import UserError


class ShardStream(TaskStream):
    """Batches of one streamed task.

    Args:
        data: the rows.
        builder: rows to examples.
        codec: examples to ids.
        seed: decides all that an example draws at random.
        packed: whether batches are computed without padding.
        workers: read rows; none but who asks unless given.
    """

    data: ShardedRows

    def __init__(
        self,
        data: ShardedRows,
        builder: ExampleBuilder,
        codec: SequenceCodec,
        *,
        seed: int,
        packed: bool = False,
        workers: Workers | None = None,
    ) -> None:
        super().__init__(
            data,
            builder,
            codec,
            seed=seed,
            batch_size=data.batch_size,
            packed=packed,
            workers=workers,
            rows=_LaneRows(data, builder, None, codec, seed, True),
        )

    def share(
        self, number: int, rank: int, world: int
    ) -> tuple[Sequence[Placed], int, Mapping[str, str]]:
        positions = self._positions(number, rank, world)
        return [Placed(at, *self.data.place(at)) for at in positions], self.batch_size, {}

    def found_in(self, number: int, rank: int, world: int, found: Found) -> Found:
        begun = self.data.begun_in(number, self._positions(number, rank, world))
        return replace(found, begun=begun)

    def begins(self, found: Found) -> None:
        self.data.heard(found.begun)

    def _positions(self, number: int, rank: int, world: int) -> range:
        first = number * self.batch_size
        return range(first + rank, first + self.batch_size, world)


class _LaneRows(PlacedRows):
    """Rows at positions of lanes."""

    data: ShardedRows

    def _make_order(self) -> Order:
        return self.data

    def _behind(self, at: Placed) -> Iterator[Placed]:
        for epoch, index in self.data.behind(at.position):
            yield Placed(at.position, epoch, index)

    def _none_good(self, bad: Mapping[str, str]) -> UserError:
        last = list(bad.values())[-1]
        return UserError(f"not one row of the files open at once is good, the last of them: {last}")
