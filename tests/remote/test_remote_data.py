"""Data behind URLs read as the same data on this machine, and what goes wrong is one message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.remote.http_files import Served, served
from tests.remote.photos import COUNT, EXPECTED, FORMATS, read, spec_of, write_photos
from unified_vl.authoring.checking.check import check_paths
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.remote import fetching
from unified_vl.remote.fetching import fetched


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows in several formats, with their images beside them."""
    root = tmp_path_factory.mktemp("files")
    write_photos(root)
    return root


@pytest.fixture
def server(files: Path) -> Iterator[Served]:
    with served(files) as found:
        yield found


def in_memory(files: Path, folder: str) -> str:
    memory = fsspec.filesystem("memory")
    memory.rm("/", recursive=True)
    memory.put(str(files), f"/{folder}", recursive=True)
    return f"memory://{folder}"


@pytest.mark.parametrize("system", ["http", "memory"])
@pytest.mark.parametrize("reader", [*FORMATS, "webdataset"])
def test_a_url_as_the_data_root(
    reader: str, system: str, tmp_path: Path, files: Path, server: Served
) -> None:
    root = server.url if system == "http" else in_memory(files, "bucket/data")
    spec = spec_of(tmp_path, f"reader: {reader}", f"{{split}}.{FORMATS.get(reader, 'tar')}")
    assert read(spec, Path(root)) == EXPECTED == read(spec, files)


@pytest.mark.parametrize("reader", [*FORMATS, "webdataset"])
def test_urls_in_a_spec_of_a_local_root(reader: str, tmp_path: Path, server: Served) -> None:
    images = "" if reader == "webdataset" else f', images: "{server.url}"'
    path = f"{server.url}/{{split}}.{FORMATS.get(reader, 'tar')}"
    spec = spec_of(tmp_path, f"reader: {reader}{images}", path)
    assert read(spec, tmp_path) == EXPECTED
    data = TaskData(spec, "train", tmp_path)
    assert data[0].where == f"{server.url}/train.{FORMATS.get(reader, 'tar')}:1"
    assert data.links == {}


def test_images_beside_a_remote_file(tmp_path: Path, server: Served) -> None:
    spec = spec_of(tmp_path, "reader: jsonl, images_from: file", f"{server.url}/train.jsonl")
    assert read(spec, tmp_path) == EXPECTED


def test_remote_rows_of_local_images(tmp_path: Path, files: Path, server: Served) -> None:
    spec = spec_of(tmp_path, "reader: jsonl", f"{server.url}/train.jsonl")
    assert read(spec, files) == EXPECTED


def test_a_star_in_a_url(tmp_path: Path, files: Path) -> None:
    spec = spec_of(tmp_path, "reader: jsonl", f"{in_memory(files, 'some')}/*.jsonl")
    assert len(TaskData(spec, "train", files)) == COUNT
    spec = spec_of(tmp_path, "reader: jsonl", "memory://some/*.nothing")
    with pytest.raises(UserError, match=r"task\.yaml:4: data\.path: 'memory://some/\*\.nothing'"):
        TaskData(spec, "train", files)


def test_a_list_of_numbered_files(tmp_path: Path, files: Path) -> None:
    """Here and elsewhere; the first that is not there is named."""
    memory = fsspec.filesystem("memory")
    for number in range(9, 12):
        rows = (files / "train.jsonl").read_bytes()
        memory.pipe(f"/numbered/train-{number:03}.jsonl", rows)
        (tmp_path / f"train-{number:03}.jsonl").write_bytes(rows)
    for root in ("memory://numbered", str(tmp_path)):
        spec = spec_of(tmp_path, "reader: jsonl", "{split}-{009..011}.jsonl")
        data = TaskData(spec, "train", Path(root))
        assert len(data) == 3 * COUNT
        assert data[COUNT].where == "train-010.jsonl:1"
        spec = spec_of(tmp_path, "reader: jsonl", "{split}-{009..012}.jsonl")
        with pytest.raises(UserError, match=r"data\.path: .*train-012\.jsonl'"):
            TaskData(spec, "train", Path(root))


@pytest.mark.parametrize("path", ["{3..1}.jsonl", "{0..9999999}.jsonl", "{1..a}.jsonl"])
def test_lists_that_are_none(path: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"task\.yaml:4: data\.path: .*(counts down|lists|no slot)"):
        spec_of(tmp_path, "reader: jsonl", f"{{split}}-{path}")


