"""Videos that rows name: the frames that their field asks for, at the network's size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Clip, Image
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.unread import UnreadImages
from unified_vl.data.rows.row import Row
from unified_vl.data.videos.sampling import frame_numbers, wanted_frames
from unified_vl.data.videos.video_file import VideoFile, read_header
from unified_vl.errors import BadRow
from unified_vl.image_formats import is_image
from unified_vl.kinds.hooks.cells import unpacked
from unified_vl.specs.tasks.fields import FieldSpec

_NUMBERS = re.compile(r"([0-9]+)")


class VideoLoader:
    """Reads frames of videos.

    Args:
        images: reads each frame, or stands in for what does where rows are measured: then of a
            video file no more than the header is read.
    """

    def __init__(self, images: ImageLoader) -> None:
        self._images = images

    def load(self, row: Row, value: object, field: FieldSpec, random: Random | None) -> Clip:
        """The frames of a video that are read.

        Args:
            row: that it is of.
            value: the path of a video file, an animated image or a folder of frames; a list of
                images, each as `ImageLoader.load` takes them; an array [frames, H, W, 3]; bytes of
                a video file, or `{"bytes": ...}`.
            field: how many frames, and of what rate.
            random: draws the frames in training; None takes those in the middle.

        Raises:
            BadRow: for a video that is missing, broken, of no frame, or outside the root.
            UserError: for a video file without PyAV.
        """
        value = unpacked(value)
        if isinstance(value, np.ndarray) and value.ndim == 4:
            value = list(value)
        if isinstance(value, (list, tuple)):
            return self._of_list(row, [row.image(each) for each in value], field, random)
        if isinstance(value, (str, Path)):
            return self._of_path(row, str(row.image(str(value))), field, random)
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
            if isinstance(value, str):
                return self._of_path(row, str(row.image(value)), field, random)
        if isinstance(value, (bytes, bytearray, memoryview)):
            content = bytes(value)
            header = read_header(content, f"of {len(content)} bytes", row.where)
            return self._of_file(row, header, field, random)
        found = "nothing" if value is None else type(value).__name__
        raise BadRow(f"found {found} in place of a video", file=row.where)

    def _of_path(self, row: Row, name: str, field: FieldSpec, random: Random | None) -> Clip:
        path = self._images.resolve(name, row.where, row.linked, what="video", or_folder=True)
        if path.is_file():
            try:
                header = read_header(path, repr(name), row.where)
            except OSError as error:
                message = f"{name!r} cannot be read: {error.strerror}"
                raise BadRow(message, file=row.where) from error
            return self._of_file(row, header, field, random)
        names = sorted((p.name for p in path.iterdir() if is_image(p)), key=by_numbers)
        if not names:
            raise BadRow(f"the folder {name!r} holds no image", file=row.where)
        return self._of_list(row, [f"{name.rstrip('/')}/{each}" for each in names], field, random)

    def _of_list(
        self, row: Row, images: Sequence[Any], field: FieldSpec, random: Random | None
    ) -> Clip:
        if not images:
            raise BadRow("found a video of no frames", file=row.where)
        rate = field.frame_rate
        seconds = None if rate is None else len(images) / rate
        numbers = self._numbers(row, len(images), seconds, field, random)
        load = self._images.load
        frames = (load(images[number], row.where, row.linked) for number in numbers)
        return _clip(frames, seconds)

    def _of_file(self, row: Row, file: VideoFile, field: FieldSpec, random: Random | None) -> Clip:
        numbers = self._numbers(row, file.count, file.seconds, field, random)
        images = self._images
        if isinstance(images, UnreadImages):
            later = (partial(_frame, images.decoding, file, number) for number in numbers)
            return _clip((images.later(decode, file.size) for decode in later), file.seconds)
        frames = file.frames(numbers)
        return _clip((images.load(frame, row.where) for frame in frames), file.seconds)

    def _numbers(
        self,
        row: Row,
        count: int,
        seconds: float | None,
        field: FieldSpec,
        random: Random | None,
    ) -> list[int]:
        if field.rate is not None and seconds is None:
            raise BadRow(
                "nothing says how long this video is, and `rate` needs it",
                file=row.where,
                expected="frame_rate of the field",
            )
        assert field.frames is not None  # which the spec must have
        wanted = wanted_frames(count, field.frames, field.rate, seconds)
        return frame_numbers(count, wanted, random)


def by_numbers(name: str) -> tuple[Any, ...]:
    """Names in the order in which people count: frame2 before frame10."""
    parts = _NUMBERS.split(name)
    return tuple(int(part) if place % 2 else part.casefold() for place, part in enumerate(parts))


def _clip(frames: Any, seconds: float | None) -> Clip:
    return Clip(tuple(Image(each, number) for number, each in enumerate(frames)), seconds)


def _frame(images: ImageLoader, file: VideoFile, number: int) -> LoadedImage:
    return images.load(file.frames([number])[0], file.where)
