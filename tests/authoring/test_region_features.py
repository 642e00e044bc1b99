"""`unified-vl regions make`: features of given and gridded boxes, in files that are read again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unified_vl.authoring.region_features import features_of_boxes, read_boxes
from unified_vl.cli.authoring.regions import make
from unified_vl.data.regions.stores import open_store
from unified_vl.errors import UserError

BACKBONE = {"backbone": "test_resnet", "weights": "random", "image_size": 64, "level": -1}


def test_the_mean_of_a_slope_is_its_value_in_the_middle() -> None:
    """Of a linear map the mean over a box is what lies at its centre, away from the edges."""
    rows, columns = 8, 16
    y_H, x_W = (torch.arange(n).add(0.5) / n for n in (rows, columns))
    map_CHW = torch.stack(
        [x_W.expand(rows, -1), y_H[:, None].expand(-1, columns), torch.ones(rows, columns)]
    )
    boxes_R4 = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.4], [0.5, 0.5, 0.5, 0.5]])
    found_RC = features_of_boxes(map_CHW, boxes_R4)
    middle_R2 = (boxes_R4[:, :2] + boxes_R4[:, 2:]) / 2
    torch.testing.assert_close(found_RC[:, :2], middle_R2)
    torch.testing.assert_close(found_RC[:, 2], torch.ones(3))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, colour in (("a.png", "red"), ("deep/b.png", "blue")):
        Image.new("RGB", (40, 20), colour).save(folder / name)
    return folder


def test_a_grid_and_the_same_boxes_give_the_same_features(photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make(photos, tmp_path / "grid.tsv", grid="1x2", boxes=None, device="cpu", **BACKBONE)
    rows = [
        {
            "image": name,
            "boxes": [[0, 0, 20, 20], [20, 0, 40, 20]],
            "classes": [3, 1],
            "attributes": [0, 2],
        }
        for name in ("a.png", "deep/b.png")
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "boxes.jsonl").write_text(lines)
    torch.manual_seed(0)
    given = tmp_path / "boxes.jsonl"
    make(photos, tmp_path / "given.parquet", grid=None, boxes=given, device="cpu", **BACKBONE)
    grid, boxes = open_store(tmp_path / "grid.tsv"), open_store(tmp_path / "given.parquet")
    for name in ("a", "b"):
        one, other = grid.get(name), boxes.get(name)
        assert one.features_RF is not None and other.features_RF is not None
        np.testing.assert_array_equal(one.features_RF, other.features_RF)
        np.testing.assert_array_equal(one.boxes_R4, [[0, 0, 0.5, 1], [0.5, 0, 1, 1]])
        assert other.classes_R is not None and other.classes_R.tolist() == [3, 1]
        assert other.attributes_R is not None and other.attributes_R.tolist() == [0, 2]
        assert one.size == (40, 20)
    assert not np.allclose(grid.get("a").features_RF, grid.get("b").features_RF)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "boxes.jsonl:2: is not JSON"),
        ('{"boxes": [[0, 0, 1, 1]]}', "names no image"),
        ('{"image": "a.png", "boxes": [[0, 0, 1, 1]]}', "names 'a.png' again"),
        ('{"image": "b.png", "boxes": [[0, 0, 1]]}', r"boxes: found the box \[0, 0, 1\]"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, NaN]]}', r"boxes: found the box \[0, 0, 1, nan"),
        ('{"image": "b.png", "boxes": []}', "boxes: has no boxes"),
        ('{"image": "b.png", "boxes": 3}', "boxes: has no boxes"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "clases": [1]}', "did you mean 'classes'"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "classes": [-3]}', "classes: found -3"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "attributes": [1.5]}', "found 1.5; exp"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "scores": [90]}', "found 90; expected a n"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "classes": [1, 2]}', "classes: is not of"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "scores": [1]}', "says more of some"),
        ('{"image": "b.png", "boxes": [[0, 0, 1, 1]], "attributes": "red"}', "attributes: is not"),
    ],
)
def test_a_bad_line_of_boxes_is_one_message(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_text('{"image": "a.png", "boxes": [[0, 0, 1, 1]]}\n' + line + "\n")
    with pytest.raises(UserError, match=message):
        read_boxes(path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"grid": None}, "found neither"),
        ({"grid": "2"}, "--grid: found '2'; expected rows x columns"),
        ({"grid": "99x99"}, "at most 1000"),
        ({"images": Path("none")}, "is no folder"),
        ({"output": Path("x.pkl")}, "is no file of region features"),
        ({"backbone": "resnt18"}, "no backbone 'resnt18'"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_one_message(
    photos: Path, tmp_path: Path, keys: dict[str, object], message: str
) -> None:
    output = tmp_path / "f.tsv"
    given = {"images": photos, "output": output, "grid": "1x1", "boxes": None, "device": "cpu"}
    with pytest.raises(UserError, match=message):
        make(**{**given, **BACKBONE, **keys})  # type: ignore[arg-type]
    assert not output.exists()


def test_a_box_beyond_its_image_leaves_no_file(photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_text('{"image": "a.png", "boxes": [[0, 0, 50, 10]]}\n')
    with pytest.raises(
        UserError, match=r"a.png: has the box \[0, 0, 50, 10\]; .* within 40 x 20 p"
    ):
        make(photos, tmp_path / "f.tsv", grid=None, boxes=path, device="cpu", **BACKBONE)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["boxes.jsonl", "photos"]


@pytest.mark.parametrize("name", ["regions.tsv", "regions.h5", "regions.parquet", "regions"])
def test_what_is_there_is_written_over_only_where_asked(
    photos: Path, tmp_path: Path, name: str
) -> None:
    def write(grid: str, **more: bool) -> None:
        make(photos, tmp_path / name, grid=grid, boxes=None, device="cpu", **BACKBONE, **more)

    def boxes() -> int:
        return len(open_store(tmp_path / name).get("a").boxes_R4)

    (tmp_path / "regions").mkdir(exist_ok=True)  # an empty folder is nothing that could be lost
    write("1x2")
    with pytest.raises(UserError, match="is there already; expected a new one, or --overwrite"):
        write("1x3")
    assert boxes() == 2
    write("1x3", overwrite=True)
    assert boxes() == 3
