"""What an image tokenizer gives back of images: numbers, and both side by side.

Legend: B batch, H height, W width.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from unified_vl.errors import UserError
from unified_vl.files import read_json_object, write_atomically
from unified_vl.image_tokenizer.image_tokenizer import CONFIG, ImageTokenizer
from unified_vl.metrics.pictures.images import codebook_use, psnr, ssim
from unified_vl.png import data_url
from unified_vl.training.image_tokenizers.image_files import ImageFiles

BATCH = 64
SHOWN = 48
REPORT = "report.json"
PAGE = "report.html"


@dataclass(frozen=True)
class Reconstructions:
    """What came back.

    Attributes:
        numbers: images, mean PSNR in dB, mean SSIM, codes in use in percent, perplexity.
        pairs: some images (H, W, 3), before and after.
    """

    numbers: dict[str, float]
    pairs: list[tuple[np.ndarray, np.ndarray]]


def reconstruct(
    directory: Path, data: Path, patterns: tuple[str, ...], size: tuple[int, int] | None = None
) -> Reconstructions:
    """Encode and decode all images that the patterns name.

    Args:
        directory: of the tokenizer.
        data: the data root.
        patterns: of image paths below it.
        size: (height, width) that images are cut to; None takes that of the training.

    Raises:
        UserError: for a tokenizer or images that cannot be read, or a size that the
            tokenizer cannot cut.
    """
    tokenizer = ImageTokenizer.from_pretrained(directory)
    facts = read_json_object(directory / CONFIG)["facts"]
    size = size or facts.get("image_size")
    if size is None:
        raise UserError("does not say at which size it was trained", field="size")
    height, width = size
    if height % tokenizer.downsampling or width % tokenizer.downsampling:
        raise UserError(
            f"{height} x {width} pixels cannot be cut into squares of {tokenizer.downsampling}",
            field="size",
        )
    images = ImageFiles(data, patterns, (height, width))
    decibels: list[np.ndarray] = []
    alike: list[np.ndarray] = []
    codes: list[np.ndarray] = []
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(images), BATCH):
        places = range(start, min(start + BATCH, len(images)))
        true_BHW3 = np.stack([images.load(place, seed=0) for place in places])
        codes_Bhw = tokenizer.encode(true_BHW3)
        found_BHW3 = tokenizer.decode(codes_Bhw)
        decibels.append(psnr(found_BHW3, true_BHW3))
        alike.append(ssim(found_BHW3, true_BHW3))
        codes.append(codes_Bhw.reshape(-1))
        room = SHOWN - len(pairs)
        pairs += list(zip(true_BHW3[:room], found_BHW3[:room], strict=True))
    used, perplexity = codebook_use(np.concatenate(codes), tokenizer.codes)
    numbers = {
        "images": float(len(images)),
        "psnr": round(float(np.concatenate(decibels).mean()), 2),
        "ssim": round(float(np.concatenate(alike).mean()), 4),
        "codes_used": round(100 * used, 1),
        "perplexity": round(perplexity, 1),
    }
    return Reconstructions(numbers, pairs)


def write_report(directory: Path, found: Reconstructions) -> Path:
    """Write `report.json` and the page `report.html`; returns the page."""
    write_atomically(directory / REPORT, json.dumps(found.numbers, indent=1))
    rows = "".join(
        f'<figure><img alt="an image" src="{_png(true)}">'
        f'<img alt="what came back of it" src="{_png(back)}"></figure>'
        for true, back in found.pairs
    )
    said = "".join(
        f"<dt>{escape(name.replace('_', ' '))}<dd>{value:g}"
        for name, value in found.numbers.items()
    )
    page = _PAGE.format(title=escape(directory.name), numbers=said, pairs=rows)
    write_atomically(directory / PAGE, page)
    return directory / PAGE


def _png(pixels_HW3: np.ndarray) -> str:
    return data_url(PILImage.fromarray(pixels_HW3))


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }}
dd {{ margin: 0; }}
main {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; display: flex; gap: 2px; }}
img {{ width: 96px; image-rendering: pixelated; }}
</style>
<h1>{title}</h1>
<p>Images that were held out, and beside each what its codes give back.</p>
<dl>{numbers}</dl>
<main>{pairs}</main>
</html>
"""
