from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

NLVR2 = {"identifier": "dev-850-1-0", "sentence": "One is red.", "label": "True", "query": "x"}
MARVL = {
    "concept": "39-Panci",
    "language": "id",
    "caption": "Satu merah.",
    "left_img": "39-7.jpg",
    "right_img": "39-n-3.jpg",
    "chapter": "Cognition",
    "id": "id-0",
    "label": False,
}
SNLI = {
    "captionID": "24.jpg#2",
    "pairID": "24.jpg#2r1c",
    "gold_label": "contradiction",
    "sentence1": "Two women embrace.",
    "sentence2": "They fight.",
    "Flikr30kID": "24",
}


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, rows))


def test_nlvr2_has_the_images_of_training_in_numbered_folders(read_all: Callable) -> None:
    training = NLVR2 | {"identifier": "train-10-0-3", "directory": 35, "label": "False"}
    assert read_all("nlvr2", path=lines(NLVR2, training)) == [
        {
            "key": "dev-850-1-0",
            "images": ["dev-850-1-img0.png", "dev-850-1-img1.png"],
            "statement": "One is red.",
            "answer": "true",
            "group": "dev-850-0",
        },
        {
            "key": "train-10-0-3",
            "images": ["35/train-10-0-img0.png", "35/train-10-0-img1.png"],
            "statement": "One is red.",
            "answer": "false",
            "group": "train-10-3",
        },
    ]


def test_marvl_finds_its_images_in_the_folder_of_their_concept(read_all: Callable) -> None:
    assert read_all("marvl", path=lines(MARVL)) == [
        {
            "key": "id-0",
            "images": ["39-Panci/39-7.jpg", "39-Panci/39-n-3.jpg"],
            "statement": "Satu merah.",
            "answer": "false",
            "group": "39-Panci: Satu merah.",
            "concept": "39-Panci",
            "chapter": "Cognition",
        }
    ]


def test_marvl_few_shots_name_the_folder_themselves(read_all: Callable) -> None:
    (row,) = read_all("marvl", path=lines(MARVL | {"left_img": "39-Panci/39-n-5.jpg"}))
    assert row["images"] == ["39-Panci/39-n-5.jpg", "39-Panci/39-n-3.jpg"]


def test_snli_ve_without_what_nobody_agreed_on(read_all: Callable) -> None:
    assert read_all("snli_ve", path=lines(SNLI | {"gold_label": "-"}, SNLI)) == [
        {
            "key": "24.jpg#2r1c",
            "image": "24.jpg",
            "premise": "Two women embrace.",
            "statement": "They fight.",
            "answer": "contradiction",
        }
    ]


def test_snli_ve_says_how_many_rows_have_no_label(tmp_path: Path, open_task: Callable) -> None:
    unlabelled = [SNLI | {"gold_label": label} for label in ("-", "", None)]
    (tmp_path / "a.jsonl").write_text(lines(unlabelled[0], SNLI, *unlabelled[1:]))
    task = open_task(
        "reader: snli_ve, path: a.jsonl, images: ., splits: {train: train}", answer="answer"
    )
    assert [row.index for row in task] == [1]
    assert task.left_out == {"have no label": 3}


@pytest.mark.parametrize(
    ("reader", "row", "says"),
    [
        (
            "nlvr2",
            NLVR2 | {"identifier": "dev-850"},
            "2: identifier: found 'dev-850'; expected SPL",
        ),
        ("nlvr2", NLVR2 | {"label": "maybe"}, "2: label: is neither true nor false; expected True"),
        ("nlvr2", {"identifier": "a-1-1-1"}, "2: label: is missing; expected text"),
        ("marvl", MARVL | {"label": "true"}, "2: label: found 'true'; expected true or false"),
        (
            "snli_ve",
            SNLI | {"gold_label": "yes"},
            "2: gold_label: found 'yes'; expected one of ent",
        ),
        ("snli_ve", SNLI | {"captionID": "24"}, "2: captionID: found '24'; expected IMAGE.jpg#NUM"),
        ("snli_ve", [], "2: is not an object"),
    ],
)
def test_a_line_of_another_shape_is_named(
    read_all: Callable, reader: str, row: Any, says: str
) -> None:
    with pytest.raises(UserError, match=f"path.json:{says}"):
        read_all(reader, path=lines({"nlvr2": NLVR2, "marvl": MARVL, "snli_ve": SNLI}[reader], row))
