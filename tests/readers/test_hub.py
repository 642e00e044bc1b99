"""No hub is reached here: `datasets` loads a folder by the same code as an id."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
from PIL import Image

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import UserError

README = """---
configs:
- config_name: en
  data_files: [{split: train, path: en/train-*.parquet}, {split: test, path: en/test-*.parquet}]
- config_name: de
  data_files: [{split: train, path: de/train-*.parquet}]
---
"""
HUB = 'reader: hub, path: owner/name, config: "{language}"'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A data set as the hub holds it: configurations, splits, shards, an image in each row."""
    folder = tmp_path / "owner/name"
    features = datasets.Features(
        {"text": datasets.Value("string"), "image": datasets.Image(), "n": datasets.Value("int64")}
    )
    picture = Image.new("RGB", (4, 4), "red")
    for language, split, rows in (("en", "train", 5), ("en", "test", 2), ("de", "train", 3)):
        (folder / language).mkdir(parents=True, exist_ok=True)
        for shard in range(2):
            values = {
                "text": [f"{language} {split} {shard} {row}" for row in range(rows)],
                "image": [picture] * rows,
                "n": list(range(rows)),
            }
            table = datasets.Dataset.from_dict(values, features=features).data.table
            pq.write_table(table, folder / language / f"{split}-{shard}.parquet")
    (folder / "README.md").write_text(README)
    return folder


def test_a_split_of_a_configuration(tmp_path: Path, open_task: Callable, repository: Path) -> None:
    data = open_task(HUB, image="image, kind: image", answer="text")
    assert len(data) == 10
    assert data[5].columns["text"] == "en train 1 0"
    assert set(data.columns) == {"text", "image"}
    assert data[0].where == "owner/name:1"
    image = ImageLoader(tmp_path, (4, 4)).load(data[3].columns["image"], "")
    assert tuple(image.pixels_HWC[0, 0]) == (255, 0, 0)
    test = open_task(HUB, split="test", image="image, kind: image", answer="text")
    assert [row.columns["text"] for row in test][-1] == "en test 1 1"


def test_languages_may_be_configurations(open_task: Callable, repository: Path) -> None:
    data = open_task(f"{HUB}, languages: [de, en]", text="n", answer="text")
    assert {tag: len(rows) for tag, rows in data.by_language().items()} == {"de": 6, "en": 10}


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_only_the_first_rows(
    open_task: Callable, repository: Path, streaming: str, tmp_path: Path
) -> None:
    (repository / "en/train-1.parquet").write_bytes(b"broken")  # a stream never comes so far
    if streaming == "false":
        with pytest.raises(UserError, match="owner/name: cannot be loaded: "):
            open_task(f"{HUB}, take: 4", image="image, kind: image", answer="text")
        return
    data = open_task(f"{HUB}, take: 4, streaming: true", image="image, kind: image", answer="text")
    assert [row.columns["text"] for row in data] == [f"en train 0 {n}" for n in range(4)]
    image = ImageLoader(tmp_path, (4, 4)).load(data[3].columns["image"], "")
    assert tuple(image.pixels_HWC[0, 0]) == (255, 0, 0)
    assert not list((tmp_path / "cache").rglob("*.arrow"))


def test_take_without_streaming(open_task: Callable, repository: Path) -> None:
    assert len(open_task(f"{HUB}, take: 4", text="n", answer="text")) == 4
    assert len(open_task(f"{HUB}, take: 99", text="n", answer="text")) == 10


@pytest.mark.parametrize("how", ["", ", take: 9, streaming: true"])
def test_images_that_are_files_are_read(tmp_path: Path, open_task: Callable, how: str) -> None:
    folder = tmp_path / "owner/files/train"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (4, 4), (0, 0, 255)).save(folder / f"{name}.png")
    lines = (f'{{"file_name": "{name}.png", "text": "{name}"}}\n' for name in ("a", "b"))
    (folder / "metadata.jsonl").write_text("".join(lines))
    data = open_task(
        f"reader: hub, path: owner/files{how}", image="image, kind: image", answer="text"
    )
    assert [row.columns["text"] for row in data] == ["a", "b"]
    (folder / "a.png").unlink()  # the data root need not hold it, as the cache's lie elsewhere
    image = ImageLoader(tmp_path, (4, 4)).load(data[0].columns["image"], "")
    assert tuple(image.pixels_HWC[0, 0]) == (0, 0, 255)


