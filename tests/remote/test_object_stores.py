"""Data in object stores and on the Hub, through their own clients and over a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import are_progress_bars_disabled
from typer.testing import CliRunner

from tests.remote import stores
from tests.remote.hub import NAME
from tests.remote.photos import COUNT, EXPECTED, FORMATS, read, spec_of, write_photos
from tests.remote.stores import Store
from unified_vl.cli.main import app
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.remote import fetching
from unified_vl.remote.fetching import fetched

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    write_photos(root)
    return root


@pytest.fixture(scope="module", params=["s3", "gs", "hf"])
def url(request: pytest.FixtureRequest, photos: Path) -> Iterator[str]:
    """The photos in each kind of store."""
    if request.param == "hf":
        with stores.hf(photos):
            yield f"hf://datasets/{NAME}"
        return
    with getattr(stores, request.param)() as store:
        yield store.put(photos, "photos")


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with stores.s3() as store:
        yield store


@pytest.mark.parametrize("reader", [*FORMATS, "webdataset"])
def test_rows_and_their_images(reader: str, url: str, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, f"reader: {reader}", f"{{split}}.{FORMATS.get(reader, 'tar')}")
    assert read(spec, Path(url)) == EXPECTED


def test_a_star(url: str, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "reader: jsonl", f"{url}/*.jsonl")
    data = TaskData(spec, "train", tmp_path)
    assert (len(data), data[0].where) == (COUNT, f"{url}/train.jsonl:1")
    spec = spec_of(tmp_path, "reader: jsonl", f"{url}/*.nothing")
    with pytest.raises(UserError, match=r"task\.yaml:4: data\.path: .*no file matches"):
        TaskData(spec, "train", tmp_path)


def test_a_file_that_is_not_there(url: str, tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "reader: jsonl", f"{url}/other.jsonl")
    with pytest.raises(UserError) as caught:
        TaskData(spec, "train", tmp_path)
    said = f"{tmp_path}/task.yaml:4: data.path: '{url}/other.jsonl': there is no such file"
    assert str(caught.value) == said


def test_an_image_that_is_not_there(url: str, photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "train.csv", tmp_path)
    text = (tmp_path / "train.csv").read_text().replace("a 3#", "b")
    (tmp_path / "train.csv").write_text(text)
    spec = spec_of(tmp_path, f'reader: csv, images: "{url}"', "{split}.csv")
    with pytest.raises(BadRow, match=r"train\.csv:4: .*photos/b\.png"):
        read(spec, tmp_path)


def test_a_folder_is_no_file(url: str) -> None:
    with pytest.raises(UserError, match=f"{url}/photos: (is a folder|there is no such file)"):
        fetched(f"{url}/photos")


def test_a_bucket_that_nobody_may_read(s3: Store, photos: Path, tmp_path: Path) -> None:
    url = s3.put(photos, "forbidden")
    s3.forbid("forbidden")
    spec = spec_of(tmp_path, "reader: jsonl", f"{url}/train.jsonl")
    with pytest.raises(UserError, match=r"task\.yaml:4: .* may not be read .*credentials"):
        TaskData(spec, "train", tmp_path)


def test_a_private_data_set(photos: Path, tmp_path: Path) -> None:
    with stores.hf(photos) as hub:
        hub.private = True
        spec = spec_of(tmp_path, "reader: jsonl", f"hf://datasets/{NAME}/train.jsonl")
        with pytest.raises(UserError, match=r"task\.yaml:4: .* may not be read \(HTTP 401\)"):
            TaskData(spec, "train", tmp_path)


def test_the_hub_shows_no_bar_for_each_image(photos: Path) -> None:
    with stores.hf(photos):
        fetched(f"hf://datasets/{NAME}/train.jsonl")
    assert are_progress_bars_disabled("huggingface_hub.http_get")


@pytest.mark.parametrize("name", ["s3", "gs"])
def test_no_such_bucket(name: str, tmp_path: Path) -> None:
    with getattr(stores, name)():
        spec = spec_of(tmp_path, "reader: jsonl", f"{name}://nobodys/train.jsonl")
        with pytest.raises(UserError, match=r"task\.yaml:4: .*there is no such file"):
            TaskData(spec, "train", tmp_path)


def test_no_such_data_set(photos: Path, tmp_path: Path) -> None:
    with stores.hf(photos):
        spec = spec_of(tmp_path, "reader: jsonl", "hf://datasets/ben/photos/train.jsonl")
        with pytest.raises(UserError, match=r"task\.yaml:4: .*there is no such file"):
            TaskData(spec, "train", tmp_path)


@pytest.mark.parametrize("name", ["s3", "gs", "hf"])
def test_a_new_version_of_a_file_is_fetched(name: str, tmp_path: Path) -> None:
    """Though it has as many bytes."""
    root = tmp_path / "data"
    root.mkdir()
    file = root / "a.txt"
    file.write_text("one")
    if name == "hf":
        with stores.hf(root):
            assert fetched(f"hf://datasets/{NAME}/a.txt").read_text() == "one"
        file.write_text("two")
        fetching._here.clear()  # as a new process
        with stores.hf(root):
            assert fetched(f"hf://datasets/{NAME}/a.txt").read_text() == "two"
        return
    with getattr(stores, name)() as store:
        url = f"{store.put(root, 'versions')}/a.txt"
        assert fetched(url).read_text() == "one"
        store.files.pipe("versions/a.txt", b"two")
        assert fetched(url).read_text() == "one"
        fetching._here.clear()
        assert fetched(url).read_text() == "two"


def test_commands_by_the_variables_that_the_documentation_names(
    s3: Store, photos: Path, tmp_path: Path
) -> None:
    """In a process of its own, as a user starts it."""
    url = s3.put(photos, "commands")
    spec_of(tmp_path, "reader: jsonl", "{split}.jsonl")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "FSSPEC_S3_ENDPOINT_URL": s3.address,
        "UNIFIED_VL_CACHE": str(tmp_path / "cache"),
    }
    command = [
        sys.executable,
        "-m",
        "unified_vl",
        "check",
        str(tmp_path / "task.yaml"),
        "--data",
        url,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{COUNT} rows" in done.stdout


def test_a_tokenizer_of_texts_elsewhere(url: str, tmp_path: Path) -> None:
    spec_of(tmp_path, "reader: jsonl", "{split}.jsonl")
    options = ["--vocabulary-size", "270", "--output", str(tmp_path / "tokenizer")]
    words = ["tokenizer", "train", "--spec", str(tmp_path / "task.yaml"), "--data", url, *options]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "tokenizer/text.model").is_file()
