from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.cli.main import main
from unified_vl.errors import UserError


def ref(number: int, split: str, *said: str) -> dict[str, Any]:
    return {
        "ref_id": number,
        "ann_id": 100 + number,
        "image_id": 581857,
        "category_id": 1,
        "file_name": f"COCO_train2014_000000581857_{number}.jpg",
        "split": split,
        "sent_ids": [10 * number + place for place in range(len(said))],
        "sentences": [
            {"sent_id": 10 * number + place, "sent": text, "raw": text, "tokens": text.split()}
            for place, text in enumerate(said)
        ],
    }


def instance(number: int, **more: Any) -> dict[str, Any]:
    drawn = [[10, 10, 20, 10, 20, 20]]
    found = {"id": 100 + number, "image_id": 581857, "category_id": 1, "bbox": [10, 10, 10, 10]}
    return found | {"segmentation": drawn, "iscrowd": 0} | more


REFS = [ref(0, "train", "the lady", "woman on left"), ref(1, "testB", "café sign")]
INSTANCES = {
    "images": [
        {"id": 581857, "file_name": "COCO_train2014_000000581857.jpg", "width": 640, "height": 427}
    ],
    "annotations": [instance(0), instance(1, segmentation={"counts": [1], "size": [427, 640]})],
    "categories": [{"id": 1, "name": "person"}],
}


def test_a_row_is_an_expression(read_all: Callable) -> None:
    rows = read_all("refcoco", ("width", "height"), refs=REFS, instances=INSTANCES)
    everywhere = {"image": "COCO_train2014_000000581857.jpg", "category": "person"}
    box = [10.0, 10.0, 10.0, 10.0]
    outline = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0]]
    assert rows == [
        {
            "key": "0",
            "expression": "the lady",
            "box": box,
            "polygons": outline,
            "split": "train",
            "published_split": "train",
            **everywhere,
        },
        {
            "key": "1",
            "expression": "woman on left",
            "box": box,
            "polygons": outline,
            "split": "train",
            "published_split": "train",
            **everywhere,
        },
        {
            "key": "10",
            "expression": "café sign",
            "box": box,
            "polygons": None,
            "split": "test",
            "published_split": "testB",
            **everywhere,
        },
    ]


@pytest.mark.parametrize(
    ("refs", "says"),
    [
        ({"refs": REFS}, "refs.json: is no list of references"),
        ([ref(5, "train", "a")], "0.ann_id: .*instances.json' has no object 105 of image 581857"),
        ([{**REFS[0], "image_id": 1}], "has no object 100 of image 1"),
        ([{**REFS[0], "sentences": [{"sent": "a"}]}], "0.sentences.0.sent_id: is missing"),
        ([{"ann_id": 1, "image_id": 1}], "0.split: is missing; expected text"),
    ],
)
def test_files_that_do_not_fit_are_refused(read_all: Callable, refs: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        read_all("refcoco", refs=refs, instances=INSTANCES)


Convert = Callable[[Path], tuple[int, str]]


@pytest.fixture
def convert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Convert:
    """Runs the command on a file: its exit code and what it said; it writes refs.json."""

    def run(path: Path) -> tuple[int, str]:
        output = str(tmp_path / "refs.json")
        words = ["unified-vl", "convert", "refcoco", str(path), "--output", output]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_published_pickle_becomes_json(
    tmp_path: Path, convert: Convert, read_all: Callable, protocol: int
) -> None:
    (tmp_path / "refs.p").write_bytes(pickle.dumps(REFS, protocol))
    assert convert(tmp_path / "refs.p") == (0, f"wrote 2 references to {tmp_path}/refs.json\n")
    written = (tmp_path / "refs.json").read_text()
    assert json.loads(written) == REFS
    assert len(read_all("refcoco", refs=written, instances=INSTANCES)) == 3


def test_texts_of_python_2(tmp_path: Path, convert: Convert) -> None:
    """Where a text is bytes: the published files were written so."""
    text = b"caf\xc3\xa9"
    content = pickle.dumps(REFS, 0).replace(
        b"Vcaf\xe9 sign", b"S'" + repr(text)[2:-1].encode() + b"'"
    )
    assert b"S'caf" in content
    (tmp_path / "refs.p").write_bytes(content)
    assert convert(tmp_path / "refs.p")[0] == 0
    assert json.loads((tmp_path / "refs.json").read_text())[1]["sentences"][0]["sent"] == "café"


class Hostile:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_would_run_something_runs_nothing(
    tmp_path: Path, convert: Convert, protocol: int
) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "refs.p").write_bytes(pickle.dumps([*REFS, Hostile(touched)], protocol))
    pickle.loads((tmp_path / "refs.p").read_bytes())  # it does run
    assert touched.exists()
    touched.unlink()
    code, said = convert(tmp_path / "refs.p")
    assert code == 2 and "is not a plain pickle: it asks for" in said and "Traceback" not in said
    assert not touched.exists() and not (tmp_path / "refs.json").exists()


def test_a_module_that_a_pickle_names_is_not_imported(tmp_path: Path, convert: Convert) -> None:
    (tmp_path / "refs.p").write_bytes(b"cantigravity\nfly\n(tR.")
    code, said = convert(tmp_path / "refs.p")
    assert code == 2 and "it asks for antigravity.fly" in said
    assert "antigravity" not in sys.modules


def grown() -> list[Any]:
    """Twelve levels of a list that holds the one before ten times."""
    level: list[Any] = [1]
    for _ in range(12):
        level = [level] * 10
    return level


def endless() -> list[Any]:
    level: list[Any] = []
    level.append(level)
    return level


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pickle.dumps(grown()), "it refers to the same values over and over"),
        (pickle.dumps(endless()), "it refers to the same values over and over"),
        (pickle.dumps([{1: 2}]), "it holds the key 1, which is no text"),
        (pickle.dumps([b"bytes"]), "it holds bytes"),
        (pickle.dumps([float("nan")]), "it holds a number that is too large"),
        (pickle.dumps([1 << 100]), "it holds a number that is too large"),
        (pickle.dumps(REFS)[:200], "is not a plain pickle"),
        (b"", "is not a plain pickle: it is cut short"),
        (b"]r\xff\xff\xff\x7f.", "is no list of references"),
        (b"\x80\x05\x96\x00\x00\x00\x00\x00\x01\x00\x00.", "is not a plain pickle: it holds bytes"),
        (b"hello", "is not a plain pickle"),
        (json.dumps(REFS).encode(), "is not a plain pickle"),
        (pickle.dumps([]), "is no list of references"),
        (pickle.dumps(REFS[0]), "is no list of references"),
        (pickle.dumps([{"ann_id": 1}]), "0.image_id: is missing; expected a whole number"),
    ],
)
def test_another_pickle_is_refused(
    tmp_path: Path, convert: Convert, content: bytes, says: str
) -> None:
    (tmp_path / "refs.p").write_bytes(content)
    code, said = convert(tmp_path / "refs.p")
    assert code == 2 and says in said and "Traceback" not in said
    assert not (tmp_path / "refs.json").exists()


def test_a_file_that_is_not_there(tmp_path: Path, convert: Convert) -> None:
    code, said = convert(tmp_path / "refs(unc).p")
    assert code == 2 and "refs(unc).p: cannot be read: No such file" in said
