"""Evaluation of retrieval and of transfer against what they promise, by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from unified_vl.cli.evaluation.evaluate_retrieval import evaluate_retrieval as retrieval_command
from unified_vl.cli.evaluation.evaluate_transfer import evaluate_transfer as transfer_command
from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.codecs.texts.training import train_text_tokenizer
from unified_vl.codecs.vocabulary import IMAGE_TAG, Vocabulary, standard_tags
from unified_vl.errors import UserError
from unified_vl.evaluation.reporting.report import render
from unified_vl.evaluation.results import write_json
from unified_vl.evaluation.retrieval_evaluation import (
    evaluate_retrieval,
    features_of,
    rank_language,
    read_gallery,
)
from unified_vl.evaluation.transfer import evaluate_transfer
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.retrieval.features import text_features
from unified_vl.inference.retrieval.late_interaction import TEMPERATURE, late_interaction
from unified_vl.inference.saved_models.model_directory import SavedModel, save_model
from unified_vl.metrics.retrieval import ranks
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.run_record import RETRIEVAL
from unified_vl.specs.load import load_task

SPEC = """
task: name_it
version: 1
about: Say what is there.
data:
  reader: jsonl
  path: "{split}.jsonl"
  splits: {train: train, test: test}
  languages: [en, de]
  language_column: language
  on_bad_row: skip
fields:
  image: {kind: image, column: image}
  caption: {kind: text, column: caption}
example: {source: "{language} {image}", target: "{caption}"}
generate: {method: greedy, max_tokens: 12}
score:
  - {metric: exact_match, against: caption, primary: true}
  - {metric: chrf, against: caption}
