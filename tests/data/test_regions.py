"""Files of region features: what is read of each format, how much, and what is said of bad ones."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import regional
from unified_vl.codecs.region_values import (
    ATTRIBUTE,
    FEATURE,
    RegionSizes,
    joined_labels,
    region_labels,
    region_values,
)
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.regions.region_loader import RegionLoader, names_of
from unified_vl.data.regions.stores import open_store
from unified_vl.data.regions.writing import write_regions
from unified_vl.data.rows.row import Row
from unified_vl.errors import BadRow, UserError
from unified_vl.kinds.hooks.segments import Regions
from unified_vl.specs.tasks.fields import FieldSpec

FILES = ("regions.tsv", "regions.h5", "regions.parquet", "regions")
COUNT = 70  # more than a row group of Parquet


def needs(file: str) -> None:
    if file.endswith(".h5"):
        pytest.importorskip("h5py")


def load(
    root: Path, value: Any, *files: str, features: bool = True, labels: bool = False, **keys: Any
) -> Regions:
    more = {"features": files} if files else {}
    field = FieldSpec(kind="regions", column="image", **({"most": 36} | more | keys))
    row = Row({"image": value}, "rows.jsonl", 2, "en")
    loader = RegionLoader(ImageLoader(root, (8, 8)), features=features, labels=labels)
    return loader.load(row, value, field, None)


@pytest.mark.parametrize("classes", [True, False], ids=["classes", "no classes"])
@pytest.mark.parametrize("file", FILES)
def test_what_is_written_is_read_in_any_order(tmp_path: Path, file: str, classes: bool) -> None:
    needs(file)
    assert write_regions(tmp_path / file, regional.images(COUNT, classes=classes)) == COUNT
    for number in (COUNT - 1, 0, 5, 64, 63):
        written = regional.image(number, classes=classes)
        found = load(tmp_path, written.name, file)
        pixels_R4 = found.boxes_R4 * np.array([*written.size, *written.size])
        np.testing.assert_allclose(pixels_R4, written.boxes_R4, rtol=1e-5)
        assert found.features_RF is not None
        assert found.features_RF.tolist() == written.features_RF.tolist()
        if classes:
            assert found.classes_R.tolist() == written.classes_R.tolist()  # type: ignore[union-attr]
            assert found.scores_R.tolist() == written.scores_R.tolist()  # type: ignore[union-attr]
            assert found.attributes_R.tolist() == written.attributes_R.tolist()  # type: ignore[union-attr]
        else:
            assert set(found.classes_R) == {-1} and set(found.scores_R) == {1}
            assert set(found.attributes_R) == {-1}
        measured = load(tmp_path, written.name, file, features=False)
        assert measured.features_RF is None
        assert measured.boxes_R4.tolist() == found.boxes_R4.tolist()
        assert len(load(tmp_path, written.name, file, most=1)) == 1
    with pytest.raises(BadRow, match="no file of features has the image 'picture_70'"):
        load(tmp_path, "picture_70", file)


@pytest.mark.parametrize("file", ["regions.h5", "regions.parquet", "regions"])
def test_whole_distributions_are_read_where_they_are_asked_for(tmp_path: Path, file: str) -> None:
    needs(file)
    write_regions(tmp_path / file, regional.images(3, labels=True))
    written = regional.image(1, labels=True).labels_RK
    assert written is not None
    asked = load(tmp_path, "picture_1", file, labels=True, hide=0.5)
    assert asked.labels_RK is not None and asked.labels_RK.dtype == np.float32
    np.testing.assert_allclose(asked.labels_RK, written, rtol=2e-3)
    np.testing.assert_allclose(asked.labels_RK.sum(1), 1, rtol=1e-6)
    fewer = load(tmp_path, "picture_1", file, labels=True, hide=0.5, most=1).labels_RK
    assert fewer is not None and len(fewer) == 1
    for unasked in (
        {"hide": 0.5},
        {"labels": True},
        {"labels": True, "hide": 0.5, "features": False},
    ):
        assert load(tmp_path, "picture_1", file, **unasked).labels_RK is None  # type: ignore[arg-type]
    write_regions(tmp_path / "without", regional.images(3))
    assert load(tmp_path, "picture_1", "without", labels=True, hide=0.5).labels_RK is None


def test_a_tsv_keeps_scores_alone(tmp_path: Path) -> None:
    written = regional.image(1)
    scored = replace(written, classes_R=None, attributes_R=None)
    write_regions(tmp_path / "a.tsv", [scored])
    found = load(tmp_path, written.name, "a.tsv")
    assert found.scores_R.tolist() == written.scores_R.tolist()  # type: ignore[union-attr]
    assert set(found.classes_R) == {-1}


def test_a_tsv_has_no_place_for_whole_distributions(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a \.tsv has no place for soft_labels"):
        write_regions(tmp_path / "a.tsv", regional.images(1, labels=True))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0.5, 0.1]], "no probabilities: a sum of 0.6; expected numbers of at least 0"),
        ([[1.2, -0.2]], "no probabilities: one is -0.2"),
        ([], r"soft_labels of shape \[1, 0\] for 1 boxes"),
        ([["red", "green"]], "soft_labels that are no numbers"),
        ([[float("nan"), 1.0]], "soft_labels that are no finite numbers"),
    ],
)
def test_distributions_that_are_none_are_one_message(
    tmp_path: Path, labels: Any, message: str
) -> None:
    arrays = {"norm_bb": [[0, 0, 1, 1]], "features": [[1.0]], "soft_labels": labels}
    with pytest.raises(BadRow, match=message):
        load(tmp_path, arrays, labels=True, hide=0.5)
    assert load(tmp_path, arrays).labels_RK is None  # nothing asks for them


def test_a_tsv_is_looked_up_without_reading_all_of_it(tmp_path: Path) -> None:
    """What lies between images may be anything once the places are known."""
    path = tmp_path / "a.tsv"
    write_regions(path, regional.images(3))
    store = open_store(path)
    content = bytearray(path.read_bytes())
    first = content.index(b"\n")
    content[: first - 4] = b"?" * (first - 4)
    path.write_bytes(content)
    assert store.get("picture_2").features_RF is not None
    with pytest.raises(BadRow):
        store.get("picture_0")


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("COCO_val2014_000000000042", ["COCO_val2014_000000000042", "42"]),
        (
            "val2014/COCO_val2014_000000000042.jpg",
            ["val2014/COCO_val2014_000000000042.jpg", "COCO_val2014_000000000042", "42"],
        ),
        ("n161313", ["n161313", "161313"]),
        ("2370799", ["2370799"]),
        ("cat.png", ["cat.png", "cat"]),
    ],
)
def test_an_image_is_found_by_the_names_that_files_of_features_use(
    value: str, names: list[str]
) -> None:
    assert list(names_of(value)) == names


def test_a_row_may_name_an_npz_file_or_hold_its_arrays(tmp_path: Path) -> None:
    written = regional.image(1)
    write_regions(tmp_path / "folder", [written])
    of_file = load(tmp_path, "folder/picture_1.npz")
    arrays = {
        "features": written.features_RF,
        "norm_bb": of_file.boxes_R4,
        "classes": written.classes_R,
    }
    held = load(tmp_path, arrays)
    assert of_file.features_RF.tolist() == held.features_RF.tolist()  # type: ignore[union-attr]
    assert of_file.boxes_R4.tolist() == held.boxes_R4.tolist()
    (tmp_path / "b.npz").write_bytes(b"x")
    with pytest.raises(BadRow, match=r"^b\.npz: is no \.npz"):  # who reads a row says where it is
        load(tmp_path, "b.npz")


def test_uniters_boxes_are_fractions_already(tmp_path: Path) -> None:
    norm_bb = np.array([[0.1, 0.2, 0.3, 0.4, 0.2, 0.2, 0.04]], np.float32)
    arrays = {"norm_bb": norm_bb, "features": np.ones((1, 4), np.float16), "conf": [0.7]}
    (tmp_path / "f").mkdir()
    np.savez(tmp_path / "f/flickr30k_000001.npz", **arrays)
    found = load(tmp_path, "flickr30k_000001", "f")
    np.testing.assert_allclose(found.boxes_R4, norm_bb[:, :4])


def test_training_hides_some_and_evaluation_none(tmp_path: Path) -> None:
    write_regions(tmp_path / "f", regional.images(2))
    field = FieldSpec(kind="regions", column="image", most=36, features=("f",), hide=0.5)
    row = Row({"image": "picture_1"}, "rows.jsonl", 0, "en")
    loader = RegionLoader(ImageLoader(tmp_path, (8, 8)))
    drawn = [
        tuple(loader.load(row, "picture_1", field, Random(seed)).hidden_R) for seed in range(40)
    ]
    again = loader.load(row, "picture_1", field, Random(7)).hidden_R
    assert tuple(again) == drawn[7]
    assert 0.3 < np.mean(drawn) < 0.7
    assert not loader.load(row, "picture_1", field, None).hidden_R.any()


def line(**changes: Any) -> bytes:
    """A line of bottom-up attention's TSV with something wrong."""
    of = {
        "image_id": "a",
        "image_w": "64",
        "image_h": "48",
        "num_boxes": "2",
        "boxes": np.array([[0, 0, 10, 10], [5, 5, 20, 20]], np.float32),
        "features": np.ones((2, 3), np.float32),
    } | changes
    cells = [
        base64.b64encode(v.tobytes()).decode() if isinstance(v, np.ndarray) else v
        for v in of.values()
    ]
    return ("\t".join(cells) + "\n").encode()


