from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import BadRow, UserError

FOLDER = 'reader: imagefolder, path: "pets/{split}"'


@pytest.fixture
def pets(tmp_path: Path, encoded: Callable) -> Path:
    for name in ("dog/b.png", "dog/a.JPG", "cat/x/1.png", "cat/.hidden.png", "cat/notes.txt"):
        path = tmp_path / "pets/train" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded())
    return tmp_path / "pets/train"


def test_the_folder_is_the_label(tmp_path: Path, open_task: Callable, pets: Path) -> None:
    data = open_task(f"{FOLDER}, key_column: file_name", image="image, kind: image", answer="label")
    assert [dict(row.columns) for row in data] == [
        {"image": "pets/train/cat/x/1.png", "label": "x", "file_name": "cat/x/1.png"},
        {"image": "pets/train/dog/a.JPG", "label": "dog", "file_name": "dog/a.JPG"},
        {"image": "pets/train/dog/b.png", "label": "dog", "file_name": "dog/b.png"},
    ]
    assert [row.where for row in data] == [f"{row.columns['image']}:1" for row in data]
    for row in data:
        ImageLoader(tmp_path, (4, 4)).load(row.columns["image"], row.where)


def test_images_that_are_not_read_are_counted(
    tmp_path: Path, open_task: Callable, pets: Path
) -> None:
    (pets / "dog/c.svg").write_text("<svg/>")
    (pets / "dog/notes.md").write_text("no image")
    data = open_task(f"{FOLDER}, key_column: file_name", image="image, kind: image", answer="label")
    assert data.left_out == {"are images in other formats: c.svg": 1}


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_metadata_beside_the_images(
    tmp_path: Path, open_task: Callable, pets: Path, kind: str
) -> None:
    rows = {
        "csv": "file_name,said\nb.png,A dog.\na.JPG,Two dogs.\n",
        "jsonl": '{"file_name": "b.png", "said": "A dog."}\n'
        '{"file_name": "a.JPG", "said": "Two dogs."}\n',
    }
    (pets / f"dog/metadata.{kind}").write_text(rows[kind])
    (pets / "cat/metadata.csv").write_text("said,file_name\nA cat.,x/1.png\n")
    data = open_task(FOLDER, image="image, kind: image", answer="said")
    assert [dict(row.columns) for row in data] == [
        {"image": "pets/train/cat/x/1.png", "said": "A cat."},
        {"image": "pets/train/dog/b.png", "said": "A dog."},
        {"image": "pets/train/dog/a.JPG", "said": "Two dogs."},
    ]
    assert [row.where.removeprefix("pets/train/") for row in data] == [
        "cat/metadata.csv:1",
        f"dog/metadata.{kind}:1",
        f"dog/metadata.{kind}:2",
    ]
    for row in data:
        ImageLoader(tmp_path, (4, 4)).load(row.columns["image"], row.where)


def test_lines_that_are_skipped_are_those_of_their_file(
    tmp_path: Path, open_task: Callable, pets: Path
) -> None:
    (pets / "cat/metadata.csv").write_text("file_name,said\nx/1.png,A cat.,Why?\nx/1.png,Yes.\n")
    (pets / "dog/metadata.csv").write_text("file_name,said\nb.png,A dog.\na.JPG\na.JPG,Two.\n")
    data = open_task(f"{FOLDER}, on_bad_row: skip", image="image, kind: image", answer="said")
    assert [(row.where, row.columns["said"]) for row in data] == [
        ("pets/train/cat/metadata.csv:2", "Yes."),
        ("pets/train/dog/metadata.csv:1", "A dog."),
        ("pets/train/dog/metadata.csv:3", "Two."),
    ]
    assert sum(data.left_out.values()) == 2


def test_several_folders(tmp_path: Path, open_task: Callable, pets: Path) -> None:
    data = open_task('reader: imagefolder, path: "pets/{split}/*"', image="image", answer="label")
    assert [(row.file, row.columns["label"]) for row in data] == [
        ("pets/train/cat/x/1.png", "x"),
        ("pets/train/dog/a.JPG", "dog"),
        ("pets/train/dog/b.png", "dog"),
    ]


@pytest.mark.parametrize("name", ["/etc/passwd", "../../../out.png"])
def test_metadata_that_leads_out(
    tmp_path: Path, open_task: Callable, pets: Path, name: str
) -> None:
    (pets / "metadata.csv").write_text(f"file_name,said\n{name},a\n")
    row = open_task(FOLDER, image="image, kind: image", answer="said")[0]
    with pytest.raises(BadRow, match=r"leaves the data root|there is no image"):
        ImageLoader(tmp_path, (4, 4)).load(row.columns["image"], row.where)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ("said\na\n", "has no column 'file_name'"),
        ("file_name,sad\nb.png,a\n", "has no column 'said'; did you mean 'sad'?"),
        ('file_name,said\n"b.png,a\n', "metadata.csv:2: a quote opens here and never ends"),
        ("file_name,said\n", "train holds no row"),
    ],
)
def test_bad_metadata(open_task: Callable, pets: Path, metadata: str, says: str) -> None:
    (pets / "metadata.csv").write_text(metadata)
    with pytest.raises(UserError) as error:
        open_task(FOLDER, image="image, kind: image", answer="said")
    assert says in str(error.value)


def test_what_is_no_folder_of_images(tmp_path: Path, open_task: Callable, pets: Path) -> None:
    (tmp_path / "pets/test").mkdir()
    fields = {"image": "image, kind: image", "answer": "label"}
    with pytest.raises(UserError, match=r"pets/test: holds no image; expected PNG"):
        open_task(FOLDER, split="test", **fields)
    (tmp_path / "pets/test").rmdir()
    with pytest.raises(UserError, match=r"data.path: there is no folder '.*pets/test'"):
        open_task(FOLDER, split="test", **fields)
    (tmp_path / "pets/test").write_text("")
    with pytest.raises(UserError, match=r"'.*pets/test' is a file; expected a folder"):
        open_task(FOLDER, split="test", **fields)
    with pytest.raises(UserError, match=r"has no column 'lable'; did you mean 'label'"):
        open_task(FOLDER, image="image, kind: image", answer="lable")
