"""Shares of rows: the same split for ever, whatever else there is."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.data.rows.shares import split_of
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.tasks.data import SplitName

SPEC = """\
task: task
version: 1
about: Say it.
data: {{reader: jsonl, path: rows.jsonl, languages: [en, de], {data}}}
fields:
  image: {{kind: image, column: image}}
  answer: {{kind: text, column: "{answer}"}}
example: {{source: "{{image}} ?", target: "{{answer}}"}}
score: [{{metric: chrf, against: answer, primary: true}}]
"""
SHARES: dict[SplitName, float] = {"train": 0.6, "validation": 0.3, "test": 0.1}
FRACTION = "splits: {fraction: {train: 0.6, validation: 0.3, test: 0.1}%s}"
GOLDEN = "va va tr tr tr tr tr va tr tr tr te"
KEYS = st.binary(max_size=20)


def shares() -> st.SearchStrategy[dict[SplitName, float]]:
    """Three shares in hundredths, which are 1 together."""
    cuts = st.lists(st.integers(1, 99), min_size=2, max_size=2, unique=True).map(sorted)
    names: Sequence[SplitName] = ("train", "validation", "test")
    return cuts.map(
        lambda c: {n: x / 100 for n, x in zip(names, (c[0], c[1] - c[0], 100 - c[1]), strict=True)}
    )


def test_the_formula_is_as_documented() -> None:
    found = Counter[str]()
    for number in range(5000):
        value = f"images/{number}.jpg".encode()
        u = int.from_bytes(hashlib.blake2b(value, digest_size=8).digest(), "big") / 2**64
        expected = "test" if u < 0.1 else "validation" if u < 0.4 else "train"
        assert split_of(value, SHARES) == expected
        found[expected] += 1
    for name, share in SHARES.items():
        assert abs(found[name] / 5000 - share) < 0.02


def test_the_splits_of_some_rows_are_for_ever() -> None:
    names = [split_of(f"{n}.jpg".encode(), SHARES) for n in range(12)]
    assert [name[:2] for name in names] == GOLDEN.split()


@given(KEYS, shares(), shares())
def test_more_training_takes_rows_from_the_other_splits_alone(
    value: bytes, some: dict[SplitName, float], more: dict[SplitName, float]
) -> None:
    held = {name: min(some[name], more[name]) for name in ("validation", "test")}
    train = {"train": 1 - sum(round(100 * share) for share in held.values()) / 100}
    if split_of(value, some) == "train" == split_of(value, more):
        assert split_of(value, {**train, **held}) == "train"  # type: ignore[dict-item]


Rows = list[tuple[int, str, str]]
ROWS: st.SearchStrategy[Rows] = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from(["en", "de"]), st.sampled_from(["a", "b"])),
    min_size=1,
)


def read(root: Path, rows: Rows) -> dict[str, list[tuple[Any, ...]]]:
    """Image, language and answer of the rows of each split that has some."""
    values = [{"image": f"{n}.jpg", "lang": tag, "says": text} for n, tag, text in rows]
    (root / "rows.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    text = SPEC.format(data=f"{FRACTION % ''}, language_column: lang", answer="says")
    (root / "task.yaml").write_text(text)
    spec = load_task(root / "task.yaml")
    found = {}
    for split in spec.data.splits:
        try:
            data = TaskData(spec, split, root)
        except UserError as error:
            assert "holds no row" in str(error)
            continue
        found[split] = [tuple(row.columns[c] for c in ("image", "lang", "says")) for row in data]
    return found


@given(ROWS, ROWS, st.randoms())
def test_a_row_stays_in_its_split(
    tmp_path_factory: pytest.TempPathFactory, rows: Rows, more: Rows, random: Any
) -> None:
    root = tmp_path_factory.mktemp("root")
    found = read(root, rows)
    every = [row for of_split in found.values() for row in of_split]
    assert sorted(every) == sorted((f"{n}.jpg", tag, text) for n, tag, text in rows)
    images = [{row[0] for row in of_split} for of_split in found.values()]
    assert len(set().union(*images)) == sum(map(len, images))  # no image is in two splits
    shuffled = [*rows, *more]
    random.shuffle(shuffled)
    again = read(root, shuffled)
    for split, of_split in found.items():
        assert set(of_split) <= set(again[split])


VALUES: list[tuple[str, list[Any], str]] = [
    # the column, its values, and what decides of them
    ("id", ["x"], "x"),
    ("id", [7], "7"),
    ("id", [7.0], "7"),
    ("image", ["./a//b.jpg"], "a/b.jpg"),
    ("image", [["a.jpg"]], "a.jpg"),
]


@pytest.mark.parametrize(("column", "values", "decides"), VALUES)
def test_what_decides(tmp_path: Path, column: str, values: list[Any], decides: str) -> None:
    rows = [
        {"image": "a.jpg", "id": "a", "says_en": "b", "says_de": "c", column: v} for v in values
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = SPEC.format(
        data=f"{FRACTION % f', by: {column}'}, unpivot: true", answer="says_{language}"
    )
    (tmp_path / "task.yaml").write_text(text)
    spec = load_task(tmp_path / "task.yaml")
    split = split_of(decides.encode(), SHARES)
    assert [row.language for row in TaskData(spec, split, tmp_path)] == ["en", "de"]


@pytest.mark.parametrize("value", [None, "", ["a", "b"], []])
def test_a_row_that_nothing_decides_of(tmp_path: Path, value: Any) -> None:
    good: Any = ["c"] if isinstance(value, list) else "c"
    rows = [{"image": "a.jpg", "id": v, "says": "b"} for v in (good, value)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = f"{FRACTION % ', by: id'}, language_names: {{}}, language_column: says"
    (tmp_path / "task.yaml").write_text(SPEC.format(data=keys, answer="says"))
    with pytest.raises(UserError, match=r"data\.splits\.by: 'id' .* in row 2; expected a column"):
        TaskData(load_task(tmp_path / "task.yaml"), "train", tmp_path)
