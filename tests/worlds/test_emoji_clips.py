"""Clips of moving emoji: what is said of them is what their frames show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.worlds.conftest import OPTIONS, held_out, rows
from unified_vl import UnifiedVL, evaluate, load_run, load_task, train
from unified_vl.cli.main import main
from unified_vl.data.videos.video_file import read_header
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer
from unified_vl.worlds import emoji_clips
from unified_vl.worlds.emoji import (
    EmojiWorldOptions,
    _identity,
    choose_world,
    fingerprint,
    write_emoji_world,
)
from unified_vl.worlds.emoji_clips import FRAMES, RATE, EmojiClip, draw_clip, frames_of
from unified_vl.worlds.emoji_names import LANGUAGES
from unified_vl.worlds.emoji_scenes import is_test_combination
from unified_vl.worlds.emoji_verbs import CAME_FIRST, MOVES, WHICH_MOVES

SPECS = Path(__file__).parents[2] / "task_specs/emoji_clips"
SMALL = replace(OPTIONS, train_scenes=1, validation_scenes=2, test_scenes=2, clips=4)
TASKS = ("emoji_clip_caption", "emoji_clip_question", "emoji_clip_moment")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory: Path = tmp_path_factory.mktemp("clips") / "world"
    write_emoji_world(directory, SMALL)
    return directory


@pytest.fixture(scope="module")
def arts() -> list[Path]:
    return choose_world(EmojiWorldOptions(concepts=28))[1]


@pytest.fixture(scope="module")
def clips(arts: list[Path]) -> list[EmojiClip]:
    random = np.random.default_rng(0)
    return [draw_clip(arts, "train", 64, random) for _ in range(200)]


def test_what_moves_goes_its_way_and_is_seen_long_enough_to_tell(clips: list[EmojiClip]) -> None:
    way = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
    for clip in clips:
        mover, other = clip.actors
        step = np.sign(np.subtract(mover.to_xy, mover.from_xy))
        assert mover.direction is not None and tuple(step) == way[mover.direction]
        assert other.from_xy == other.to_xy and other.direction is None
        assert clip.first.start == 0 < max(actor.start for actor in clip.actors)
        for actor in clip.actors:
            assert 0 <= actor.start <= actor.end - 4 and actor.end <= FRAMES
        assert not is_test_combination([actor.concept for actor in clip.actors])
    assert {clip.actors[0].direction for clip in clips} == set(way)
    assert {clip.actors.index(clip.first) for clip in clips} == {0, 1}


def test_an_emoji_is_in_the_frames_of_its_moment_alone(
    clips: list[EmojiClip], arts: list[Path]
) -> None:
    for clip in clips[:20]:
        for place, actor in enumerate(clip.actors):
            gone = replace(clip.actors[1 - place], start=FRAMES, end=FRAMES)
            alone = replace(clip, actors=(actor, gone))
            ground = np.array(clip.ground)
            shown = [bool((np.asarray(f) != ground).any()) for f in frames_of(alone, arts, 64)]
            assert shown == [actor.start <= number < actor.end for number in range(FRAMES)]


def test_rows_say_it_in_every_language_and_keep_names_held_out(filmed: Path) -> None:
    secret = {tag for languages in held_out(filmed).values() for tag in languages}
    assert secret == set(LANGUAGES)
    for task in TASKS:
        assert {row["cell"] for row in rows(filmed, task, "train")} == {"seen"}
        test = rows(filmed, task, "test")
        assert sorted(row["language"] for row in test) == sorted(LANGUAGES * 2)
        for row in test:
            film = read_header(filmed / row["clip"], "a clip", "a row")
            assert film.count == FRAMES == row["duration"] * RATE
    for row in rows(filmed, "emoji_clip_caption", "test"):
        assert row["caption"].partition(": ")[2] in MOVES[row["language"]].values()
    for row in rows(filmed, "emoji_clip_moment", "test"):
        start, end = row["moment"]
        assert 0 <= start < end <= row["duration"]


def test_every_language_says_each_thing_in_its_own_words() -> None:
    assert set(MOVES) == set(WHICH_MOVES) == set(CAME_FIRST) == set(LANGUAGES)
    said = [text for tag in LANGUAGES for text in (*MOVES[tag].values(), WHICH_MOVES[tag])]
    assert all(said) and len(set(said)) == len(said) == 14 * 5


def test_a_world_is_the_same_again_and_without_clips_what_it_was(
    filmed: Path, tmp_path: Path
) -> None:
    write_emoji_world(tmp_path / "again", SMALL)
    assert fingerprint(tmp_path / "again") == fingerprint(filmed)
    assert "clips" not in str(_identity(replace(SMALL, clips=0)))
    assert not write_emoji_world(filmed, SMALL)


@pytest.mark.parametrize("task", TASKS)
def test_the_shipped_specs_check_on_it(
    task: str, filmed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["check", str(SPECS / f"{task}.yaml"), "--data", str(filmed), "--rows", "28"]
    monkeypatch.setattr("sys.argv", ["unified-vl", *words, "--no-leakage"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None), capsys.readouterr()


def test_a_clip_comes_back_as_it_was_painted(
    tmp_path: Path, clips: list[EmojiClip], arts: list[Path]
) -> None:
    for clip in clips[:3]:
        pictures = frames_of(clip, arts, 64)
        emoji_clips.write_clip(tmp_path / "a.webp", pictures)
        found = read_header(tmp_path / "a.webp", "a clip", "a row").frames(range(FRAMES))
        for frame, picture in zip(found, pictures, strict=True):
            assert (np.asarray(frame.convert("RGB")) == np.asarray(picture)).all()


def test_a_run_on_them_learns_and_answers(filmed: Path, tmp_path: Path) -> None:
    """The shipped run, in small: three steps, an answer to each task, a score."""
    specs = [load_task(SPECS / f"{task}.yaml") for task in TASKS]
    train_tokenizer(texts_of_specs(specs, filmed), specs, tmp_path / "tokenizer", 700)
    small = ["d_model=32", "d_kv=8", "d_ff=32", "num_layers=1", "num_decoder_layers=1"]
    keys = [f"data={filmed}", f"tokenizer={tmp_path / 'tokenizer'}", f"output={tmp_path / 'run'}"]
    more = ["steps=3", "batch_size=2", "validation_rows=2", "optimizer.warmup_steps=1"]
    sizes = [f"model.{each}" for each in small]
    run = load_run(SPECS.parent / "runs/emoji_clips.yaml", [*keys, *more, *sizes])
    model = UnifiedVL.from_pretrained(train(run, progress=False))
    row = rows(filmed, "emoji_clip_moment", "test")[0]
    asked = {"clip": filmed / row["clip"], "language": row["language"]}
    moment = model.predict("emoji_clip_moment", phrase=row["phrase"], **asked)
    ((start, end),) = moment.shapes["moments"]
    assert 0 <= start < end <= 1
    assert model.predict("emoji_clip_caption", **asked).score <= 0
    scored = evaluate(model, specs, "test", filmed, limit=3, resamples=0)
    assert set(scored.report["tasks"]) == set(TASKS)
    assert len(scored.predictions) == 9