"""
NAMES = {
    "en": ["red", "green", "blue", "a cat", "red", "two dogs"],
    "de": ["rot", "grün", "blau", "Katze", "rot", "zwei Hunde"],
}
HUES = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (120, 0, 0), (0, 120, 250)]


@dataclass(frozen=True)
class Colours:
    scorer: PairScorer
    saved: SavedModel
    data: Path


@pytest.fixture(scope="module")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Colours:
    """A random model and six images of plain colours, two with the same caption."""
    root = tmp_path_factory.mktemp("colours")
    data = root / "data"
    data.mkdir()
    rows: dict[str, list[dict[str, str]]] = {"train": [], "test": []}
    for number, hue in enumerate(HUES):
        for split, change in (("test", 0), ("train", 5)):
            image = f"{split}{number}.png"
            Image.new("RGB", (16, 16), tuple(abs(c - change) for c in hue)).save(data / image)
            for language, names in NAMES.items():
                row = {"image": image, "language": language, "caption": names[number]}
                if split == "test" or (language, number) != ("de", 3):
                    rows[split].append(row)  # one cell of the collection is empty
    rows["test"].append({"image": "none.png", "language": "en", "caption": "red"})
    for split, lines in rows.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in lines)
        (data / f"{split}.jsonl").write_text(text, encoding="utf-8")
    (root / "name_it.yaml").write_text(SPEC, encoding="utf-8")
    spec = load_task(root / "name_it.yaml")
    words = [name for names in NAMES.values() for name in names]
    text_codec = train_text_tokenizer(words * 4, root / "text.model", 300)
    vocabulary = Vocabulary(len(text_codec), standard_tags(["en", "de"], [spec.task]), 50)
    torch.manual_seed(1)
    config = UnifiedVLConfig(
        vocab_size=vocabulary.size,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=1,
        num_heads=4,
        image_token_id=vocabulary.tag_id(IMAGE_TAG),
        vision={"kind": "patches", "image_size": [16, 16], "patch_size": 8},
    )
    codec = SequenceCodec(
        vocabulary, text_codec, image_tokens=4, image_size=(16, 16), max_source=40, max_target=20
    )
    network = UnifiedVLForConditionalGeneration(config).eval()
    saved = SavedModel(network, codec, {spec.task: spec}, {})
    return Colours(PairScorer(UnifiedVL(saved)), saved, data)


def test_a_gallery_holds_each_image_once_and_skips_bad_rows(colours: Colours) -> None:
    gallery = read_gallery(colours.scorer.predictor, colours.scorer.spec, "test", colours.data)
    assert len(gallery.images) == len(HUES)
    for language, names in NAMES.items():
        assert gallery.captions[language] == list(enumerate(names))
    some = read_gallery(colours.scorer.predictor, colours.scorer.spec, "test", colours.data, 2)
    assert len(some.images) == 2
    assert some.captions["de"] == [(0, "rot"), (1, "grün")]


@pytest.mark.parametrize("candidates", [2, 100])
def test_ranks_are_those_of_scoring_the_best_of_the_first_stage(
    colours: Colours, candidates: int
) -> None:
    model, names = colours.scorer, NAMES["de"]
    gallery = read_gallery(model.predictor, model.spec, "test", colours.data)
    images = features_of(model, gallery.images)
    found = rank_language(model, images, "de", gallery.captions["de"], candidates)
    texts = list(dict.fromkeys(names))
    first_TI = (
        late_interaction(text_features(model.predictor, texts), images).double().numpy()
        / TEMPERATURE
    )
    sentences = [Sentence(text, "de") for text in texts]
    pairs = [(i, t) for t in range(len(texts)) for i in range(len(names))]
    said_TI = model.log_probability(images, sentences, pairs).reshape(first_TI.shape)
    for direction, first_QC, said_QC, right in (
        (
            "text_to_image",
            first_TI,
            said_TI,
            [[i for i, n in enumerate(names) if n == t] for t in texts],
        ),
        ("image_to_text", first_TI.T, said_TI.T, [[texts.index(name)] for name in names]),
    ):
        score_QC = first_QC.copy()
        for row, first_C in enumerate(first_QC):
            best = np.argsort(-first_C)[:candidates]
            score_QC[row] -= 1000
            score_QC[row, best] = first_C[best] + said_QC[row, best]
        times = [texts.index(name) for name in names] if direction == "text_to_image" else range(6)
        for stage, scores in (("first_stage", first_QC), ("reranked", score_QC)):
            expected = ranks(scores, right)[list(times)]
            assert found[direction, stage].tolist() == expected.tolist()


def test_scores_are_by_language_and_in_all(colours: Colours) -> None:
    told: list[tuple[str, int, int]] = []
    report = evaluate_retrieval(
        colours.scorer,
        colours.scorer.spec,
        "test",
        colours.data,
        model_name="m",
        candidates=3,
        progress=lambda *said: told.append(said),
    )
    assert told == [("en", 1, 2), ("de", 2, 2)]
    assert (report["images"], report["candidates"]) == (6, 3)
    by = report["by"]["language"]
    for direction in ("text_to_image", "image_to_text"):
        for stage in ("first_stage", "reranked"):
            everything = report["all"][direction][stage]
            each = [by[tag][direction][stage] for tag in NAMES]
            assert everything["count"] == 12 and [s["count"] for s in each] == [6, 6]
            assert everything["recall_at_10"] == 100
            for metric in ("recall_at_1", "recall_at_5"):
                mean = sum(s[metric] for s in each) / 2
                assert everything[metric] == pytest.approx(mean, abs=1e-3)


class Oracle(UnifiedVL):
    """Answers with the target."""

    def predict_examples(self, spec, examples, batch_size=64, *, n=1):
        from unified_vl.inference.prediction import Prediction

        for example in examples:
            yield Prediction(example.key, example.target[0].text, 0.0)


def test_captions_are_those_of_the_nearest_image_that_has_one(colours: Colours) -> None:
    model = PairScorer(Oracle(colours.saved))
    report = evaluate_transfer(model, "test", colours.data, model_name="m", sizes=(1, 6, 50))
    assert list(report["transferred"]) == ["1", "6"], "the collection has six images"
    assert report["own"]["metrics"]["exact_match"] == 100
    gallery = read_gallery(model.predictor, model.spec, "train", colours.data)
    collection = features_of(model, gallery.images)
    test = read_gallery(model.predictor, model.spec, "test", colours.data)
    near_II = late_interaction(features_of(model, test.images), collection).numpy()
    for language, names in NAMES.items():
        captions = dict(gallery.captions[language])
        known = sorted(captions)
        taken = [captions[known[int(near_I[known].argmax())]] for near_I in near_II]
        right = 100 * sum(a == b for a, b in zip(taken, names, strict=True)) / len(names)
        found = report["transferred"]["6"]["by"]["language"][language]
        assert found["exact_match"] == pytest.approx(right, abs=1e-3)
        assert 50 <= right < 100 if language == "de" else right == 100
    one = report["transferred"]["1"]["metrics"]["exact_match"]
    assert one <= 100 * 4 / 12, "one image has the caption of two at most, in two languages"


def test_transfer_writes_only_where_a_task_does(colours: Colours, tmp_path: Path) -> None:
    text = SPEC.replace("caption: {kind", "words: {kind: text, column: w}\n  caption: {kind")
    (tmp_path / "m.yaml").write_text(
        text.replace("{language} {image}", "{image} {words}"), encoding="utf-8"
    )
    matching = PairScorer(colours.scorer.predictor, tmp_path / "m.yaml")
    with pytest.raises(UserError, match="writes no captions"):
        evaluate_transfer(matching, "test", colours.data, model_name="m")


def test_the_commands_print_tables_and_write_files(colours: Colours, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command("retrieval")(retrieval_command)
    app.command("transfer")(transfer_command)
    saved = colours.saved
    save_model(tmp_path / "model", saved.model, saved.codec, saved.specs.values())
    asked = [str(tmp_path / "model"), "--data", str(colours.data), "--output"]

    def call(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        return result.stdout

    shown = call("retrieval", *asked, tmp_path / "r.json")
    assert "text to image" in shown and "6 images" in shown
    written = json.loads((tmp_path / "r.json").read_text())
    assert f"{written['all']['text_to_image']['reranked']['recall_at_1']:.1f}" in shown
    printed = json.loads(call("retrieval", *asked, tmp_path / "r.json", "--images", 3, "--json"))
    assert printed["images"] == 3
    shown = call("transfer", *asked, tmp_path / "t.json", "--size", 2, "--plot", tmp_path / "t.svg")
    assert "nearest of 2 images" in shown and "the model's own" in shown
    assert list(json.loads((tmp_path / "t.json").read_text())["transferred"]) == ["2"]
    assert "images of the collection" in (tmp_path / "t.svg").read_text()


def test_the_page_shows_a_retrieval_where_there_is_one(
    colours: Colours, run_directory: Path, world
) -> None:
    assert "find each other" not in render(run_directory, world.data, ["retrieval"])
    report = evaluate_retrieval(
        colours.scorer, colours.scorer.spec, "test", colours.data, model_name="m"
    )
    report["all"]["image_to_text"]["reranked"]["recall_at_5"] = 87.65
    write_json(run_directory / RETRIEVAL, report)
    page = render(run_directory, world.data, ["retrieval"])
    assert "find each other" in page and "87.7" in page and "Deutsch" in page
    (run_directory / RETRIEVAL).write_text("{}")
    with pytest.raises(UserError, match="no scores of a retrieval"):
        render(run_directory, world.data, ["retrieval"])
