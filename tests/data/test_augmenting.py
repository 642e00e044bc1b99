"""Pictures of training are changed with their places, by the example's seed, and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from unified_vl.codecs.images import PADDING
from unified_vl.codecs.segments import Image
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.batching import encode_example, length_of
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.data.streams import TaskStream
from unified_vl.geometry import Box
from unified_vl.kinds.hooks.fits import Fit
from unified_vl.specs.load import load_task
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.task import TaskSpec

SIDE = 48
RED = (255, 0, 0)
CROP = AugmentSpec(name="resized_crop", area=(0.3, 0.6))
MIRROR = AugmentSpec(name="horizontal_flip", rate=1.0)
COLOURS = AugmentSpec(name="color_jitter")
SPEC = """\
task: find
version: 1
about: Where is it?
data: {reader: jsonl, path: rows.jsonl, splits: {train: all, test: all}, languages: [en]}
fields:
  image: {kind: image, column: image}
  other: {kind: image, column: other}
  box: {kind: box, column: box, layout: xyxy, units: pixels}
example: {source: "{image} {other}", target: "{box}"}
generate: {allow: box, max_tokens: 6}
score: [{metric: box_accuracy, against: box, primary: true}]
"""


@pytest.fixture
def spec(tmp_path: Path) -> TaskSpec:
    """Eight rows: a red rectangle in a picture twice as wide as high, and another picture."""
    lines = []
    for number in range(8):
        picture = PILImage.new("RGB", (80, 40), (60, 60, 20 * number))
        box = (4 + 8 * number, 6, 16 + 8 * number, 26)
        picture.paste(RED, box)
        picture.save(tmp_path / f"{number}.png")
        lines.append({"image": f"{number}.png", "other": f"{7 - number}.png", "box": box})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "find.yaml").write_text(SPEC, encoding="utf-8")
    return load_task(tmp_path / "find.yaml")


def builder(
    spec: TaskSpec, augment: Sequence[AugmentSpec], fit: Fit = "stretch", **how: Any
) -> ExampleBuilder:
    assert spec.file is not None
    images = ImageLoader(spec.file.parent, (SIDE, SIDE), fit=fit)
    return ExampleBuilder(spec, images, augment=augment, **how)


def examples(
    spec: TaskSpec, augment: Sequence[AugmentSpec], seed: int | None, fit: Fit = "stretch"
) -> list[Example]:
    assert spec.file is not None
    made = builder(spec, augment, fit)
    rows = TaskData(spec, "train", spec.file.parent)
    return [made.build(row, seed=seed) for row in rows.rows(range(8))]


def pixels(example: Example) -> list[np.ndarray]:
    return [part.image.pixels_HWC for part in example.source if isinstance(part, Image)]


def same(ones: Sequence[Example], others: Sequence[Example]) -> bool:
    pairs = list(zip(ones, others, strict=True))
    return all(
        a.target == b.target and all(map(np.array_equal, pixels(a), pixels(b))) for a, b in pairs
    )


def red_box(pixels_HWC: np.ndarray) -> tuple[float, ...]:
    """Of what is red, as fractions of the picture."""
    red_HW = (pixels_HWC[..., 0] > 140) & (pixels_HWC[..., 1] < 50)
    rows, columns = np.nonzero(red_HW)
    height, width = red_HW.shape
    ends = (columns.min() / width, rows.min() / height)
    return *ends, (columns.max() + 1) / width, (rows.max() + 1) / height


@pytest.mark.parametrize("fit", ["stretch", "pad"])
@pytest.mark.parametrize("augment", [[CROP], [MIRROR], [MIRROR, CROP], [CROP, CROP]])
def test_the_box_that_is_learnt_is_that_of_what_is_seen(
    spec: TaskSpec, fit: Fit, augment: list[AugmentSpec]
) -> None:
    for seed in range(4):
        for example in examples(spec, augment, seed, fit):
            (box,) = example.target
            assert isinstance(box, Box)
            assert red_box(pixels(example)[0]) == pytest.approx(box.coordinates, abs=2 / SIDE)
            (right,), (told,) = example.references["box"], example.in_image(example.target)
            assert isinstance(right, Box) and isinstance(told, Box)
            assert right.coordinates == pytest.approx(told.coordinates)


def test_padding_stays_padding(spec: TaskSpec) -> None:
    for example in examples(spec, [COLOURS, CROP], 5, "pad"):
        for image_HWC in pixels(example):
            rim = np.concatenate([image_HWC[:12], image_HWC[-12:]])
            assert (rim == PADDING).all()
            assert (image_HWC[12:-12] != PADDING).any()


def test_what_is_drawn_is_a_function_of_the_seed(spec: TaskSpec) -> None:
    augment = [COLOURS, CROP]
    assert same(examples(spec, augment, 1), examples(spec, augment, 1))
    assert not same(examples(spec, augment, 1), examples(spec, augment, 2))
    first, second = pixels(examples(spec, [MIRROR, COLOURS], 1)[0])
    assert not np.array_equal(first, second)


def test_one_more_augmentation_leaves_the_draws_of_those_before_it(spec: TaskSpec) -> None:
    grey = AugmentSpec(name="grayscale", rate=1.0)
    for alone, both in zip(examples(spec, [CROP], 1), examples(spec, [CROP, grey], 1), strict=True):
        assert alone.target == both.target


def test_evaluation_sees_pictures_as_they_are(spec: TaskSpec) -> None:
    assert same(examples(spec, [COLOURS, CROP], None), examples(spec, (), None))
    assert same(examples(spec, (), 7), examples(spec, (), None))


def test_of_a_crop_that_loses_the_box_another_is_drawn_or_none(spec: TaskSpec) -> None:
    """At a fifth of the area few crops hold nine tenths of the box, and some none of ten."""
    small = AugmentSpec(name="resized_crop", area=(0.15, 0.2), keep=0.9)
    whole, cropped = examples(spec, (), None), examples(spec, [small], 3)
    taken = [a.target != b.target for a, b in zip(whole, cropped, strict=True)]
    assert any(taken)
    for (before,), (after,) in ((a.target, b.target) for a, b in zip(whole, cropped, strict=True)):
        assert isinstance(before, Box) and isinstance(after, Box)
        if before != after:
            width, height = before.x2 - before.x1, before.y2 - before.y1
            seen = (after.x2 - after.x1) * (after.y2 - after.y1)
            assert seen >= 0.9 * width * height / 0.2 - 1e-6
    tiny = AugmentSpec(name="resized_crop", area=(0.01, 0.01), keep=1.0)
    assert [e.target for e in examples(spec, [tiny], 3)] == [e.target for e in whole]


def test_streams_of_any_rank_and_any_beginning_see_the_same(
    spec: TaskSpec, words: TextCodec
) -> None:
    assert spec.file is not None
    vocabulary = Vocabulary(len(words), standard_tags(["en"], ["find"], (), ()))
    codec = SequenceCodec(vocabulary, words, image_tokens=4, image_size=(SIDE, SIDE))
    data = TaskData(spec, "train", spec.file.parent)

    def stream(**how: Any) -> TaskStream:
        made = builder(spec, [COLOURS, CROP], codec=codec)
        return TaskStream(data, made, codec, seed=3, batch_size=4, window=2, **how)

    went_on = stream()
    batches = [went_on.batch(number) for number in range(6)]
    for number in (5, 2):
        whole = batches[number].pixel_values_NCHW
        resumed = stream().batch(number).pixel_values_NCHW
        assert whole is not None and resumed is not None and whole.equal(resumed)
        for rank in range(2):
            share = stream().batch(number, rank, 2).pixel_values_NCHW
            assert share is not None
            assert whole.unflatten(0, (4, 2))[rank::2].flatten(0, 1).equal(share)
    first = batches[0].pixel_values_NCHW
    later = batches[2].pixel_values_NCHW  # two batches are all rows: the next epoch
    assert first is not None and later is not None and not first.equal(later)
    unchanged = stream(random_picks=False).batch(0).pixel_values_NCHW
    plain = TaskStream(
        data, builder(spec, (), codec=codec), codec, seed=3, batch_size=4, window=2
    ).batch(0)
    assert unchanged is not None and plain.pixel_values_NCHW is not None
    assert unchanged.equal(plain.pixel_values_NCHW)


OUTLINES = (
    SPEC.replace("kind: box, column: box, layout: xyxy", "kind: polygon, column: outline")
    .replace("allow: box, max_tokens: 6", "allow: polygon, max_tokens: 30")
    .replace("box_accuracy", "mask_iou")
)


def decoded(*what: object, **how: object) -> None:
    raise AssertionError("an image is decoded")


def test_rows_are_measured_as_they_are_read(
    spec: TaskSpec, words: TextCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outline that is cut off at the edge has other corners, and so another length."""
    assert spec.file is not None
    path = spec.file.with_name("outlines.yaml")
    path.write_text(OUTLINES, encoding="utf-8")
    rows = [json.loads(line) for line in path.with_name("rows.jsonl").read_text().splitlines()]
    for row in rows:
        x1, y1, x2, y2 = row["box"]
        row["outline"] = [x1, y1, x2, (y1 + y2) / 2, x1, y2]
    path.with_name("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    outlines = load_task(path)
    vocabulary = Vocabulary(len(words), standard_tags(["en"], ["find"], (), ()))
    codec = SequenceCodec(vocabulary, words, image_tokens=4, image_size=(SIDE, SIDE))
    crop = AugmentSpec(name="resized_crop", area=(0.2, 0.5), keep=0.3)
    made = builder(outlines, [COLOURS, crop], codec=codec)
    data = TaskData(outlines, "train", path.parent)
    read = [made.build(data[index], seed=index) for index in range(8)]
    lengths = [encode_example(example, codec).length for example in read]
    assert len(set(lengths)) > 1
    sketch = made.unread()
    assert sketch is not None
    monkeypatch.setattr(ImageLoader, "load", decoded)
    found = [length_of(sketch.build(data[index], seed=index), codec) for index in range(8)]
    assert found == lengths


def test_pictures_of_shots_are_changed_too(spec: TaskSpec) -> None:
    assert spec.file is not None
    path = spec.file.with_name("shots.yaml")
    old = 'example: {source: "{image} {other}", target: "{box}"}'
    new = (
        'example: {source: "{shots} {image}", target: "{box}", '
        'shots: {count: 1, each: "{image} {box}"}}'
    )
    text = SPEC.replace(old, new).replace("  other: {kind: image, column: other}\n", "")
    path.write_text(text, encoding="utf-8")
    shots = load_task(path)
    train = TaskData(shots, "train", path.parent)
    made = builder(shots, [CROP], rows=train, train=train)
    for index in range(4):
        example = made.build(train[index], seed=index)
        images, boxes = pixels(example), [s for s in example.source if isinstance(s, Box)]
        assert red_box(images[0]) == pytest.approx(boxes[0].coordinates, abs=2 / SIDE)
        (asked,) = example.target
        assert isinstance(asked, Box)
        assert red_box(images[1]) == pytest.approx(asked.coordinates, abs=2 / SIDE)
