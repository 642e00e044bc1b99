"""Tasks that write pictures: scored, read by another task, written down, compared, shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.painting import COLOURS, TASKS, painter, task
from unified_vl.codecs.image_codes import GREY
from unified_vl.errors import UserError
from unified_vl.evaluation.comparison import compare_reports
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.reporting.drawings import SHOWN, drawings
from unified_vl.evaluation.reporting.report import write_report
from unified_vl.evaluation.results import Evaluation, read_predictions, write_results
from unified_vl.evaluation.rows import read_rows, rows_path
from unified_vl.inference.predictor import UnifiedVL

pytestmark = pytest.mark.usefixtures("code_cache")
SCORES = (
    "{metric: psnr, against: picture, primary: true}",
    "{metric: ssim, against: picture}",
    "{metric: nearest_reference, against: picture}",
    "{metric: nearest_reference, against: picture, top: 5}",
    "{metric: exact_match, against: name, read_by: name_it}",
    "{metric: exact_match, against: name, read_by: name_it, top: 3}",
)
KEYS = {"image_size": None, "boxes": None, "score": -1.0, "correct": False}
SCORE = f"score: [{', '.join(SCORES)}]"


def scored(root: Path, reader: str = "name_it") -> tuple[UnifiedVL, Evaluation]:
    paint = task(root, "paint", score=SCORE.replace("name_it", reader))
    model = UnifiedVL(painter(root, [paint, task(root, "name_it")]))
    return model, evaluate(model, [paint], "test", root, model_name="m", batch_size=4)


def test_scores_are_of_the_pictures_and_of_what_is_read_in_them(tmp_path: Path) -> None:
    model, evaluation = scored(tmp_path)
    metrics = evaluation.report["tasks"]["paint"]["metrics"]
    assert list(metrics) == [
        "psnr",
        "ssim",
        "nearest_reference@1",
        "nearest_reference@5",
        "exact_match:name_it@1",
        "exact_match:name_it@3",
    ]
    assert metrics["nearest_reference@5"] == 100.0  # there are five
    assert len(evaluation.images) == len(evaluation.predictions) == 10
    errors: list[float] = []
    hits: dict[int, list[bool]] = {1: [], 3: []}
    names = [name for pair in COLOURS.items() for name in pair]
    for place, (images, name) in enumerate(zip(evaluation.images.values(), names, strict=True)):
        true = np.asarray(Image.open(tmp_path / f"{place // 2}.png").convert("RGB"))
        mse = np.square(np.asarray(images[0], float) - true).mean()
        errors.append(10 * np.log10(255**2 / mse))
        language = "de" if place % 2 else "en"
        for top, found in hits.items():
            said = model.predict("name_it", language, image=images[0], n=top)
            found.append(name in [one.text for one in said.alternatives or (said,)])
    assert metrics["psnr"] == pytest.approx(np.mean(errors), abs=1e-3)
    for top, found in hits.items():
        assert metrics[f"exact_match:name_it@{top}"] == pytest.approx(100 * np.mean(found))


def test_a_task_that_cannot_read_pictures_is_refused_before_a_row_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(UnifiedVL, "predict_examples")
    with pytest.raises(UserError, match=r"score.4.read_by: the model has no task 'nam_it'") as told:
        scored(tmp_path, "nam_it")
    assert told.value.nearest == "name_it"
    with pytest.raises(UserError, match="'paint' does not describe an image"):
        scored(tmp_path, "paint")
    monkeypatch.setitem(TASKS, "name_it", TASKS["name_it"].replace("[en, de]", "[en]"))
    with pytest.raises(UserError, match="'name_it' does not have the language 'de'"):
        scored(tmp_path)


def test_what_is_read_can_be_compared_with_several_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "  path: {kind: text, column: picture}\n  name: {"
    monkeypatch.setitem(TASKS, "paint", TASKS["paint"].replace("  name: {", path, 1))
    both = SCORE.replace("exact_match, against: name", "exact_match, against: path", 1)
    paint = task(tmp_path, "paint", score=both)
    model = UnifiedVL(painter(tmp_path, [paint, task(tmp_path, "name_it")]))
    evaluation = evaluate(model, [paint], "test", tmp_path, model_name="m")
    labels = list(evaluation.report["tasks"]["paint"]["metrics"])
    assert labels[-2:] == ["exact_match:path:name_it@1", "exact_match:name:name_it@3"]


def test_predictions_say_what_was_to_be_completed(tmp_path: Path) -> None:
    complete = task(
        tmp_path, "complete", score="score: [{metric: psnr, against: picture, primary: true}]"
    )
    model = UnifiedVL(painter(tmp_path, [complete]))
    evaluation = evaluate(model, [complete], "test", tmp_path, model_name="m")
    run = tmp_path / "run"
    write_results(evaluation, run / "report.json", run / "predictions.jsonl")
    rows = read_predictions(run / "predictions.jsonl")
    for place, row in enumerate(rows):
        assert row["given"] == f"predictions.images/{place:06d}-given.png"
        seen, drawn = (np.asarray(Image.open(run / n)) for n in (row["given"], *row["images"]))
        seen_hwc, drawn_hwc = (p.reshape(2, 4, 2, 4, 3).swapaxes(1, 2) for p in (seen, drawn))
        grey = (seen_hwc == GREY).all((2, 3, 4))
        assert grey.sum() == 2  # half of the four squares
        assert not (drawn_hwc == GREY).all((2, 3, 4)).any()
    ((_, shown),) = drawings(rows, run, tmp_path)
    assert all(one.given is not None for one in shown)
    assert len({one.given.data for one in shown}) > len(COLOURS)  # masked in several ways


def test_pictures_of_an_earlier_evaluation_go_and_other_files_stay(tmp_path: Path) -> None:
    _, evaluation = scored(tmp_path)
    output = tmp_path / "run" / "predictions.jsonl"
    write_results(evaluation, tmp_path / "report.json", output)
    folder = output.with_name("predictions.images")
    for name in ("000900.png", "000900-given.png", "000900-2.1.png", "mine.png", "000900.txt"):
        (folder / name).write_bytes(b"")
    write_results(evaluation, tmp_path / "report.json", output)
    there = {path.name for path in folder.iterdir()}
    assert there == {f"{place:06d}.png" for place in range(10)} | {"mine.png", "000900.txt"}


def test_pictures_are_written_compared_and_shown(tmp_path: Path) -> None:
    _, evaluation = scored(tmp_path)
    run = tmp_path / "run"
    write_results(evaluation, run / "report.json", run / "predictions.jsonl")
    rows = read_predictions(run / "predictions.jsonl")
    for place, row in enumerate(rows):
        assert row["references"] == [f"{place // 2}.png"]
        (name,) = row["images"]
        assert Image.open(run / name).tobytes() == evaluation.images[place][0].tobytes()
    kept = read_rows(rows_path(run / "report.json"))
    assert len(set(kept["paint"].references)) == 10  # a colour and its name in a language
    same = compare_reports(run / "report.json", run / "report.json", resamples=10)
    assert "psnr" in json.dumps(same, default=str)
    ((name, shown),) = drawings(rows, run, tmp_path)
    assert name == "paint" and len(shown) == 10
    assert {one.asked[0] for one in shown} == {name for pair in COLOURS.items() for name in pair}
    assert all(one.drawn is not None and one.true is not None for one in shown)
    page = write_report(run, tmp_path).read_text(encoding="utf-8")
    assert page.count('class="drawn pixels"') == 10 and "grün" in page
    model, _ = scored(tmp_path)
    for row, one, image in zip(rows, shown, evaluation.images.values(), strict=True):
        said = model.predict("name_it", row["language"], image=image[0]).text
        assert row["readings"]["name_it@1"] == [said] and len(row["readings"]["name_it@3"]) == 3
        assert one.readings == (("name_it", said),)


def test_reports_on_other_true_pictures_are_not_compared(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    _, evaluation = scored(tmp_path)
    write_results(evaluation, first, None)
    paint = task(
        tmp_path, "paint", score="score: [{metric: psnr, against: picture, primary: true}]"
    )
    model = UnifiedVL(painter(tmp_path, [paint]))
    Image.new("RGB", (8, 8), "orange").save(tmp_path / "0.png")
    again = evaluate(model, [paint], "test", tmp_path, model_name="m")
    write_results(again, second, None)
    with pytest.raises(UserError, match="right answers"):
        compare_reports(first, second, resamples=10)


def drawn_row(number: int, language: str, cell: str, **values: Any) -> dict[str, Any]:
    return {
        "key": str(number),
        "task": "draw",
        "language": language,
        "cell": cell,
        "inputs": {"name": f"{language} {number}"},
        "input_languages": {},
        "image": None,
        "prediction": "",
        "references": [],
        "images": [f"{number}.png"],
    } | values


def test_seen_and_held_out_rows_are_shown_in_many_languages(tmp_path: Path) -> None:
    rows = [
        drawn_row(n, ("en", "fa", "ja")[n % 3], "held_out" if n % 10 == 0 else "seen")
        for n in range(300)
    ]
    ((_, shown),) = drawings(rows, tmp_path, tmp_path)
    cells = [one.cell for one in shown]
    assert cells == ["seen"] * (SHOWN * 2 // 3) + ["held_out"] * (SHOWN // 3)
    assert {one.language.tag for one in shown} == {"en", "fa", "ja"}
    assert drawings(rows, tmp_path, tmp_path) == [("draw", shown)]
    assert shown[0].drawn is None  # the files are gone


def test_texts_stand_in_the_direction_of_their_language(tmp_path: Path) -> None:
    _, evaluation = scored(tmp_path)
    write_results(evaluation, tmp_path / "report.json", tmp_path / "predictions.jsonl")
    given = {
        "input_languages": {"spoken": "fa"},
        "readings": {"name_it@5": ["آبی", "سبز"], "name_it@1": ["قرمز"]},
    }
    Image.new("RGB", (8, 8), "red").save(tmp_path / "1.png")
    lines = [drawn_row(1, "ar", "held_out", inputs={"name": "پاندا"}, **given)]
    text = "".join(json.dumps(KEYS | line) + "\n" for line in lines)
    (tmp_path / "predictions.jsonl").write_text(text, encoding="utf-8")
    page = write_report(tmp_path, tmp_path).read_text(encoding="utf-8")
    assert '<span class="" lang="fa" dir="rtl">پاندا</span>' in page
    assert '<span class="said" lang="ar" dir="rtl">قرمز</span>' in page
    assert '<small class="held">held out</small>' in page
