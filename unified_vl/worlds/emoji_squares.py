"""The nine coloured squares among the emoji: colours with a name in 14 languages.

Legend: H height, W width of a square's art.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from unified_vl.worlds.emoji_names import LANGUAGES, all_emoji
from unified_vl.worlds.emoji_tasks import Concept, draw_held_out

SQUARES = "🟥🟧🟨🟩🟦🟪🟫⬛⬜"


@dataclass(frozen=True, slots=True)
class Square(Concept):
    """A coloured square: its names by language, held-out languages, and red, green, blue."""

    colour: tuple[int, int, int]


def choose_squares(random: np.random.Generator) -> list[Square]:
    """The squares in the order of `SQUARES`; their held-out languages are drawn."""
    known = {one.emoji: one for one in all_emoji()}
    chosen = [known[square] for square in SQUARES]
    held_out = draw_held_out(len(chosen), random)
    squares = []
    for one, languages in zip(chosen, held_out, strict=True):
        with Image.open(one.art) as opened:
            art_HW4 = np.asarray(opened.convert("RGBA"))
        height, width = art_HW4.shape[:2]
        red, green, blue = art_HW4[height // 2, width // 2, :3].tolist()
        names = dict(zip(LANGUAGES, one.names, strict=True))
        squares.append(Square(one.emoji, names, languages, (red, green, blue)))
    return squares
