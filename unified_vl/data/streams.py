"""The endless stream of batches of one task: a formula, not a state.

`data.order` says which row stands at a position of the stream. Every global batch is
full: the last one of an epoch takes its missing rows from the next. Windows of whole
batches are sorted by length, cut, and the batches of a window are put in an order drawn
from the seed. Nothing depends on the number of ranks or on what was asked before, so the
state of a stream is the number of batches drawn.

Where batches have a number of tokens, a window still has a number of rows, and is cut into
as many batches as its tokens need: which window a batch is of is known from the windows before it,
so the state is that, too.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import Batch, EncodedExample, collate_encoded, encode_example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.order import LanguageOrder, Order, RowOrder, draw_seed, permutation
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError

WINDOW_BATCHES = 16  # sorted together: enough that lengths in a batch are close
BAD_ROWS = 1000  # more in all mean that the spec or the data are wrong


class TaskStream:
    """Batches of one task.

    Every rank builds the whole global batch, because its length order needs all of
    it, and keeps the share of its rank.

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

    Attributes:
        skipped: the bad rows met so far: `file:row` to what is wrong with it.
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
    ) -> None:
        self.data = data
        self.spec = data.spec
        self.builder = builder
        self.codec = codec
        self.seed = seed
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.random_picks = random_picks
        self.window = window
        self.packed = packed
        self.skipped: dict[str, str] = {}
        self._order = self._make_order()
        self._built: tuple[int, list[list[EncodedExample]]] = (-1, [])
        self._begins = [(0, 0)]  # a batch's number, and the window that it is the first of
        self._left_out: dict[str, str] = {}  # of the window that is built
        self._truncated: dict[str, None] = {}  # rows of it, likewise

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
        if self.batch_tokens is None and self.batch_size % (world * count):
            times = f" in {count} parts each" if count > 1 else ""
            raise UserError(
                f"a batch of {self.batch_size} rows cannot be dealt to {world} processes"
                f"{times} evenly",
                field="batch_size",
            )
        whole = self._global_batch(number)
        rows = whole[rank::world]
        return [
            replace(
                collate_encoded(rows[part::count], packed=self.packed),
                global_rows=len(whole),
                skipped=self._left_out,
                truncated=tuple(self._truncated),
            )
            for part in range(count)
        ]

    def in_first_window(self) -> int:
        """Batches of the first window."""
        return self.window if self.batch_tokens is None else len(self._window(0))

    def began(self, number: int) -> tuple[int, int]:
        """A batch that begins a window, at or before `number`, and that window."""
        return self._begins[bisect_right(self._begins, (number, math.inf)) - 1]

    def go_on(self, first: int, window: int) -> None:
        """Batch `first` begins a window, as `began` told; no batch before it is asked for."""
        self._begins = [(first, window)]

    def _global_batch(self, number: int) -> list[EncodedExample]:
        if self.batch_tokens is None:
            window, place = divmod(number, self.window)
            return self._window(window)[place]
        first, window = self.began(number)
        while number - first >= (count := len(self._window(window))):
            first, window = first + count, window + 1
            if first > self._begins[-1][0]:
                self._begins.append((first, window))
        return self._window(window)[number - first]

    def _window(self, window: int) -> list[list[EncodedExample]]:
        if self._built[0] != window:
            self._left_out, self._truncated = {}, {}
            self._built = (window, self._build_window(window))
        return self._built[1]

    def forget(self) -> None:
        """Hold no rows until the next batch is asked for; it is the same."""
        self._built = (-1, [])

    def _build_window(self, number: int) -> list[list[EncodedExample]]:
        """The batches of a window, each of like lengths, in a drawn order."""
        size = self.window * self.batch_size
        rows = self._encode_all(range(number * size, (number + 1) * size))
        by_length = sorted(range(size), key=lambda i: (rows[i].length, i))
        ends = self._ends([rows[i].length for i in by_length])
        batches = [[rows[i] for i in by_length[start:end]] for start, end in pairwise([0, *ends])]
        order = permutation(len(batches), self.seed, self.spec.task, "window", number)
        return [batches[i] for i in order]

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

    def _encode_all(self, positions: range) -> list[EncodedExample]:
        """The examples at these positions; a bad row gives way to the next good one."""
        places = [self._order.place(position) for position in positions]
        rows = self.data.rows([index for _, index in places])
        encoded = []
        bad: set[tuple[int, int]] = set()
        for position, (epoch, index), row in zip(positions, places, rows, strict=True):
            example = self._encode(row, epoch, index)
            if example is None:
                bad.add((epoch, index))
                example = self._next_good(position, index, bad)
            encoded.append(example)
        return encoded

    def _next_good(self, position: int, first: int, bad: set[tuple[int, int]]) -> EncodedExample:
        """The example at the first position behind that has a good one.

        Args:
            position: of a bad row.
            first: its index.
            bad: epoch and index of those met, which are not tried again; grows.

        Raises:
            UserError: when every row of the data was tried and none is good.
        """
        tried = {first}
        while len(tried) < len(self.data):  # every order comes to each row in the end
            position += 1
            epoch, index = self._order.place(position)
            tried.add(index)
            if (epoch, index) in bad:
                continue
            example = self._encode(self.data[index], epoch, index)
            if example is not None:
                return example
            bad.add((epoch, index))
        last = list(self.skipped.values())[-1]
        raise UserError(f"not one of the {len(self.data)} rows is good, the last of them: {last}")

    def _make_order(self) -> Order:
        temperature = self.spec.data.language_temperature
        if temperature is None or not self.random_picks:
            return RowOrder(len(self.data), self.seed, self.spec.task)
        return LanguageOrder(self.data.by_language(), temperature, self.seed, self.spec.task)

    def _encode(self, row: Row, epoch: int, index: int) -> EncodedExample | None:
        seed = None
        if self.random_picks:
            seed = draw_seed(self.seed, self.spec.task, epoch, index) & (2**63 - 1)
        try:
            example = self.builder.build(row, seed=seed)
            if example.truncated:
                self._truncated[row.where] = None
            encoded = encode_example(example, self.codec)
            return replace(encoded, example=example.by_name())  # its pixels are held once
        except BadRow as error:
            self.spec.data.stop_or_skip(error)
            self.skipped[row.where] = self._left_out[row.where] = str(error)
            if len(self.skipped) > BAD_ROWS:
                raise UserError(
                    f"more than {BAD_ROWS} bad rows, the last of them: {error}"
                ) from error
            return None
