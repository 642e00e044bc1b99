"""Batches: what is padded, what is masked, and in which order things lie."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unified_vl.codecs.segments import Segment, Text
from unified_vl.codecs.sequence import Encoded, SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import Vocabulary, standard_tags
from unified_vl.data.batching import IGNORED, EncodedExample, collate_encoded, encode_example
from unified_vl.data.example import Example
from unified_vl.errors import BadRow
from unified_vl.geometry import Box, Point, Polygon

IDS = st.lists(st.integers(3, 999), min_size=1, max_size=20)


def encoded(
    source: list[int],
    target: list[int] | None = None,
    images: list[np.ndarray] | None = None,
    task: str = "task",
) -> EncodedExample:
    example = Example(task, "en", "1", (), (), {}, {}, "file:1", None)
    return EncodedExample(
        example, Encoded(source, images or []), None if target is None else Encoded(target)
    )


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=6), st.sampled_from([1, 4, 8]))
def test_every_id_is_there_and_only_padding_beside_it(
    rows: list[tuple[list[int], list[int]]], multiple: int
) -> None:
    batch = collate_encoded([encoded(*row) for row in rows], multiple)
    assert batch.labels_BT is not None
    for tensor, longest in (
        (batch.input_ids_BS, max(len(source) for source, _ in rows)),
        (batch.labels_BT, max(len(target) for _, target in rows)),
    ):
        assert tensor.dtype == torch.int64
        assert tensor.shape[1] % multiple == 0
        assert 0 <= tensor.shape[1] - longest < multiple
    for number, (source, target) in enumerate(rows):
        ids, mask = batch.input_ids_BS[number], batch.attention_mask_BS[number]
        assert ids[mask == 1].tolist() == source
        assert mask[: len(source)].all()
        assert not ids[mask == 0].any()
        labels = batch.labels_BT[number]
        assert labels[: len(target)].tolist() == target
        assert (labels[len(target) :] == IGNORED).all()
    assert batch.target_tokens == int((batch.labels_BT != IGNORED).sum())


def test_images_keep_the_order_of_rows_and_sources() -> None:
    images = [np.full((4, 6, 3), value, np.uint8) for value in range(5)]
    images[3][1, 2] = (7, 8, 9)
    batch = collate_encoded(
        [encoded([5], images=images[:2]), encoded([6]), encoded([7], images=images[2:])]
    )
    pixels = batch.pixel_values_NCHW
    assert pixels is not None and pixels.dtype == torch.uint8
    assert pixels.shape == (5, 3, 4, 6) and pixels.is_contiguous()
    assert pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert pixels[3, :, 1, 2].tolist() == [7, 8, 9]


def test_no_image_and_no_target_are_none() -> None:
    batch = collate_encoded([encoded([5]), encoded([6, 7])])
    assert batch.pixel_values_NCHW is None
    assert batch.labels_BT is None
    assert batch.target_tokens == 0
    assert set(batch.model_inputs()) == {"input_ids", "attention_mask", "pixel_values"}


def test_one_batch_holds_one_task() -> None:
    with pytest.raises(ValueError, match=r"one task.*'a', 'b'"):
        collate_encoded([encoded([5], task="b"), encoded([5], task="a")])
    with pytest.raises(ValueError, match="one task"):
        collate_encoded([])


def test_either_all_rows_have_a_target_or_none() -> None:
    with pytest.raises(ValueError, match="some have none"):
        collate_encoded([encoded([5], [6]), encoded([5])])


def test_moving_a_batch_keeps_everything() -> None:
    batch = collate_encoded([encoded([5], [6], [np.zeros((2, 2, 3), np.uint8)])])
    moved = batch.to("meta")
    assert moved.input_ids_BS.device.type == moved.attention_mask_BS.device.type == "meta"
    assert moved.pixel_values_NCHW is not None and moved.labels_BT is not None
    assert moved.pixel_values_NCHW.device.type == moved.labels_BT.device.type == "meta"
    assert moved.target_tokens == batch.target_tokens and moved.examples == batch.examples


SQUARE = Polygon((0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9))


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> SequenceCodec:
    """One of six tokens a side."""
    folder = tmp_path_factory.mktemp("codec")
    text = train_text_tokenizer(["a cat and a dog"] * 4, folder / "text.model", 290)
    vocabulary = Vocabulary(len(text), standard_tags(["en"], ["task"], (), ()), location_bins=50)
    limits = {"image_tokens": 4, "image_size": (8, 8), "max_source": 6, "max_target": 6}
    return SequenceCodec(vocabulary, text, **limits)


@pytest.mark.parametrize(
    "long",
    [
        [SQUARE],
        [Box(0.1, 0.1, 0.9, 0.9), Box(0.1, 0.1, 0.9, 0.9)],
        [Point(0.1, 0.1)] * 3,
        [Text("a cat and a dog"), SQUARE],
    ],
)
@pytest.mark.parametrize("side", ["source", "target"])
def test_a_row_of_shapes_that_do_not_fit_is_a_bad_row(
    codec: SequenceCodec, long: list[Segment], side: str
) -> None:
    sides = {"source": (Text("a"),), "target": (Text("a"),), side: tuple(long)}
    example = Example("task", "en", "1", sides["source"], sides["target"], {}, {}, "file:7", None)
    with pytest.raises(BadRow, match=r"^file:7: a sequence needs \d+ tokens without its text; exp"):
        encode_example(example, codec)
    if side == "target":  # an answer to compare with may be of any length
        assert encode_example(example, codec, with_target=False).target is None
