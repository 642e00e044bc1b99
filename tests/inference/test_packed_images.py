"""Packed images, each in a grid of its own, where the model answers: ids, retrieval, its index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as PILImage
from safetensors.torch import load_file, save_file

from tests.tiny import Tiny
from unified_vl import Retriever
from unified_vl.codecs.images import resize
from unified_vl.codecs.segments import Image
from unified_vl.errors import UserError
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.corpus import read_corpus
from unified_vl.inference.retrieval.features import image_features
from unified_vl.inference.retrieval.index import FEATURES, build_index, load_index
from unified_vl.inference.retrieval.late_interaction import Features
from unified_vl.inference.saved_models.model_directory import SavedModel
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration


@pytest.fixture
def packing(tiny: Tiny) -> UnifiedVL:
    """The tiny model with its images packed; its weights fit both."""
    keys = tiny.saved.model.config.to_dict()
    config = UnifiedVLConfig(**{**keys, "vision": {**keys["vision"], "fit": "pack"}})
    model = UnifiedVLForConditionalGeneration(config).eval()
    model.load_state_dict(tiny.saved.model.state_dict())
    codec = tiny.saved.codec
    packing = type(codec)(
        codec.vocabulary,
        codec.text,
        image_tokens=config.image_tokens,
        image_size=config.image_size,
        fit=config.image_fit,
        max_source=codec.max_source,
        max_target=codec.max_target,
    )
    return UnifiedVL(SavedModel(model, packing, tiny.saved.specs, tiny.saved.facts))


def packed(predictor: UnifiedVL, *sizes: tuple[int, int]) -> list[Any]:
    codec = predictor.codec
    return [
        resize(PILImage.new("RGB", size, (9 * n, 200, 90)), codec.image_size, fit=codec.fit)
        for n, size in enumerate(sizes)
    ]


def test_an_image_takes_as_many_ids_as_it_has_squares(packing: UnifiedVL) -> None:
    codec = packing.codec
    for image in packed(packing, (90, 30), (30, 90), (50, 50)):
        rows, columns = codec.grid(image) or (0, 0)
        encoded = codec.encode_source([Image(image)])
        assert len(encoded.ids) == rows * columns + 1
        assert encoded.images[0].shape == encoded.images[-1].shape
    wide, tall, square = packed(packing, (90, 30), (30, 90), (50, 50))
    assert codec.grid(wide) != codec.grid(tall) != codec.grid(square)


def test_pairs_of_packed_images_and_texts_are_scored_alike_in_any_company(
    packing: UnifiedVL,
) -> None:
    """The second stage of a retrieval, with features as an index keeps them."""
    scorer = PairScorer(packing, "tiny_caption")
    sizes = [(90, 30), (30, 90), (50, 50)]
    images = packed(packing, *sizes)
    features = image_features(packing, images)
    counts = [codec[0] * codec[1] for codec in map(packing.codec.grid, images) if codec]
    assert (features.norm_AT > 0).sum(1).tolist() == counts
    language = packing.specs["tiny_caption"].data.languages[0]
    sentences = [Sentence("red dog", language)]
    pairs = [(number, 0) for number in range(len(images))]
    found = scorer.log_probability(features, sentences, pairs)
    for number in range(len(images)):
        alone = Features.joined([image_features(packing, [images[number]])])
        (said,) = scorer.log_probability(alone, sentences, [(0, 0)])
        assert said == pytest.approx(found[number], abs=1e-4)
    again = Features.unpacked(features.packed())
    assert again.grid_A2 is not None and features.grid_A2 is not None
    assert torch.equal(again.grid_A2, features.grid_A2)
    assert scorer.log_probability(again, sentences, pairs) == pytest.approx(found, abs=1e-4)


@pytest.fixture
def index(packing: UnifiedVL, tmp_path: Path) -> Path:
    """Of three images of other proportions, on disk."""
    for number, size in enumerate(((90, 30), (30, 90), (50, 50))):
        (tmp_path / "photos").mkdir(exist_ok=True)
        PILImage.new("RGB", size, (99 * number, 200, 90)).save(tmp_path / f"photos/{number}.png")
    build_index(packing, read_corpus(tmp_path / "photos", [], None)).save(tmp_path / "index")
    return tmp_path / "index"


def test_a_collection_of_packed_images_is_searched_from_disk(
    packing: UnifiedVL, index: Path
) -> None:
    found = Retriever(packing, load_index(index, packing), "tiny_caption")
    hits = found.search("a red dog", packing.specs["tiny_caption"].data.languages[0])
    assert sorted(hit.key for hit in hits) == ["0.png", "1.png", "2.png"]
    own = next(hit for hit in hits if hit.key == "1.png")
    again = found.search(image=index.parent / "photos/1.png", candidates=0)
    assert again[0].key == own.key


@pytest.mark.parametrize(
    ("spoilt", "value"),
    [
        ("missing", None),
        ("of another number of images", [[1, 3]]),
        ("of another number of places", [[1, 3], [3, 1], [2, 1]]),
        ("turned to nothing", [[-1, -3], [3, 1], [2, 2]]),
    ],
)
def test_an_index_whose_grids_are_wrong_is_refused(
    spoilt: str, value: Any, packing: UnifiedVL, index: Path
) -> None:
    tensors = load_file(index / FEATURES)
    del tensors["grid"]
    if value is not None:
        tensors["grid"] = torch.tensor(value)
    save_file(tensors, index / FEATURES)
    with pytest.raises(UserError, match="do not fit the items and the model"):
        load_index(index, packing)
