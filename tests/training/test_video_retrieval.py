"""Texts find videos and videos texts, once a run has brought them together."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from typer.testing import CliRunner

from tests import filming
from tests.batches import collate
from tests.training.conftest import RUN
from tests.training.test_engine import CONFIGS
from unified_vl import Retriever, UnifiedVL
from unified_vl.cli.main import app
from unified_vl.codecs.images import resize
from unified_vl.codecs.segments import Image, Tag, Text
from unified_vl.data.example import Example
from unified_vl.errors import UserError
from unified_vl.inference.pair_scoring import PairScorer, Sentence
from unified_vl.inference.retrieval.corpus import read_corpus
from unified_vl.inference.retrieval.features import clip_features
from unified_vl.specs.load import load_run, load_task
from unified_vl.specs.tasks.fields import FieldSpec
from unified_vl.training.objectives.reading.seen import seen_in_rows
from unified_vl.training.tokenizers.tokenizer_training import train_tokenizer
from unified_vl.training.trainer import train

# words of one length: batches are of rows of like length, and each needs all four
COLOURS = {
    "pink": (230, 60, 140),
    "lime": (30, 200, 30),
    "blue": (30, 30, 220),
    "cyan": (20, 200, 200),
}
GREY = (128, 128, 128)
SIDE = filming.SIDE


def colour_film(folder: Path, colour: str, frames: int, at: int) -> None:
    """A folder of grey frames, of which one is of a colour."""
    folder.mkdir(parents=True)
    for number in range(frames):
        rgb = COLOURS[colour] if number == at else GREY
        PILImage.new("RGB", (SIDE, SIDE), rgb).save(folder / f"{number}.png")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, trained on films of one to four frames, and others of the same colours to find."""
    root = tmp_path_factory.mktemp("films")
    rows = []
    for colour in COLOURS:
        for frames in range(1, 5):
            name = f"{colour}{frames}"
            colour_film(root / "data" / name, colour, frames, frames - 1)
            rows.append({"clip": name, "caption": colour})
        colour_film(root / "seek" / colour, colour, 4, 1)
    filming.write_rows(root / "data/watch_train.jsonl", rows)
    filming.write_rows(
        root / "seek/clips.jsonl", [{"video": colour, "key": colour} for colour in COLOURS]
    )
    (root / "seek/texts.txt").write_text("\n".join(COLOURS) + "\n")
    (root / "watch.yaml").write_text(filming.WATCH)
    train_tokenizer(list(COLOURS) * 6, [load_task(root / "watch.yaml")], root / "tokenizer", 280)
    (root / "mixture.yaml").write_text(
        "mixture: films\nversion: 1\ntasks: [{spec: watch.yaml, contrast: 1.0}]\n"
    )
    (root / "run.yaml").write_text(RUN.format(root=root, engines=CONFIGS))
    keys = [
        f"output={root / 'run'}",
        "steps=60",
        "batch_size=16",
        "checkpoint_every=60",
        "validate_every=60",
    ]
    train(load_run(root / "run.yaml", keys), progress=False)
    return root


@pytest.fixture(scope="module")
def model(films: Path) -> UnifiedVL:
    return UnifiedVL.from_pretrained(films / "run/model")


def test_a_row_shows_the_places_of_all_its_frames() -> None:
    feature_NPM = torch.randn(6, 2, 3)
    counts = (2, 1, 3)
    found = seen_in_rows(feature_NPM, SimpleNamespace(images_in_rows=counts))  # type: ignore[arg-type]
    assert found.shape == (3, 3 * 2, 3)
    begun = 0
    for row, count in zip(found, counts, strict=True):
        own = feature_NPM[begun : begun + count].flatten(0, 1)
        assert row[: count * 2].equal(own)
        assert not row[count * 2 :].any()
        begun += count
    one_each = SimpleNamespace(images_in_rows=(1,) * 6)
    assert seen_in_rows(feature_NPM, one_each) is feature_NPM  # type: ignore[arg-type]


@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_what_moves_is_an_image_in_a_folder_and_a_video_in_a_row_that_says_so(
    ending: str, tmp_path: Path
) -> None:
    name = f"moving{ending}"
    filming.animation(tmp_path / name, 3)
    (tmp_path / "film.mp4").write_bytes(b"beside an image")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"video": name}) + "\n")
    size = (filming.SIDE, filming.SIDE)
    still, moving = (read_corpus(each, ["en"], None) for each in (tmp_path, rows))
    assert [each.image for each in still.items] == [name]
    ((_, image),) = still.load(size, None)
    assert abs(int(image.pixels_HWC[0, 0, 0]) - filming.shades(3)[0]) < 9
    assert [each.video for each in moving.items] == [name]
    field = FieldSpec(kind="video", column="clip", frames=3)
    ((_, frames),) = moving.load_clips(field, size, None)
    found = [int(frame.pixels_HWC[0, 0, 0]) for frame in frames]
    assert np.abs(np.subtract(found, filming.shades(3))).max() < 9


