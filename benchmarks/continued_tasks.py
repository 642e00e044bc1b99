"""Rows of three tasks that Emoji World's demo does not know, for `continue_training.py`.

Counting the things in a picture; captions in Dutch, a 15th language, with names of CLDR; and
English captions of new pictures in which the same emoji are another vendor's art.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unified_vl.files import read_json_object
from unified_vl.worlds.emoji import MANIFEST, EmojiWorldOptions, choose_world
from unified_vl.worlds.emoji_names import join_names
from unified_vl.worlds.emoji_scenes import Split, draw_scene, paint

COUNT, DUTCH, ART = "emoji_count", "dutch_caption", "other_art"
NEW = (COUNT, DUTCH, ART)
OLD = ("emoji_caption", "emoji_translate", "emoji_ground", "emoji_match", "easy_vqa")
KEPT = OLD[:2]
PIECES = {DUTCH: 200}  # new ones of text
LANGUAGES = {COUNT: "en", DUTCH: "nl", ART: "en"}
TESTED = 300  # rows of validation and of test, at most
SPEC = """\
task: TASK
version: 1
about: ABOUT
data:
  {reader: jsonl, path: "TASK_{split}.jsonl", languages: [LANGUAGE],
   splits: {train: trainROWS, validation: validation, test: test}}
fields:
  image: {kind: image, column: image}
  answer: {kind: text, column: answer}
example:
  source: "{task} {language} {image}"
  target: "{answer}"
score:
  - {metric: exact_match, against: answer, primary: true}
"""
ABOUT = {
    COUNT: "Say how many things are in a picture.",
    DUTCH: "Name the things of a picture from left to right, in Dutch.",
    ART: "Name the things of a picture from left to right.",
}


def write_specs(folder: Path, rows: Sequence[int]) -> None:
    """A spec of each new task for each number of training rows: `folder/TASK_ROWS.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    for task in NEW:
        for count in rows:
            text = SPEC.replace("TASK", task).replace("ROWS", str(count))
            text = text.replace("LANGUAGE", LANGUAGES[task]).replace("ABOUT", ABOUT[task])
            if task == COUNT:
                text = text.replace("{language} ", "")
            (folder / f"{task}_{count}.yaml").write_text(text, encoding="utf-8")


def write_data(world: Path, root: Path, names: Path, art: Path, rows: Sequence[int]) -> int:
    """Emoji World's pictures and rows, those of the new tasks, and the old captions of other art.

    Args:
        world: the data that the model was trained on.
        root: where to write; it appears when all is there.
        names: of emoji in Dutch, as CLDR has them.
        art: PNG files of another vendor, called by their code points, as Twemoji's are.
        rows: numbers of training rows; fewer are the first of more.

    Returns:
        How many of the world's emoji have such art.
    """
    told = root / "other_art.json"
    if told.exists():
        return int(read_json_object(told)["emoji"])
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for folder in ("scenes", *OLD):
        shutil.copytree(world / folder, partial / folder, copy_function=os.link)
    _write_about_scenes(world, partial, read_json_object(names)["annotations"], rows)
    found = _write_other_art(world, partial, art, rows)
    (partial / told.name).write_text(json.dumps({"emoji": found}))
    partial.rename(root)
    return found


def _write_about_scenes(
    world: Path, root: Path, names: Mapping[str, Any], rows: Sequence[int]
) -> None:
    for split in ("train", "validation", "test"):
        scenes: dict[str, list[str]] = {}
        path = world / f"emoji_caption/{split}.parquet"
        for row in pq.read_table(path, columns=["image", "emoji"]).to_pylist():
            scenes.setdefault(row["image"], row["emoji"])
        most = max(rows) if split == "train" else TESTED
        count, dutch = [], []
        for image, emoji in sorted(scenes.items())[:most]:
            count.append({"image": image, "answer": str(len(emoji))})
            said = [_name(names["annotations"], each) for each in emoji]
            dutch.append({"image": image, "answer": join_names(said, "nl")})
        for task, lines in ((COUNT, count), (DUTCH, dutch)):
            _write_lines(root, task, split, lines, rows)


def _name(table: Mapping[str, Any], emoji: str) -> str:
    known = table.get(emoji) or table[emoji.replace("\ufe0f", "")]
    return str(known["tts"][0])


def _write_other_art(world: Path, root: Path, art: Path, rows: Sequence[int]) -> int:
    options = EmojiWorldOptions(**read_json_object(world / MANIFEST)["options"])
    concepts, own = choose_world(options)
    theirs = [_file(art, concept.emoji) for concept in concepts]
    arts = [other or file for other, file in zip(theirs, own, strict=True)]
    old = []  # the same pictures as rows of the old captioning task
    for place, split in enumerate(("train", "validation", "test")):
        random = np.random.Generator(np.random.PCG64([options.seed, place]))
        lines: list[dict[str, Any]] = []
        while len(lines) < (max(rows) if split == "train" else TESTED):
            scene = draw_scene(arts, cast(Split, split), options.image_size, random)
            if any(theirs[at] is None for at in scene.concepts):
                continue
            image = f"other_art/{split}_{len(lines):06d}.png"
            (root / "other_art").mkdir(exist_ok=True)
            paint(scene, arts, options.image_size).save(root / image)
            said = join_names([concepts[at].names["en"] for at in scene.concepts], "en")
            lines.append({"image": image, "answer": said})
            if split == "test":
                emoji = [concepts[at].emoji for at in scene.concepts]
                cell = concepts[scene.concepts[0]].cell("en")
                row = {"key": image, "language": "en", "emoji": emoji, "cell": cell}
                old.append(row | {"image": image, "caption": said})
        _write_lines(root, ART, split, lines, rows)
    # In a folder of its own: `emoji_caption/test.parquet` below it, as the old spec names it.
    folder = root / "before"
    (folder / "emoji_caption").mkdir(parents=True)
    shutil.copytree(root / "other_art", folder / "other_art", copy_function=os.link)
    pq.write_table(pa.Table.from_pylist(old), folder / "emoji_caption/test.parquet")
    return sum(file is not None for file in theirs)


def _file(art: Path, emoji: str) -> Path | None:
    """The art of an emoji, called by its code points with or without variation selectors."""
    points = [f"{ord(point):04x}" for point in emoji]
    bare = [point for point in points if point != "fe0f"]
    files = (art / f"{'-'.join(each)}.png" for each in (points, bare))
    return next((file for file in files if file.is_file()), None)


def _write_lines(
    root: Path, task: str, split: str, lines: Sequence[Mapping[str, Any]], rows: Sequence[int]
) -> None:
    for count in rows if split == "train" else [len(lines)]:
        name = f"{split}{count}" if split == "train" else split
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines[:count])
        (root / f"{task}_{name}.jsonl").write_text(text, encoding="utf-8")
