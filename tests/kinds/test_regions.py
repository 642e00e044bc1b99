"""Answers that name a region, tags of regions as text, and what specs of them may not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import regional
from unified_vl.codecs.segments import Regions, Tag
from unified_vl.codecs.vocabulary import Vocabulary, region_ids, standard_tags
from unified_vl.data.example import Example
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.regions.writing import write_regions
from unified_vl.data.rows.row import Row
from unified_vl.decoding.grammars.region import RegionGrammar
from unified_vl.errors import BadRow, UserError
from unified_vl.export.description import _unwritable
from unified_vl.geometry import Box
from unified_vl.kinds.detected.region import RegionKind, overlap
from unified_vl.kinds.detected.regions import RegionsKind
from unified_vl.metrics.places.boxes import iou
from unified_vl.other_models.asking import Asker
from unified_vl.other_models.place_conventions import CONVENTIONS
from unified_vl.serving.wire.chat import fits
from unified_vl.specs.load import load_task

POINT = """
task: point
version: 1
about: Point to a colour.
data:
  {reader: jsonl, path: "point_{split}.jsonl", splits: {train: train}, languages: [en]}
fields:
  regions: {kind: regions, column: image, features: [f], most: 3}
  tags:
    {kind: region_tags, column: image, regions: regions,
     names: {values: [red, green, blue, white]}}
  colour: {kind: text, column: colour}
  box: {kind: box, column: box, layout: xyxy, units: pixels}
  name: {kind: region, column: box, regions: regions, nearest: box}
example: {source: "{task} {regions} {tags} {colour}", target: "{name}"}
generate: {allow: region, max_tokens: 3}
score: [{metric: box_accuracy, against: box, primary: true}]
"""


def spec_of(folder: Path, *changes: tuple[str, str]) -> Any:
    text = POINT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "point.yaml").write_text(text)
    return load_task(folder / "point.yaml")


def example_of(folder: Path, number: int, box: list[float], *changes: tuple[str, str]) -> Example:
    write_regions(folder / "f", [regional.image(number)])
    row = Row({"image": f"picture_{number}", "box": box, "colour": "red"}, "p.jsonl", 0, "en")
    builder = ExampleBuilder(spec_of(folder, *changes), ImageLoader(folder, (8, 8)))
    return builder.build(row, seed=None)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_box_is_named_by_the_region_that_overlaps_most(tmp_path: Path, place: int) -> None:
    image = regional.image(1)
    box = image.boxes_R4[place] + np.array([2, 1, 1, 2], np.float32)
    example = example_of(tmp_path, 1, box.tolist())
    assert example.target == (Tag(f"region:{place}"),)
    assert example.image_size == regional.SIZE


def test_tags_are_the_classes_in_words(tmp_path: Path) -> None:
    image = regional.image(1)
    names = [regional.colour_of(image, place) for place in range(3)]
    source = example_of(tmp_path, 1, image.boxes_R4[0].tolist()).source
    assert f"{', '.join(names)} red" in [getattr(each, "text", "") for each in source]
    change = ("names: {values: [red, green, blue, white]}", "names: {values: [red]}")
    with pytest.raises(BadRow, match="expected below 1, the names"):
        example_of(tmp_path, 1, image.boxes_R4[0].tolist(), change)


sides = st.lists(st.floats(0, 1, width=16), min_size=4, max_size=4).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)


@given(sides, sides)
def test_overlap_is_what_the_metric_measures(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> None:
    assert overlap(Box(*one), other) == pytest.approx(iou(Box(*one), Box(*other)), abs=1e-6)


def regions_of(count: int) -> Regions:
    nothing = np.zeros(count)
    boxes_R4 = np.stack([[n / 8, 0.0, (n + 1) / 8, 1.0] for n in range(count)])
    return Regions(boxes_R4, None, nothing, nothing, nothing, nothing, (80, 10))


def test_an_answer_has_the_box_of_the_region_that_it_names() -> None:
    kind = RegionKind()
    found = kind.located([Tag("region:2")], [Tag("task:point"), regions_of(4)])
    assert found == (Tag("region:2"), Box(2 / 8, 0.0, 3 / 8, 1.0))
    assert kind.row("", found, (80, 10), ())["boxes"] == [[20.0, 0.0, 30.0, 10.0]]
    assert kind.located([Tag("region:9")], [regions_of(4)]) == (Tag("region:9"),)


def test_only_regions_that_are_there_can_be_answered() -> None:
    tags = standard_tags(["en"], ["point"], (), ["regions", *(f"region:{n}" for n in range(4))])
    vocabulary = Vocabulary(20, tags, location_bins=4)
    names = region_ids(vocabulary)
    examples: list[Any] = [
        Example("point", "en", "k", (regions_of(n),), (), {}, {}, "w", None) for n in (2, 4)
    ]
    grammar = RegionGrammar(vocabulary, torch.device("cpu")).of(examples)
    state_RF = grammar.start(4)  # two hypotheses of each
    score_RV = torch.zeros(4, vocabulary.size)
    first = grammar.allowed(score_RV, state_RF, 0).scores_RC.isfinite()
    allowed = [row.nonzero().flatten().tolist() for row in first]
    assert allowed == [list(names[:2])] * 2 + [list(names)] * 2
    state_RF = grammar.advance(state_RF, torch.full((4,), names[0]), 0)
    behind = grammar.allowed(score_RV, state_RF, 1).scores_RC.isfinite()
    assert [row.nonzero().flatten().tolist() for row in behind] == [[vocabulary.eos_id]] * 4


WRONG = {
    "most": (", most: 3", "", "fields.regions.most: is missing for a regions; expected how many"),
    "outside": ("[f]", "[../f]", "fields.regions.features.0: '../f' leaves the data root"),
    "of": (
        "regions: regions, nearest",
        "regions: region, nearest",
        "'region' is not a field.*'regions'",
    ),
    "nearest": ("nearest: box", "nearest: colour", "'colour' is a field of kind 'text'.*kind box"),
    "allow": ("allow: region", "allow: text", "'text' does not fit.*expected allow: region"),
    "beside": ('{name}"', '{name} {colour}"', "a region stands beside something else"),
    "written": ('"{name}"', '"{regions} {name}"', "expected text, shapes, or a field of kind"),
    "many": ("most: 3", "most: 3, many: true", "holds one value"),
    "other kind": ("column: colour", "column: colour, most: 3", "no effect .*kind 'text'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_spec_may_not_say_is_one_message(tmp_path: Path, name: str) -> None:
    old, new, message = WRONG[name]
    with pytest.raises(UserError, match=message):
        spec_of(tmp_path, (old, new))


def test_who_cannot_ask_says_so(tmp_path: Path) -> None:
    """A name is looked up among the files of whoever answers, so it comes from no form or request;
    ONNX, chat messages and other models know no features."""
    spec = spec_of(tmp_path)
    with pytest.raises(ValueError, match="the arrays `features` and `norm_bb`"):
        RegionsKind().typed("secret.npz")
    assert not fits(spec)
    assert _unwritable(spec) == "its field 'regions' is of the kind regions"
    example = Example("point", "en", "k", (regions_of(2),), (), {}, {}, "p.jsonl:1", None)
    with pytest.raises(BadRow, match=r"p\.jsonl:1: other models read no regions"):
        Asker(spec, next(iter(CONVENTIONS.values())), bare=True).question(example)
