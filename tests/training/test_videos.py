"""A run on videos and texts: it learns from both, goes on as if never stopped, and answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from typer.testing import CliRunner

from tests import filming
from tests.processes import run_ranks
from tests.training.conftest import RUN, SAY
from tests.training.test_engine import CONFIGS, SHORT, WORKER, numbers
from unified_vl import UnifiedVL
from unified_vl.cli.main import app
from unified_vl.codecs.vocabulary import frame_ids
from unified_vl.errors import UserError
from unified_vl.export.description import describe
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.specs.load import load_run, load_task
from unified_vl.training.tokenizers.tokenizer_training import train_tokenizer
from unified_vl.training.trainer import train


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `run.yaml` and all that it names."""
    root = tmp_path_factory.mktemp("films")
    (root / "data").mkdir()
    (root / "watch.yaml").write_text(filming.WATCH)
    (root / "say.yaml").write_text(SAY)
    filming.folder_of(root / "data/folder", 6)
    filming.film(root / "data/film.mp4", 6)
    filming.animation(root / "data/moving.gif", 3)
    clips = ["folder", "film.mp4", "moving.gif", ["folder/f0.png", "folder/f5.png"], "none.mp4"]
    captions = ["it gets light", "all of it is light", "three greys", "dark and light", "nothing"]
    rows = [{"clip": c, "caption": t} for c, t in zip(clips, captions, strict=True)]
    filming.write_rows(root / "data/watch_train.jsonl", rows)
    words = [("red", "rot"), ("green", "grün"), ("blue", "blau"), ("white", "weiß")]
    said = [{"text": en, "translation": de, "language": "de"} for en, de in words]
    filming.write_rows(root / "data/say_train.jsonl", said)
    specs = [load_task(root / "watch.yaml"), load_task(root / "say.yaml")]
    texts = [*captions, *(word for pair in words for word in pair)] * 6
    train_tokenizer(texts, specs, root / "tokenizer", 280)
    (root / "mixture.yaml").write_text(
        "mixture: films\nversion: 1\ntasks: [{spec: watch.yaml, contrast: 1.0}, {spec: say.yaml}]\n"
    )
    (root / "run.yaml").write_text(RUN.format(root=root, engines=CONFIGS))
    return root


def learnt(films: Path, output: Path, *more: str) -> Path:
    keys = [f"output={output}", "steps=4", "optimizer.decay=constant", "log_every=1", *more]
    train(load_run(films / "run.yaml", keys), progress=False, resume=output.exists())
    return output


@pytest.fixture(scope="module")
def whole(films: Path) -> Path:
    return learnt(films, films / "whole")


def test_both_tasks_are_learnt_and_the_missing_video_is_told(whole: Path) -> None:
    events = [json.loads(line) for line in (whole / "events.jsonl").read_text().splitlines()]
    losses: dict[str, list[float]] = {"watch": [], "say": []}
    for event in events:
        if event["event"] == "step":
            losses[event["task"]].append(event["loss"])
    assert [len(each) for each in losses.values()] == [2, 2]
    assert "there is no video 'none.mp4'" in json.dumps(events)


def test_a_resumed_run_is_the_one_that_never_stopped(films: Path, whole: Path) -> None:
    halves = learnt(films, films / "halves", "steps=2")
    learnt(films, halves)
    expected, found = (load_file(each / "model/model.safetensors") for each in (whole, halves))
    assert all(found[name].equal(weight) for name, weight in expected.items())


def test_two_processes_with_shards_of_weights_train_as_one_does(
    films: Path, tmp_path: Path
) -> None:
    """Steps with videos by turns with steps of texts alone, which leave the image branch out."""
    alone = learnt(films, tmp_path / "alone", *SHORT)
    run_ranks(
        WORKER,
        films / "run.yaml",
        tmp_path,
        CONFIGS / "zero3.json",
        "optimizer.decay=constant",
        *SHORT,
    )
    expected = numbers(alone)
    assert {task for _, _, task, _ in expected} == {"watch", "say"}
    assert numbers(tmp_path / "zero3") == pytest.approx(expected, rel=1e-5)


