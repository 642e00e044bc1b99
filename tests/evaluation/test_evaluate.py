"""unified_vl/evaluation/evaluate.py: the numbers and what they are broken down by."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from unified_vl.codecs.segments import Text
from unified_vl.errors import BadRow, UserError
from unified_vl.evaluation.results import write_results
from unified_vl.evaluation.rows import read_rows, rows_path
from unified_vl.geometry import Box
from unified_vl.specs.load import load_task


def test_right_answers_score_100_everywhere(world, oracle) -> None:
    report, predictions, *_ = world.evaluate(oracle())
    assert list(report) == ["model", "training", "version", "seconds", "tasks"]
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


def test_the_report_says_which_step_its_model_is_of(world, oracle) -> None:
    facts = {"steps": 12, "scored_step": 10}
    assert world.evaluate(oracle(facts=facts)).report["training"] == facts


def test_scores_are_told_apart_by_language_and_cell(world, oracle) -> None:
    def wrong(example):
        spoiled = example.language == "fa" and example.task == "caption"
        return Text("?") if spoiled else None

    report, predictions, *_ = world.evaluate(oracle(wrong))
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

    report, predictions, *_ = world.evaluate(oracle(shifted))
    metrics = report["tasks"]["ground"]["metrics"]
    assert metrics == {"box_accuracy:box@0.5": 100.0, "box_accuracy:box@0.9": 0.0}
    assert report["tasks"]["ground"]["primary"] == "box_accuracy:box@0.9"
    assert not any(row["correct"] for row in predictions if row["task"] == "ground")


def test_a_mean_over_languages_counts_each_the_same(world, oracle, tmp_path: Path) -> None:
    """A third of the German rows is wrong, and all English ones, which the mean leaves out."""

    def wrong(example):
        german = example.language == "de" and example.key in {"0-de", "1-de"}
        return Text("?") if german or example.language == "en" else None

    primary = "  - {metric: exact_match, against: caption, primary: true}\n"
    assert primary in world.specs[0].text
    mean = "  - {metric: exact_match, against: caption, mean_over: language, without: [eng]}\n"
    path = tmp_path / "caption.yaml"
    path.write_text(world.specs[0].text.replace(primary, primary + mean), encoding="utf-8")
    evaluation = type(world)(world.data, [load_task(path)]).evaluate(oracle(wrong))
    task = evaluation.report["tasks"]["caption"]
    label = "exact_match:mean_over_language_without_eng"
    by = task["by"]["language"]
    others = [by[tag]["exact_match"] for tag in ("de", "fa", "ja")]
    assert task["metrics"][label] == pytest.approx(sum(others) / 3, abs=1e-3)
    assert task["metrics"]["exact_match"] != task["metrics"][label]
    assert label not in by["en"] and by["fa"][label] == 100
    low, high = task["intervals"][label]
    assert low <= task["metrics"][label] <= high
    write_results(evaluation, tmp_path / "a.json", None)
    (read,) = read_rows(rows_path(tmp_path / "a.json")).values()
    assert read.measured[label].score() == pytest.approx(task["metrics"][label], abs=1e-3)


def test_rows_with_truncated_images_are_counted(world, oracle, tmp_path: Path) -> None:
    shutil.copytree(world.data, tmp_path / "data")
    rows = (tmp_path / "data/caption/test.jsonl").read_text(encoding="utf-8").splitlines()
    cut = json.loads(rows[0])["image"]
    with Image.open(tmp_path / "data" / cut) as image:
        image.save(tmp_path / "whole.jpg")
    (tmp_path / "data" / cut).write_bytes((tmp_path / "whole.jpg").read_bytes()[:-2])
    of_it = sum(json.loads(row)["image"] == cut for row in rows)
    text = world.specs[0].text
    path = tmp_path / "caption.yaml"
    for more, counted in (("", "skipped"), ("\n  truncated_images: allow", "truncated")):
        path.write_text(text.replace("on_bad_row: skip", f"on_bad_row: skip{more}"))
        report = type(world)(tmp_path / "data", [load_task(path)]).evaluate(oracle()).report
        whole = world.evaluate(oracle()).report["tasks"]["caption"]
        task = report["tasks"]["caption"]
        assert task[counted] - whole.get(counted, 0) == of_it > 0
        assert whole["count"] - task["count"] == (of_it if counted == "skipped" else 0)


def test_bad_rows_are_skipped_and_counted_where_the_spec_says_so(world, oracle) -> None:
    report, predictions, *_ = world.evaluate(oracle())
    assert [task["skipped"] for task in report["tasks"].values()] == [1, 0, 0]
    assert "bad" not in {row["key"] for row in predictions}


def test_a_bad_row_stops_where_the_spec_does_not_skip(world, oracle, tmp_path: Path) -> None:
    strict = tmp_path / "caption.yaml"
    text = world.specs[0].text.replace("on_bad_row: skip", "on_bad_row: stop")
    strict.write_text(text, encoding="utf-8")
    one = type(world)(world.data, [load_task(strict)])
    with pytest.raises(BadRow, match=r"caption/test\.jsonl:25: image: .*images/none\.png"):
        one.evaluate(oracle())


@pytest.mark.parametrize(
    ("splits", "says"),
    [
        (
            "{train: train}",
            "expected --split train; splits: {fraction: {train: 0.9, test: 0.1}} ho",
        ),
        ("{train: train, validation: dev}", "expected --split train or --split validation"),
    ],
)
def test_without_a_test_split_it_says_what_could_be_scored_before_it_answers(
    world, oracle, tmp_path: Path, splits: str, says: str
) -> None:
    path = tmp_path / "translate.yaml"
    text = re.sub(r"splits: \{.*?\}", f"splits: {splits}", world.specs[2].text)
    path.write_text(text, encoding="utf-8")
    predictor = oracle()
    with pytest.raises(UserError) as error:
        type(world)(world.data, [world.specs[0], load_task(path)]).evaluate(predictor)
    assert says in str(error.value)
    assert predictor.asked == []


def test_a_split_of_bad_rows_alone_is_an_error(world, oracle, tmp_path: Path) -> None:
    row = {"key": "1", "image": "none.png", "language": "en", "caption": "a", "cell": "seen"}
    (tmp_path / "caption").mkdir()
    (tmp_path / "caption/test.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match="no row of the split 'test' to score: all 1 are bad"):
        type(world)(tmp_path, world.specs[:1]).evaluate(oracle())


def test_a_row_of_predictions_says_all_about_itself(world, oracle) -> None:
    _, predictions, *_ = world.evaluate(oracle())
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
    report, *_ = world.evaluate(first, limit=7)
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

    evaluation = world.evaluate(oracle())
    report, predictions, *_ = evaluation
    write_results(evaluation, tmp_path / "a/report.json", tmp_path / "b.jsonl")
    assert read_report(tmp_path / "a/report.json") == report
    found = read_predictions(tmp_path / "b.jsonl")
    assert found == json.loads(json.dumps(predictions))
    assert "گربه" in (tmp_path / "b.jsonl").read_text(encoding="utf-8")


DETECT = """
task: detect
version: 1
about: Point to all of it.
data: {reader: jsonl, path: "{split}.jsonl", splits: {test: test}, languages: [en]}
fields:
  image: {kind: image, column: image}
  boxes: {kind: box, column: boxes, layout: xyxy, units: pixels, many: true}
