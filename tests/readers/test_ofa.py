from __future__ import annotations

import base64
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import BadRow, UserError

CAPTION = 'reader: ofa_tsv, path: "{split}.tsv", columns: [id, image_id, caption, objects, image]'
FIELDS = {"image": "image, kind: image", "answer": "caption, many: true"}


def write(path: Path, rows: list[list[str | bytes]]) -> None:
    lines = [b"\t".join(c if isinstance(c, bytes) else c.encode() for c in row) for row in rows]
    path.write_bytes(b"".join(line + b"\n" for line in lines))


def test_captions_are_cut_and_images_stay_in_the_file(
    tmp_path: Path, open_task: Callable, encoded: Callable
) -> None:
    red, blue = encoded((255, 0, 0)), encoded((0, 0, 255))
    write(
        tmp_path / "train.tsv",
        [
            ["1", "9", "A dog.&& Ein Hund – 犬.", "dog&&tree", base64.b64encode(red)],
            ["2", "8", "A cat.", "cat", base64.urlsafe_b64encode(blue)],
        ],
    )
    data = open_task(CAPTION, **FIELDS)
    rows = list(data)
    assert [row.columns["caption"] for row in rows] == [["A dog.", "Ein Hund – 犬."], ["A cat."]]
    assert {"file": "train.tsv", "base64": True}.items() <= rows[0].columns["image"].items()
    loader = ImageLoader(tmp_path, (4, 4))
    found = [loader.load(row.columns["image"], row.where).pixels_HWC[0, 0] for row in rows]
    assert [tuple(pixel) for pixel in found] == [(255, 0, 0), (0, 0, 255)]
    first = loader.load(rows[0].columns["image"], "")
    (tmp_path / "train.tsv").unlink()
    assert loader.load(rows[0].columns["image"], "") is first  # kept, as images of paths are


def test_memory_holds_no_image(tmp_path: Path, open_task: Callable) -> None:
    image, count = b"A" * (1 << 21), 16
    write(tmp_path / "train.tsv", [[str(n), "", "text", "", image] for n in range(count)])
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    data = open_task(CAPTION, **FIELDS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(data) == count
    assert pa.total_allocated_bytes() - before < len(image)
    assert peak < 6 * len(image)  # a line or two of them, not all


def test_boxes_and_answers_as_ofa_writes_them(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path / "train.tsv", [["1", "0.6|!+no&&1.0|!+yes|!+", "1.5,2,3,4.0"]])
    data = open_task(
        'reader: ofa_tsv, path: "{split}.tsv", columns: [id, answers, box]',
        id="id",
        box="box, kind: box, layout: xyxy, units: relative",
        answer="answers, many: true",
    )
    assert dict(data[0].columns) == {
        "id": "1",
        "box": [1.5, 2.0, 3.0, 4.0],
        "answers": ["no", "yes|!+"],
    }


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([["1", "2", "3"]], "train.tsv:1: found 3 values between tabs; expected 5: id, image_id"),
        ([["1", "2", b"\xff", "4", "5"]], "train.tsv:1: caption: is not UTF-8 text"),
        ([["1"] * 5, ["1"] * 6], "train.tsv:2: found 6 values between tabs"),
    ],
)
def test_a_broken_line(tmp_path: Path, open_task: Callable, rows: list, says: str) -> None:
    write(tmp_path / "train.tsv", rows)
    with pytest.raises(UserError) as error:
        open_task(CAPTION, **FIELDS)
    assert says in str(error.value)


def test_a_box_that_is_none(tmp_path: Path, open_task: Callable) -> None:
    write(tmp_path / "train.tsv", [["1", "a", "1,x"]])
    box = "box, kind: box, layout: xyxy, units: relative"
    data = 'reader: ofa_tsv, path: "{split}.tsv", columns: [id, answers, box]'
    with pytest.raises(UserError, match=r"train.tsv:1: box: found '1,x'; expected numbers"):
        open_task(data, box=box, answer="answers")


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (b"!!!!", "in 'train.tsv' is not base64: "),
        (base64.b64encode(b"no image"), "in 'train.tsv' cannot be read; expected PNG"),
        (b"", "of 0 bytes in 'train.tsv' cannot be read; expected PNG"),
    ],
)
def test_an_image_that_is_none(tmp_path: Path, open_task: Callable, cell: bytes, says: str) -> None:
    write(tmp_path / "train.tsv", [["1", "2", "a", "b", cell]])
    row = open_task(CAPTION, **FIELDS)[0]
    with pytest.raises(BadRow) as error:
        ImageLoader(tmp_path, (4, 4)).load(row.columns["image"], row.where)
    assert str(error.value).startswith("train.tsv:1: the image of ")
    assert says in str(error.value)
