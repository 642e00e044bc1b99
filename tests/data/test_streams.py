"""Streams: every row in its turn, whatever the ranks, the calls before, and bad rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.sequence import Encoded
from unified_vl.data.batching import Batch, Found
from unified_vl.data.example import Example
from unified_vl.data.good_examples import good_examples
from unified_vl.data.order import permutation
from unified_vl.data.streams import TaskStream
from unified_vl.data.workers import Workers
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.tasks.data import DataSpec


class Rows:
    """Row i has i % 7 + 1 source ids; the bad ones break."""

    def __init__(self, count: int, on_bad_row: str = "stop") -> None:
        self.count = count
        self.spec = SimpleNamespace(
            task="task", data=DataSpec.model_construct(on_bad_row=on_bad_row)
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return SimpleNamespace(index=index, where=f"file:{index}")

    def rows(self, indices: Sequence[int]) -> list[Any]:
        return [self[index] for index in indices]


class Builder:
    def __init__(self, bad: Sequence[int] = (), broken: Sequence[int] = ()) -> None:
        self.bad = frozenset((*bad, *broken))
        self.spec: Any = None
        self.codec = None
        self.seeds: dict[int, list[int | None]] = {}

    def build(self, row: Any, *, seed: int | None) -> Example:
        self.seeds.setdefault(row.index, []).append(seed)
        if row.index in self.bad:
            raise BadRow("is broken", file=row.where)
        return Example("task", "en", str(row.index), (), (), {}, {}, row.where, None)


@pytest.fixture(autouse=True)
def _lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids by row number, without a tokenizer."""

    def encode(example: Example, codec: object) -> Any:
        from unified_vl.data.batching import EncodedExample

        number = int(example.key)
        return EncodedExample(example, Encoded([5] * (number % 7 + 1)), Encoded([6, 1]))

    def length(example: Example, codec: object) -> int:
        return encode(example, codec).length

    monkeypatch.setattr("unified_vl.data.placed_rows.encode_example", encode)
    monkeypatch.setattr("unified_vl.data.placed_rows.length_of", length)


def make(
    count: int,
    *,
    bad: Sequence[int] = (),
    broken: Sequence[int] | None = None,
    skip: bool = False,
    **options: Any,
) -> TaskStream:
    """Rows of which some are bad, or `broken`: bad when they are read, not when measured."""
    settings: dict[str, Any] = {"seed": 1, "batch_size": 4, "window": 3} | options
    rows: Any = Rows(count, "skip" if skip else "stop")
    builder: Any = Builder(bad, broken or ())
    sketch: Any = None if broken is None else Builder(bad)
    codec: Any = None  # `_lengths` takes its place
    return TaskStream(rows, builder, codec, sketch=sketch, **settings)