def predicted(model: Path, *words: object) -> str:
    asked = ["predict", str(model), "--task", "watch", *map(str, words)]
    result = CliRunner().invoke(app, asked)
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_line_takes_a_video(films: Path, whole: Path, tmp_path: Path) -> None:
    model = UnifiedVL.from_pretrained(whole / "model")
    clips = [films / "data" / name for name in ("film.mp4", "moving.gif", "folder")]
    expected = [model.predict("watch", clip=clip) for clip in clips]
    for clip, answer in zip(clips, expected, strict=True):
        assert predicted(whole / "model", "--clip", clip).strip() == answer.text
    rows = films / "data/rows.jsonl"
    filming.write_rows(rows, [{"clip": clip.name} for clip in clips] + [{"clip": "none.mp4"}])
    predicted(whole / "model", "--input", rows, "--output", tmp_path / "answers.jsonl")
    written = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in written[:3]] == [answer.text for answer in expected]
    assert [row["error"] for row in written[:3]] == [None] * 3
    assert "there is no video 'none.mp4'" in written[3]["error"]
    with pytest.raises(UserError, match=r"there is no video '.*gone\.mp4'"):
        predicted(whole / "model", "--clip", films / "gone.mp4")


def test_what_videos_are_not_for_is_told(films: Path, whole: Path, tmp_path: Path) -> None:
    """To be read with texts as pairs, and to be written as a graph."""
    for key in ("matching", "alignment"):
        (tmp_path / "mixture.yaml").write_text(
            f"mixture: films\nversion: 1\ntasks: [{{spec: {films}/watch.yaml, {key}: 1.0}}]\n"
        )
        with pytest.raises(UserError, match=f"{key}: the task 'watch' does not describe an image"):
            load_run(films / "run.yaml", [f"mixture={tmp_path / 'mixture.yaml'}"])
    told = describe(load_model(whole / "model"), [], {})
    assert told["tasks_left_out"] == {"watch": "its field 'clip' is of the kind video"}
    assert "say" in told["tasks"]


def test_a_saved_model_watches_files_folders_and_lists(films: Path, whole: Path) -> None:
    model = UnifiedVL.from_pretrained(whole / "model")
    frames_known = frame_ids(model.codec.vocabulary)
    assert len(frames_known) == 4
    assert model.model.config.frame_token_ids == list(frames_known)
    folder = films / "data/folder"
    frames: list[Any] = [folder / f"f{number}.png" for number in (0, 2, 3, 5)]
    of_list, of_paths = model.predict("watch", clip=filming.frames(6)), str(folder)
    assert model.predict("watch", clip=of_paths).text == of_list.text
    assert model.predict("watch", clip=frames).score == of_list.score
    assert model.predict("watch", clip=films / "data/film.mp4").score is not None
    two = model.predict("watch", clip=[filming.frames(6), filming.frames(2)])
    close = pytest.approx(of_list.score, rel=1e-5)  # a batch of two is rounded otherwise
    assert [each.score == close for each in two] == [True, False]
    with pytest.raises(UserError, match=r"there is no video 'other\.mp4'"):
        model.predict("watch", clip="other.mp4")


def test_frames_beyond_the_tokenizers_are_refused_at_the_start(films: Path) -> None:
    (films / "more").mkdir()
    more = filming.WATCH.replace("frames: 4", "frames: 9")
    for name in ("say.yaml", "mixture.yaml", "run.yaml"):
        (films / "more" / name).write_text((films / name).read_text())
    (films / "more/watch.yaml").write_text(more)
    run = load_run(films / "more/run.yaml", [f"output={films / 'more/output'}"])
    with pytest.raises(UserError, match=r"has 4 of its 9 tags.*tokenizer train --spec"):
        train(run, progress=False)
