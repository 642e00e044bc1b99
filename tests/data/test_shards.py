"""Files that are read as their turn comes: which rows, whose files, and where a resume goes on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.data.batching import Found
from unified_vl.data.rows.paths import shards_of
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.shards.sharded_rows import ShardedRows
from unified_vl.errors import UserError
from unified_vl.json_text import BOM
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

SIZES = (3, 0, 5, 1, 4, 2, 6)  # rows of the files
BATCH = 8
BATCHES = 12


FILES = 'reader: jsonl, path: "{split}-{0..6}.jsonl"'
ONE = {  # file of the same rows, in parts
    "jsonl": 'reader: jsonl, path: "{split}.jsonl"',
    "parquet": 'reader: parquet, path: "{split}.parquet"',
}


def spec_of(
    root: Path,
    more: str = "",
    data: str = "stream: true",
    generate: str = "",
    files: str = FILES,
) -> TaskSpec:
    path = root / "task.yaml"
    path.write_text(
        f"""\
task: words
version: 1
about: Say it again.
data: {{{files}, splits: {{train: train}}, languages: [en],
       {data}}}
fields: {{text: {{kind: text, column: text}}}}
example: {{source: "{{text}}", target: "{{text}}"{more}}}
score: [{{metric: bleu, against: text, primary: true}}]
{generate}"""
    )
    return load_task(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, size in enumerate(SIZES):
        lines = (json.dumps({"text": f"{number}/{row}"}) + "\n" for row in range(size))
        (tmp_path / f"train-{number}.jsonl").write_text("".join(lines))
    every = [{"text": f"{number}/{row}"} for number, n in enumerate(SIZES) for row in range(n)]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in every))
    pq.write_table(pa.Table.from_pylist(every), tmp_path / "train.parquet", row_group_size=2)
    return tmp_path


def spec_by(kind: str, root: Path) -> TaskSpec:
    """Seven files, or one in as many parts."""
    if kind == "files":
        return spec_of(root)
    return spec_of(root, data="stream: true, file_parts: 7", files=ONE[kind])


def texts(data: ShardedRows, batch: int, rank: int = 0, world: int = 1) -> list[str]:
    """What a rank reads for a batch."""
    places = [data.place(p) for p in range(batch * BATCH + rank, (batch + 1) * BATCH, world)]
    return [str(row.columns["text"]) for row in data.rows([index for _, index in places])]


def opened(data: ShardedRows) -> set[str]:
    groups = [group for groups in data._open for group in groups]
    return {path.name for group in groups for s in group.shards for path in s.files.values()}


@pytest.mark.parametrize("mixed", [1, 2])
def test_every_row_comes_once_an_epoch(root: Path, mixed: int) -> None:
    data = ShardedRows(spec_of(root, data=f"stream: true, shuffle_shards: {mixed}"), root, 8, 3)
    assert data.lanes == 4  # of 7 files, and a batch of 8
    once_an_epoch(data)


@pytest.mark.parametrize("kind", ONE)
@pytest.mark.parametrize(("parts", "lanes"), [(1, 1), (2, 2), (3, 3), (5, 3), (11, 6)])
def test_a_file_in_parts_gives_every_row_once_an_epoch(
    parts: int, lanes: int, kind: str, root: Path
) -> None:
    said = f"stream: true, file_parts: {parts}"
    data = ShardedRows(spec_of(root, data=said, files=ONE[kind]), root, 6, 3)
    assert data.lanes == lanes
    once_an_epoch(data)


def once_an_epoch(data: ShardedRows) -> None:
    """In the first one, and no row twice in those that follow."""
    met = Counter[tuple[int, str]]()
    for position in range(12 * BATCH):
        epoch, index = data.place(position)
        met[epoch, str(data.rows([index])[0].columns["text"])] += 1
    rows = {f"{number}/{row}" for number, size in enumerate(SIZES) for row in range(size)}
    assert {text for epoch, text in met if epoch == 0} == rows
    assert set(met.values()) == {1}
    orders = [[text for epoch, text in met if epoch == number] for number in (0, 1)]
    assert orders[0] != sorted(orders[0]) and orders[0] != orders[1]


@pytest.mark.parametrize("kind", ["files", *ONE])
@pytest.mark.parametrize("world", [2, 4, 8])
def test_any_number_of_ranks_has_the_same_batches(root: Path, world: int, kind: str) -> None:
    """And each opens the files of its own lanes alone, as far as there are lanes."""
    spec = spec_by(kind, root)
    whole = ShardedRows(spec, root, BATCH, 3)
    ranks = [ShardedRows(spec, root, BATCH, 3) for _ in range(world)]
    files: list[set[str]] = [set() for _ in ranks]
    for batch in range(2):  # before the lanes change files
        expected = texts(whole, batch)
        for rank, data in enumerate(ranks):
            assert texts(data, batch, rank, world) == expected[rank::world]
            files[rank] |= opened(data)
            lanes = {place for place, groups in enumerate(data._open) if groups}
            assert lanes == {position % 4 for position in range(rank, BATCH, world)}


@pytest.mark.parametrize("kind", ["files", *ONE])
@pytest.mark.parametrize("world", [1, 2, 8])
def test_a_resume_goes_on_where_it_was(root: Path, world: int, kind: str) -> None:
    """Though each rank knows only its lanes: they tell each other with the step."""
    spec = spec_by(kind, root)
    expected = [texts(ShardedRows(spec, root, BATCH, 3), batch) for batch in range(BATCHES)]
    ranks = [ShardedRows(spec, root, BATCH, 3) for _ in range(world)]
    for batch in range(BATCHES):
        for other in (1, 4):  # a resume, by another number of ranks
            resumed = [ShardedRows(spec, root, BATCH, 3) for _ in range(other)]
            for rank, data in enumerate(resumed):
                data.go_on(json.loads(json.dumps(ranks[0].state_at(batch))))
                assert texts(data, batch, rank, other) == expected[batch][rank::other]
                assert all(len(groups) < 3 for groups in data._open)
        told = []
        for rank, data in enumerate(ranks):
            ahead = texts(data, batch + 1, rank, world)  # as who prepares batches is
            assert len(ahead) == BATCH // world
            assert texts(data, batch, rank, world) == expected[batch][rank::world]
            positions = range(batch * BATCH + rank, (batch + 1) * BATCH, world)
            told.append(Found(begun=data.begun_in(batch, positions)))
        for data in ranks:
            data.heard(Found.merged(told).begun)


def test_what_stands_for_a_bad_row_is_of_the_same_files(root: Path) -> None:
    data = ShardedRows(spec_of(root), root, BATCH, 3)
    for position in range(BATCH):
        own = data.rows([data.place(position)[1]])[0].columns["text"].partition("/")[0]
        others = [data.rows([index])[0].columns["text"] for _, index in data.behind(position)]
        assert len(others) == SIZES[int(own)] - 1
        assert {other.partition("/")[0] for other in others} <= {own}


def test_files_without_any_row(root: Path) -> None:
    for path in root.glob("*.jsonl"):
        path.write_text("")
    with pytest.raises(UserError, match=r"task\.yaml:5: data\.stream: no row in any of"):
        ShardedRows(spec_of(root), root, BATCH, 3).place(0)


def test_a_missing_file_of_this_machine_shows_at_once(root: Path) -> None:
    (root / "train-6.jsonl").unlink()
    with pytest.raises(UserError, match="there is no file"):
        ShardedRows(spec_of(root), root, BATCH, 3)


@pytest.mark.parametrize(
    ("data", "more", "generate", "message"),
    [
        ("shuffle_shards: 2", "", "", "data.shuffle_shards: has no effect without data.stream"),
        ("file_parts: 2", "", "", "data.file_parts: has no effect without data.stream"),
        (
            "stream: true, file_parts: 2, exclude: a.jsonl",
            "",
            "",
            "data.exclude: names rows by their number in the file, .*; expected data.key_column",
        ),
        ("stream: true, split_column: s", "", "", "data.split_column: would read all"),
        (
            "stream: true",
            ', shots: {count: 1, each: "{text}"}',
            "",
            "example.shots: takes any rows",
        ),
        (
            "stream: true",
            "",
            "generate: {choices: {field: text}}",
            "generate.choices.field: would read all of a stream; expected the choices",
        ),
    ],
)
def test_what_a_stream_cannot_have(
    data: str, more: str, generate: str, message: str, root: Path
) -> None:
    with pytest.raises(UserError, match=message):
        spec_of(root, more, data, generate)


def test_a_reader_that_reads_files_as_a_whole(root: Path) -> None:
    message = r"data\.file_parts: csv reads a file as a whole; expected 1, or the reader .*jsonl"
    with pytest.raises(UserError, match=message):
        spec_of(root, data="stream: true, file_parts: 2", files='reader: csv, path: "a.csv"')


@pytest.mark.parametrize("kind", ONE)
def test_a_rank_opens_its_parts_alone(root: Path, kind: str) -> None:
    ranks = [ShardedRows(spec_by(kind, root), root, BATCH, 3) for _ in range(4)]
    for rank, data in enumerate(ranks):
        assert texts(data, 0, rank, 4)
        opened = [group for groups in data._open for group in groups]
        assert 0 < sum(len(group.rows) for group in opened) < sum(SIZES) / 2


def test_rows_of_parts_are_told_where_they_are(root: Path) -> None:
    """By their numbers in a Parquet file, and behind a byte of a text file."""
    shards = {kind: shards_of(spec_by(kind, root), "train", root) for kind in ONE}
    found = {
        kind: [
            (row.where, row.columns["text"])
            for shard in of
            for row in TaskData(spec_by(kind, root), "train", root, shards=[shard])
        ]
        for kind, of in shards.items()
    }
    lines = (root / "train.jsonl").read_bytes().splitlines(keepends=True)
    texts = [json.loads(line)["text"] for line in lines]
    numbered = [f"train.parquet:{number}" for number in range(1, len(texts) + 1)]
    assert found["parquet"] == list(zip(numbered, texts, strict=True))
    content = (root / "train.jsonl").read_bytes()
    assert [text for _, text in found["jsonl"]] == texts
    for where, text in found["jsonl"]:
        place, _, number = where.rpartition(":")
        _, _, first = place.partition(" from byte ")
        line = content[int(first or 0) :].splitlines()[int(number) - 1]
        assert json.loads(line)["text"] == text


def test_a_broken_line_of_a_part_has_its_number_in_the_file(root: Path) -> None:
    path = root / "train.jsonl"
    lines = path.read_text().splitlines()
    lines[16] = '{"text": '
    path.write_text("\n".join(lines))
    spec = spec_by("jsonl", root)
    with pytest.raises(UserError, match=r"train\.jsonl:17: "):
        for shard in shards_of(spec, "train", root):
            TaskData(spec, "train", root, shards=[shard])


def test_the_first_part_stands_for_a_stream(root: Path) -> None:
    assert 0 < len(TaskData(spec_by("jsonl", root), "train", root)) < sum(SIZES) / 2


ODD = st.lists(st.sampled_from(["", " ", '{"text": "a"}', '{"text": "' + 90 * "b" + '"}']))


@given(
    lines=ODD,
    ending=st.sampled_from(["", "\n", "\r\n"]),
    parts=st.integers(1, 9),
    bom=st.booleans(),
)
def test_every_line_is_in_one_part(lines: list[str], ending: str, parts: int, bom: bool) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        text = (ending or "\n").join(lines) + ending
        (root / "train.jsonl").write_bytes((BOM if bom else b"") + text.encode())
        spec = spec_of(root, data=f"stream: true, file_parts: {parts}", files=ONE["jsonl"])
        shards = shards_of(spec, "train", root)
        found = [row for each in shards for row in TaskData(spec, "train", root, shards=[each])]
        expected = [json.loads(line)["text"] for line in lines if line.strip()]
        assert [row.columns["text"] for row in found] == expected
