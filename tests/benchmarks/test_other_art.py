"""The art of `benchmarks/other_art.py`: other colours and outlines, in the same boxes."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unified_vl.worlds.emoji_scenes import Scene

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def other_art(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("other_art")


def test_an_emoji_is_drawn_anew_in_its_box(other_art: Any, tmp_path: Path) -> None:
    art = Image.new("RGBA", (72, 72))
    art.paste((200, 30, 30, 255), (10, 6, 60, 66))
    art.save(tmp_path / "art.png")
    drawn = other_art.drawn_anew(tmp_path / "art.png", 3)
    assert drawn.tobytes() == other_art.drawn_anew(tmp_path / "art.png", 3).tobytes()
    assert drawn.tobytes() != other_art.drawn_anew(tmp_path / "art.png", 4).tobytes()
    ground, box = (10, 200, 90), (8, 12, 30, 40)
    scene = Scene(concepts=(0,), boxes=(box,), sides=(28,), ground=ground)
    pixels_HW3 = np.asarray(other_art.painted(scene, [drawn], 64)).astype(int)
    inside = pixels_HW3[12:40, 8:30].copy()
    pixels_HW3[12:40, 8:30] = ground
    assert (pixels_HW3 == ground).all()
    changed = (inside != ground).any(-1)
    assert changed.any(0).all() and changed.any(1).all()  # it fills its box
    red, green, _ = np.median(inside[changed], axis=0)
    assert red < 150 or green > 80  # and is not the red that it was
