"""unified_vl/inference/inputs.py: what a task does with images and texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.inference.inputs import is_captioning, is_matching
from unified_vl.specs.load import load_task

SPECS = Path(__file__).parents[2] / "task_specs"


@pytest.mark.parametrize(
    ("spec", "captions", "matches"),
    [
        ("captioning/coco_captions", True, False),
        ("captioning/msr_vtt", False, False),  # of videos
        ("captioning/xm3600", True, False),
        ("pretraining/coco_matching", False, True),
        ("matching/multi30k_matching", False, True),
        ("vqa/vqa_v2", False, True),  # a question about an image, and an answer
        ("text/glue_mnli", False, False),
        ("detection/coco_detection", False, False),
    ],
)
def test_captioning_and_matching_tasks(spec: str, captions: bool, matches: bool) -> None:
    task = load_task(SPECS / f"{spec}.yaml")
    assert (is_captioning(task), is_matching(task)) == (captions, matches)


def test_tasks_about_videos() -> None:
    caption, question, moment = (
        load_task(SPECS / f"{spec}.yaml")
        for spec in ("captioning/msr_vtt", "vqa/msvd_qa", "grounding/didemo")
    )
    assert [is_captioning(task, "video") for task in (caption, question, moment)] == [1, 0, 0]
    assert [is_matching(task, "video") for task in (caption, question, moment)] == [0, 1, 0]