example: {source: "{image}", target: "{boxes}"}
generate: {allow: box, max_tokens: 17}
score: [{metric: coco_map, against: boxes, primary: true}]
"""


def test_all_boxes_of_a_row_are_scored(oracle, tmp_path: Path) -> None:
    from PIL import Image

    from unified_vl.evaluation.evaluate import evaluate

    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    boxes = [[[0, 0, 4, 4], [5, 5, 9, 9]], [[1, 1, 6, 6]]]
    rows = [json.dumps({"image": "a.png", "boxes": each}) for each in boxes]
    (tmp_path / "test.jsonl").write_text("\n".join(rows))
    (tmp_path / "detect.yaml").write_text(DETECT)
    spec = load_task(tmp_path / "detect.yaml")

    class AllBoxes(oracle):
        def predict_examples(self, spec, examples, batch_size):
            for example in examples:
                (answer,) = super().predict_examples(spec, iter([example]), batch_size)
                yield replace(answer, segments=example.target)

    def scored(model):
        return evaluate(model, [spec], "test", tmp_path, model_name="m")

    report, predictions, *_ = scored(AllBoxes())
    assert report["tasks"]["detect"]["metrics"] == {"coco_map": 100.0}
    assert report["tasks"]["detect"]["intervals"] == {}
    assert [row["correct"] for row in predictions] == [True, True]
    report, predictions, *_ = scored(oracle())  # the first box of each row alone
    assert 0 < report["tasks"]["detect"]["metrics"]["coco_map"] < 100
    assert [row["correct"] for row in predictions] == [False, True]


COMPARE = """\
task: compare
version: 1
about: Say whether two pictures are alike.
data: {reader: jsonl, path: test.jsonl, splits: {test: test}, languages: [en]}
fields:
  images: {kind: image, column: images, many: true}
  answer: {kind: text, column: answer}
