from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.data.example import Example
from unified_vl.data.rows.row import Row
from unified_vl.evaluation.scoring import Scored, measure, score_task
from unified_vl.inference.prediction import Prediction
from unified_vl.metrics.answers import Answers
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.texts.consistency import group_accuracy
from unified_vl.specs.load import load_task

KEYS = ["whole", "part", "colour", "alone"]
IMPLIED = [["part", "colour", "not scored"], ["whole"], [], []]


def score(*predictions: str, rows: list[int] | None = None) -> float:
    answers = Answers(predictions, [("yes",)] * 4, ["en"] * 4, keys=KEYS, implied=IMPLIED)
    measured = METRICS["consistency"].measure(answers)
    return measured.score(rows)


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (("yes", "yes", "yes", "no"), 100.0),
        (("yes", "no", "Yes", "yes"), 50.0),  # `part` is wrong, and so says nothing of `whole`
        (("yes", "yes", "no", "no"), 75.0),  # the mean of a half and of one
        (("no", "yes", "yes", "yes"), 0.0),
        (("no", "no", "yes", "yes"), 0.0),  # nothing to score
    ],
)
def test_what_follows_from_a_right_answer(predictions: tuple[str, ...], expected: float) -> None:
    assert score(*predictions) == expected


def test_a_part_of_the_rows_is_scored_by_all_of_them() -> None:
    assert score("yes", "no", "yes", "yes", rows=[0]) == 50.0
    assert score("yes", "no", "yes", "yes", rows=[3]) == 0.0


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (("yes", "Yes", "yes", "yes"), 100.0),
        (("yes", "yes", "no", "yes"), 100 * 2 / 3),
        (("no", "yes", "yes", "no"), 100 / 3),
        (("no", "no", "no", "no"), 0.0),
    ],
)
def test_a_group_counts_once_and_only_when_all_of_it_is_right(
    predictions: tuple[str, ...], expected: float
) -> None:
    answers = Answers(predictions, [("yes",)] * 4, ["en"] * 4, groups=["a", "a", "b", "c"])
    assert METRICS["group_accuracy"].score(answers) == pytest.approx(expected)
    assert group_accuracy([], []).shape == (0, 2)


def test_a_report_takes_what_follows_from_the_column_of_the_spec() -> None:
    spec = load_task(Path(__file__).parents[2] / "task_specs/vqa/gqa.yaml")
    scored = Scored()
    for key, implied, said in (("1", ["2", "3"], "red"), ("2", None, "red"), ("3", [], "blue")):
        columns = {"key": key, "entailed": implied}
        scored.rows.append(Row(columns, "questions.json", int(key), None))
        example = Example(spec.task, "en", key, (), (), {"answer": ("red",)}, {}, "", None)
        scored.examples.append(example)
        scored.predictions.append(Prediction(key, said, 0.0))
    report = score_task(spec, scored, measure(spec, scored), resamples=0)
    assert report["metrics"] == {"accuracy": 66.6667, "consistency": 50.0}


def test_joint_accuracy_is_of_rows_that_have_a_partner() -> None:
    answers = Answers(
        ["yes", "no", "YES", "yes"], [["yes"]] * 4, ["en"] * 4, partners=[True, True, False, None]
    )
    assert METRICS["joint_accuracy"].score(answers) == pytest.approx(100 / 3)
    assert METRICS["joint_accuracy"].score(answers.of([0, 1])) == 50