@given(
    count=st.integers(1, 60),
    budget=st.integers(40, 90),
    seed=st.integers(0, 9),
    rows=st.integers(4, 9),
)
def test_a_budget_of_tokens_gives_every_row_its_turn(
    count: int, budget: int, seed: int, rows: int
) -> None:
    stream = make(count, seed=seed, batch_size=rows, batch_tokens=budget)
    batches = [stream.batch(number) for number in range(40)]
    assert all(0 < batch.counts.tokens <= budget for batch in batches)
    drawn = [key for batch in batches for key in keys(batch)]
    window = 3 * rows
    plain = make(count, seed=seed, batch_size=window, window=1)
    for number in range(len(drawn) // window - 1):  # windows have the same rows
        start = slice(number * window, (number + 1) * window)
        assert sorted(drawn[start]) == sorted(keys(plain.batch(number)))


@pytest.mark.parametrize("world, count", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_a_budget_is_shared_whatever_the_ranks(world: int, count: int) -> None:
    whole, shared = (make(50, batch_tokens=150, batch_size=16) for _ in range(2))
    for number in range(12):
        parts = [
            part
            for rank in range(world)
            for part in shared.micro_batches(number, rank, world, count)
        ]
        expected = whole.batch(number)
        assert sorted(k for part in parts for k in keys(part)) == sorted(keys(expected))
        assert {part.global_rows for part in parts} == {len(expected.examples)}


def test_a_stream_with_a_budget_goes_on_where_it_was() -> None:
    first = make(50, batch_tokens=60, batch_size=6)
    expected = [keys(first.batch(number)) for number in range(30)]
    for number in range(30):
        again = make(50, batch_tokens=60, batch_size=6)
        again.go_on(*first.began(number))
        assert keys(again.batch(number)) == expected[number]
        assert keys(again.batch(29)) == expected[29]


def keys(batch: Batch) -> list[int]:
    return [int(example.key) for example in batch.examples]


@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 6),
    window=st.integers(1, 4),
    windows=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_every_row_comes_once_an_epoch(
    count: int, batch_size: int, window: int, windows: int, seed: int
) -> None:
    stream = make(count, batch_size=batch_size, window=window, seed=seed)
    drawn = Counter(k for n in range(window * windows) for k in keys(stream.batch(n)))
    total = window * windows * batch_size
    assert sum(drawn.values()) == total
    for row in range(count):
        assert total // count <= drawn[row] <= -(-total // count)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=10), st.sampled_from([1, 2, 4]))
def test_a_batch_depends_on_its_number_alone(numbers: list[int], world: int) -> None:
    used = make(11)
    for number in numbers:
        whole = keys(make(11).batch(number))
        shares = [keys(used.batch(number, rank, world)) for rank in range(world)]
        assert all(len(share) == 4 // world for share in shares)
        assert [key for dealt in zip(*shares, strict=True) for key in dealt] == whole


def test_seed_epoch_and_batch_size_change_the_order() -> None:
    first = [keys(make(40).batch(n)) for n in range(10)]
    assert first != [keys(make(40, seed=2).batch(n)) for n in range(10)]
    second = [keys(make(40).batch(n)) for n in range(10, 20)]
    assert first != second
    assert permutation(50, 1, "a", 0).tolist() != permutation(50, 1, "b", 0).tolist()
    assert permutation(5, 1, "a", 0).tolist() == permutation(5, 1, "a", 0).tolist()


def test_the_batches_of_a_window_are_of_like_lengths_in_no_order_of_length() -> None:
    stream = make(1000, window=8)
    starts = []
    for window in range(6):
        spans = []
        for n in range(window * 8, window * 8 + 8):
            lengths = [key % 7 + 1 for key in keys(stream.batch(n))]
            spans.append((min(lengths), max(lengths)))
        for (_, high), (low, _) in zip(sorted(spans), sorted(spans)[1:], strict=False):
            assert high <= low
        starts.append(spans.index(min(spans)))
    assert len(set(starts)) > 1


def test_bad_rows_give_way_to_good_ones_and_are_counted() -> None:
    bad = [2, 3, 9]
    stream = make(12, bad=bad, skip=True)
    drawn = [keys(stream.batch(n)) for n in range(3)]
    assert not {key for batch in drawn for key in batch} & set(bad)
    assert all(len(batch) == 4 for batch in drawn)
    assert set(stream.skipped) == {"file:2", "file:3", "file:9"}
    assert stream.skipped["file:9"] == "file:9: is broken"
    again = make(12, bad=bad, skip=True)
    assert keys(again.batch(2)) == drawn[2]


def test_a_bad_row_stops_where_the_spec_says_so() -> None:
    with pytest.raises(BadRow, match="file:3"):
        make(12, bad=[3]).batch(0)


@pytest.mark.parametrize("count", [1, 2, 5, 150])
def test_nothing_but_bad_rows_is_an_error(count: int) -> None:
    with pytest.raises(UserError, match=rf"not one of the {count} rows is good.*is broken"):
        make(count, bad=range(count), skip=True).batch(0)


@given(count=st.integers(2, 60), good=st.sets(st.integers(0, 59), min_size=1, max_size=3))
def test_a_few_good_rows_among_bad_ones_are_enough(count: int, good: set[int]) -> None:
    good = {row % count for row in good}
    bad = [row for row in range(count) if row not in good]
    stream = make(count, bad=bad, skip=True)
    drawn = [keys(stream.batch(n)) for n in range(7)]
    assert all(len(batch) == 4 and set(batch) <= good for batch in drawn)
    assert keys(make(count, bad=bad, skip=True).batch(6)) == drawn[6]


def test_a_bad_row_is_tried_once_an_epoch_and_window() -> None:
    stream = make(400, bad=range(399), skip=True, batch_size=64, window=16)
    drawn = keys(stream.batch(0))
    assert set(drawn) == {399} and len(stream.skipped) == 399
    builder: Any = stream.builder
    # each place of the window tries its own row, and what stands behind it once for all of them
    assert max(len(seeds) for row, seeds in builder.seeds.items() if row != 399) <= 10


def test_many_bad_rows_are_an_error_though_others_are_good() -> None:
    with pytest.raises(UserError, match="more than 1000 bad rows"):
        make(2000, bad=range(1500), skip=True, batch_size=500).batch(0)


@pytest.mark.parametrize(("world", "count"), [(2, 1), (4, 1), (1, 2)])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("budget", [None, 60])
def test_a_broken_image_gives_way_in_its_slot_whatever_the_ranks(
    world: int, count: int, workers: int, budget: int | None
) -> None:
    how: dict[str, Any] = {"batch_tokens": budget, "batch_size": 8, "skip": True}
    good = make(40, broken=[], **how)
    alone = make(40, broken=[3, 4, 17, 30], **how)
    ranks = make(40, broken=[3, 4, 17, 30], workers=Workers(workers), **how)
    met = dict[str, str]()
    for number in reversed(range(12)) if budget is None else range(12):
        expected, batch = keys(good.batch(number)), alone.batch(number)
        drawn = keys(batch)
        assert all(a == b or a in (3, 4, 17, 30) for a, b in zip(expected, drawn, strict=True))
        assert not set(drawn) & {3, 4, 17, 30}
        assert budget is None or batch.counts.tokens <= budget
        shares = [ranks.micro_batches(number, rank, world, count) for rank in range(world)]
        slots: list[int] = [0] * len(drawn)
        for rank, share in enumerate(shares):
            rows = [0] * len(drawn[rank::world])
            for part, part_batch in enumerate(share):
                rows[part::count] = keys(part_batch)
            slots[rank::world] = rows
        assert slots == drawn
        found = Found.merged(part.found for share in shares for part in share)
        assert found == batch.found
        met |= batch.found.bad
    assert met == {f"file:{n}": f"file:{n}: is broken" for n in (3, 4, 17, 30)}
    assert not alone.skipped  # until all ranks have heard of them
    alone.heard(met)
    assert alone.skipped == met


def test_a_rank_reads_its_own_rows_alone() -> None:
    stream = make(100, broken=[], batch_size=20)
    builder: Any = stream.builder
    for number in range(6):
        stream.batch(number, 1, 4)
    assert sum(map(len, builder.seeds.values())) == 30


@pytest.mark.parametrize("count", [1, 2, 150])
def test_nothing_but_broken_images_is_an_error(count: int) -> None:
    with pytest.raises(UserError, match=rf"not one of the {count} rows is good.*is broken"):
        make(count, broken=range(count), skip=True).batch(0)


def test_a_broken_image_stops_the_rank_that_reads_it() -> None:
    stream = make(12, broken=[3], batch_size=12, window=1)
    place = keys(make(12, batch_size=12, window=1).batch(0)).index(3)
    keys(stream.batch(0, 1 - place % 2, 2))
    with pytest.raises(BadRow, match="file:3"):
        stream.batch(0, place % 2, 2)


def test_many_broken_images_are_an_error() -> None:
    stream = make(2000, broken=range(1500), skip=True, batch_size=4)
    with pytest.raises(UserError, match="more than 1000 bad rows"):
        for number in range(500):
            stream.heard(stream.batch(number).found.bad)


@pytest.mark.parametrize(("kept", "built"), [(0, 36 + 28), (5, 36 + 16), (100, 36)])
def test_rows_that_are_not_kept_are_built_again(kept: int, built: int) -> None:
    few, all_of_them = make(30, kept=kept), make(30)
    for number in range(7):
        assert keys(few.batch(number)) == keys(all_of_them.batch(number))
    builder: Any = few.builder
    assert sum(map(len, builder.seeds.values())) == built


def test_what_is_picked_is_a_function_of_epoch_and_row() -> None:
    def seeds(**options: Any) -> dict[int, list[int | None]]:
        stream = make(6, batch_size=6, window=1, **options)
        for number in range(3):
            stream.batch(number)
        builder: Any = stream.builder
        return builder.seeds

    drawn = seeds()
    assert drawn == seeds()
    assert drawn != seeds(seed=2)
    assert len({seed for of_row in drawn.values() for seed in of_row}) == 18
    assert set(map(tuple, seeds(random_picks=False).values())) == {(None, None, None)}


def test_a_batch_must_be_dealt_evenly() -> None:
    with pytest.raises(UserError, match="evenly"):
        make(12).batch(0, 0, 3)


def test_good_examples_keep_the_rows_whose_example_is_skipped() -> None:
    builder, data = Builder(bad=[1]), Rows(3, "skip")
    builder.spec = data.spec
    found = [
        (row.index, example is None) for row, example in good_examples(builder, data.rows(range(3)))
    ]
    assert found == [(0, False), (1, True), (2, False)]
    builder.spec = Rows(3, "stop").spec
    with pytest.raises(BadRow, match="is broken"):
        list(good_examples(builder, data.rows(range(3))))