example: {source: "{images}", target: "{answer}"}
generate: {max_tokens: 4}
score: [{metric: exact_match, against: answer, primary: true}]
"""


def test_a_row_of_several_images_names_them_all(oracle, tmp_path: Path) -> None:
    from PIL import Image

    from unified_vl.evaluation.evaluate import evaluate

    for name in ("a.png", "b.png"):
        Image.new("RGB", (10, 10)).save(tmp_path / name)
    (tmp_path / "test.jsonl").write_text('{"images": ["a.png", "b.png"], "answer": "yes"}')
    (tmp_path / "compare.yaml").write_text(COMPARE)
    spec = load_task(tmp_path / "compare.yaml")
    (row,) = evaluate(oracle(), [spec], "test", tmp_path, model_name="m").predictions
    assert row["several_images"] == ["a.png", "b.png"]


def test_the_terminal_shows_an_interval_beside_its_score(world, oracle) -> None:
    from rich.console import Console

    from unified_vl.cli.evaluation.evaluate import fitting_table

    report = world.evaluate(oracle(lambda e: Text("?") if e.language == "fa" else None)).report
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(fitting_table(report, console)[0])
    (line,) = [t for t in console.export_text().splitlines() if "caption" in t and "exact" in t]
    low, high = report["tasks"]["caption"]["intervals"]["exact_match"]
    assert f"{low:.1f}–{high:.1f}" in line
    del report["tasks"]["caption"]["intervals"]
    assert fitting_table(report, console)[0].row_count == 5


def test_a_narrow_terminal_shows_whole_names_and_fewer_columns() -> None:
    from rich.console import Console

    from unified_vl.cli.evaluation.evaluate import fitting_table

    scores = {"count": 4, "exact_match": 50.0}
    task = {
        "metrics": {"exact_match": 50.0},
        "intervals": {"exact_match": [40.0, 60.0]},
        "count": 8,
        "by": {
            "cell": {"seen": scores, "held out": scores},
            "style": dict.fromkeys(("watercolour", "photograph", "engraving"), scores),
        },
    }
    report = {"model": "m", "seconds": 1.0, "tasks": {"name_the_birds": task}}
    for width, left_out in ((160, []), (80, ["style"]), (60, ["cell", "style"])):
        console = Console(width=width, record=True, file=io.StringIO())
        table, missing = fitting_table(report, console)
        console.print(table)
        assert missing == left_out
        (line,) = [t for t in console.export_text().splitlines() if "name_the_birds" in t]
        assert "exact_match" in line
