"""How much a service takes on, and how much one request may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MOST_ANSWERS = 16  # `n` of a request
MOST_CHOICES = 1000
MOST_IMAGES = 16
MOST_PARTS = 64  # of a multipart body
# what the decoder's memory and time grow with; a spec of the model itself may say more
MOST_OF: Mapping[str, int] = MappingProxyType({"beams": 16, "best_of": 16, "max_tokens": 512})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service refuses, and how it waits.

    Attributes:
        body: bytes of a request's body.
        file: bytes of an image file.
        pixels: of an image, width times height.
        characters: of a text.
        queue: requests that are taken on at once; one more gets 429.
        seconds: that a request may take, from its first byte to its answer.
        batch_size: most requests that the model answers together.
        wait: seconds that a request waits for others to go with, while any are on their way.
    """

    body: int = 32_000_000
    file: int = 20_000_000
    pixels: int = 25_000_000
    characters: int = 100_000
    queue: int = 256
    seconds: float = 60.0
    batch_size: int = 32
    wait: float = 0.01

    @property
    def held(self) -> int:
        """Bytes of bodies that are held at once."""
        return 16 * self.body
