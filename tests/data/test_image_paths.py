"""Where images may lie: beside their table, below a prefix, behind a link; and where not."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow
from unified_vl.specs.load import load_task

SPEC = """\
task: task
version: 1
about: Say what is there.
data: {{splits: {{train: all}}, languages: [en], {data}}}
fields:
  image: {{kind: image, column: {column}}}
  text: {{kind: text, column: {text}}}
example: {{source: "{{image}} what?", target: "{{text}}"}}
score: [{{metric: chrf, against: text, primary: true}}]
"""


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (3, 200, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture())


@pytest.fixture
def open_rows(tmp_path: Path) -> Callable[..., TaskData]:
    """A data root `root` in a folder that holds more than that."""
    (tmp_path / "root").mkdir()

    def open_it(data: str, column: str = "image", text: str = "text") -> TaskData:
        path = tmp_path / "task.yaml"
        path.write_text(SPEC.format(data=data, column=column, text=text))
        return TaskData(load_task(path), "train", tmp_path / "root")

    return open_it


def table(path: Path, *images: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"image": name, "text": f"text {n}"} for n, name in enumerate(images)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def load(data: TaskData) -> list[str]:
    """Of each row "loads", or why not."""
    loader = ImageLoader(data.root, (4, 4))
    column = data.spec.fields["image"].column
    found = []
    for row in data:
        try:
            loader.load(row.image(row.columns[column]), row.where, row.linked)
            found.append("loads")
        except BadRow as error:
            found.append(str(error))
    return found


JSONL = "reader: jsonl, path: a/b/rows.jsonl"
PLACES = [
    # what the spec says, the path in the row, and the file below the data root
    ("", "pics/1.png", "pics/1.png"),
    (", images: pics", "1.png", "pics/1.png"),
    (", images_from: file", "1.png", "a/b/1.png"),
    (", images_from: file", "../pics/1.png", "a/pics/1.png"),
    (", images_from: file, images: pics", "1.png", "a/b/pics/1.png"),
    (", image_prefix: /home/ann", "/home/ann/pics/1.png", "pics/1.png"),
    (", image_prefix: /home/ann/", "/home/ann//pics/1.png", "pics/1.png"),
    (", image_prefix: /home/ann, images: pics", "/home/ann/1.png", "pics/1.png"),
    (", image_prefix: /home/ann, images: pics", "1.png", "pics/1.png"),
    (", image_prefix: /x, images_from: file", "/x/y/1.png", "a/b/y/1.png"),
    (r", image_prefix: 'C:\data'", r"C:\data\pics\1.png", "pics/1.png"),
    (", image_prefix: 'C:/data'", r"C:\data\pics\1.png", "pics/1.png"),
]


@pytest.mark.parametrize(("keys", "path", "file"), PLACES)
def test_where_images_are(
    tmp_path: Path, open_rows: Callable, keys: str, path: str, file: str
) -> None:
    table(tmp_path / "root/a/b/rows.jsonl", path)
    image(tmp_path / "root" / file)
    assert load(open_rows(JSONL + keys)) == ["loads"]


def test_an_absolute_path_may_lie_in_the_data_root(tmp_path: Path, open_rows: Callable) -> None:
    image(tmp_path / "root/pics/1.png")
    image(tmp_path / "other/1.png")
    inside, outside = str(tmp_path / "root/pics/1.png"), str(tmp_path / "other/1.png")
    table(tmp_path / "root/a/b/rows.jsonl", inside, outside)
    for keys in ("", ", images: pics"):
        first, second = load(open_rows(JSONL + keys))
        assert first == "loads"
        assert f"the image {outside!r} leaves the data root" in second


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/etc/1.png", "found the image '/etc/1.png'; expected a path below data.image_prefix"),
        ("/home/anna/1.png", "expected a path below data.image_prefix, '/home/ann'"),
        ("/home/ann/../1.png", "expected a path below data.image_prefix, '/home/ann'"),
        ("../other/1.png", "the image '../other/1.png' leaves the data root"),
    ],
)
def test_what_is_not_below_the_prefix_is_refused(
    tmp_path: Path, open_rows: Callable, path: str, message: str
) -> None:
    image(tmp_path / "other/1.png")
    table(tmp_path / "root/a/b/rows.jsonl", path)
    (said,) = load(open_rows(f"{JSONL}, image_prefix: /home/ann"))
    assert message in said


def images_of_a_table(root: Path, other: Path) -> str:
    image(other / "pics/1.png")
    (root / "pics").symlink_to(other / "pics")
    table(root / "a/b/rows.jsonl", "1.png")
    return f"{JSONL}, images: pics"


def class_folder(root: Path, other: Path) -> str:
    image(other / "cat/1.png")
    (root / "pets").mkdir()
    (root / "pets/cat").symlink_to(other / "cat")
    return "reader: imagefolder, path: pets"


def folder_itself(root: Path, other: Path) -> str:
    image(other / "pets/cat/1.png")
    (root / "pets").symlink_to(other / "pets")
    return "reader: imagefolder, path: pets"


def each_image(root: Path, other: Path) -> str:
    image(other / "store/1.png")
    (root / "pets/cat").mkdir(parents=True)
    (root / "pets/cat/1.png").symlink_to(other / "store/1.png")
    return "reader: imagefolder, path: pets"


def metadata(root: Path, other: Path) -> str:
    image(other / "pets/1.png")
    (other / "pets/metadata.jsonl").write_text('{"file_name": "1.png", "label": "cat"}\n')
    (root / "pets").mkdir()
    (root / "pets/cat").symlink_to(other / "pets")
    return "reader: imagefolder, path: pets"


def a_shard(root: Path, other: Path) -> str:
    other.mkdir()
    with tarfile.open(other / "0.tar", "w") as tar:
        for name, content in (("1.png", picture()), ("1.txt", b"cat")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (root / "0.tar").symlink_to(other / "0.tar")
    return "reader: webdataset, path: 0.tar"


LINKED = [images_of_a_table, class_folder, folder_itself, each_image, metadata, a_shard]
COLUMNS = {images_of_a_table: ("image", "text"), a_shard: ("png", "txt")}


@pytest.mark.parametrize("make", LINKED, ids=lambda make: make.__name__)
def test_a_link_in_the_data_root_may_lead_out_of_it_and_check_says_so(
    tmp_path: Path, open_rows: Callable, make: Callable[[Path, Path], str]
) -> None:
    (tmp_path / "root").mkdir(exist_ok=True)
    data = open_rows(
        make(tmp_path / "root", tmp_path / "other"), *COLUMNS.get(make, ("image", "label"))
    )
    assert load(data) == ["loads"]
    words = ["check", str(tmp_path / "task.yaml"), "--data", str(tmp_path / "root")]
    checked = CliRunner().invoke(app, words)
    assert checked.exit_code == 0, checked.output
    assert f"is a link that leads out of the data root, to {str(tmp_path / 'other')!r}"[:-1] in (
        checked.output
    )
    assert "1 row, 1 image" in checked.output


def test_a_link_that_leads_a_path_of_the_data_out_is_refused(
    tmp_path: Path, open_rows: Callable
) -> None:
    image(tmp_path / "other/1.png")
    (tmp_path / "root/away").symlink_to(tmp_path / "other")
    table(tmp_path / "root/a/b/rows.jsonl", "away/1.png")
    assert "leaves the data root" in load(open_rows(JSONL))[0]
    # what the folder of images leads to may be left no more than the root
    image(tmp_path / "third/1.png")
    table(tmp_path / "root/a/b/rows.jsonl", "1.png", "../third/1.png")
    first, second = load(open_rows(f"{JSONL}, images: away"))
    assert first == "loads"
    assert "leaves the data root" in second


def test_an_image_that_one_row_may_read_is_not_kept_for_another(tmp_path: Path) -> None:
    image(tmp_path / "other/1.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/away").symlink_to(tmp_path / "other")
    loader = ImageLoader(tmp_path / "root", (4, 4))
    loader.load("away/1.png", "a", (tmp_path / "other",))
    with pytest.raises(BadRow, match="leaves the data root"):
        loader.load("away/1.png", "b")


def test_links_in_a_circle_are_followed_once(tmp_path: Path, open_rows: Callable) -> None:
    image(tmp_path / "root/pets/cat/1.png")
    (tmp_path / "root/pets/cat/again").symlink_to(tmp_path / "root/pets")
    (tmp_path / "root/pets/lost.png").symlink_to(tmp_path / "root/none.png")
    data = open_rows("reader: imagefolder, path: pets", text="label")
    assert len(data) == 1
    assert data.left_out == {"are links that lead nowhere": 1}


def test_a_row_leaves_what_is_no_path() -> None:
    row = Row({}, "a", 0, None, images="pics", prefix="/x")
    assert [row.image(value) for value in (None, b"1", {"bytes": b"1"})] == [
        None,
        b"1",
        {"bytes": b"1"},
    ]


def test_a_link_to_a_file_admits_that_file_alone(tmp_path: Path, open_rows: Callable) -> None:
    (tmp_path / "root").mkdir(exist_ok=True)
    made = each_image(tmp_path / "root", tmp_path / "other")
    image(tmp_path / "other/store/2.png")  # its neighbour is nobody's business
    links = open_rows(made, "image", "label").links
    assert list(links.values()) == [tmp_path / "other/store/1.png"]
