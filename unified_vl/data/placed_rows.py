"""Rows at their positions in a stream: measured by every rank, read by those that compute them.

How long an example is decides in which batch it is, so every rank has to know it of all rows of a
window. Texts are all that it takes: an image has a fixed number of tokens, or one by the size in
its header. So rows with images are measured without decoding any, and built again, with pixels,
by the rank that computes them; a window holds where they are. Rows of text alone may be kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import EncodedExample, Found, encode_example, length_of
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.order import LanguageOrder, Order, RowOrder, draw_seed
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError

BAD_ROWS = 1000  # more in all mean that the spec or the data are wrong
SHORTER = 64  # good rows that are looked at for one that is no longer than that it stands for


@dataclass(frozen=True, slots=True)
class Placed:
    """A row that was measured.

    Attributes:
        position: of the stream.
        epoch: how often the rows were gone through before.
        index: of the row.
        length: ids of source and target.
        read: the example, where it was built at once.
    """

    position: int
    epoch: int
    index: int
    length: int = 0
    read: ReadRow | None = None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A row that was read, or what stands for it.

    Attributes:
        encoded: its ids and pixels; of its example only what names it.
        found: what else was found.
    """

    encoded: EncodedExample
    found: Found = field(default_factory=Found)


class PlacedRows:
    """The rows of a task by their positions. Several threads may read.

    Args:
        data: the rows.
        builder: rows to examples.
        sketch: builds examples of the same lengths without decoding an image, as
            `ExampleBuilder.unread` gives it; None builds all that is measured at once.
        codec: examples to ids.
        seed: decides the order and all that an example draws at random.
        random_picks: as `TaskStream` says.

    Attributes:
        skipped: the bad rows met so far, in measuring: `file:row` to what is wrong with it.
    """

    def __init__(
        self,
        data: TaskData,
        builder: ExampleBuilder,
        sketch: ExampleBuilder | None,
        codec: SequenceCodec,
        seed: int,
        random_picks: bool,
    ) -> None:
        self.data = data
        self.skipped: dict[str, str] = {}
        self._builder = builder
        self._sketch = sketch
        self._codec = codec
        self._seed = seed
        self._random_picks = random_picks
        self._spec = data.spec
        self._order = self._make_order()
        self._lock = threading.Lock()  # of the order, which remembers its epoch
        self._unreadable: dict[tuple[int, int], tuple[str, str]] = {}

    def measured(self, positions: range) -> tuple[list[Placed], dict[str, str]]:
        """The rows at these positions, and the bad ones, each of which gave way to the next good
        one.

        Raises:
            BadRow: for a bad row where such rows stop the work.
            UserError: when too many rows are bad, or all.
        """
        self._unreadable = {}
        places = [self._place(position) for position in positions]
        rows = self.data.rows([at.index for at in places])
        found, left_out = [], dict[str, str]()
        bad: set[tuple[int, int]] = set()  # which are not tried again
        for at, row in zip(places, rows, strict=True):
            placed = self._measure(row, at, left_out)
            if placed is None:
                bad.add((at.epoch, at.index))
                placed = self._next_good(at, bad, left_out)
            found.append(placed)
        return found, left_out

    def _next_good(self, at: Placed, bad: set[tuple[int, int]], left_out: dict[str, str]) -> Placed:
        for place in self._behind(at):
            if (place.epoch, place.index) in bad:
                continue
            placed = self._measure(self.data[place.index], place, left_out)
            if placed is not None:
                return placed
            bad.add((place.epoch, place.index))
        raise self._none_good(self.skipped)

    def read(self, row: Row | None, at: Placed, most: int | None = None) -> ReadRow:
        """A row that was measured, or the first good one behind it.

        Args:
            row: the row; None where it was kept.
            at: its place.
            most: ids that another may have in its place, where there is a limit; of the next
                `SHORTER` that are all longer it is the shortest.

        Raises:
            BadRow: for a bad row where such rows stop the work.
            UserError: when too many rows are bad, or all.
        """
        if at.read is not None:
            return at.read
        assert row is not None, "what was not kept is read again"
        bad: dict[str, str] = {}
        found = self._tried(row, at, bad)
        good = [] if found is None else [found]
        others = iter(()) if found is not None else self._behind(at)
        for other in others:
            found = self._tried(self.data[other.index], other, bad)
            if found is None:
                refuse_many(bad)
                continue
            good.append(found)
            if most is None or found.encoded.length <= most or len(good) == SHORTER:
                break
        if not good:
            raise self._none_good(bad)
        shortest = min(good, key=lambda each: each.encoded.length)
        return replace(shortest, found=Found(bad, shortest.found.truncated))

    def _place(self, position: int) -> Placed:
        with self._lock:
            return Placed(position, *self._order.place(position))

    def _behind(self, at: Placed) -> Iterator[Placed]:
        """The places behind one, until every row of the data was at one of them."""
        tried, position = {at.index}, at.position
        while len(tried) < len(self.data):  # every order comes to each row in the end
            position += 1
            place = self._place(position)
            tried.add(place.index)
            yield place

    def _make_order(self) -> Order:
        temperature = self._spec.data.language_temperature
        if temperature is None or not self._random_picks:
            return RowOrder(len(self.data), self._seed, self._spec.task)
        return LanguageOrder(self.data.by_language(), temperature, self._seed, self._spec.task)

    def _draws(self, at: Placed) -> int | None:
        """The seed of an example."""
        if not self._random_picks:
            return None
        return draw_seed(self._seed, self._spec.task, at.epoch, at.index) & (2**63 - 1)

    def _measure(self, row: Row, at: Placed, left_out: dict[str, str]) -> Placed | None:
        """None for a bad row, which is written down."""
        try:
            if self._sketch is None:
                read = self._built(row, at)
                return Placed(at.position, at.epoch, at.index, read.encoded.length, read)
            example = self._sketch.build(row, seed=self._draws(at))
            length = length_of(example, self._codec)
            return Placed(at.position, at.epoch, at.index, length)
        except BadRow as error:
            self._spec.data.stop_or_skip(error)
            self.skipped[row.where] = left_out[row.where] = str(error)
            refuse_many(self.skipped)
            return None

    def _tried(self, row: Row, at: Placed, bad: dict[str, str]) -> ReadRow | None:
        """None for a row that cannot be read, which is written down; it is tried once a window."""
        place, known = (at.epoch, at.index), self._unreadable
        if place not in known:
            try:
                return self._built(row, at)
            except BadRow as error:
                self._spec.data.stop_or_skip(error)
                known[place] = row.where, str(error)
        where, problem = known[place]  # of the window then: workers read while the next is measured
        bad[where] = problem
        return None

    def _built(self, row: Row, at: Placed) -> ReadRow:
        example = self._builder.build(row, seed=self._draws(at))
        encoded = encode_example(example, self._codec)
        truncated = (row.where,) if example.truncated else ()
        # its pixels are held once
        return ReadRow(replace(encoded, example=example.by_name()), Found({}, truncated))

    def _none_good(self, bad: Mapping[str, str]) -> UserError:
        last = list(bad.values())[-1]
        return UserError(f"not one of the {len(self.data)} rows is good, the last of them: {last}")


def refuse_many(bad: Mapping[str, str]) -> None:
    """That there are not too many bad rows.

    Raises:
        UserError: where there are.
    """
    if len(bad) > BAD_ROWS:
        last = list(bad.values())[-1]
        raise UserError(f"more than {BAD_ROWS} bad rows, the last of them: {last}")
