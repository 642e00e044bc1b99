from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.authoring.checking.check import check_paths
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import UserError

FIELDS = {"image": "image, kind: image", "answer": "caption"}
CC = 'reader: {name}, path: "{split}.tsv", images: "images/{split}", key_column: key'
SBU = "reader: sbu, files: {captions: c.txt, urls: u.txt}, images: sbu, splits: {train: all}"


def cc(name: str) -> str:
    return CC.replace("{name}", name)


def download(folder: Path, encoded: Callable, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded())


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize(
    ("name", "names"), [("cc3m", ("caption", "url")), ("cc12m", ("url", "caption"))]
)
def test_lines_whose_image_was_downloaded(
    tmp_path: Path,
    open_task: Callable,
    encoded: Callable,
    name: str,
    names: tuple[str, str],
    header: bool,
) -> None:
    rows = [{"caption": f'say "{n}', "url": f"http://a/{n}"} for n in range(10_002)]
    lines = ["\t".join(row[column] for column in names) for row in rows]
    head = ["\t".join(names)] if header else []
    (tmp_path / "train.tsv").write_text("\n".join([*head, *lines]) + "\n")
    folder = tmp_path / "images/train"
    download(folder, encoded, "00000/000000001.jpg", "00001/000010000.png", "00001/000000002.jpg")
    data = open_task(cc(name), **FIELDS)
    assert [dict(row.columns) for row in data] == [
        {"image": "00000/000000001.jpg", "caption": 'say "1', "key": "1"},
        {"image": "00001/000010000.png", "caption": 'say "10000', "key": "10000"},
    ]
    assert [row.where for row in data] == ["train.tsv:2", "train.tsv:10001"]
    assert data.left_out == {"lack their image": 10_000}
    for row in data:
        ImageLoader(tmp_path, (4, 4)).load(f"{row.images}/{row.columns['image']}", row.where)


def test_names_of_sbu(tmp_path: Path, open_task: Callable, encoded: Callable) -> None:
    (tmp_path / "c.txt").write_text("one\ntwo\nthree\nfour\n")
    urls = (
        "http://s.com/1/a_b.jpg\nhttp://s.com/2/gone.jpg\nhttp://s.com/c%20d.jpg?x=1\nhttp:///..\n"
    )
    (tmp_path / "u.txt").write_text(urls)
    download(tmp_path / "sbu", encoded, "a_b.jpg", "c d.jpg")
    data = open_task(SBU, **FIELDS)
    assert [tuple(row.columns.values()) for row in data] == [
        ("a_b.jpg", "one"),
        ("c d.jpg", "three"),
    ]
    assert data.left_out == {"lack their image": 2}


def test_check_tells_how_many_are_left_out(
    tmp_path: Path, open_task: Callable, encoded: Callable
) -> None:
    (tmp_path / "train.tsv").write_text("one\thttp://a\ntwo\thttp://b\n")
    download(tmp_path / "images/train/00000", encoded, "000000001.jpg")
    open_task(f"{cc('cc3m')}, splits: {{train: train}}", **FIELDS)
    found = check_paths([tmp_path / "task.yaml"], data=tmp_path)
    left_out = "train leaves out 1 of 2 rows: they lack their image"
    assert ("warning", left_out) in [(each.severity, each.message) for each in found.findings]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "one\thttp://a\ntwo\n",
            "train.tsv:2: found 1 values between tabs; expected caption and u",
        ),
        ("a\tb\tc\n", "train.tsv:1: found 3 values between tabs"),
        ("one\thttp://a\n", "train holds no row (1 lack their image); expected at least one"),
    ],
)
def test_a_list_of_another_shape(tmp_path: Path, open_task: Callable, text: str, says: str) -> None:
    (tmp_path / "train.tsv").write_text(text)
    (tmp_path / "images/train").mkdir(parents=True)
    with pytest.raises(UserError) as error:
        open_task(cc("cc3m"), **FIELDS)
    assert says in str(error.value)


def test_no_folder_of_images(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.tsv").write_text("one\thttp://a\n")
    with pytest.raises(UserError, match=r"data.images: there is no folder '.*images/train'"):
        open_task(cc("cc3m"), **FIELDS)


def test_lists_of_different_length(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "c.txt").write_text("one\ntwo\n")
    (tmp_path / "u.txt").write_text("http://a\n")
    (tmp_path / "sbu").mkdir()
    with pytest.raises(UserError, match=r"u.txt: has 1 lines; expected 2, as c.txt"):
        open_task(SBU, **FIELDS)
