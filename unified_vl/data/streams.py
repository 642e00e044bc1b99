"""The endless stream of batches of one task: a formula, not a state.

`data.order` says which row stands at a position of the stream. Every global batch is
full: the last one of an epoch takes its missing rows from the next. Windows of whole
batches are sorted by length, cut, and the batches of a window are put in an order drawn
from the seed. Nothing depends on the number of ranks or on what was asked before, so the
state of a stream is the number of batches drawn.

Where batches have a number of tokens, a window still has a number of rows, and is cut into
as many batches as its tokens need: which window a batch is of is known from the windows before it,
so the state is that, too.

**Bad rows** give way to good ones by their positions alone:

- What shows without pixels (a value that breaks its spec, a missing file; where lengths or places
  are by an image's size, a header that cannot be read) every rank sees when a window is built. The
  row at the next position that is good is then measured, and sorted, in its place.
- An image that turns out to be broken when it is decoded is seen by the one rank whose row it is,
  when lengths are settled. Its slot in the batch stays, and holds the first good row behind its
  position (of a budget: the first that is no longer). The others are told by
  `training.distributed.agreement`, with the step.

So the rows of a batch, and those that are left out at a step, are the same for any number of ranks.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch, Found, collate_encoded
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.order import permutation
from unified_vl.data.placed_rows import Placed, PlacedRows, ReadRow, refuse_many
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.workers import Workers
from unified_vl.errors import UserError

WINDOW_BATCHES = 16  # sorted together: enough that lengths in a batch are close
KEPT_ROWS = 16_384  # rows of text of all tasks that are held as they were measured, some 50 MB


class TaskStream:
    """Batches of one task.

    Every rank measures the rows of a window, because the order by length needs all of
    them, and reads those of its share.

    Args:
        data: the rows.
        builder: rows to examples.
        codec: examples to ids.
        seed: decides the order and all that an example draws at random.
        batch_size: rows of a global batch; of a budget of tokens, as many as fit of the longest.
        batch_tokens: most ids of sources and targets of a global batch, in place of rows.
        random_picks: examples draw anew in every epoch, and languages as the spec's
            `language_temperature` says; False, for validation, draws nothing at random.
        window: global batches that are sorted by length together.
        packed: whether batches are computed without padding.
        sketch: measures rows without decoding their images, as `ExampleBuilder.unread` gives it;
            None builds rows when they are measured.
        kept: rows without images that are held from then on; the others are built again.
        workers: read rows; none but who asks unless given.
        rows: the rows at their positions, where they are not all known before.
    """

    def __init__(
        self,
        data: TaskData,
        builder: ExampleBuilder,
        codec: SequenceCodec,
        *,
        seed: int,
        batch_size: int,
        batch_tokens: int | None = None,
        random_picks: bool = True,
        window: int = WINDOW_BATCHES,
        packed: bool = False,
        sketch: ExampleBuilder | None = None,
        kept: int = KEPT_ROWS,
        workers: Workers | None = None,
        rows: PlacedRows | None = None,
    ) -> None:
        self.data = data
        self.spec = data.spec
        self.builder = builder
        self.codec = codec
        self.seed = seed
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.window = window
        self.packed = packed
        self.kept = kept
        self._workers = workers or Workers()
        self._rows = rows or PlacedRows(data, builder, sketch, codec, seed, random_picks)
        self._built: tuple[int, list[list[Placed]]] = (-1, [])
        self._begins = [(0, 0)]  # a batch's number, and the window that it is the first of
        self._left_out: dict[str, str] = {}  # of the window that is built

    def batch(self, number: int, rank: int = 0, world: int = 1) -> Batch:
        """The share of `rank` in global batch `number`: its rows rank, rank + world, ...

        Raises:
            BadRow: for a row that breaks its spec where `on_bad_row` is `stop`.
            UserError: when too many rows are bad, or the batch cannot be dealt evenly.
        """
        return self.micro_batches(number, rank, world)[0]

    def micro_batches(
        self, number: int, rank: int = 0, world: int = 1, count: int = 1
    ) -> list[Batch]:
        """That share as `count` batches of equally many rows, to be computed in turn.

        Raises:
            BadRow: for a row that breaks its spec where `on_bad_row` is `stop`.
            UserError: when too many rows are bad, or the batch cannot be dealt evenly.
        """
        return self.started(number, rank, world, count)()

    def started(
        self, number: int, rank: int = 0, world: int = 1, count: int = 1
    ) -> Callable[[], list[Batch]]:
        """The same, under way: workers begin to read its rows, and the call waits for them.

        Raises:
            BadRow: as the call does, of what shows before.
            UserError: likewise.
        """
        if self.batch_tokens is None and self.batch_size % (world * count):
            times = f" in {count} parts each" if count > 1 else ""
            raise UserError(
                f"a batch of {self.batch_size} rows cannot be dealt to {world} processes"
                f"{times} evenly",
                field="batch_size",
            )
        share, many, skipped = self.share(number, rank, world)
        unread = [placed.index for placed in share if placed.read is None]
        rows = iter(self.data.rows(unread) if unread else ())
        given = [None if placed.read is not None else next(rows) for placed in share]
        start = self._workers.start if unread else map
        reading = start(self._read, given, share)

        def batches() -> list[Batch]:
            read = list(reading)
            found = self.found_in(number, rank, world, Found.merged(each.found for each in read))
            encoded = [each.encoded for each in read]
            return [
                replace(
                    collate_encoded(encoded[part::count], packed=self.packed),
                    global_rows=many,
                    skipped=skipped,
                    found=found,
                )
                for part in range(count)
            ]

        return batches

    def share(
        self, number: int, rank: int, world: int
    ) -> tuple[Sequence[Placed], int, Mapping[str, str]]:
        """The places of a rank's rows, how many rows all ranks have, and the bad rows that were
        left out where they were chosen."""
        whole = self._global_batch(number)
        return whole[rank::world], len(whole), self._left_out

    def found_in(self, number: int, rank: int, world: int, found: Found) -> Found:
        """What was found of rows of a share, with what else the other ranks have to know of it."""
        return found

    def begins(self, found: Found) -> None:
        """Hear what `found_in` told, of whichever rank."""

    @property
    def skipped(self) -> dict[str, str]:
        """The bad rows met so far: `file:row` to what is wrong with it."""
        return self._rows.skipped

    def heard(self, bad: Mapping[str, str]) -> None:
        """Count bad rows that were met in reading, by whichever rank, as those of `skipped`.

        Raises:
            UserError: when too many rows are bad.
        """
        self.skipped.update(bad)
        refuse_many(self.skipped)

    def _read(self, row: Row | None, at: Placed) -> ReadRow:
        return self._rows.read(row, at, None if self.batch_tokens is None else at.length)

    def in_first_window(self) -> int:
        """Batches of the first window."""
        return self.window if self.batch_tokens is None else len(self._window(0))

    def began(self, number: int) -> tuple[int, int]:
        """A batch that begins a window, at or before `number`, and that window."""
        return self._begins[bisect_right(self._begins, (number, math.inf)) - 1]

    def go_on(self, first: int, window: int) -> None:
        """Batch `first` begins a window, as `began` told; no batch before it is asked for."""
        self._begins = [(first, window)]

    def _global_batch(self, number: int) -> list[Placed]:
        if self.batch_tokens is None:
            window, place = divmod(number, self.window)
            return self._window(window)[place]
        first, window = self.began(number)
        while number - first >= (count := len(self._window(window))):
            first, window = first + count, window + 1
            if first > self._begins[-1][0]:
                self._begins.append((first, window))
        return self._window(window)[number - first]

    def _window(self, window: int) -> list[list[Placed]]:
        if self._built[0] != window:
            self._built = (window, self._build_window(window))
        return self._built[1]

    def forget(self) -> None:
        """Hold no rows until the next batch is asked for; it is the same."""
        self._built = (-1, [])

    def _build_window(self, number: int) -> list[list[Placed]]:
        """The batches of a window, each of like lengths, in a drawn order."""
        size = self.window * self.batch_size
        positions = range(number * size, (number + 1) * size)
        rows, self._left_out = self._rows.measured(positions)
        by_length = sorted(range(size), key=lambda i: (rows[i].length, i))
        ends = self._ends([rows[i].length for i in by_length])
        batches = [[rows[i] for i in by_length[start:end]] for start, end in pairwise([0, *ends])]
        order = permutation(len(batches), self.seed, self.spec.task, "window", number)
        in_order, left = [], self.kept
        for batch in (batches[i] for i in order):
            left -= len(batch)
            in_order.append(batch if left >= 0 else [replace(row, read=None) for row in batch])
        return in_order

    def _ends(self, lengths: Sequence[int]) -> list[int]:
        """Where the batches of a window end, of rows in the order of their lengths.

        Of a budget there are so many batches of the same share of the tokens that one row more
        still fits each.
        """
        if self.batch_tokens is None:
            return list(range(self.batch_size, len(lengths) + 1, self.batch_size))
        total = np.cumsum(lengths)
        count = -(-int(total[-1]) // (self.batch_tokens - max(lengths)))
        shares = np.arange(1, count) * (total[-1] / count)
        return [*(np.searchsorted(total, shares) + 1).tolist(), len(lengths)]