IDS = ["2024-01-01", "2024-01-02", "2024-01-03"]


@pytest.mark.parametrize("how", ["", ", take: 9, streaming: true"])
@pytest.mark.parametrize(
    ("ending", "values"),
    [
        ("csv", ["007", "NA", "null", "1e3", "true", ""]),
        ("csv", IDS),
        ("jsonl", IDS),
        ("jsonl", [1, "a", [2], {"b": 3}, None, 2.5]),
        ("jsonl", ["007", "x", 'say "so"']),
    ],
)
def test_values_are_what_the_files_have(
    tmp_path: Path, open_task: Callable, how: str, ending: str, values: list[Any]
) -> None:
    folder = tmp_path / "owner/rows"
    folder.mkdir(parents=True)
    if ending == "csv":
        text = "id,text\n" + "".join(f"{value},x\n" for value in values)
    else:
        text = "".join(json.dumps({"id": value, "text": "x"}) + "\n" for value in values)
    (folder / f"train.{ending}").write_text(text)
    data = open_task(f"reader: hub, path: owner/rows{how}", text="id", answer="text")
    assert [row.columns["id"] for row in data] == values
    assert [row.columns["text"] for row in data] == ["x"] * len(values)


def test_ids_that_are_texts_at_first_and_numbers_later(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "owner/rows").mkdir(parents=True)
    ids = [*(f"t{n}" for n in range(1100)), *range(1100)]
    lines = (json.dumps({"id": one, "text": "x", "other": [one]}) + "\n" for one in ids)
    (tmp_path / "owner/rows/train.jsonl").write_text("".join(lines))
    data = open_task("reader: hub, path: owner/rows, key_column: id", text="text", answer="text")
    assert [row.key("id") for row in data] == list(map(str, ids))
    assert list(data.distinct("id")) == list(dict.fromkeys(map(str, ids)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (HUB.replace("owner/name", "owner/other"), "owner/other: cannot be loaded: Couldn't reac"),
        (HUB.replace("{language}", "fr"), "cannot be loaded: BuilderConfig 'fr' not found"),
        (f"{HUB}, splits: {{train: nope}}", 'cannot be loaded: Unknown split "nope"'),
        (HUB.replace("owner/name", "https:/a b"), "is no folder below the data root, and no id"),
        (HUB.replace("owner/name", "a/b/c"), "is no folder below the data root, and no id"),
    ],
)
def test_what_cannot_be_loaded(open_task: Callable, repository: Path, data: str, says: str) -> None:
    with pytest.raises(UserError) as error:
        open_task(data, text="n", answer="text")
    assert says in str(error.value)


@pytest.mark.parametrize("how", ["", ", take: 3, streaming: true"])
def test_a_missing_column(open_task: Callable, repository: Path, how: str) -> None:
    with pytest.raises(UserError, match=r"fields.answer.column: .* did you mean 'text'"):
        open_task(f"{HUB}{how}", text="n", answer="txt")


def test_the_code_of_a_data_set_never_runs(tmp_path: Path, open_task: Callable) -> None:
    folder = tmp_path / "owner/script"
    folder.mkdir(parents=True)
    (folder / "script.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UserError, match="owner/script: cannot be loaded: "):
        open_task("reader: hub, path: owner/script", text="n", answer="text")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["train.jsonl", "train.json"])
def test_json_nested_beyond_reason_is_refused_before_it_is_parsed(
    tmp_path: Path, open_task: Callable, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("unified_vl.json_text.MOST_DEPTH", 4)
    (tmp_path / "own").mkdir()
    rows = ['{"text": "a [[[[[[ b", "n": [1]}', '{"text": "c", "n": [[[[1]]]]}']
    text = "\n".join(rows) if name.endswith("l") else f"[{rows[0]},\n{rows[1]}]"
    (tmp_path / "own" / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"{name}:2: .*nested"):
        open_task("reader: hub, path: own", answer="text")
