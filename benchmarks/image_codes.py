"""Codes of images, computed and from the cache: `python benchmarks/image_codes.py`.

Pictures are drawn at random at 64 x 64 pixels, the size of the shipped tokenizer; the cache
lies in a temporary folder. Both sides give the same codes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from tables import keep, medians, processor_name

from unified_vl.data.images.code_cache import ImageCodeCache
from unified_vl.image_tokenizer.image_tokenizer import ImageTokenizer

COMMAND = "python benchmarks/image_codes.py"
COUNT = 200
TOKENIZER = Path(__file__).parents[1] / "tokenizers/image/emoji_world"


def main() -> None:
    torch.set_num_threads(1)
    tokenizer = ImageTokenizer.from_pretrained(TOKENIZER)
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (COUNT, 64, 64, 3)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        cached = ImageCodeCache(tokenizer, Path(folder))
        computed = ImageCodeCache(tokenizer, None)
        for image in images:
            assert np.array_equal(cached.codes(image), computed.codes(image))
        ours, theirs = medians(
            lambda: [cached.codes(image) for image in images],
            lambda: [computed.codes(image) for image in images],
        )
    row: dict[str, object] = {
        "name": f"codes of {COUNT} images of 64 x 64, from the cache",
        "ours": round(ours, 1),
        "peer": round(theirs, 1),
        "unit": "ms",
        "ratio": round(theirs / ours, 1),
        "peer_name": "computed anew",
    }
    about = f"{processor_name()}; medians of 9 runs by turns; the ratio is the peer's time by ours."
    keep([row], "Image codes", COMMAND, about)


if __name__ == "__main__":
    main()
