"""Images as codes in examples: values, blocks that are masked, what is dropped, bad rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from tests.painting import GRID, painter, task, write_world
from unified_vl.codecs.noise import SMALLEST_BLOCK, blocks_to_mask
from unified_vl.codecs.segments import ImageCodes, Text
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import BadRow, UserError
from unified_vl.specs.task import TaskSpec


def builder(root: Path, spec: TaskSpec, codec: SequenceCodec | None, **how) -> ExampleBuilder:
    return ExampleBuilder(spec, ImageLoader(root, (16, 16)), codec=codec, **how)


def coded(segments) -> list[ImageCodes]:
    return [segment for segment in segments if isinstance(segment, ImageCodes)]


@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    rate=st.floats(0.01, 1.0),
    seed=st.integers(0, 2**31),
)
def test_blocks_cover_as_many_places_as_the_rate_says(rows, columns, rate, seed) -> None:
    masked = blocks_to_mask(rows, columns, rate, Random(seed))
    places = rows * columns
    assert len(masked) == min(max(round(places * rate), 1), max(places - 1, 1))
    assert masked <= set(range(places))
    assert masked == blocks_to_mask(rows, columns, rate, Random(seed))


def test_what_is_masked_lies_in_blocks() -> None:
    """Masked places have far more masked neighbours than those of a coin each would."""
    shares = []
    for seed in range(50):
        masked = blocks_to_mask(16, 16, 0.4, Random(seed))
        beside = [(place + 1) in masked for place in masked if (place + 1) % 16]
        shares.append(sum(beside) / len(beside))
    assert np.mean(shares) > 0.7
    first = [len(blocks_to_mask(16, 16, 0.001 + SMALLEST_BLOCK, Random(s))) for s in range(5)]
    assert set(first) == {round(256 * (0.001 + SMALLEST_BLOCK))}


def test_a_masked_picture_and_the_whole_of_it(tmp_path: Path) -> None:
    spec = task(tmp_path, "complete")
    codec = painter(tmp_path, [spec]).codec
    data = TaskData(spec, "train", tmp_path)
    build = builder(tmp_path, spec, codec).build
    seen = Counter()
    for seed in range(40):
        example = build(data[0], seed=seed)
        (source,), (target,) = coded(example.source), coded(example.target)
        assert None not in target.codes and target.columns == GRID[1]
        assert source.codes.count(None) == 2  # half of four
        assert example.given == source.codes
        kept = {place: code for place, code in enumerate(source.codes) if code is not None}
        assert all(target.codes[place] == code for place, code in kept.items())
        seen[tuple(kept)] += 1
        assert codec.encode_source(example.source).ids.count(
            codec.vocabulary.tag_id("mask:image")
        ) == source.codes.count(None)
    assert len(seen) > 2
    fixed = [build(data[0], seed=None).source for _ in range(3)]
    assert fixed[0] == fixed[1] == fixed[2]


def test_training_drops_what_guidance_compares_with(tmp_path: Path) -> None:
    spec = task(
        tmp_path, "paint", generate="generate: {allow: image_codes, max_tokens: 5, guidance: 2}"
    )
    codec = painter(tmp_path, [spec]).codec
    data = TaskData(spec, "train", tmp_path)
    build = builder(tmp_path, spec, codec).build
    examples = [build(data[0], seed=seed) for seed in range(300)]
    dropped = [not any(isinstance(s, Text) for s in e.source) for e in examples]
    assert 0.2 < np.mean(dropped) < 0.4  # the rate is 0.3
    asked = build(data[0], seed=None)
    assert any(isinstance(segment, Text) for segment in asked.source)
    assert asked.without == tuple(s for s in asked.source if not isinstance(s, Text))
    plain = task(tmp_path, "paint")
    assert builder(tmp_path, plain, codec).build(data[0], seed=None).without == ()


def test_a_row_may_hold_codes_in_place_of_a_picture(tmp_path: Path) -> None:
    spec = task(tmp_path, "paint")
    codec = painter(tmp_path, [spec]).codec
    build = builder(tmp_path, spec, codec).build
    values = {"name": "red", "language": "en"}
    example = build(Row({**values, "picture": [0, 107, 3, 5]}, "a", 0, "en"), seed=None)
    (picture,) = coded(example.target)
    assert picture.codes == (0, 107, 3, 5)
    assert picture.image is not None
    assert codec.code_images is not None
    grid = np.array([[[0, 107], [3, 5]]])
    assert np.array_equal(picture.image.pixels_HWC, codec.code_images.codec.decode(grid)[0])
    for bad in ([0, 1, 2], [0, 1, 2, 108], [0, 1, 2, -1], [0, 1, 2, 0.5]):
        with pytest.raises(BadRow, match="expected 4 whole numbers from 0 to 107"):
            build(Row({**values, "picture": bad}, "a", 0, "en"), seed=None)


def test_half_transparent_squares_are_holes(tmp_path: Path) -> None:
    spec = task(tmp_path, "complete")
    codec = painter(tmp_path, [spec]).codec
    build = builder(tmp_path, spec, codec).build
    picture = PILImage.new("RGBA", (80, 80), "red")
    picture.paste((0, 0, 0, 0), (40, 0, 80, 40))  # all of a square
    picture.paste((0, 0, 0, 0), (0, 40, 40, 55))  # less than half of one
    row = Row({"name": "red", "language": "en", "picture": picture}, "a", 0, "en")
    (source,) = coded(build(row, seed=None, with_target=False).source)
    assert [code is None for code in source.codes] == [False, True, False, False]


def test_without_a_tokenizer_examples_are_built_and_with_one_of_text_refused(
    tmp_path: Path,
) -> None:
    spec = task(tmp_path, "complete")
    codec = painter(tmp_path, [spec]).codec
    data = TaskData(spec, "train", tmp_path)
    (source,) = coded(builder(tmp_path, spec, None).build(data[0], seed=1).source)
    assert source.codes == () and source.image is not None
    plain = SequenceCodec(codec.vocabulary, codec.text, image_tokens=4, image_size=(16, 16))
    with pytest.raises(UserError, match="the tokenizer has no image codes"):
        builder(tmp_path, spec, plain)


def test_codes_are_computed_once(tmp_path: Path) -> None:
    spec = task(tmp_path, "paint")
    codec = painter(tmp_path, [spec]).codec
    write_world(tmp_path)
    data = TaskData(spec, "train", tmp_path)
    first = builder(tmp_path, spec, codec, code_cache=tmp_path / "cache")
    found = [first.build(row, seed=None).target for row in data.rows(range(10))]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 5  # a colour in two languages

    assert codec.code_images is not None
    codec.code_images.codec.encode = None  # type: ignore[assignment,method-assign]
    again = builder(tmp_path, spec, codec, code_cache=tmp_path / "cache")
    assert [again.build(row, seed=None).target for row in data.rows(range(10))] == found
