"""unified_vl/evaluation/evaluate.py: the numbers and what they are broken down by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.codecs.segments import Box, Text
from unified_vl.errors import BadRow, UserError
from unified_vl.evaluation.results import write_results
from unified_vl.specs.load import load_task


def test_right_answers_score_100_everywhere(world, oracle) -> None:
    report, predictions = world.evaluate(oracle())
    assert list(report) == ["model", "version", "seconds", "tasks"]
    assert list(report["tasks"]) == ["caption", "ground", "translate"]
    for task in report["tasks"].values():
        assert task["split"] == "test"
        assert task["count"] == 24
        assert set(task["metrics"].values()) == {100.0}
        for values in task["by"].values():
            assert sum(group["count"] for group in values.values()) == 24
            metrics = {group[m] for group in values.values() for m in task["metrics"]}
            assert metrics == {100.0}
    assert all(row["correct"] for row in predictions)


def test_scores_are_told_apart_by_language_and_cell(world, oracle) -> None:
    def wrong(example):
        spoiled = example.language == "fa" and example.task == "caption"
        return Text("?") if spoiled else None

    report, predictions = world.evaluate(oracle(wrong))
    caption = report["tasks"]["caption"]
    assert caption["primary"] == "exact_match"
    assert caption["metrics"]["exact_match"] == 75.0
    assert caption["by"]["language"]["fa"]["exact_match"] == 0.0
    assert caption["by"]["language"]["ja"] == {"count": 6, "exact_match": 100.0, "chrf": 100.0}
    assert caption["by"]["cell"]["held_out"]["exact_match"] == 0.0
    assert caption["by"]["cell"]["seen"]["count"] == 18
    assert set(report["tasks"]["translate"]["by"]) == {"language"}
    missed = [row for row in predictions if not row["correct"]]
    assert {(row["task"], row["language"], row["cell"]) for row in missed} == {
        ("caption", "fa", "held_out")
    }


def test_a_metric_that_a_spec_has_twice_keeps_both_values(world, oracle) -> None:
    def shifted(example):
        if example.task != "ground":
            return None
        box = example.target[0]
        return Box(box.x1 + 0.05, box.y1, box.x2 + 0.05, box.y2)

    report, predictions = world.evaluate(oracle(shifted))
    metrics = report["tasks"]["ground"]["metrics"]
    assert metrics == {"box_accuracy:box@0.5": 100.0, "box_accuracy:box@0.9": 0.0}
    assert report["tasks"]["ground"]["primary"] == "box_accuracy:box@0.9"
    assert not any(row["correct"] for row in predictions if row["task"] == "ground")


def test_bad_rows_are_skipped_and_counted_where_the_spec_says_so(world, oracle) -> None:
    report, predictions = world.evaluate(oracle())
    assert [task["skipped"] for task in report["tasks"].values()] == [1, 0, 0]
    assert "bad" not in {row["key"] for row in predictions}


def test_a_bad_row_stops_where_the_spec_does_not_skip(world, oracle, tmp_path: Path) -> None:
    strict = tmp_path / "caption.yaml"
    text = world.specs[0].text.replace("on_bad_row: skip", "on_bad_row: stop")
    strict.write_text(text, encoding="utf-8")
    one = type(world)(world.data, [load_task(strict)])
    with pytest.raises(BadRow, match=r"caption/test\.jsonl:25: image: .*images/none\.png"):
        one.evaluate(oracle())


def test_a_split_of_bad_rows_alone_is_an_error(world, oracle, tmp_path: Path) -> None:
    row = {"key": "1", "image": "none.png", "language": "en", "caption": "a", "cell": "seen"}
    (tmp_path / "caption").mkdir()
    (tmp_path / "caption/test.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match="no row of the split 'test' to score: all 1 are bad"):
        type(world)(tmp_path, world.specs[:1]).evaluate(oracle())


def test_a_row_of_predictions_says_all_about_itself(world, oracle) -> None:
    _, predictions = world.evaluate(oracle())
    by_task = {row["task"]: row for row in predictions if row["language"] == "fa"}
    caption, ground, translate = (by_task[n] for n in ("caption", "ground", "translate"))
    assert caption["image"] == "images/5.png"
    assert caption["image_size"] == (60, 30)
    assert caption["references"] == [caption["prediction"]] == ["سگ"]
    assert caption["boxes"] is None
    assert ground["inputs"] == {"phrase": "سگ"}
    assert ground["boxes"] == [pytest.approx([5, 3, 25, 23])]
    assert ground["references"] == [pytest.approx([5, 3, 25, 23])]
    assert translate["inputs"] == {"text": "dog"}
    assert translate["input_languages"] == {"spoken": "en"}
    assert translate["image"] is None
    assert translate["references"] == ["سگ", "سگ".upper()]
    json.dumps(predictions)


def test_a_limit_is_a_fixed_choice_through_the_whole_split(world, oracle) -> None:
    first, second = oracle(), oracle()
    report, _ = world.evaluate(first, limit=7)
    world.evaluate(second, limit=7)
    assert [e.key for e in first.asked] == [e.key for e in second.asked]
    assert sum(task["count"] + task["skipped"] for task in report["tasks"].values()) == 21
    assert len(report["tasks"]["ground"]["by"]["language"]) > 1


def test_progress_ends_at_the_number_of_rows(world, oracle) -> None:
    seen: dict[str, list[int]] = {}

    def note(task: str, done: int, total: int) -> None:
        seen[task] = [done, total]

    world.evaluate(oracle(), progress=note)
    assert seen == {"caption": [25, 25], "ground": [24, 24], "translate": [24, 24]}


def test_results_are_written_and_read_back(world, oracle, tmp_path: Path) -> None:
    from unified_vl.evaluation.results import read_predictions, read_report

    report, predictions = world.evaluate(oracle())
    write_results(report, predictions, tmp_path / "a/report.json", tmp_path / "b.jsonl")
    assert read_report(tmp_path / "a/report.json") == report
    found = read_predictions(tmp_path / "b.jsonl")
    assert found == json.loads(json.dumps(predictions))
    assert "گربه" in (tmp_path / "b.jsonl").read_text(encoding="utf-8")
