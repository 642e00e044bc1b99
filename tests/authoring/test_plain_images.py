"""Images on which nothing can be seen are told before they are trained on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from unified_vl.authoring.checking.check import check_paths

SPEC = """\
task: look
version: 1
about: Say what is there.
data: {reader: jsonl, path: rows.jsonl, splits: {train: train}, languages: [en]}
fields:
  image: {kind: image, column: image}
  text: {kind: text, column: text}
example: {source: "{task} {image}", target: "{text}"}
generate: {method: greedy, max_tokens: 8}
score: [{metric: exact_match, against: text, primary: true}]
"""


def dark_16_bits(used: int = 8) -> PILImage.Image:
    values = np.random.default_rng(0).integers(0, 2**used, (32, 32))
    return PILImage.fromarray(values.astype(np.uint16))  # the PNG does not say how many are used


def white_on_transparent() -> PILImage.Image:
    image = PILImage.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((255, 255, 255, 255), (8, 8, 24, 24))
    return image


@pytest.mark.parametrize(
    ("make", "plain"),
    [
        (dark_16_bits, True),
        (lambda: dark_16_bits(12), True),
        (lambda: dark_16_bits(16), False),
        (white_on_transparent, True),
        (lambda: PILImage.new("RGB", (32, 32), "navy"), True),
        (lambda: PILImage.effect_noise((32, 32), 40), False),
        (lambda: PILImage.linear_gradient("L"), False),
    ],
)
def test_an_image_of_nearly_one_colour_is_found(
    tmp_path: Path, make: Callable[[], PILImage.Image], plain: bool
) -> None:
    make().save(tmp_path / "a.png")
    PILImage.effect_noise((32, 32), 40).save(tmp_path / "b.png")
    (tmp_path / "spec.yaml").write_text(SPEC)
    rows = '{"image": "a.png", "text": "a"}\n{"image": "b.png", "text": "b"}\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    found = [str(f) for f in check_paths([tmp_path / "spec.yaml"], data=tmp_path).findings]
    said = "warning: rows.jsonl:1: 1 of 2 images (50.0 %) are nearly one colour; remedy: look at"
    assert [each[: len(said)] for each in found] == ([said] if plain else [])