@pytest.mark.parametrize("candidates", [0, 4])
def test_texts_find_videos_and_videos_texts(films: Path, model: UnifiedVL, candidates: int) -> None:
    clips = Retriever.build(model, films / "seek/clips.jsonl")
    texts = Retriever.build(model, films / "seek/texts.txt", "en")
    for colour in COLOURS:
        found = clips.search(colour, "en", candidates=candidates)
        assert found[0].key == colour
        assert found[0].path == films / "seek" / colour
        assert (found[0].log_probability is None) == (candidates == 0)
        film = films / "seek" / colour
        assert texts.search(video=film, candidates=candidates)[0].text == colour
        assert clips.search(video=film)[0].key == colour  # by what both show alone
        assert clips.search(image=film / "1.png")[0].key == colour


def test_a_pair_scores_as_alone_from_its_pixels(films: Path, model: UnifiedVL) -> None:
    """Also of videos of unlike lengths, beside each other."""
    codec = model.codec
    films_of = [("pink", 1), ("lime", 4), ("blue", 2)]
    clips = []
    for colour, frames in films_of:
        folder = films / "data" / f"{colour}{frames}"
        images = [PILImage.open(folder / f"{number}.png") for number in range(frames)]
        clips.append(tuple(resize(image, codec.image_size) for image in images))
    texts = [Sentence(colour, "en") for colour in ("pink", "cyan")]
    pairs = [(clip, text) for clip in range(3) for text in range(2)]
    found = PairScorer(model, "watch").log_probability(clip_features(model, clips), texts, pairs)
    for (clip, text), score in zip(pairs, found.tolist(), strict=True):
        frames = [Image(image, number) for number, image in enumerate(clips[clip])]
        source = (Tag("task:watch"), *frames)
        batch = collate([Example("watch", "en", "", source, (), {}, {}, "", None)], codec)
        labels_1T = torch.tensor([codec.encode_target([Text(texts[text].text)]).ids])
        with torch.inference_mode():
            logits_1TV = model.model(**batch.model_inputs(), labels=labels_1T).logits
        gained_T = logits_1TV.log_softmax(-1).gather(2, labels_1T[..., None])[0, :, 0]
        assert score == pytest.approx(float(gained_T.mean()), abs=1e-4)


def ran(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_commands(films: Path, tmp_path: Path) -> None:
    """Video files of a folder are found as folders of frames are; one that is broken is named."""
    seek = tmp_path / "seek"
    for count, colour in enumerate(COLOURS, start=2):
        frames = [PILImage.new("RGB", (SIDE, SIDE), COLOURS[colour]) for _ in range(count)]
        filming.film_of(seek / f"{colour}.mp4", frames)
    (seek / "broken.mp4").write_bytes(b"no video")
    model = films / "run/model"
    index = ran("index", model, seek).strip()
    hits = [
        json.loads(line)
        for line in ran(
            "retrieve", model, index, "--text", "blue", "--language", "en", "--json"
        ).splitlines()
    ]
    assert len(hits) == len(COLOURS)
    assert hits[0]["path"] == str(seek / "blue.mp4")
    first = ran("retrieve", model, index, "--video", seek / "pink.mp4", "--top", "1")
    assert first.strip().endswith("pink.mp4")
    report = json.loads(
        ran("evaluate-retrieval", model, "--data", films / "data", "--split", "train", "--json")
    )
    assert (report["shown"], report["images"]) == ("video", 16)
    assert report["all"]["text_to_image"]["reranked"]["recall_at_1"] == 100.0


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([{"video": "pink", "text": "pink"}], "clips.jsonl:1: the row has `video` and `text`"),
        ([{"video": "pink"}, {"text": "pink"}], "some rows are videos and some are texts"),
        ([{"vidoe": "pink"}], "the row has no `image`, no `video` and no `text`.*video"),
        ([{"video": "pink"}, {"video": "nowhere"}], r"clips.jsonl:2: there is no video 'nowhere'"),
        ([{"video": "../data/pink1"}], "pink1"),
        ([{"video": 3}], "clips.jsonl:1: video: found 3"),
    ],
)  # fmt: skip
def test_bad_collections(
    films: Path, model: UnifiedVL, rows: list[dict[str, object]], problem: str
) -> None:
    path = films / "seek/bad-clips.jsonl"
    filming.write_rows(path, rows)
    with pytest.raises(UserError, match=problem):
        Retriever.build(model, path)


def test_videos_among_videos_need_no_second_stage(films: Path, model: UnifiedVL) -> None:
    """So the head that this model does not have is not asked for; and a query has no row."""
    clips = Retriever.build(model, films / "seek/clips.jsonl", rerank="matching")
    assert clips.search(video=films / "seek/lime")[0].key == "lime"
    with pytest.raises(UserError, match=r"^video: there is no video '.*nowhere\.mp4'"):
        clips.search(video=films / "nowhere.mp4")


def test_a_task_of_videos_is_none_of_images(films: Path, model: UnifiedVL) -> None:
    with pytest.raises(UserError, match="'watch' neither describes an image nor"):
        PairScorer(model, "watch", shown="image")
    with pytest.raises(UserError, match=r"0 captioning tasks of images \(none\)"):
        Retriever.build(model, films / "seek/texts.txt", "en").search(
            image=films / "seek/pink/1.png"
        )
    with pytest.raises(UserError, match="the query is a text, an image or a video"):
        Retriever.build(model, films / "seek/clips.jsonl").search("pink", "en", video=films)