BROKEN: dict[str, tuple[bytes, str]] = {
    "no base64": (line(features="AAAA*AAA"), "features that are no base64"),
    "cut": (line(features="AAAAAA=="), r"4 bytes|shape|features"),
    "too few features": (line(features=np.ones(5, np.float32)), r"shape \[5\] for 2 boxes"),
    "no number": (line(features=np.full((2, 3), np.nan, np.float32)), "no finite numbers"),
    "fewer boxes": (line(num_boxes="3"), "says 3 regions and has 2 boxes"),
    "no boxes": (line(num_boxes="0"), "says 0 regions"),
    "turned box": (
        line(boxes=np.array([[9, 9, 1, 1], [0, 0, 1, 1]], np.float32)),
        "right or bottom lies before",
    ),
    "no size": (line(image_w="0"), "the image is 0 x 48"),
    "size no number": (line(image_w="wide"), r"b'wide' as its width"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_an_image_is_one_message(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    (tmp_path / "a.tsv").write_bytes(content + line(image_id="b"))
    with pytest.raises(BadRow, match=message):
        load(tmp_path, "a", "a.tsv")
    assert len(load(tmp_path, "b", "a.tsv")) == 2


Make = Callable[[Path], object]
BOX = [[0.0, 0.0, 1.0, 1.0]]


def of_npz(**arrays: Any) -> Make:
    def make(path: Path) -> None:
        path.mkdir()
        whole = {"features": [[1.0]], **arrays}
        np.savez(path / "a.npz", **(whole if "boxes" in whole else {"norm_bb": BOX, **whole}))

    return make


def of_bytes(content: bytes) -> Make:
    def make(path: Path) -> None:
        path.mkdir()
        (path / "a.npz").write_bytes(content)

    return make


def of_zip(change: Callable[[bytearray, int, int], None]) -> Make:
    """An archive of which each entry is changed, and what is said of it at the end."""

    def make(path: Path) -> None:
        path.mkdir()
        np.savez_compressed(path / "a.npz", features=np.arange(99.0).reshape(1, 99), norm_bb=BOX)
        content = bytearray((path / "a.npz").read_bytes())
        for sign, behind in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            place = content.find(sign)
            while place >= 0:
                change(content, place, behind)
                place = content.find(sign, place + 1)
        (path / "a.npz").write_bytes(content)

    return make


def encrypted(content: bytearray, place: int, behind: int) -> None:
    content[place + behind] |= 1


def packed(content: bytearray, place: int, behind: int) -> None:
    content[place + behind + 2] = 99


def spoilt(content: bytearray, place: int, behind: int) -> None:
    if behind == 6:
        content[place + 90 : place + 110] = b"\xff" * 20


def of_parquet(features: list[Any]) -> Make:
    table = pa.table({"img_id": ["a"], "features": features, "norm_bb": [BOX * 2]})
    return lambda path: pq.write_table(table, path)


def test_parquet_may_have_lists_of_any_kind(tmp_path: Path) -> None:
    """As other libraries write them: large ones, and ones of a fixed length."""
    large = pa.large_list(pa.large_list(pa.float32()))
    columns = {
        "img_id": ["a"],
        "features": pa.array([[[1.0, 2.0], [3.0, 4.0]]], large),
        "norm_bb": pa.array([BOX * 2], pa.list_(pa.list_(pa.float32(), 4))),
    }
    pq.write_table(pa.table(columns), tmp_path / "f.parquet")
    found = load(tmp_path, "a", "f.parquet").features_RF
    assert found is not None and found.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"norm_bb": [[0, 0, 2, 2]]},
            r"has the box \[0, 0, 2, 2\]; expected fractions of the image",
        ),
        ({"norm_bb": [[0, -0.1, 1, 1]]}, r"has the box \[0, -0\.1, 1, 1\]"),
        (
            {"norm_bb": None, "boxes": [[0, 0, 90, 20]], "img_w": 64, "img_h": 48},
            "expected places within the image, which is 64 x 48",
        ),
        ({"norm_bb": BOX * 2}, r"features of shape \[1, 2\] for 2 boxes"),
        ({"norm_bb": BOX, "features": [[1.0]] * 2}, r"features of shape \[2, 1\] for 1 boxes"),
        ({"features": [[1e300]]}, "features that are no finite numbers"),
        ({"features": [[1j]]}, "features that are no numbers"),
        ({"features": [["1"]]}, "features that are no numbers"),
        ({"num_boxes": []}, r"has '\[\]' as its count; expected one number"),
        ({"num_boxes": float("nan")}, "has 'nan' as its count"),
        ({"num_boxes": 0}, "says 0 regions and has 1 boxes"),
        ({"classes": [-7]}, "has -7 among its classes; expected whole numbers from 0"),
        ({"attributes": [1.5]}, "has 1.5 among its attributes"),
        ({"classes": [1, 2]}, "has 1 boxes and 2 classes"),
        ({"scores": [99]}, "has 99 among its scores; expected numbers from 0 to 1"),
    ],
)
def test_what_is_wrong_with_arrays_is_one_message(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    whole = {"norm_bb": BOX, "features": [[1.0, 2.0]]}
    assert len(load(tmp_path, whole)) == 1
    given = {name: value for name, value in {**whole, **change}.items() if value is not None}
    with pytest.raises(BadRow, match=message):
        load(tmp_path, given)


def test_what_lies_behind_the_count_is_padding(tmp_path: Path) -> None:
    boxes = [[0, 0, 64.9, 48], [9, 9, -1, 999]]  # the first is beyond by a rounding
    arrays = {"boxes": boxes, "img_w": 64, "img_h": 48, "features": [[1.0], [2.0]], "num_boxes": 1}
    found = load(tmp_path, {**arrays, "classes": [3, -9]})
    assert found.boxes_R4.tolist() == [[0, 0, 1, 1]]
    assert found.features_RF is not None and found.features_RF.tolist() == [[1]]
    assert found.classes_R.tolist() == [3]


FILES_WRONG: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "columns": (lambda p: p.write_bytes(b"a\tb\n"), "f.tsv", "has 2 columns.*6 .*10"),
    "twice": (lambda p: p.write_bytes(line() + line()), "f.tsv", "has the image 'a' again"),
    "empty": (lambda p: p.write_bytes(b""), "f.tsv", "holds no regions"),
    "ending": (lambda p: p.write_bytes(b"x"), "f.pkl", "is no file of region features"),
    "parquet": (lambda p: p.write_bytes(b"x"), "f.parquet", "is no Parquet file"),
    "unnamed": (
        lambda p: pq.write_table(pa.table({"features": [[1.0]]}), p),
        "f.parquet",
        "names no images.*image_id",
    ),
    "hdf5": (lambda p: p.write_bytes(b"x"), "f.h5", "is no HDF5 file"),
    "pickled": (
        of_npz(features=np.array([{"a": 1}], object)),
        "f",
        "features that are pickled obj",
    ),
    "npz of text": (of_bytes(b"hello"), "f", "is no .npz file of regions: it is no zip archive"),
    "npy": (of_bytes(b"\x93NUMPY"), "f", "is no .npz file of regions: it is no zip archive"),
    "encrypted": (of_zip(encrypted), "f", "is no .npz file of regions: .* is encrypted"),
    "packed otherwise": (of_zip(packed), "f", "is no .npz file of regions: .* is not supported"),
    "inflated": (of_zip(spoilt), "f", "is no .npz file of regions: .*decompressing"),
    "size": (of_npz(boxes=[[0, 0, 1, 1]], img_w="wide", img_h=9), "f", "has 'wide' as its width"),
    "ragged": (of_parquet([[[1.0, 2.0], [3.0]]]), "f.parquet", "features whose lists differ"),
    "alike by chance": (of_parquet([[[1.0, 2.0, 3.0], [3.0]]]), "f.parquet", "whose lists differ"),
    "missing": (of_parquet([[None, [3.0, 4.0]]]), "f.parquet", "features whose lists differ"),
}


