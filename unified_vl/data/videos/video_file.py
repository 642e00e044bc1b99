"""Video files, by PyAV (the extra `video`), and animated images, by Pillow: how many frames they
have, and those that are asked for.

A frame is meant by the time at which it is shown, not by its place among the decoded ones: the
frame rate of a stream may vary, and Matroska rounds times to milliseconds.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image as PILImage
from PIL import ImageSequence

from unified_vl.errors import BadRow
from unified_vl.extras import require

# FFmpeg's names. Others, such as playlists, may name further files and addresses.
FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg"
FURTHER = 4.0  # seconds ahead from which on it is faster to look for a key frame
ANIMATIONS = ("GIF", "WEBP", "PNG")  # Pillow's names of image formats that may move
LATE = 1.0  # seconds before the end of a video at which a sound stream may be all that goes on
MOST_PIXELS = 64_000_000


@dataclass(frozen=True, slots=True)
class VideoFile:
    """What the header of a video says, and its frames.

    Attributes:
        content: the file, or its bytes.
        name: for messages.
        where: the row, for messages.
        count: of frames, about, where the format does not say it.
        seconds: how long it is.
        size: (width, height) of its frames.
        ends: of an image of several frames, until when each is shown, in seconds; empty of a video.
    """

    content: Path | bytes
    name: str
    where: str
    count: int
    seconds: float | None
    size: tuple[int, int]
    ends: tuple[float, ...] = ()

    def frames(self, numbers: Sequence[int]) -> list[PILImage.Image]:
        """Decoded frames.

        Args:
            numbers: of them, ascending.

        Raises:
            BadRow: for a file that is broken, or ends early.
        """
        length = self.ends[-1] if self.ends else self.seconds
        assert length is not None
        middles = [(number + 0.5) * length / self.count for number in numbers]
        with _opened(self.content) as file, _told(self.name, self.where):
            return self._of_animation(file, middles) if self.ends else self._at(file, middles)

    def _of_animation(self, file: BinaryIO, times: Sequence[float]) -> list[PILImage.Image]:
        image = PILImage.open(file, formats=ANIMATIONS)
        wanted = [bisect_right(self.ends, time) for time in times]
        frames = enumerate(ImageSequence.Iterator(image))
        shown = {place: frame.convert("RGBA") for place, frame in frames if place in wanted}
        return [shown[place] for place in wanted]

    def _at(self, file: BinaryIO, times: Sequence[float]) -> list[PILImage.Image]:
        """The frames that are shown at some times, in seconds from the start."""
        assert self.seconds is not None
        slack = max(LATE, 3 * self.seconds / self.count)
        found = []
        with _container(file) as container:
            player = _Player(container)
            for time in times:
                since, frame = player.at(time)
                if frame is None or (player.ended and time - since > slack):
                    raise BadRow(
                        f"the video {self.name} ends before its {self.seconds:.1f} seconds do",
                        file=self.where,
                    )
                found.append(_upright(frame))
        return found


class _Player:
    """Decodes a stream, from one time to a later one.

    Attributes:
        ended: whether nothing comes behind what is shown.
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "NONE"  # rows are read by workers
        self._start = float((self._stream.start_time or 0) * self._stream.time_base)
        self._frames = container.decode(self._stream)
        self._shown: tuple[float, Any] = (0.0, None)
        self._ahead: Any = None  # decoded to know until when the one before it is shown
        self.ended = False

    def at(self, time: float) -> tuple[float, Any]:
        """The frame that is shown at a time in seconds, and since when; None where there is none.

        Args:
            time: no earlier than that of the call before.
        """
        if time - self._shown[0] > FURTHER:
            ticks = int((time + self._start) / self._stream.time_base)
            self._container.seek(ticks, stream=self._stream)  # to the key frame before it
            self._frames, self._ahead = self._container.decode(self._stream), None
        while not self.ended:
            frame = next(self._frames, None) if self._ahead is None else self._ahead
            self._ahead = None
            if frame is None:
                self.ended = True
                break
            since = 0.0 if frame.time is None else frame.time - self._start
            if since > time and self._shown[1] is not None:
                self._ahead = frame
                break
            self._shown = since, frame
        return self._shown


def read_header(content: Path | bytes, name: str, where: str) -> VideoFile:
    """What a file says of itself, without the frames of a video being decoded.

    Args:
        content: the file, or its bytes.
        name: for messages.
        where: the row, for messages.

    Raises:
        BadRow: for a file that is no video, or has no frame.
        UserError: without PyAV, for what Pillow does not read.
    """
    with _opened(content) as file:
        animation = _animation(file)
        if animation is not None:
            with _told(name, where):
                return _of_image(animation, content, name, where)
        file.seek(0)
        require("av")
        with _told(name, where), _container(file) as container:
            return _of_container(container, content, name, where)


def _animation(file: BinaryIO) -> PILImage.Image | None:
    try:
        return PILImage.open(file, formats=ANIMATIONS)
    except Exception:  # Pillow's parsers raise almost anything on hostile bytes
        return None


def _of_image(image: PILImage.Image, content: Path | bytes, name: str, where: str) -> VideoFile:
    """An animation counts as a video whose frames are all as short as its shortest: what stays the
    same is written once, and shown for longer."""
    _refuse_too_large(image.size, name, where)
    shown: list[float] = []
    for frame in ImageSequence.Iterator(image):
        frame.load()  # WebP says then how long
        shown.append((frame.info.get("duration") or 0) / 1000)
    timed = all(each > 0 for each in shown)
    ends = tuple(accumulate(shown if timed else [1.0] * len(shown)))
    count = round(ends[-1] / min(shown)) if timed else len(shown)
    return VideoFile(content, name, where, count, ends[-1] if timed else None, image.size, ends)


def _of_container(container: Any, content: Path | bytes, name: str, where: str) -> VideoFile:
    if not container.streams.video:
        raise BadRow(f"the video {name} has no pictures", file=where)
    stream = container.streams.video[0]
    seconds = _seconds(container, stream)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    count = stream.frames or round(seconds * rate)
    if seconds <= 0 or count < 1:
        raise BadRow(f"the video {name} has no frame", file=where)
    size = stream.codec_context.width, stream.codec_context.height
    _refuse_too_large(size, name, where)
    return VideoFile(content, name, where, count, seconds, size)


def _seconds(container: Any, stream: Any) -> float:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration / 1_000_000)  # av.time_base
    return 0.0


def _refuse_too_large(size: tuple[int, int], name: str, where: str) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        expected = "frames of at most 64 million pixels"
        raise BadRow(
            f"the video {name} is {width} x {height} pixels", file=where, expected=expected
        )


def _upright(frame: Any) -> PILImage.Image:
    image: PILImage.Image = frame.to_image()
    turn = getattr(frame, "rotation", 0)  # degrees, counterclockwise, as a phone was held
    return image.rotate(turn, expand=True) if turn else image


@contextmanager
def _opened(content: Path | bytes) -> Iterator[BinaryIO]:
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
        yield file


@contextmanager
def _container(file: BinaryIO) -> Iterator[Any]:
    import av

    options = {"format_whitelist": FORMATS}
    with av.open(file, metadata_errors="ignore", options=options) as container:
        yield container


@contextmanager
def _told(name: str, where: str) -> Iterator[None]:
    """Whatever a parser raises is about the file."""
    try:
        yield
    except BadRow:
        raise
    except Exception as error:  # as of images: the bytes are not trusted
        reason = getattr(error, "strerror", None) or error
        raise BadRow(f"the video {name} cannot be read: {reason}", file=where) from error
