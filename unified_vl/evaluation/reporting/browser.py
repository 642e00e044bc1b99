"""A picture of a page: shaping of Arabic, fonts of Chinese and colours as readers see them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from unified_vl.errors import UserError
from unified_vl.png import png

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TALLEST = 6000  # CSS pixels; what is left below the page is cut off
SCALE = 2
SECONDS = 120


def picture_of(page: str, width: int) -> bytes:
    """A PNG of a page in its light colours, `width` CSS pixels wide and as tall as it is.

    Raises:
        UserError: when no browser is found or it fails.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise UserError(
            "no browser to draw pictures with", expected=f"{BROWSERS[0]} on the search path"
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "page.html"), Path(folder, "page.png")
        source.write_text(page, encoding="utf-8")
        command = [
            found,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
            f"--force-device-scale-factor={SCALE}",
            f"--window-size={width},{TALLEST}",
            f"--screenshot={target}",
            source.as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"the browser failed: {error}", file=found) from error
        if not target.is_file():
            message = done.stderr.decode(errors="replace").strip().splitlines()
            raise UserError(f"the browser drew nothing: {message[-1:]}", file=found)
        return _trimmed(target)


def _trimmed(path: Path) -> bytes:
    """The picture without the empty ground below the page."""
    from PIL import Image, ImageChops

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    ground = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    content = ImageChops.difference(image, ground).getbbox()
    if content is not None:
        margin = content[0]
        image = image.crop((0, 0, image.width, min(content[3] + margin, image.height)))
    return png(image, smallest=True)