def test_a_file_is_fetched_once_until_it_changes(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    file = tmp_path / "site/a.txt"
    file.write_text("one")
    with served(tmp_path / "site") as server:
        url = f"{server.url}/a.txt"
        assert [fetched(url).read_text() for _ in range(3)] == ["one"] * 3
        fetching._here.clear()  # as a new process
        assert fetched(url).read_text() == "one"
        assert server.asked == ["/a.txt"]
        file.write_text("other")
        assert fetched(url).read_text() == "one"  # the version that this process began with
        fetching._here.clear()
        assert fetched(url).read_text() == "other"


FAULTS = {
    "missing": (404, "there is no such file"),
    "forbidden": (403, r"may not be read \(HTTP 403\); expected credentials"),
    "broken server": (500, "cannot be read: HTTP 500"),
    "truncated": (0, "cannot be read: "),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_file_of_rows_that_cannot_be_read(name: str, tmp_path: Path, server: Served) -> None:
    status, message = FAULTS[name]
    server.faults["/train.jsonl"] = status
    spec = spec_of(tmp_path, "reader: jsonl", f"{server.url}/train.jsonl")
    with pytest.raises(UserError, match=message) as caught:
        TaskData(spec, "train", tmp_path)
    assert str(caught.value).startswith(
        f"{tmp_path}/task.yaml:4: data.path: '{server.url}/train.jsonl'"
    )


@pytest.mark.parametrize("name", FAULTS)
def test_an_image_that_cannot_be_read(name: str, tmp_path: Path, server: Served) -> None:
    """A missing one is a fault of its row; a server that fails is none, and never skipped."""
    server.faults["/photos/a%200%23.png"] = FAULTS[name][0]
    spec = spec_of(tmp_path, "reader: jsonl", "train.jsonl")
    with pytest.raises(UserError) as caught:
        read(spec, Path(server.url))
    assert isinstance(caught.value, BadRow) == (name == "missing")
    assert str(caught.value).startswith("train.jsonl:1: ")
    assert "photos/a 0#.png" in str(caught.value)


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/x: cannot be read: .*Connect"):
        fetched("http://127.0.0.1:9/x")


def test_what_may_pass_is_tried_again(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults["/train.csv"] = 503
    monkeypatch.setattr(fetching, "WAITS", (0.25,))
    monkeypatch.setattr(fetching.time, "sleep", lambda wait: server.faults.clear())
    assert fetched(f"{server.url}/train.csv").stat().st_size


def test_what_is_wrong_in_a_remote_file_names_its_url(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/bad/train.jsonl", b'{"image": "a", "caption": "b"}\n{"image')
    spec = spec_of(tmp_path, "reader: jsonl", "memory://bad/train.jsonl")
    with pytest.raises(UserError, match=r"^memory://bad/train\.jsonl:2: "):
        TaskData(spec, "train", tmp_path)
    memory.pipe("/bad/other.jsonl", b'{"image": "a", "captoin": "b"}\n')
    spec = spec_of(tmp_path, "reader: jsonl", "memory://bad/other.jsonl")
    with pytest.raises(UserError, match=r"'memory://bad/other\.jsonl' has no column 'caption'"):
        TaskData(spec, "train", tmp_path)


ESCAPES = ["../secret.png", "/etc/a.png", "a/%2e%2e/%2e%2e/b.png", "http://127.0.0.1:1/x.png"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("spec_says", ["root", "images"])
def test_a_row_does_not_leave_what_the_spec_names(
    name: str, spec_says: str, tmp_path: Path, server: Served
) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps({"image": name, "caption": "x"}))
    images = f', images: "{server.url}/photos"' if spec_says == "images" else ""
    spec = spec_of(tmp_path, f"reader: jsonl{images}", "train.jsonl")
    row = TaskData(spec, "train", tmp_path)[0]
    root = Path(server.url) if spec_says == "root" else tmp_path
    with pytest.raises(BadRow, match=r"leaves the data root|there is no image"):
        ImageLoader(root, None).load(row.image(row.columns["image"]), row.where, row.linked)
    assert not [path for path in server.asked if "photos" not in path]


REFUSED = {
    "ftp://host/train.jsonl": "ftp:// is none of",
    "file:///etc/train.jsonl": "file:// is none of",
    "s3://": "names nothing behind its scheme",
    "https://host//train.jsonl": "has // or ::",
    "memory://a/../train.jsonl": "leaves the data root",
}


@pytest.mark.parametrize("url", REFUSED)
def test_urls_that_a_spec_may_not_name(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"task.yaml:4: data.path: .*{REFUSED[url]}"):
        spec_of(tmp_path, "reader: jsonl", url)


def test_a_package_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unified_vl.extras._there", lambda module: False)
    spec = spec_of(tmp_path, "reader: jsonl", "s3://bucket/train.jsonl")
    with pytest.raises(UserError, match=r"pip install 'unified_vl\[s3\]'"):
        TaskData(spec, "train", tmp_path)


def test_a_check_says_that_it_saw_the_first_file_of_a_stream(tmp_path: Path, files: Path) -> None:
    root = Path(in_memory(files, "streamed"))
    spec = spec_of(tmp_path, "reader: jsonl, stream: true", "{split}.jsonl")
    result = check_paths([spec], data=root)
    assert result.checked["stream's first file"] == 1


def test_a_reader_of_folders_reads_none_of_a_url(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "reader: image_texts", "memory://photos")
    with pytest.raises(UserError, match="reads a folder, and this is a URL"):
        TaskData(spec, "train", tmp_path)
