"""GRIT's captions in pieces, a box behind each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unified_vl.errors import UserError

GRIT = 'reader: grit, path: "{split}.jsonl", key_column: key, images: images'
FIELDS = {
    "image": "image, kind: image",
    "pieces": "pieces, many: true",
    "boxes": "boxes, kind: box, many: true, layout: xyxy, units: relative",
    "rest": "rest, many: true",
    "answer": "caption",
}
ROW = {
    "key": "000120345",
    "caption": "A dog in a hat, asleep.",
    "ref_exps": [[9, 14, 0.2, 0.1, 0.4, 0.3, 0.7], [0, 5, 0.1, 0.2, 0.5, 0.9, 0.9]],
}


def read(root: Path, open_task: Callable, *rows: Any) -> list[dict[str, Any]]:
    (root / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [dict(row.columns) for row in open_task(GRIT, **FIELDS)]


def test_a_caption_is_cut_behind_its_phrases(tmp_path: Path, open_task: Callable) -> None:
    assert read(tmp_path, open_task, ROW) == [
        {
            "key": "000120345",
            "image": "00012/000120345.jpg",
            "caption": "A dog in a hat, asleep.",
            "pieces": ["A dog", "in a hat"],
            "boxes": [[0.1, 0.2, 0.5, 0.9], [0.2, 0.1, 0.4, 0.3]],
            "rest": [", asleep."],
        }
    ]


LOST = "boxes of phrases within longer ones, and further boxes of a phrase"
DOG, HAT = [0.1, 0.2, 0.5, 0.9], [0.2, 0.1, 0.4, 0.3]


@pytest.mark.parametrize(
    ("more", "pieces", "boxes", "lost"),
    [
        ([], ["A dog", "in a hat"], [DOG, HAT], 0),
        ([[0, 5, 0.6, 0.2, 0.7, 0.9, 0.85]], ["A dog", "in a hat"], [DOG, HAT], 1),
        ([[0, 14, 0.0, 0.2, 0.7, 0.9, 0.66]], ["A dog in a hat"], [[0.0, 0.2, 0.7, 0.9]], 2),
        ([[6, 8, 0.0, 0.2, 0.7, 0.9, 0.99]], ["A dog", "in", "a hat"], [DOG, None, HAT], 0),
    ],
)
def test_of_phrases_that_overlap_the_longest_is_kept(
    tmp_path: Path, open_task: Callable, more: list, pieces: list, boxes: list, lost: int
) -> None:
    row = {**ROW, "ref_exps": [*ROW["ref_exps"], *more]}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    data = open_task(GRIT, **FIELDS)
    found = data[0].columns
    assert found["pieces"] == pieces
    assert found["boxes"] == [box or more[0][2:6] for box in boxes]
    assert data.lost == ({LOST: lost} if lost else {})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": 7}, "train.jsonl: line 1.key: found '7'; expected text"),
        ({"ref_exps": None}, "train.jsonl: line 1.ref_exps: found 'None'; expected a list"),
        ({"ref_exps": [[0, 5]]}, "line 1.ref_exps.0: found '[0, 5]'; expected [start, end, x1, y1"),
        (
            {"ref_exps": [[0, 99, 0, 0, 1, 1, 1]]},
            "ref_exps.0: the caption has no characters 0 to",
        ),
        ({"ref_exps": [[5, 5, 0, 0, 1, 1, 1]]}, "ref_exps.0: the caption has no characters 5 to 5"),
        ({"ref_exps": ["a dog"]}, "line 1.ref_exps.0: found 'a dog'; expected [start, end, x1, y1"),
    ],
)
def test_what_is_no_phrase_is_named(
    tmp_path: Path, open_task: Callable, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, open_task, {**ROW, **change})
    assert says in str(error.value)


def test_a_line_that_is_no_json_is_named(tmp_path: Path, open_task: Callable) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps(ROW) + "\n{")
    with pytest.raises(UserError, match=r"train.jsonl:2: is not JSON"):
        open_task(GRIT, **FIELDS)
