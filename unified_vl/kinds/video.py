"""Videos that the model reads: some of their frames, each as an image with its number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from pydantic import Field

from unified_vl.kinds.hooks.cells import Cell
from unified_vl.kinds.hooks.drafts import Recognised
from unified_vl.kinds.hooks.segments import Clip, frame_tag
from unified_vl.kinds.kind import AnyField, Kind, Reading, Rules
from unified_vl.parts import KeyPath, Part, Problem
from unified_vl.video_formats import is_video

MOST_FRAMES = 256


class VideoKeys(Part):
    """What a field says of videos."""

    frames: int | None = Field(
        default=None,
        ge=1,
        le=MOST_FRAMES,
        description="Videos only, and mandatory there: how many frames the model reads at most, "
        "spread evenly over the video.",
        examples=[8],
    )
    rate: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        description="Videos only: frames that are read of a second, where these are fewer than "
        "`frames`.",
        examples=[1.0],
    )
    frame_rate: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        description="Videos only: how many frames of a folder or list of images are a second; "
        "video files say it themselves.",
        examples=[25.0],
    )


class VideoKind(Kind):
    """A video file, an animated GIF or WebP, a folder of frames, or a list of images."""

    name = "video"
    asks = False
    is_video = True
    is_list = True
    lists = False
    writing = "nothing"
    reads = ("frames", "rate", "frame_rate")
    mandatory = MappingProxyType({"frames": f"how many frames are read, 1 to {MOST_FRAMES}"})
    page_hint = "the path of a video or of a folder of frames"

    @property
    def json_schema(self) -> dict[str, Any]:
        frame = {"type": "string", "contentMediaType": "image/*", "contentEncoding": "data URL"}
        return {"type": "array", "items": frame, "minItems": 1}

    def problems(self, field: AnyField, place: KeyPath, rules: Rules) -> Iterator[Problem]:
        assert isinstance(field, VideoKeys)
        if field.frame_rate is not None and field.rate is None:
            yield Problem((*place, "frame_rate"), "says nothing without `rate`", expected="rate")

    def recognise(self, column: str, values: Sequence[Any]) -> Recognised | None:
        if not all(isinstance(value, str) and is_video(PurePath(value)) for value in values):
            return None
        return Recognised({"frames": ("8",)}, "a number that fits many videos")

    def tags(self, field: Any) -> Sequence[str]:
        return [frame_tag(number) for number in range(field.frames or 0)]

    def read(self, cell: Cell, reading: Reading) -> tuple[Clip, ...]:
        return (reading.video(cell, cell.value),)

    def pieces(self, value: Clip, number: int) -> Iterator[Any]:
        """Its frames, in their order."""
        yield from value.frames
