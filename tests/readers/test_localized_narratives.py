from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from unified_vl.errors import UserError


def stretch(text: str, start: float, end: float) -> dict[str, Any]:
    return {"utterance": text, "start_time": start, "end_time": end}


ROW = {
    "dataset_id": "mscoco_val2017",
    "image_id": "137576",
    "annotator_id": 93,
    "caption": "In this image there are cows.",
    "timed_caption": [stretch("In this image", 0, 1), stretch("cows.", 1, 2), stretch(" ", 2, 3)],
    "traces": [
        [{"x": 0.25, "y": 0.75, "t": 1.5}, {"x": 0.5, "y": 1.25, "t": 1.75}],
        [{"x": 0.125, "y": -0.05, "t": 0.5}],
    ],
    "voice_recording": "a.ogg",
}


def test_each_stretch_of_words_and_where_the_mouse_was(read_all: Callable) -> None:
    (row,) = read_all("localized_narratives", path=json.dumps(ROW))
    assert row == {
        "key": "137576_93_1",
        "image": "000000137576.jpg",
        "caption": "In this image there are cows.",
        "collection": "mscoco_val2017",
        "words": ["In this image", "cows."],
        "points": [[0.125, 0.0], [0.375, 0.875]],  # cut off at the edge of the image
        "boxes": [[0.125, 0.0, 0.135, 0.01], [0.25, 0.75, 0.5, 1.0]],
    }


def test_a_pause_of_the_mouse_takes_the_nearest_place(read_all: Callable) -> None:
    still = ROW | {"traces": [[{"x": 0.999, "y": 0.5, "t": 9.0}]], "dataset_id": "open_images_val"}
    (row,) = read_all("localized_narratives", path=json.dumps(still))
    assert row["image"] == "137576.jpg"
    assert row["points"] == [[0.999, 0.5], [0.999, 0.5]]
    assert row["boxes"][0] == pytest.approx([0.99, 0.5, 1.0, 0.51])


def test_without_a_trace(read_all: Callable) -> None:
    (row,) = read_all("localized_narratives", path=json.dumps(ROW | {"traces": []}))
    assert row["words"] == row["points"] == row["boxes"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_id": 137576}, "path.json:1: image_id: found '137576'; expected text"),
        ({"traces": [[{"x": 1, "y": 1}]]}, "1: traces.0.t: is missing; expected a number"),
        ({"timed_caption": [{}]}, "1: timed_caption.0.utterance: is missing; expected text"),
    ],
)
def test_a_line_of_another_shape_is_named(
    read_all: Callable, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        read_all("localized_narratives", path=json.dumps(ROW | change))
