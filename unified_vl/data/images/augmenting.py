"""Pictures of training rows, changed as the run says, with the places that are measured in them.

All that is drawn is a function of the example's seed and of the picture's place in the row, so that
a run which goes on, or has another number of ranks, sees the same.

Legend: H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
from PIL import Image as PILImage

from unified_vl.augmentation.augmentation import Change
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Clip, Image
from unified_vl.data.draws import Draws
from unified_vl.data.images.unread import UnreadImage
from unified_vl.geometry import Shape
from unified_vl.kinds.hooks.fits import Content
from unified_vl.kinds.hooks.motion import Motion
from unified_vl.kinds.registry import kind_of_place
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.task import TaskSpec

TRIES = 10  # draws of a motion, as torchvision's RandomResizedCrop has them
Values = Mapping[str, tuple[Any, ...]]


class Augmenter:
    """Changes the pictures of a task's rows.

    Args:
        spec: the task.
        augment: what is done to its pictures, in this order.
    """

    def __init__(self, spec: TaskSpec, augment: Sequence[AugmentSpec]) -> None:
        self.augment = augment
        self._main = spec.image_field
        self._places = [name for name, f in spec.fields.items() if f.writing == "places"]

    @property
    def moves_places(self) -> bool:
        """Whether more than pixels may change."""
        return bool(self._places) and any(each.augmentation.moves for each in self.augment)

    def both(self, asked: Values, own: Values, draws: Draws) -> tuple[Values, Values]:
        """What the model is asked, and what the row has itself, after the same changes."""
        changes = self.drawn(asked, draws)
        changed = self.changed(asked, changes)
        return changed, changed if asked is own else self.changed(own, changes)

    def drawn(self, values: Values, draws: Draws) -> dict[tuple[str, int], tuple[Change, ...]]:
        """What becomes of each picture of a row, by its field and number; nothing in evaluation."""
        found: dict[tuple[str, int], tuple[Change, ...]] = {}
        for name, each in values.items():
            for number, value in enumerate(each):
                random = draws.training("augment", name, number)
                if not isinstance(value, (Image, Clip)) or random is None:
                    continue
                measured = name == self._main and number == 0
                shapes = self._shapes(values) if measured else []
                first = value if isinstance(value, Image) else value.frames[0]
                found[name, number] = self._draw(first.image, shapes, random)
        return found

    def changed(
        self, values: Values, changes: Mapping[tuple[str, int], tuple[Change, ...]]
    ) -> Values:
        """The values of a row after these changes; places move along with the first picture."""
        if not changes:
            return values
        found = dict(values)
        for (name, number), steps in changes.items():
            if number < len(found.get(name, ())):
                each = list(found[name])
                each[number] = _changed(each[number], steps)
                found[name] = tuple(each)
        motions = [s.motion for s in changes.get((self._main or "", 0), ()) if s.motion is not None]
        for name in self._places if motions else ():
            if name in found:
                found[name] = tuple(_moved_along(shape, motions) for shape in found[name])
        return found

    def _shapes(self, values: Values) -> list[Shape]:
        return [shape for name in self._places for shape in values.get(name, ())]

    def _draw(self, image: LoadedImage, shapes: list[Shape], random: Random) -> tuple[Change, ...]:
        left, top, right, bottom = within(image)
        size = right - left, bottom - top
        steps: list[Change] = []
        for each in self.augment:
            # of its own generator, so that another augmentation leaves its draws as they are
            own = Random(random.getrandbits(64))
            if own.random() >= each.how_often:
                continue
            for _ in range(TRIES if each.augmentation.moves else 1):
                change = each.augmentation.draw(each, own, size)
                moved = _kept(shapes, change.motion, each.keep)
                if moved is not None:
                    shapes = moved
                    steps.append(change)
                    break
        return tuple(steps)


def _changed(value: Image | Clip, steps: Sequence[Change]) -> Image | Clip:
    """An image after changes, or a video, whose frames go through the same ones."""
    if isinstance(value, Clip):
        frames = (replace(frame, image=applied(frame.image, steps)) for frame in value.frames)
        return replace(value, frames=tuple(frames))
    return replace(value, image=applied(value.image, steps))


def _kept(shapes: list[Shape], motion: Motion | None, keep: float) -> list[Shape] | None:
    """The shapes after a motion; None where less than their share `keep` stays."""
    if motion is None:
        return shapes
    found = []
    for shape in shapes:
        moved = kind_of_place(shape).moved_along(shape, motion)
        if moved is None or moved.kept < keep:
            return None
        found.append(moved.value)
    return found


def _moved_along(shape: Shape, motions: Sequence[Motion]) -> Shape:
    for motion in motions:
        moved = kind_of_place(shape).moved_along(shape, motion)
        if moved is None:  # of a wrong pair: a place of an image that is not the one moved
            return shape
        shape = moved.value
    return shape


def applied(image: LoadedImage, changes: Sequence[Change]) -> LoadedImage:
    """An image after changes, in its own size; what pads it stays as it is.

    One that is not decoded stays so: who measures rows needs their places alone.
    """
    if not changes or isinstance(image, UnreadImage):
        return image
    box = within(image)
    whole = PILImage.fromarray(image.pixels_HWC)
    inner = whole if box == (0, 0, *whole.size) else whole.crop(box)
    for change in changes:
        inner = change.pixels(inner)
    if inner.size == whole.size:
        whole = inner
    else:
        whole.paste(inner, box[:2])
    pixels_HWC = np.asarray(whole, dtype=np.uint8)
    return LoadedImage(
        pixels_HWC,
        image.width,
        image.height,
        image.hole_HW,
        image.orientation,
        image.truncated,
        image.content,
        tuple(map(repr, changes)),
    )


def within(image: LoadedImage) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels of what is no padding."""
    height, width = image.shape_HW
    content: Content = image.content
    left, top = round(content.left * width), round(content.top * height)
    right = left + round(content.width * width)
    return left, top, right, top + round(content.height * height)
