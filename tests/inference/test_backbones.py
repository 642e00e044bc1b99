"""Models that `transformers` computes answer, find and score as every model here does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.model.backbones.models import CONFIGS, make
from tests.public_tokenizers import sentence_piece
from unified_vl import Retriever, UnifiedVL
from unified_vl.codecs.images import PADDING, resize
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.sentence_piece import SentencePieceText
from unified_vl.codecs.vocabulary import IMAGE_TAG, Vocabulary, standard_tags
from unified_vl.errors import UserError
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.prediction import Prediction
from unified_vl.inference.retrieval.features import image_features
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE
from unified_vl.inference.saved_models.model_directory import SavedModel, save_model
from unified_vl.model.backbones.checkpoint import image_settings, load_backbone
from unified_vl.model.backbones.configuration import TransformersConfig
from unified_vl.specs.load import load_task
from unified_vl.specs.reading.overrides import with_generate
from unified_vl.specs.task import TaskSpec

GOLDEN = Path(__file__).parents[1] / "golden/tasks"
LANGUAGES = ("en", "de", "fa", "zh")
TASKS = ("caption", "classify", "match", "count", "ground", "point_at", "outline", "detect")
IMAGES = 5
VISION = {"kind": "patches", "image_size": [16, 16], "patch_size": 8, "fit": "pad"}
SENTENCES = (("two dogs", "en"), ("Hunde im Schnee", "de"), ("a dog", "en"), ("سگ", "fa"))
NAMES = [f"{number}.png" for number in range(IMAGES)]


@pytest.fixture(scope="module", params=list(CONFIGS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> UnifiedVL:
    """One of each family, with random weights, and all tasks."""
    family, folder = str(request.param), tmp_path_factory.mktemp("model")
    gemma = family == "t5gemma2"
    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
    if not gemma:
        ids = {"bos_id": 0, "pad_id": 1, "eos_id": 2, "unk_id": 3}
    text = SentencePieceText(sentence_piece(byte_fallback=True, **ids))
    specs = {name: load_task(GOLDEN / f"{name}.yaml") for name in TASKS}
    own = {key: ids[key] for key in ("pad_id", "eos_id", "unk_id")}
    vocabulary = Vocabulary(len(text), standard_tags(LANGUAGES, TASKS), 16, **own)
    make(family, folder, rows=vocabulary.size)
    theirs = json.loads((folder / "config.json").read_text())
    config = TransformersConfig(
        theirs,
        **image_settings(folder),
        image_token_id=vocabulary.tag_id(IMAGE_TAG),
        vision=VISION,
        vocabulary_fingerprint=vocabulary.fingerprint,
    )
    torch.manual_seed(0)
    backbone = load_backbone(folder, config, fresh_vision=True)
    codec = SequenceCodec(
        vocabulary,
        text,
        image_tokens=config.image_tokens,
        image_size=config.image_size,
        fit=config.image_fit,
        max_source=60,
        max_target=24,
        around_image=config.around_image,
    )
    return UnifiedVL(SavedModel(backbone, codec, specs, {"steps": 0}))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(IMAGES):
        colour = (number * 37 % 256, number * 91 % 256, 128)
        Image.new("RGB", (40, 20), colour).save(folder / f"{number}.png")
    return folder


def within(points: Any) -> bool:
    """Whether all numbers are those of places in an image of 40 x 20 pixels."""
    flat = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    return bool((flat >= 0).all() and (flat <= torch.tensor([40.0, 20.0])).all())


def is_right(task: str, spec: TaskSpec, answer: Prediction) -> bool:
    """Whether an answer has the form of its task, whatever the weights say."""
    if (closed := spec.generate.choices) is not None:
        return answer.text in (closed.values or ())
    if task == "count":
        return bool(re.fullmatch(r"-?\d+(\.\d)?", answer.text or ""))
    if task == "ground":
        return len(answer.boxes or ()) == 1 and within(answer.boxes)
    if task in ("point_at", "outline"):
        name = "points" if task == "point_at" else "polygons"
        return all(within(one) for one in answer.shapes[name])
    if task == "detect":
        return within(answer.boxes) and len(answer.shapes["labels"]) == len(answer.boxes or ())
    return isinstance(answer.text, str)


@pytest.mark.parametrize("method", ["greedy", "beam", "sample"])
@pytest.mark.parametrize("task", TASKS)
def test_an_answer_has_the_form_of_its_task(
    model: UnifiedVL, photos: Path, task: str, method: str
) -> None:
    """Each grammar with greedy decoding, beams and sampling; closed answers by their own method and
    by scoring them all."""
    spec = model.specs[task]
    if spec.generate.choices is not None:
        method = {"greedy": "constrained", "beam": "score_choices"}.get(method, "constrained")
    spec = with_generate(spec, {"method": method} | ({"beams": 3} if method == "beam" else {}))
    words = {name: "two dogs" for name in ("text", "phrase", "question") if name in spec.fields}
    if task == "caption":
        words = {}
    paths = [photos / f"{number}.png" for number in range(3)]
    several = 2 if method in ("beam", "score_choices") else 1
    answers = model.predict(spec, language="en", image=paths, n=several, **words)
    assert len(answers) == 3
    for answer in answers:
        assert answer.error is None and answer.score <= 0
        assert answer.cut or is_right(task, spec, answer), answer
        assert several == 1 or len(answer.alternatives) == several


def test_pairs_score_as_each_alone(model: UnifiedVL, photos: Path) -> None:
    """What reranking asks: several texts of several images in one batch."""
    judge = PairScorer(model, "caption")
    size, fit = model.codec.image_size, model.codec.fit
    loaded = [resize(Image.open(photos / f"{n}.png"), size, fit=fit) for n in range(3)]
    images = image_features(model, loaded)
    sentences = [Sentence(text, language) for text, language in SENTENCES]
    pairs = [(i, t) for i in range(3) for t in range(len(sentences))]
    found = judge.log_probability(images, sentences, pairs)
    alone = [judge.log_probability(images, sentences, [pair])[0].item() for pair in pairs]
    assert found.tolist() == pytest.approx(alone, abs=1e-4)
    assert len({round(value, 3) for value in alone}) > 6, "the pairs must differ"


def test_it_is_neither_compiled_nor_made_int8(model: UnifiedVL, tmp_path: Path) -> None:
    save_model(tmp_path, model.model, model.codec, model.specs.values())
    for option, done in (("compile", "compiled"), ("int8", "made int8")):
        with pytest.raises(UserError) as caught:
            UnifiedVL.from_pretrained(tmp_path, **{option: True})
        assert caught.value.message == f"a {model.model.config.model_type} model cannot be {done}"
        assert caught.value.field == option


def test_images_and_texts_are_found_and_reranked(model: UnifiedVL, photos: Path) -> None:
    retriever = Retriever.build(model, photos, task="caption")
    asked = retriever.search(image=photos / "4.png")[0]
    assert asked.key == "4.png"
    if model.codec.fit == "pad":  # which is done to what is indexed and to what is asked
        padded = Image.new("RGB", (16, 16), PADDING)
        padded.paste(Image.open(photos / "4.png").getpixel((0, 0)), (0, 4, 16, 12))
        assert retriever.search(image=padded)[0] == asked
    first = retriever.search("two dogs", "en", candidates=0, top=IMAGES)
    second = retriever.search("two dogs", "en", candidates=IMAGES, top=IMAGES)
    assert {hit.key for hit in first} == {hit.key for hit in second} == set(NAMES)
    assert all(hit.log_probability is None for hit in first)
    assert all(hit.log_probability is not None and hit.log_probability < 0 for hit in second)
    similarity = {hit.key: hit.similarity for hit in first}
    for hit in second:
        assert hit.similarity == pytest.approx(similarity[hit.key], abs=1e-5)
        assert hit.score == pytest.approx(hit.similarity / TEMPERATURE + hit.log_probability)
