"""A spec that the model has never seen may ask for shapes: they come back in the user's pixels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from unified_vl.inference.drawing import draw_shapes
from unified_vl.inference.prediction import FLAGS
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model, save_model
from unified_vl.specs.load import load_task

SPEC = """\
task: find_all
version: 1
about: Find things.
data: {{reader: jsonl, path: "{{split}}.jsonl", splits: {{test: test}}, languages: [en]}}
fields:
  image: {{kind: image, column: image}}
  found: {field}
{more}
example: {{source: "{{image}}", target: "{{found}}"}}
generate: {{allow: {allow}, max_tokens: 30}}
score: [{{metric: {metric}, against: found, primary: true}}]
"""
LABELS = "  names: {kind: label, column: names, many: true, names: {file: classes.txt}}"
BOXES = "{kind: box, column: f, many: true, layout: xyxy, units: pixels, labels: names}"


def write_spec(folder: Path, field: str, allow: str, metric: str, more: str = "") -> Path:
    path = folder / "find_all.yaml"
    path.write_text(SPEC.format(field=field, allow=allow, metric=metric, more=more))
    (folder / "classes.txt").write_text("cat\ndog\n")
    return path


@pytest.mark.parametrize(
    ("field", "allow", "metric", "key", "numbers"),
    [
        ("{kind: point, column: f, units: pixels}", "point", "point_accuracy", "points", 2),
        ("{kind: polygon, column: f, units: pixels}", "polygon", "mask_iou", "polygons", 6),
        (BOXES, "labelled_boxes", "coco_map", "boxes", 4),
    ],
)
def test_shapes_come_back_in_pixels_of_the_image(
    tiny, tmp_path: Path, field: str, allow: str, metric: str, key: str, numbers: int
) -> None:
    more = LABELS if key == "boxes" else ""
    spec = write_spec(tmp_path, field, allow, metric, more)
    picture = Image.new("RGB", (400, 200))
    answer = UnifiedVL(tiny.saved).predict(spec, image=picture)
    row = answer.as_row()
    assert set(row) == {"key", "prediction", "boxes", "score", "error", *FLAGS} | (
        {"labels"} if key == "boxes" else {key}
    )
    json.dumps(row)
    for shape in row[key]:
        assert len(shape) >= numbers
        assert all(0 <= v <= (400, 200)[place % 2] for place, v in enumerate(shape))
    if key == "boxes":
        assert len(row["labels"]) == len(row["boxes"])
    drawn = draw_shapes(picture, answer)
    assert drawn.size == picture.size
    assert (drawn.getbbox() is not None) == bool(row[key])


def test_a_saved_model_carries_the_names_of_classes(tiny, tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    spec = load_task(write_spec(tmp_path / "specs", BOXES, "labelled_boxes", "coco_map", LABELS))
    saved = tiny.saved
    save_model(tmp_path / "model", saved.model, saved.codec, [spec])
    (tmp_path / "specs/classes.txt").unlink()
    loaded = load_model(tmp_path / "model")
    assert loaded.specs["find_all"].class_names("names", "en") == ("cat", "dog")
