"""Images with their own proportions: where they lie, and places there and back.

People's numbers are of the image, the network's of the padded square. Where both meet is tested by
what is seen: the dark thing of a picture lies, in the network's pixels, in the box that is taught.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from tests.tiny import tiny  # noqa: F401 (a fixture)
from unified_vl.codecs.images import resize
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.decoding.generator import Generator
from unified_vl.decoding.search import Hypothesis
from unified_vl.evaluation.evaluate import evaluate
from unified_vl.geometry import Box, Point, Polygon, Shape
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.shot_files import read_shots, write_shots
from unified_vl.kinds.fitted import onto_image, onto_network
from unified_vl.kinds.hooks.fits import WHOLE, Content, Fit, Pack, content_box, content_of
from unified_vl.specs.load import load_task

SPEC = """\
task: things
version: 1
about: Find them.
data: {{reader: jsonl, path: rows.jsonl, splits: {{train: all, test: all}}, languages: [en]}}
fields:
  image: {{kind: image, column: image}}
  thing: {{kind: {kind}, column: thing, units: pixels{layout}}}
example: {{source: "What is where? {{image}}", target: "{{thing}}"}}
generate: {{allow: {kind}, max_tokens: 20}}
score: [{{metric: {metric}, against: thing, primary: true}}]
"""
METRICS = {"box": "box_accuracy", "point": "point_accuracy", "polygon": "mask_iou"}
SIDE = 64
SIZES = [(120, 40), (40, 120), (50, 50), (200, 20)]


@pytest.mark.parametrize(
    ("fit", "image", "box"),
    [
        ("stretch", (120, 40), (0, 0, 64, 64)),
        ("pad", (64, 64), (0, 0, 64, 64)),
        ("pad", (500, 500), (0, 0, 64, 64)),
        ("pad", (128, 64), (0, 16, 64, 32)),
        ("pad", (64, 128), (16, 0, 32, 64)),
        ("pad", (8, 4), (0, 16, 64, 32)),  # a small one is enlarged
        ("pad", (10000, 1), (0, 31, 64, 1)),  # and never vanishes
    ],
)
def test_where_an_image_lies(fit: Fit, image: tuple[int, int], box: tuple[int, ...]) -> None:
    assert content_box(fit, image, (SIDE, SIDE)) == box
    left, top, width, height = (side / SIDE for side in box)
    assert content_of(fit, image, (SIDE, SIDE)) == Content(left, top, width, height)


def test_a_rectangle_that_is_no_square() -> None:
    assert content_box("pad", (100, 100), (32, 64)) == (16, 0, 32, 32)


FRACTION = st.floats(0, 1)
SHAPES = st.one_of(
    st.builds(Point, FRACTION, FRACTION),
    st.lists(FRACTION, min_size=6, max_size=6).map(lambda xy: Polygon(tuple(xy))),
    st.tuples(FRACTION, FRACTION, FRACTION, FRACTION, st.sampled_from([None, "cat"]))
    .filter(lambda v: v[0] + 0.01 < v[2] and v[1] + 0.01 < v[3])
    .map(lambda v: Box(*v)),
)


@given(SHAPES, st.integers(1, 500), st.integers(1, 500))
def test_there_and_back_is_where_it_was(shape: Shape, width: int, height: int) -> None:
    content = content_of("pad", (width, height), (SIDE, SIDE))
    seen = onto_network(shape, content)
    assert all(0 <= v <= 1 + 1e-9 for v in seen.coordinates)
    again = onto_image(seen, content)
    assert again.coordinates == pytest.approx(shape.coordinates, abs=1e-9)
    assert getattr(again, "label", None) == getattr(shape, "label", None)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (Point(0.5, 0.1), Point(0.5, 0.0)),
        (Box(0.2, 0.1, 0.4, 0.5), Box(0.2, 0.0, 0.4, 0.5)),
        (Box(0.2, 0.0, 0.4, 0.1), Box(0.2, 0.0, 0.4, 0.001)),  # all of it in the upper bar
        (Box(0.2, 0.9, 0.4, 0.95, "cat"), Box(0.2, 0.999, 0.4, 1.0, "cat")),
        (Polygon((0.1, 0.1, 0.2, 0.5, 0.3, 0.9)), Polygon((0.1, 0.0, 0.2, 0.5, 0.3, 1.0))),
    ],
)
def test_what_lies_in_the_padding_goes_to_the_edge(seen: Shape, found: Shape) -> None:
    content = Content(0.0, 0.25, 1.0, 0.5)
    again = onto_image(seen, content)
    assert again.coordinates == pytest.approx(found.coordinates)
    assert getattr(again, "label", None) == getattr(found, "label", None)
    assert onto_image(seen, WHOLE) is seen


def rows(root: Path, kind: str) -> Path:
    """Light pictures of all proportions, with a dark thing in each, and where it is."""
    written = []
    for number, (width, height) in enumerate(SIZES):
        x1, y1 = width // 4, height // 4
        x2, y2 = max(x1 + 1, width // 2), max(y1 + 1, height // 2)
        pixels = np.full((height, width, 3), 230, np.uint8)
        pixels[y1:y2, x1:x2] = 10
        PILImage.fromarray(pixels).save(root / f"{number}.png")
        thing: list[Any] = {
            "box": [x1, y1, x2, y2],
            "point": [(x1 + x2) / 2, (y1 + y2) / 2],
            "polygon": [x1, y1, x2, y1, x2, y2, x1, y2],
        }[kind]
        written.append({"image": f"{number}.png", "thing": thing})
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in written))
    layout = ", layout: xyxy" if kind == "box" else ""
    text = SPEC.format(kind=kind, metric=METRICS[kind], layout=layout)
    (root / "things.yaml").write_text(text)
    return root / "things.yaml"


@pytest.mark.parametrize("image", [(64, 64), (128, 64), (10000, 1)])
def test_a_packed_image_fills_a_rectangle_of_its_own(image: tuple[int, int]) -> None:
    rows, columns = Pack(8).grid(image, (SIDE, SIDE))
    assert content_box(Pack(8), image, (SIDE, SIDE)) == (0, 0, columns * 8, rows * 8)
    assert content_of(Pack(8), image, (SIDE, SIDE)) == WHOLE


@pytest.mark.parametrize("fit", ["stretch", "pad", Pack(8)])
def test_what_is_taught_is_where_the_thing_is_seen(fit: Fit, tmp_path: Path) -> None:
    spec = load_task(rows(tmp_path, "box"))
    builder = ExampleBuilder(spec, ImageLoader(tmp_path, (SIDE, SIDE), fit=fit))
    data = TaskData(spec, "train", tmp_path)
    for number, (width, height) in list(enumerate(SIZES))[:3]:
        example = builder.build(data[number], seed=None)
        image = next(s.image for s in example.source if hasattr(s, "image"))
        dark = np.argwhere(image.pixels_HWC[..., 0] < 100)
        (y1, x1), (y2, x2) = dark.min(0), dark.max(0) + 1
        (box,) = (s for s in example.target if isinstance(s, Box))
        down, across = image.pixels_HWC.shape[:2]
        seen = [v * side for v, side in zip(box.coordinates, (across, down) * 2, strict=True)]
        assert seen == pytest.approx([x1, y1, x2, y2], abs=1.5)
        assert example.image_size == (width, height)
        # what is right is said of the image, whatever is made of it
        (right,) = example.references["thing"]
        assert right.coordinates == pytest.approx((0.25, 0.25, 0.5, 0.5), abs=0.02)
        assert example.in_image(example.target)[-1].coordinates == pytest.approx(right.coordinates)


def test_the_middle_is_kept_and_the_rest_is_grey() -> None:
    pixels_HWC = resize(PILImage.new("RGB", (20, 10), "red"), (8, 8), fit="pad").pixels_HWC
    assert pixels_HWC.shape == (8, 8, 3)
    assert (pixels_HWC[2:6] == (255, 0, 0)).all()
    assert (pixels_HWC[:2] == 128).all()
    assert (pixels_HWC[6:] == 128).all()


class Oracle(Generator):
    """Writes what it was taught, or else a place in the middle of what the network reads."""

    def __call__(self, batch: Any, n: int = 1, without: Any = None) -> Any:
        codec = self._codec
        middle = {"box": Box(0.25, 0.25, 0.75, 0.75), "point": Point(0.5, 0.5)}
        found = []
        for example in batch.examples:
            target = example.target or (middle[example.task],)
            found.append([Hypothesis(codec.encode_target(target).ids, 0.0)])
        return SimpleNamespace(hypotheses=found)


@pytest.fixture
def fit() -> Fit:
    return "pad"


@pytest.fixture
def oracle(tiny, fit: Fit, monkeypatch: pytest.MonkeyPatch) -> UnifiedVL:  # noqa: F811
    """A model that pads or packs, and is always right."""
    codec = tiny.saved.codec
    monkeypatch.setattr(codec, "fit", fit)
    original = Generator.__init__

    def remember(self: Any, model: Any, how: Any, codec: Any, *rest: Any) -> None:
        original(self, model, how, codec, *rest)
        self._codec = codec

    monkeypatch.setattr(Generator, "__init__", remember)
    monkeypatch.setattr(Generator, "__call__", Oracle.__call__)
    return UnifiedVL(tiny.saved)


@pytest.mark.parametrize("fit", ["pad", Pack(8)])
@pytest.mark.parametrize("kind", METRICS)
def test_right_answers_are_right(kind: str, oracle: UnifiedVL, tmp_path: Path) -> None:
    spec = load_task(rows(tmp_path, kind))
    results = evaluate(oracle, [spec], "test", tmp_path, model_name="oracle")
    score = results.report["tasks"]["things"]["metrics"][METRICS[kind]]
    assert score > (99 if kind != "polygon" else 60)  # a thin outline loses much in bins
    for row, written in zip(
        results.predictions, map(json.loads, (tmp_path / "rows.jsonl").open()), strict=True
    ):
        (found,) = row["boxes"] if kind == "box" else row[f"{kind}s"]
        bins = max(row["image_size"]) / len(oracle.codec.vocabulary.locations)
        assert found == pytest.approx(written["thing"], abs=bins + 1e-6)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((100, 100), [25, 25, 75, 75]),
        ((200, 100), [50, 0, 150, 100]),
        ((50, 200), [0, 50, 50, 150]),
    ],
)
def test_an_answer_comes_in_pixels_of_the_image(
    size: tuple[int, int], box: list[float], oracle: UnifiedVL, tmp_path: Path
) -> None:
    text = rows(tmp_path, "box").read_text().replace("task: things", "task: box")
    (tmp_path / "box.yaml").write_text(text)
    answer = oracle.predict(tmp_path / "box.yaml", image=PILImage.new("RGB", size))
    assert answer.shapes["boxes"][0] == pytest.approx(
        box, abs=200 / len(oracle.codec.vocabulary.locations)
    )


@pytest.mark.parametrize(
    ("size", "box"), [((200, 100), [50, 25, 150, 75]), ((50, 200), [12.5, 50, 37.5, 150])]
)
@pytest.mark.parametrize("fit", [Pack(8)])
def test_an_answer_about_a_packed_image_is_in_pixels_of_the_image(
    size: tuple[int, int], box: list[float], oracle: UnifiedVL, tmp_path: Path
) -> None:
    text = rows(tmp_path, "box").read_text().replace("task: things", "task: box")
    (tmp_path / "box.yaml").write_text(text)
    answer = oracle.predict(tmp_path / "box.yaml", image=PILImage.new("RGB", size))
    assert answer.shapes["boxes"][0] == pytest.approx(
        box, abs=200 / len(oracle.codec.vocabulary.locations)
    )


@pytest.mark.parametrize("fit", ["pad", Pack(8)])
def test_shots_have_places_of_their_own_images(fit: Fit, tmp_path: Path) -> None:
    """Those of a landscape and of a portrait, in one source; and carried by a saved model."""
    path = rows(tmp_path, "box")
    text = path.read_text().replace(
        'source: "What is where? {image}"',
        'shots: {count: 2, each: "{image} {thing}"}, source: "{shots} {image}"',
    )
    path.write_text(text)
    spec, size = load_task(path), (SIDE, SIDE)
    data = TaskData(spec, "train", tmp_path)
    images = ImageLoader(tmp_path, size, fit=fit)
    builder = ExampleBuilder(spec, images, rows=data, train=data)
    first = builder.build(data[3], seed=None)
    shown = [s for s in first.source if isinstance(s, Box) or hasattr(s, "image")]
    pairs = [(shown[i].image, shown[i + 1]) for i in (0, 2)]
    for image, box in pairs:
        dark = np.argwhere(image.pixels_HWC[..., 0] < 100)
        (y1, x1), (y2, x2) = dark.min(0), dark.max(0) + 1
        down, across = image.pixels_HWC.shape[:2]
        seen = [v * side for v, side in zip(box.coordinates, (across, down) * 2, strict=True)]
        assert seen == pytest.approx([x1, y1, x2, y2], abs=1.5)
    assert len({(image.content, image.pixels_HWC.shape) for image, _ in pairs}) == 2
    write_shots(tmp_path, spec, builder.shots())
    carried = read_shots(tmp_path, spec, size, fit)
    again = ExampleBuilder(spec, images, rows=data, shots=carried).build(data[3], seed=None)
    boxes = [[s for s in each.source if isinstance(s, Box)] for each in (first, again)]
    assert boxes[0] == boxes[1]
