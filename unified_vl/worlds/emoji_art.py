"""The art of emoji: cropped, resized, and a subset of emoji that look different.

Legend: N emoji, F features of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from unified_vl.errors import UserError
from unified_vl.worlds.emoji_names import NamedEmoji

_THUMBNAIL = 12
_VISIBLE = 32  # alpha below this is not seen as part of the art
_CANDIDATES_PER_CONCEPT = 6


def choose_concepts(emoji: Sequence[NamedEmoji], count: int) -> list[NamedEmoji]:
    """`count` emoji that look as different from one another as a greedy choice finds.

    Candidates are the `6 * count` emoji whose names are shortest (mean over the
    languages). The first choice is the one whose thumbnail is nearest to the mean; each
    next one is the farthest from its nearest chosen one (farthest-point selection). An
    emoji that shares a name with a chosen one, in any language, is passed over.

    Args:
        emoji: what to choose from, as `all_emoji` gives it.
        count: how many to choose.

    Returns:
        The chosen emoji in the order of `emoji`.

    Raises:
        UserError: fewer than `count` emoji with distinct names exist.
    """
    candidates = _shortest_named(emoji, _CANDIDATES_PER_CONCEPT * count)
    features_NF = np.stack([_thumbnail(one.art) for one in candidates])
    # Integers, so that ties and therefore the choice are the same on every machine.
    from_mean_N = _squared_distances(features_NF, features_NF.mean(axis=0).astype(np.int32))
    distance_N = from_mean_N.max() - from_mean_N + 1  # the first choice: nearest to the mean
    chosen: list[int] = []
    taken: set[tuple[int, str]] = set()
    while len(chosen) < count:
        best = int(distance_N.argmax())
        if distance_N[best] < 0:
            raise UserError(
                f"there are not {count:,} emoji with distinct names",
                field="concepts",
                expected=f"at most {len(chosen):,}",
            )
        names = {(at, name.casefold()) for at, name in enumerate(candidates[best].names)}
        if taken.isdisjoint(names):
            taken |= names
            nearest_N = _squared_distances(features_NF, features_NF[best])
            distance_N = nearest_N if not chosen else np.minimum(distance_N, nearest_N)
            distance_N[chosen] = -1
            chosen.append(best)
        distance_N[best] = -1
    return [candidates[at] for at in sorted(chosen)]


def _shortest_named(emoji: Sequence[NamedEmoji], count: int) -> list[NamedEmoji]:
    order = sorted(range(len(emoji)), key=lambda at: (sum(map(len, emoji[at].names)), at))
    return [emoji[at] for at in sorted(order[:count])]


def _thumbnail(art: Path) -> np.ndarray:
    """(F,) int32: colours on mid-grey and alpha of the art at 12x12."""
    with Image.open(art) as opened:
        small = opened.convert("RGBA").resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    grey = Image.new("RGBA", small.size, (128, 128, 128, 255))
    colours = np.asarray(Image.alpha_composite(grey, small).convert("RGB"), dtype=np.int32)
    alpha = np.asarray(small.getchannel("A"), dtype=np.int32)
    return np.concatenate([colours.ravel(), alpha.ravel()])


def _squared_distances(features_NF: np.ndarray, point_F: np.ndarray) -> np.ndarray:
    difference_NF = features_NF - point_F
    return np.einsum("nf,nf->n", difference_NF, difference_NF)


@lru_cache(maxsize=8192)
def tight_art(art: Path, longer_side: int) -> Image.Image:
    """The art (RGBA) cropped to what is visible, its longer side about `longer_side`."""
    cropped = _cropped_art(art)
    scale = longer_side / max(cropped.size)
    size = (max(1, round(cropped.width * scale)), max(1, round(cropped.height * scale)))
    return _crop(cropped.resize(size, Image.Resampling.LANCZOS))


@lru_cache(maxsize=2048)
def _cropped_art(art: Path) -> Image.Image:
    with Image.open(art) as opened:
        return _crop(opened.convert("RGBA"))


def _crop(image: Image.Image) -> Image.Image:
    alpha = image.getchannel("A").point(lambda value: 255 * (value >= _VISIBLE))
    return image.crop(alpha.getbbox())
