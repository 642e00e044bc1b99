"""Which frames of a video are read."""

from __future__ import annotations

from random import Random

STEPS = 1 << 20  # of an offset within a part: whole numbers, so that no rounding doubles a frame


def wanted_frames(
    count: int, most: int, rate: float | None = None, seconds: float | None = None
) -> int:
    """How many frames of a video are read: `rate` of each second, or else `most`; never more than
    either `most` or those that there are, and one at least.

    Args:
        count: frames of the video, at least one.
        most: that are read.
        rate: frames that are read of a second.
        seconds: how long the video is; must be known where there is a rate.
    """
    asked = most
    if rate is not None:
        assert seconds is not None, "a rate needs the seconds"
        asked = min(most, max(1, round(rate * seconds)))
    return min(asked, count)


def frame_numbers(count: int, wanted: int, random: Random | None = None) -> list[int]:
    """The numbers of `wanted` of `count` frames, each higher than the one before.

    The video is cut into `wanted` parts of one length. In evaluation the frame in the middle of
    each is taken; in training that at one offset which all parts share (a segment's random frame in
    TSN, arXiv 1608.00859, section 3.1, and Frozen in Time, arXiv 2104.00650, section 3.3; one
    offset for all keeps the time between frames).

    Args:
        count: frames of the video.
        wanted: how many are taken, at most `count`.
        random: draws the offset; None takes the middle.
    """
    offset = STEPS // 2 if random is None else random.randrange(STEPS)
    return [(part * STEPS + offset) * count // (wanted * STEPS) for part in range(wanted)]