@pytest.mark.parametrize("name", FILES_WRONG)
def test_what_is_wrong_with_a_file_is_one_message(tmp_path: Path, name: str) -> None:
    make, file, message = FILES_WRONG[name]
    needs(file)
    make(tmp_path / file)
    with pytest.raises(UserError, match=message):
        load(tmp_path, "a", file)


@pytest.mark.parametrize(
    ("value", "files", "message"),
    [
        ("a", (), "expected an .npz file, or `features`"),
        ("../a.npz", (), "leaves the data root"),
        ("b.npz", (), "there is no file of regions 'b.npz'"),
        ("a", ("g.tsv",), "there is no file of features 'g.tsv'"),
        ("../f/a", ("f",), "no file of features has the image"),
        (1.5, ("f",), "found float in place of an image's name"),
        ({"boxes": [[0, 0, 1, 1]]}, (), "does not say how large"),
        ({"norm_bb": [[0, 0, 1, 1]]}, (), "has no features"),
    ],
)
def test_what_is_wrong_with_a_value_is_one_message(
    tmp_path: Path, value: Any, files: tuple[str, ...], message: str
) -> None:
    (tmp_path / "f").mkdir()
    with pytest.raises(BadRow, match=message) as told:
        load(tmp_path, value, *files)
    assert "rows.jsonl:3" in str(told.value)


