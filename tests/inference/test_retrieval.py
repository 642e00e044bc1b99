"""Retrieval and what it is made of, against scores written out."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.batches import collate
from unified_vl import Retriever, UnifiedVL
from unified_vl.codecs.images import LoadedImage, resize
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.data.example import Example
from unified_vl.errors import BadRow, UserError
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.retrieval import late_interaction as late
from unified_vl.inference.retrieval.corpus import read_corpus
from unified_vl.inference.retrieval.features import image_features, text_features
from unified_vl.inference.retrieval.index import build_index, load_index
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE, Features, late_interaction
from unified_vl.specs.load import load_task

MATCH = """
task: tiny_match
version: 1
about: Say whether they belong together.
data:
  reader: jsonl
  path: "match/{split}.jsonl"
  splits: {test: test}
  languages: [en, de, fa]
  language_column: language
fields:
  image: {kind: image, column: picture}
  texts: {kind: text, column: texts, many: true}
  answer: {kind: text, column: answer}
example:
  source: "{language} {image} {texts}"
  target: "{answer}"
  pick: {texts: first}
score: [{metric: accuracy, against: answer, primary: true}]
"""
TEXTS = ("a red cat and a dog", "eine rote Katze", "a dog", "گربه قرمز", "ein Hund und eine Katze")
LANGUAGES = ("en", "de", "en", "fa", "de")
IMAGES = 7


@pytest.fixture(scope="module")
def model(tiny) -> UnifiedVL:
    return UnifiedVL(tiny.saved)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, picture) -> Path:
    """A folder of images, one of them in a folder below it."""
    folder = tmp_path_factory.mktemp("corpus") / "photos"
    (folder / "more").mkdir(parents=True)
    for number in range(IMAGES):
        below = folder / "more" if number == IMAGES - 1 else folder
        picture(number).save(below / f"{number}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def loaded(picture: Callable, number: int) -> LoadedImage:
    return resize(picture(number), (16, 16))


def sources(tiny, picture, task: str, numbers, sentences):
    """A batch as training would make it: from pixels, by the template."""
    examples = []
    for number, sentence in zip(numbers, sentences, strict=True):
        segments = [Tag(f"language:{sentence.language}"), Image(loaded(picture, number))]
        if task == "tiny_caption":
            segments = [Tag("task:tiny_caption"), *segments]
        else:
            segments.append(Text(sentence.text))
        examples.append(Example(task, "en", "", tuple(segments), (), {}, {}, "", None))
    return collate(examples, tiny.saved.codec)


@torch.inference_mode()
def naive(tiny, picture, task: str, number: int, sentence: Sentence) -> float:
    """The score of one pair, alone, from pixels."""
    codec = tiny.saved.codec
    batch = sources(tiny, picture, task, [number], [sentence])
    text = sentence.text if task == "tiny_caption" else "yes"
    ids = codec.encode_target([Text(text)]).ids
    labels_1T = torch.tensor([ids])
    logits_1TV = tiny.saved.model(**batch.model_inputs(), labels=labels_1T).logits
    gained_T = logits_1TV.log_softmax(-1).gather(2, labels_1T[..., None])[0, :, 0]
    return float(gained_T.mean() if task == "tiny_caption" else gained_T.sum())


@torch.inference_mode()
def naive_similarity(tiny, picture, number: int, text: str) -> float:
    """Late interaction as the paper writes it, both ways."""
    model, codec = tiny.saved.model, tiny.saved.codec
    pixels = torch.from_numpy(loaded(picture, number).pixels_HWC.copy()).permute(2, 0, 1)[None]
    places = model.encoder.vision(pixels)[1][0]
    ids = codec.text.encode(text)
    tokens = model.encoder(torch.tensor([[*ids, 1]]))[0][0, : len(ids)]
    cosines = [[float(F.cosine_similarity(t, p, dim=0)) for p in places] for t in tokens]
    by_token = np.mean([max(row) for row in cosines])
    return float(by_token + np.mean([max(column) for column in zip(*cosines, strict=True)]))


@pytest.fixture(scope="module")
def match(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("specs") / "tiny_match.yaml"
    path.write_text(MATCH)
    return path


@pytest.mark.parametrize("task", ["tiny_caption", "tiny_match"])
def test_pairs_score_as_each_alone_from_its_pixels(tiny, model, picture, match, task: str) -> None:
    judge = PairScorer(model, match if task == "tiny_match" else None)
    images = image_features(model, [loaded(picture, number) for number in range(IMAGES)])
    sentences = [Sentence(*pair) for pair in zip(TEXTS, LANGUAGES, strict=True)]
    pairs = [(i, t) for i in range(IMAGES) for t in range(len(TEXTS)) if (i + t) % 3]
    found = judge.log_probability(images, sentences, pairs)
    expected = [naive(tiny, picture, task, i, sentences[t]) for i, t in pairs]
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert len({round(value, 3) for value in expected}) > 10, "the pairs must differ"


@pytest.mark.parametrize("most", [1, 100, 1 << 23])
def test_late_interaction_is_that_of_each_pair(tiny, model, picture, monkeypatch, most) -> None:
    monkeypatch.setattr(late, "MOST_PRODUCTS", most)
    images = image_features(model, [loaded(picture, number) for number in range(3)])
    found_TI = late_interaction(text_features(model, TEXTS), images)
    for t, text in enumerate(TEXTS):
        expected = [naive_similarity(tiny, picture, number, text) for number in range(3)]
        assert found_TI[t].tolist() == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(late_interaction(images, text_features(model, TEXTS)), found_TI.T)


@pytest.mark.parametrize("task", ["tiny_caption", "tiny_match"])
@pytest.mark.parametrize("candidates", [3, 100])
def test_images_are_ranked_as_by_scoring_the_best_of_the_first_stage(
    tiny, model, picture, photos: Path, match: Path, task: str, candidates: int
) -> None:
    retriever = Retriever.build(model, photos, task=match if task == "tiny_match" else None)
    text = "ein Hund und eine Katze"
    similarity = {n: naive_similarity(tiny, picture, n, text) for n in range(IMAGES)}
    first = sorted(similarity, key=lambda n: -similarity[n])[:candidates]
    sentence = Sentence(text, "de")
    scores = {
        n: similarity[n] / TEMPERATURE + naive(tiny, picture, task, n, sentence) for n in first
    }
    hits = retriever.search(text, "de", top=3, candidates=candidates)
    expected = sorted(scores, key=lambda n: -scores[n])[:3]
    names = ["more/6.png" if n == IMAGES - 1 else f"{n}.png" for n in expected]
    assert [hit.key for hit in hits] == names
    assert [hit.score for hit in hits] == pytest.approx([scores[n] for n in expected], abs=1e-3)
    assert all(hit.path == photos / hit.key and hit.path.is_file() for hit in hits)


def test_without_candidates_the_first_stage_decides(tiny, model, picture, photos: Path) -> None:
    hits = Retriever.build(model, photos).search("a dog", candidates=0, top=IMAGES)
    similarity = {n: naive_similarity(tiny, picture, n, "a dog") for n in range(IMAGES)}
    order = sorted(similarity, key=lambda n: -similarity[n])
    assert [int(Path(hit.key).stem) for hit in hits] == order
    assert [hit.log_probability for hit in hits] == [None] * IMAGES


def test_texts_of_several_languages_are_found_by_an_image(
    tiny, model, picture, photos: Path, tmp_path: Path
) -> None:
    rows = [
        {"key": f"t{n}", "text": text, "language": language}
        for n, (text, language) in enumerate(zip(TEXTS, LANGUAGES, strict=True))
    ]
    corpus = tmp_path / "texts.jsonl"
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))
    hits = Retriever.build(model, corpus).search(image=photos / "2.png")
    scores = {
        f"t{n}": naive_similarity(tiny, picture, 2, text) / TEMPERATURE
        + naive(tiny, picture, "tiny_caption", 2, Sentence(text, language))
        for n, (text, language) in enumerate(zip(TEXTS, LANGUAGES, strict=True))
    }
    assert [hit.key for hit in hits] == sorted(scores, key=lambda key: -scores[key])
    assert {hit.key: hit.score for hit in hits} == pytest.approx(scores, abs=1e-3)
    assert {hit.key: (hit.text, hit.language) for hit in hits} == {
        row["key"]: (row["text"], row["language"]) for row in rows
    }


def test_an_image_finds_itself(model, photos: Path) -> None:
    hits = Retriever.build(model, photos).search(image=photos / "4.png")
    assert hits[0].key == "4.png"
    assert hits[0].similarity == pytest.approx(2, abs=1e-4)


def test_an_index_comes_back_as_it_was(model, photos: Path, tmp_path: Path) -> None:
    copy = tmp_path / "photos"
    shutil.copytree(photos, copy)
    retriever = Retriever.build(model, copy)
    retriever.index.save(tmp_path / "photos.index")
    retriever.index.save(tmp_path / "photos.index")  # replaces itself
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.index"]
    again = Retriever(model, tmp_path / "photos.index")
    for stage in (0, 5):
        expected = retriever.search("a dog", "en", candidates=stage)
        assert again.search("a dog", "en", candidates=stage) == expected
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in (copy, tmp_path / "photos.index"):
        path.rename(moved / path.name)
    hit = Retriever(model, moved / "photos.index").search("a dog", "en")[0]
    assert hit.path is not None and hit.path.is_file(), "collection and index move together"


def test_texts_of_all_lengths_come_back_from_an_index(model, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\na red cat and a dog\n\nno\n", encoding="utf-8")
    built = Retriever.build(model, tmp_path / "t.txt", language="en").index
    built.save(tmp_path / "t.index")
    read = load_index(tmp_path / "t.index", model)
    assert [(i.key, i.text) for i in read.items] == [
        ("1", "a"),
        ("2", "a red cat and a dog"),
        ("4", "no"),
    ]
    torch.testing.assert_close(read.features.unit_ATM, built.features.unit_ATM)
    assert (read.features.norm_AT > 0).sum(1).tolist() == [
        len(model.codec.text.encode(item.text or "")) for item in read.items
    ]


def test_features_survive_packing() -> None:
    torch.manual_seed(0)
    mask_AT = torch.tensor([[1, 1, 0], [1, 1, 1]])
    vectors_ATM = torch.randn(2, 3, 4)
    features = Features.of(vectors_ATM, mask_AT)
    again = Features.unpacked(features.packed())
    torch.testing.assert_close(again.vectors_ATM, vectors_ATM * mask_AT[..., None])
    torch.testing.assert_close(again.norm_AT, features.norm_AT)


def test_the_index_of_another_model_is_refused(tiny, model, photos: Path, tmp_path: Path) -> None:
    Retriever.build(model, photos).index.save(tmp_path / "photos.index")
    weight = tiny.saved.model.lm_head.weight
    before = weight.detach().clone()
    try:
        with torch.no_grad():
            weight[3, 5] += 0.5
        with pytest.raises(UserError, match=r"made with another model.*unified-vl index"):
            Retriever(model, tmp_path / "photos.index")
    finally:
        with torch.no_grad():
            weight.copy_(before)
    Retriever(model, tmp_path / "photos.index")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("index.json", b"{}", "this is not an index"),
        ("index.json", b"[", "not JSON"),
        ("items.parquet", b"PAR1", "items cannot be read"),
        ("features.safetensors", b"12345678", "features cannot be read"),
        ("features.safetensors", None, "features cannot be read"),
    ],
)
def test_a_broken_index_is_refused(
    model, photos: Path, tmp_path: Path, name: str, content: bytes | None, said: str
) -> None:
    path = tmp_path / "x.index"
    Retriever.build(model, photos).index.save(path)
    (path / name).unlink()
    if content is not None:
        (path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        Retriever(model, path)


def test_features_that_do_not_fit_are_refused(model, photos: Path, tmp_path: Path) -> None:
    index = Retriever.build(model, photos).index
    for wrong in (
        dataclasses.replace(index, items=index.items[:-1]),
        dataclasses.replace(index, features=Features.of(torch.randn(IMAGES, 2, 32))),
        dataclasses.replace(index, features=Features.of(torch.randn(IMAGES, 4, 8))),
    ):
        wrong.save(tmp_path / "x.index")
        with pytest.raises(UserError, match="do not fit"):
            Retriever(model, tmp_path / "x.index")


def test_an_index_replaces_nothing_else(model, photos: Path) -> None:
    index = Retriever.build(model, photos).index
    with pytest.raises(UserError, match="something else already"):
        index.save(photos)
    assert (photos / "0.png").is_file()


def test_images_that_cannot_be_read_are_told_of(model, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "3.png").write_bytes(b"nonsense")
    corpus = read_corpus(folder, ["en"], None)
    with pytest.raises(BadRow, match=r"3\.png"):
        build_index(model, corpus)
    told: list[BadRow] = []
    built = build_index(model, corpus, told.append)
    assert [item.key for item in built.items] == [
        f"{n}.png" for n in range(IMAGES - 1) if n != 3
    ] + ["more/6.png"]
    assert len(told) == 1 and "3.png" in str(told[0])
    for path in folder.rglob("*.png"):
        path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="no image of the collection can be read"):
        build_index(model, corpus, told.append)


def test_a_name_that_is_no_utf8_is_left_out_and_told(model, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(photos / "0.png", folder / "0.png")
    shutil.copy(photos / "0.png", os.fsdecode(bytes(folder) + b"/\xff.png"))
    told: list[BadRow] = []
    built = build_index(model, read_corpus(folder, ["en"], None), told.append)
    built.save(tmp_path / "index")
    assert [item.key for item in built.items] == ["0.png"]
    assert ["is not UTF-8 text" in str(error) for error in told] == [True]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"text": "a", "language": "en"}, {"image": "0.png"}], "some rows are images"),
        ([{"txet": "a"}], r"rows.jsonl:1: the row has no `image`.*did you mean 'txet'"),
        ([{"text": "a", "image": "0.png"}], "has `image` and `text`"),
        ([{"text": 3}], "rows.jsonl:1: text: found 3"),
        ([{"text": "a"}], "language: no language is given"),
        ([{"text": "a", "language": "fz"}], "unknown language 'fz'"),
        ([], "the collection is empty"),
        ([{"text": "a\ud800", "language": "en"}], "rows.jsonl:1: text: is not UTF-8 text"),
        ([{"text": "a", "key": "\ud800", "language": "en"}], "key: is not UTF-8 text"),
        ([{"text": "a", "language": "\ud800"}], "language: is not UTF-8 text"),
    ],
)
def test_rows_that_are_no_collection(model, tmp_path: Path, rows: list, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=said):
        Retriever.build(model, path)


def test_languages_are_understood_in_any_spelling(model, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "a", "language": "deu_Latn"}) + "\n")
    assert [item.language for item in Retriever.build(model, path).index.items] == ["de"]
    retriever = Retriever.build(model, photos)
    assert retriever.search("a dog", "fas") == retriever.search("a dog", "fa")


def test_an_image_may_not_leave_the_folder_of_its_file(model, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"image": str(photos / "0.png")}) + "\n")
    with pytest.raises(UserError, match="leaves the data root"):
        Retriever.build(model, path)


def test_queries_that_cannot_be_answered(model, photos: Path, tiny, match: Path) -> None:
    retriever = Retriever.build(model, photos)
    with pytest.raises(UserError, match="a text, an image or a video"):
        retriever.search()
    with pytest.raises(UserError, match="is empty"):
        retriever.search(" ", "en")
    with pytest.raises(UserError, match="text: is not UTF-8 text"):
        retriever.search("a\udc80", "en")
    with pytest.raises(UserError, match="unknown language 'xx'"):
        retriever.search("a", "xx")
    with pytest.raises(UserError, match="no image"):
        retriever.search(image=photos / "none.png")
    with pytest.raises(UserError, match="neither describes an image nor compares"):
        PairScorer(model, "tiny_copy")
    with pytest.raises(UserError, match="neither describes an image nor compares"):
        PairScorer(model, "tiny_ground")
    spec = load_task(match)
    assert PairScorer(model, spec).matches
