"""Tasks that write pictures: scored, read by another task, written down, compared, shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from painting import COLOURS, painter, task
from PIL import Image

from unified_vl.errors import UserError
from unified_vl.evaluation.comparison import compare_reports
from unified_vl.evaluation.drawings import drawings
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.report import write_report
from unified_vl.evaluation.results import Evaluation, read_predictions, write_results
from unified_vl.evaluation.rows import read_rows, rows_path
from unified_vl.inference.predictor import UnifiedVL

SCORES = (
    "{metric: psnr, against: picture, primary: true}",
    "{metric: ssim, against: picture}",
    "{metric: nearest_reference, against: picture}",
    "{metric: nearest_reference, against: picture, top: 5}",
    "{metric: exact_match, against: name, read_by: name_it}",
    "{metric: exact_match, against: name, read_by: name_it, top: 3}",
)
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
    errors, hits = [], {1: [], 3: []}
    names = [name for pair in COLOURS.items() for name in pair]
    for place, (images, name) in enumerate(zip(evaluation.images.values(), names, strict=True)):
        true = np.asarray(Image.open(tmp_path / f"{place // 2}.png").convert("RGB"))
        mse = np.square(np.asarray(images[0], float) - true).mean()
        errors.append(10 * np.log10(255**2 / mse))
        language = "de" if place % 2 else "en"
        said = model.predict("name_it", language, image=images[0], n=3).alternatives
        for top, found in hits.items():
            found.append(name in [one.text for one in said[:top]])
    assert metrics["psnr"] == pytest.approx(np.mean(errors), abs=1e-3)
    for top, found in hits.items():
        assert metrics[f"exact_match:name_it@{top}"] == pytest.approx(100 * np.mean(found))


def test_a_task_that_cannot_read_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"score.4.read_by: the model has no task 'nam_it'"):
        scored(tmp_path, "nam_it")
    with pytest.raises(UserError, match="'paint' does not describe an image"):
        scored(tmp_path, "paint")


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
