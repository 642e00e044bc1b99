"""The images that an image tokenizer learns from.

Legend: B batch, H height, W width.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image as PILImage
from PIL import ImageOps

from unified_vl.data.images.opening import open_image, to_rgb
from unified_vl.data.order import draw_seed, permutation
from unified_vl.errors import UserError


class ImageFiles:
    """Images below a folder, cut to one size.

    Args:
        root: the data root.
        patterns: of paths below it.
        size: (height, width) that they are cut to.
        crop: `random` cuts where the seed says, `center` in the middle.

    Raises:
        UserError: when a pattern leaves the root or matches nothing.
    """

    def __init__(
        self, root: Path, patterns: tuple[str, ...], size: tuple[int, int], crop: str = "center"
    ) -> None:
        self.size = size
        self.crop = crop
        self._known: tuple[tuple[int, int], np.ndarray] = ((0, -1), np.empty(0, np.int64))
        self.paths: list[Path] = []
        for pattern in patterns:
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise UserError(f"{pattern!r} leaves the data root", expected="a path below it")
            found = sorted(path for path in root.glob(pattern) if path.is_file())
            if not found:
                raise UserError(f"no image is named {pattern!r}", file=root)
            self.paths += found

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index: int, seed: int) -> np.ndarray:
        """An image (H, W, 3) in uint8 RGB.

        Raises:
            BadRow: when it cannot be read.
        """
        path = self.paths[index]
        with path.open("rb") as file:
            image = to_rgb(open_image(file, str(path), path.name), str(path), path.name)
        height, width = self.size
        if (image.height, image.width) != (height, width):
            place = np.random.default_rng(seed).random(2) if self.crop == "random" else (0.5, 0.5)
            across, down = (float(v) for v in place)
            way = PILImage.Resampling.BICUBIC
            image = ImageOps.fit(image, (width, height), way, centering=(across, down))
        return np.asarray(image)

    def batch(self, step: int, count: int, seed: int) -> torch.Tensor:
        """The images of a step, (B, H, W, 3): a formula of step and seed, epochs in turn."""
        images = []
        for position in range(step * count, (step + 1) * count):
            epoch, place = divmod(position, len(self))
            index = int(self._order(seed, epoch)[place])
            images.append(self.load(index, draw_seed(seed, position) & (2**63 - 1)))
        return torch.from_numpy(np.stack(images))

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        if self._known[0] != (seed, epoch):
            self._known = ((seed, epoch), permutation(len(self), seed, "images", epoch))
        return self._known[1]
