"""Shipped specs are scored as their data sets publish it: rows whose scores are known by hand."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unified_vl.codecs.segments import Text
from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.results import Evaluation
from unified_vl.evaluation.scoring import notes_of
from unified_vl.geometry import Point
from unified_vl.inference.prediction import Alternative, Prediction
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

REPOSITORY = Path(__file__).parents[2]


def write_fixture(kind: str, name: str, root: Path) -> None:
    """Made-up files as a data set publishes them (tests/task_specs/fixtures)."""
    path = REPOSITORY / f"tests/task_specs/fixtures/{kind}.py"
    spec = importlib.util.spec_from_file_location(f"fixtures_{kind}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    getattr(module, name)(root)


def shipped(*names: str) -> list[TaskSpec]:
    return [load_task(REPOSITORY / f"task_specs/{name}.yaml") for name in names]


def metrics_of(evaluation: Evaluation, task: str) -> Mapping[str, float]:
    found: Mapping[str, float] = evaluation.report["tasks"][task]["metrics"]
    return found


@pytest.fixture
def vcr(tmp_path: Path) -> Path:
    """Four questions for the two of the fixture."""
    write_fixture("reasoning", "vcr", tmp_path)
    path = tmp_path / "vcr/vcr1annots/val.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] * 2
    lines = [json.dumps(row | {"annot_id": f"val-{n}"}) + "\n" for n, row in enumerate(rows)]
    path.write_text("".join(lines))
    return tmp_path


def wrong_in(**keys: set[str]) -> Callable[[Example], Any]:
    """Another letter where the task has one of these rows."""

    def wrong(example: Example) -> Any:
        (right,) = example.target
        other = "B" if right == Text("A") else "A"
        return Text(other) if example.key in keys.get(example.task, ()) else None

    return wrong


VCR = ("reasoning/vcr_answers", "reasoning/vcr_rationales")
MISTAKES = {"vcr_answers": {"val-1", "val-2"}, "vcr_rationales": {"val-2", "val-3"}}
JOINT = "joint_accuracy:vcr_answers"


@pytest.mark.parametrize("names", [VCR, VCR[::-1]])
def test_vcr_has_both_right_of_the_same_question(
    names: tuple[str, ...], vcr: Path, oracle: Any
) -> None:
    predictor = oracle(wrong_in(**MISTAKES))
    found = evaluate(predictor, shipped(*names), "validation", vcr, model_name="m")
    assert metrics_of(found, "vcr_answers") == {"accuracy": 50}
    assert metrics_of(found, "vcr_rationales") == {"accuracy": 50, JOINT: 25}
    task = found.report["tasks"]["vcr_rationales"]
    assert task["counts"] == {JOINT: 4}
    assert task["by"]["language"]["en"][JOINT] == 25
    assert JOINT in task["intervals"] and JOINT in found.rows["vcr_rationales"].measured
    assert list(notes_of(found.report)) == []


def test_a_score_of_two_tasks_says_which_rows_it_leaves_out(vcr: Path, oracle: Any) -> None:
    alone = evaluate(oracle(), shipped(VCR[1]), "validation", vcr, model_name="m")
    assert metrics_of(alone, "vcr_rationales") == {"accuracy": 100}
    those = "those whose key the other task, scored beside it, has too"
    assert list(notes_of(alone.report)) == [f"vcr_rationales: {JOINT} is of 0 of 4 rows: {those}"]
    assert not set(alone.rows["vcr_rationales"].measured) & {JOINT}

    both = shipped(*VCR)
    path = vcr / "vcr/vcr1annots/val.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    other = vcr / "less/vcr1annots/val.jsonl"
    other.parent.mkdir(parents=True)
    other.write_text("".join(lines[1:]))
    answers = both[0].model_copy(
        update={"data": both[0].data.model_copy(update={"path": "less/vcr1annots/{split}.jsonl"})}
    )
    found = evaluate(oracle(), [answers, both[1]], "validation", vcr, model_name="m")
    assert metrics_of(found, "vcr_rationales")[JOINT] == 100
    assert list(notes_of(found.report)) == [f"vcr_rationales: {JOINT} is of 3 of 4 rows: {those}"]


def test_tasks_that_need_each_other_are_refused(vcr: Path, tmp_path: Path, oracle: Any) -> None:
    text = (REPOSITORY / f"task_specs/{VCR[1]}.yaml").read_text(encoding="utf-8")
    names = [("one", "two"), ("two", "one")]
    for name, other in names:
        changed = text.replace("task: vcr_rationales", f"task: {name}")
        changed = changed.replace("with: vcr_answers", f"with: {other}")
        (tmp_path / f"{name}.yaml").write_text(changed, encoding="utf-8")
    specs = [load_task(tmp_path / f"{name}.yaml") for name, _ in names]
    with pytest.raises(UserError, match=r"score.1.with: these tasks need each other's answers"):
        evaluate(oracle(), specs, "validation", vcr, model_name="m")


def test_visdial_has_the_ranks_of_a_hundred_answers(tmp_path: Path, oracle: Any) -> None:
    write_fixture("reasoning", "visdial", tmp_path)

    class Ranker(oracle):
        """Puts the right number of image 2 at rank 7, and all else in order of the numbers."""

        def predict_examples(self, spec: TaskSpec, examples: Any, size: int, *, n: int = 1) -> Any:
            assert n == 100
            for found in super().predict_examples(spec, examples, size):
                numbers = [str(number) for number in range(1, 101)]
                if found.key.startswith("2_"):
                    numbers.remove(found.text)
                    numbers.insert(6, found.text)
                ranked = tuple(Alternative(number, -1.0) for number in numbers)
                yield replace(found, text=numbers[0], alternatives=ranked)

    found = evaluate(
        Ranker(), shipped("dialogue/visdial_options"), "validation", tmp_path, model_name="m"
    )
    scores = metrics_of(found, "visdial_options")
    # two rounds each of image 2, whose answer is number 3, and image 3, whose answer is 4
    assert {name: scores[name] for name in ("recall@1", "recall@5", "recall@10")} == {
        "recall@1": 0,
        "recall@5": 50,
        "recall@10": 100,
    }
    assert scores["mean_rank"] == 5.5
    assert scores["mean_reciprocal_rank"] == pytest.approx(100 * (1 / 7 + 1 / 4) / 2, abs=1e-4)
    # relevance 0.5, 0, 1, 0.25 of the first four: three places count
    ideal = 1 + 0.5 / math.log2(3) + 0.25 / 2
    first = (0.5 + 0.25 / 2) / ideal  # 1, 2, 4
    second = (0.5 + 1 / 2) / ideal  # 1, 2, 3
    assert scores["ndcg"] == pytest.approx(100 * (first + second) / 2, abs=1e-4)
    (note,) = notes_of(found.report)
    assert note == "visdial_options: ndcg is of 2 of 4 rows: those with a relevant choice"
    assert list(found.report["tasks"]["visdial_options"]["by"]["round"]["2"]) == [
        name for name in ("count", *scores) if name != "ndcg"
    ]


def test_coco_keypoints_have_their_average_precision(tmp_path: Path, oracle: Any) -> None:
    write_fixture("coco", "keypoints", tmp_path)
    specs = shipped("grounding/coco_keypoints")

    def elsewhere(example: Example) -> Any:
        return Point(0.99, 0.99) if example.where.endswith((":3", ":4")) else None

    right = evaluate(oracle(), specs, "validation", tmp_path, model_name="m")
    assert metrics_of(right, "coco_keypoints") == {"point_accuracy": 100, "keypoint_ap": 100}
    # of two people one is found: precision 1 up to half of the recall
    half = evaluate(oracle(elsewhere), specs, "validation", tmp_path, model_name="m")
    assert metrics_of(half, "coco_keypoints") == {
        "point_accuracy": 50,
        "keypoint_ap": pytest.approx(100 * 51 / 101, abs=1e-4),
    }
    assert "keypoint_ap" not in half.report["tasks"]["coco_keypoints"]["intervals"]


def test_grounded_captions_have_the_f1_of_their_boxes(tmp_path: Path, oracle: Any) -> None:
    write_fixture("flickr30k_entities", "entities", tmp_path)
    specs = shipped("captioning/flickr30k_grounded_captions")

    class Writer(oracle):
        """Writes the boxes of the sentence, or all of them somewhere else."""

        elsewhere = False

        def predict_examples(self, spec: TaskSpec, examples: Any, size: int, *, n: int = 1) -> Any:
            for example in examples:
                boxes = example.references["grounded"]
                if self.elsewhere:
                    boxes = [replace(box, x1=0.0, y1=0.0, x2=0.01, y2=0.01) for box in boxes]
                yield Prediction(example.key, "a man", [], -1.0, segments=tuple(boxes))

    right, wrong = Writer(), Writer()
    wrong.elsewhere = True
    for predictor, expected in ((right, 100), (wrong, 0)):
        found = evaluate(predictor, specs, "test", tmp_path, model_name="m")
        scores = metrics_of(found, "flickr30k_grounded_captions")
        assert scores["grounding_f1_all"] == scores["grounding_f1_loc"] == expected
