"""The report of tasks that write shapes: all kinds are drawn, with their labels, on any screen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl.codecs.segments import Segment
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.evaluation.reporting.browser import BROWSERS
from unified_vl.evaluation.reporting.charts import Curve, draw_curve
from unified_vl.evaluation.reporting.report import write_report
from unified_vl.evaluation.results import write_results
from unified_vl.geometry import Box, Point, Polygon, to_pixels
from unified_vl.inference.prediction import Prediction
from unified_vl.specs.load import load_task

SPEC = """
task: where
version: 1
about: Point to it.
data: {{reader: jsonl, path: "{{split}}.jsonl", splits: {{validation: held}}, languages: [en]}}
fields:
  image: {{kind: image, column: image}}
{labels}  where: {{kind: {kind}, column: where{field}, units: pixels}}
example: {{source: "{{task}} {{image}}", target: "{{where}}"}}
generate: {{allow: {allow}, max_tokens: 40}}
score: [{{metric: {metric}, against: where, primary: true}}]
"""
LABELS = "  labels: {kind: text, column: labels, many: true}\n"
LONG = "Donaudampfschifffahrtsgesellschaft" * 4
KINDS: dict[str, tuple[dict[str, str], Any, tuple[Segment, ...], dict[str, Any], str]] = {
    "boxes with labels": (
        {
            "kind": "box",
            "field": ", many: true, layout: xyxy, labels: labels",
            "allow": "labelled_boxes",
            "metric": "coco_map",
        },
        [[4, 3, 20, 12]],
        (Box(0.1, 0.2, 0.601, 0.8, "a dog"),),
        {"labels": ["a dog"], "reference_labels": ["cat"], "boxes": [[4.0, 6.0, 24.04, 24.0]]},
        '<rect class="guess" stroke',
    ),
    "a box": (
        {"kind": "box", "field": ", layout: xyxy", "allow": "box", "metric": "box_accuracy"},
        [4, 3, 20, 12],
        (Box(0.1, 0.2, 0.601, 0.8),),
        {"boxes": [[4.0, 6.0, 24.04, 24.0]]},
        '<rect class="guess" stroke',
    ),
    "a point": (
        {"kind": "point", "field": "", "allow": "point", "metric": "point_accuracy"},
        [4, 3],
        (Point(0.1, 0.601),),
        {"points": [[4.0, 18.03]], "boxes": None},
        'd="M4.0 18.03h0"',
    ),
    "a polygon": (
        {"kind": "polygon", "field": "", "allow": "polygon", "metric": "mask_iou"},
        [4, 3, 20, 3, 20, 12],
        (Polygon((0.1, 0.1, 0.5, 0.1, 0.5, 0.5)),),
        {"polygons": [[4.0, 3.0, 20.0, 3.0, 20.0, 15.0]], "boxes": None},
        'points="4.0 3.0 20.0 3.0 20.0 15.0"',
    ),
}


def answer(key: str, segments: tuple[Segment, ...], text: str) -> Prediction:
    """As the predictor puts it together."""
    found: dict[type, list[list[float]]] = {Box: [], Point: [], Polygon: []}
    for each in segments:
        assert isinstance(each, Box | Point | Polygon)
        found[type(each)].append(to_pixels(each, 40, 30))
    shapes: dict[str, list[Any]] = {"points": found[Point], "polygons": found[Polygon]}
    shapes = {name: values for name, values in {"boxes": found[Box], **shapes}.items() if values}
    if text:
        shapes["labels"] = [each.label for each in segments if isinstance(each, Box)]
    return Prediction(key, text, -0.5, segments=segments, shapes=shapes)


def page_of(kind: str, root: Path, oracle: Any, label: str = "cat") -> tuple[dict[str, Any], Path]:
    """The one row of predictions, and the page."""
    words, true, said, _, _ = KINDS[kind]
    Image.new("RGB", (40, 30)).save(root / "1.png")
    row = {"image": "1.png", "where": true, "labels": [label]}
    (root / "held.jsonl").write_text(json.dumps(row) + "\n")
    labels = LABELS if "labels" in words["field"] else ""
    (root / "where.yaml").write_text(SPEC.format(**words, labels=labels))
    predictor = oracle()
    text = label if "labels" in words["field"] else ""
    predictor.predict_examples = lambda spec, examples, size: (
        answer(example.key, said, text) for example in examples
    )
    spec = load_task(root / "where.yaml")
    found = evaluate(predictor, [spec], "validation", root, model_name="m")
    run = root / "run"
    write_results(found, run / "report.json", run / "predictions.jsonl")
    return found.predictions[0], write_report(run, root)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_of_every_kind_are_kept_and_drawn(oracle, tmp_path: Path, kind: str) -> None:
    row, path = page_of(kind, tmp_path, oracle)
    _, true, _, kept, drawn = KINDS[kind]
    assert {name: row[name] for name in kept} == kept
    assert row["references"] == [[float(v) for v in (true[0] if "labels" in kind else true)]]
    page = path.read_text(encoding="utf-8")
    assert drawn in page
    assert ("a dog</text>" in page, ">cat</text>" in page) == ("labels" in kept, "labels" in kept)


def test_the_page_names_the_split_that_was_scored(oracle, tmp_path: Path) -> None:
    _, path = page_of("a box", tmp_path, oracle)
    page = path.read_text(encoding="utf-8")
    assert 'aria-label="validation image"' in page and "Images of the validation split" in page
    assert "test" not in page.partition("<body>")[2].lower()


def test_a_curve_of_one_step_is_seen() -> None:
    one, many = Curve(training=[(1, 2.0)]), Curve(training=[(n, 2.0) for n in range(9)])
    dots = [draw_curve("t", curve, 9).count("var(--accent)") - 1 for curve in (one, many)]
    assert dots[0] > 0 and dots[1] == 0


@pytest.mark.skipif(
    not any(map(shutil.which, BROWSERS)), reason=f"no browser: none of {', '.join(BROWSERS)}"
)
def test_no_page_is_wider_than_a_telephone(oracle, tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    _, path = page_of("boxes with labels", tmp_path, oracle, LONG)
    report = json.loads((path.parent / "report.json").read_text())
    (task,) = report["tasks"].values()
    of_language = task["by"] or {"language": {"en": {"count": 1} | task["metrics"]}}
    report["tasks"] |= {f"{LONG}_{n}": task | {"by": of_language} for n in range(4)}
    (path.parent / "report.json").write_text(json.dumps(report))
    write_report(path.parent, tmp_path)
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.goto(path.as_uri())
        assert LONG in page.content()
        assert page.evaluate("document.documentElement.scrollWidth") == 400
        browser.close()