def test_an_hdf5_file_opens_no_other(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write_regions(tmp_path / "other.h5", regional.images(1))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["picture_0"] = h5py.ExternalLink("other.h5", "picture_0")
        file.create_group("inside")["features"] = h5py.ExternalLink(
            "other.h5", "picture_0/features"
        )
        file["inside/norm_bb"] = np.zeros((1, 4))
    with pytest.raises(BadRow, match="no file of features has the image 'picture_0'"):
        load(tmp_path, "picture_0", "f.h5")
    with pytest.raises(BadRow, match="'features' that is no array of this file"):
        load(tmp_path, "inside", "f.h5")


def test_a_model_reads_features_of_its_own_width_and_classes_that_it_knows(tmp_path: Path) -> None:
    write_regions(tmp_path / "f", regional.images(2))
    regions = load(tmp_path, "picture_1", "f")
    values_RV = region_values(regions, RegionSizes(regional.FEATURES, 4))
    assert values_RV[:, FEATURE:].tolist() == regions.features_RF.tolist()  # type: ignore[union-attr]
    sides = regions.boxes_R4[:, 2:] - regions.boxes_R4[:, :2]
    np.testing.assert_allclose(values_RV[:, 4], sides[:, 0] * sides[:, 1], rtol=1e-6)
    assert set(region_values(regions, RegionSizes(regional.FEATURES))[:, 6]) == {-1}
    with pytest.raises(BadRow, match="features have 8 numbers; expected 2048"):
        region_values(regions, RegionSizes(2048))
    with pytest.raises(BadRow, match=r"expected below 1, model\.region_classes"):
        region_values(regions, RegionSizes(regional.FEATURES, 1))
    read = region_values(regions, RegionSizes(regional.FEATURES, None, 4))[:, ATTRIBUTE]
    assert read.tolist() == regional.image(1).attributes_R.tolist()  # type: ignore[union-attr]
    assert set(values_RV[:, ATTRIBUTE]) == {-1}
    with pytest.raises(
        BadRow, match=r"the attribute 3; expected below 3, model\.region_attributes"
    ):
        region_values(regions, RegionSizes(regional.FEATURES, None, 3))
    with pytest.raises(UserError, match="the model reads no regions"):
        region_values(regions, None)


def test_labels_say_which_hidden_region_of_the_batch_they_are_of() -> None:
    sizes = RegionSizes(1, 2)
    label_RK = np.array([[0.25, 0.75], [1, 0], [0.5, 0.5]], np.float32)

    def labels(*hidden: int, told: bool = True) -> np.ndarray | None:
        hidden_R = np.isin(np.arange(3), hidden)
        nothing = np.zeros(3)
        of = Regions(np.zeros((3, 4)), None, nothing, nothing, hidden_R, nothing)
        return region_labels(replace(of, labels_RK=label_RK if told else None), sizes)

    assert labels() is None and labels(1, told=False) is None
    found = joined_labels((3, each) for each in (labels(0, 2), None, labels(), labels(1)))
    assert found is not None
    assert found.tolist() == [[0, 0.25, 0.75], [2, 0.5, 0.5], [10, 1, 0]]
    assert joined_labels([(3, None)]) is None
    wide = Regions(np.zeros((3, 4)), None, *[np.zeros(3)] * 4, None, np.full((3, 4), 0.25))
    with pytest.raises(BadRow, match=r"soft_labels have 4 numbers; expected 2, as model\.region_c"):
        region_labels(wide, sizes)
    assert region_labels(wide, RegionSizes(1)) is None
