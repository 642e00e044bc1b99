"""Moving Emoji World: clips in which two emoji come, go and move, and the rows about them.

A clip is `FRAMES` pictures at `RATE` a second, an animated WebP. Of its two emoji one moves, one
comes late, and in every second clip one goes early, each of which may be either; so captions,
questions and moments need time: no single frame says which way an emoji moves, or which came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from unified_vl.worlds.emoji_art import tight_art
from unified_vl.worlds.emoji_names import LANGUAGES
from unified_vl.worlds.emoji_scenes import Split, draw_scene_of
from unified_vl.worlds.emoji_tasks import HELD_OUT, SEEN, Concept, TaskRow
from unified_vl.worlds.emoji_verbs import CAME_FIRST, MOVES, WHICH_MOVES

FRAMES, RATE = 16, 8  # in a clip, and of a second
SIDE = 18 / 64  # longer side of the art, of that of the picture
LEAST_WAY = 1 / 3  # of the picture's side, that what moves goes
EARLIEST, LATEST = 3, FRAMES - 4  # frames at which something comes or goes

Direction = Literal["left", "right", "up", "down"]
_WAYS: dict[Direction, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """An emoji of a clip.

    Attributes:
        concept: its number.
        from_xy, to_xy: its upper left corner in the first frame and in the last.
        start, end: the first frame in which it is seen, and the first in which it no longer is.
        direction: which way it moves; None for one that stays in its place.
    """

    concept: int
    from_xy: tuple[int, int]
    to_xy: tuple[int, int]
    start: int
    end: int
    direction: Direction | None


@dataclass(frozen=True, slots=True)
class EmojiClip:
    """What a clip shows: two emoji, the one that moves first, on a ground of one colour."""

    actors: tuple[Actor, Actor]
    side: int
    ground: tuple[int, int, int]

    @property
    def first(self) -> Actor:
        """The one that is seen first."""
        return min(self.actors, key=lambda actor: actor.start)


def draw_clip(
    arts: Sequence[Path], split: Split, image_size: int, random: np.random.Generator
) -> EmojiClip:
    """Draw the contents of a clip of `split`: its pair of emoji may stand in that split alone."""
    scene = draw_scene_of(2, arts, split, image_size, random)
    order = random.permutation(2).tolist()
    mover, other = (scene.concepts[place] for place in order)
    side = round(SIDE * image_size)
    direction: Direction = list(_WAYS)[int(random.integers(len(_WAYS)))]
    late = int(random.integers(2))  # which of both is not there from the start
    starts = [0, 0]
    starts[late] = int(random.integers(EARLIEST, LATEST - 2))
    ends = [FRAMES, FRAMES]
    gone = int(random.integers(2))
    if random.random() < 0.5:
        ends[gone] = int(random.integers(max(starts[gone] + 4, EARLIEST), FRAMES))
    from_xy, to_xy = _path(tight_art(arts[mover], side).size, direction, image_size, random)
    width, height = tight_art(arts[other], side).size
    place = (
        int(random.integers(image_size - width + 1)),
        int(random.integers(image_size - height + 1)),
    )
    return EmojiClip(
        (
            Actor(mover, from_xy, to_xy, starts[0], ends[0], direction),
            Actor(other, place, place, starts[1], ends[1], None),
        ),
        side,
        scene.ground,
    )


def _path(
    size: tuple[int, int], direction: Direction, image_size: int, random: np.random.Generator
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Upper left corners in the first frame and in the last, along a row or a column."""
    room = [image_size - side for side in size]
    axis = 0 if _WAYS[direction][0] else 1
    least = round(LEAST_WAY * image_size)
    way = int(random.integers(least, room[axis] + 1))
    low = int(random.integers(room[axis] - way + 1))
    across = int(random.integers(room[1 - axis] + 1))
    ends = [low, low + way]
    if sum(_WAYS[direction]) < 0:
        ends.reverse()
    start, end = ([at, across] if axis == 0 else [across, at] for at in ends)
    return (start[0], start[1]), (end[0], end[1])


def frames_of(clip: EmojiClip, arts: Sequence[Path], image_size: int) -> list[Image.Image]:
    """The pictures of a clip, RGB; what moves passes over what does not."""
    pictures = []
    for number in range(FRAMES):
        picture = Image.new("RGB", (image_size, image_size), clip.ground)
        for actor in reversed(clip.actors):
            if actor.start <= number < actor.end:
                art = tight_art(arts[actor.concept], clip.side)
                part = number / (FRAMES - 1)
                x, y = (
                    round(a + (b - a) * part)
                    for a, b in zip(actor.from_xy, actor.to_xy, strict=True)
                )
                picture.paste(art, (x, y), art)
        pictures.append(picture)
    return pictures


def clip_path(split: Split, number: int) -> str:
    """Where a clip lies, relative to the data root."""
    return f"clips/{split}/{number:06d}.webp"


def write_clip(path: Path, pictures: Sequence[Image.Image]) -> None:
    """An animated WebP without loss."""
    first, *rest = pictures
    duration = 1000 // RATE
    first.save(path, save_all=True, append_images=rest, duration=duration, lossless=True, method=0)


def clip_rows(
    concepts: Sequence[Concept], clips: Sequence[EmojiClip], split: Split
) -> dict[str, list[TaskRow]]:
    """The rows of the three tasks about clips, each clip in every language that may name both of
    its emoji: in training and validation those in which neither is held out."""
    tasks: dict[str, list[TaskRow]] = {
        "emoji_clip_caption": [],
        "emoji_clip_question": [],
        "emoji_clip_moment": [],
    }
    for number, clip in enumerate(clips):
        for place, language in enumerate(LANGUAGES):
            both = [concepts[actor.concept] for actor in clip.actors]
            cell = HELD_OUT if any(language in one.held_out for one in both) else SEEN
            if split != "test" and cell != SEEN:
                continue
            row = _row(split, number, language, cell)
            names = [one.names[language] for one in both]
            turn = (number + place) % 2
            tasks["emoji_clip_caption"].append(row | {"caption": _caption(clip, names, language)})
            tasks["emoji_clip_question"].append(row | _question(clip, names, language, turn))
            actor = clip.actors[turn]
            moment = [actor.start / RATE, actor.end / RATE]
            tasks["emoji_clip_moment"].append(row | {"phrase": names[turn], "moment": moment})
    return tasks


def _row(split: Split, number: int, language: str, cell: str) -> TaskRow:
    return {
        "key": f"{split}-{number:06d}-{language}",
        "clip": clip_path(split, number),
        "duration": FRAMES / RATE,
        "language": language,
        "cell": cell,
    }


def _caption(clip: EmojiClip, names: Sequence[str], language: str) -> str:
    direction = clip.actors[0].direction
    assert direction is not None  # of the one that moves
    return f"{names[0]}: {MOVES[language][direction]}"


def _question(clip: EmojiClip, names: Sequence[str], language: str, turn: int) -> TaskRow:
    """By turns which one moves, and which one came first."""
    if turn == 0:
        return {"question": WHICH_MOVES[language], "answer": names[0], "asked": "moves"}
    first = names[clip.actors.index(clip.first)]
    return {"question": CAME_FIRST[language], "answer": first, "asked": "first"}
