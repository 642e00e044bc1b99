"""Files that are read as their turn comes: which rows, whose files, and where a resume goes on."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from unified_vl.data.batching import Found
from unified_vl.data.shards.sharded_rows import ShardedRows
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

SIZES = (3, 0, 5, 1, 4, 2, 6)  # rows of the files
BATCH = 8
BATCHES = 12


def spec_of(root: Path, more: str = "", data: str = "stream: true", generate: str = "") -> TaskSpec:
    path = root / "task.yaml"
    path.write_text(
        f"""\
task: words
version: 1
about: Say it again.
data: {{reader: jsonl, path: "{{split}}-{{0..6}}.jsonl", splits: {{train: train}}, languages: [en],
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
    return tmp_path


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
    met = Counter[tuple[int, str]]()
    for position in range(12 * BATCH):
        epoch, index = data.place(position)
        met[epoch, str(data.rows([index])[0].columns["text"])] += 1
    rows = {f"{number}/{row}" for number, size in enumerate(SIZES) for row in range(size)}
    assert {text for epoch, text in met if epoch == 0} == rows
    assert set(met.values()) == {1}
    orders = [[text for epoch, text in met if epoch == number] for number in (0, 1)]
    assert orders[0] != sorted(orders[0]) and orders[0] != orders[1]


@pytest.mark.parametrize("world", [2, 4, 8])
def test_any_number_of_ranks_has_the_same_batches(root: Path, world: int) -> None:
    """And each opens the files of its own lanes alone, as far as there are lanes."""
    spec = spec_of(root)
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


@pytest.mark.parametrize("world", [1, 2, 8])
def test_a_resume_goes_on_where_it_was(root: Path, world: int) -> None:
    """Though each rank knows only its lanes: they tell each other with the step."""
    spec = spec_of(root)
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
