"""Segments to one sequence of ids and back: the only place where values meet tokens.

Legend: H height, W width, C channels, R regions, V numbers of a region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unified_vl.codecs.image_codes import CodeImages
from unified_vl.codecs.region_values import RegionSizes, joined_labels, region_labels, region_values
from unified_vl.codecs.segments import Image, ImageCodes, Pieces, Regions, Segment, Tag, Text
from unified_vl.codecs.shapes import ShapeCodec
from unified_vl.codecs.strips import grid_of, to_strip
from unified_vl.codecs.texts.loading import load_text_codec
from unified_vl.codecs.texts.text_codec import TextCodec
from unified_vl.codecs.vocabulary import IMAGE_TAG, PAD_ID, IdKind, Vocabulary, frame_ids
from unified_vl.errors import BadRow, UserError
from unified_vl.files import write_atomically
from unified_vl.geometry import Shape
from unified_vl.kinds.detected.regions import PLACE_TAG
from unified_vl.kinds.hooks.fits import Fit, Pack
from unified_vl.kinds.hooks.segments import LoadedImage
from unified_vl.kinds.registry import usual_place
from unified_vl.specs.tasks.example import IMAGE_MASK_TAG

VOCABULARY = "vocabulary.json"
IMAGE_TOKENIZER = "image"  # a folder, where the tokenizer has image codes


@dataclass(frozen=True)
class Encoded:
    """Ids that end in eos, the images (uint8 HWC, all of one shape) whose places they hold, as
    `SequenceCodec.pixels` gives them, whether anything was cut, the ids that were, a list for each
    text that gave way, the id that fills a row up behind them, and of regions whose places they
    hold what `region_values` gives (R, V), and of all that are hidden `region_labels` (Y, L)."""

    ids: list[int]
    images: list[np.ndarray] = field(default_factory=list)
    truncated: bool = False
    cut: list[list[int]] = field(default_factory=list)
    pad_id: int = PAD_ID
    regions: list[np.ndarray] = field(default_factory=list)
    region_labels: np.ndarray | None = None


class SequenceCodec:
    """Segments to ids and back.

    An image takes `image_tokens` ids of the tag `image`, a packed one as many as it has
    squares; the model puts its features there. A frame of a video takes as many ids of a tag of its
    number, whose embedding the model adds to its features. A region takes one id, of a tag that
    all share.

    Args:
        vocabulary: the id ranges.
        text: the text tokenizer; its size is the text range.
        image_tokens: tokens of one image; the most, where images are packed.
        image_size: (height, width) in pixels that the network reads.
        fit: how images are brought to it.
        max_source: most ids of a source, with eos.
        max_target: most ids of a target, with eos.
        code_images: the images that go in and out as codes, where the vocabulary has these.
        around_image: ids before and behind an image's, as a checkpoint was trained with them.
        region_sizes: of the regions that the model reads; None where it reads none.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        text: TextCodec,
        *,
        image_tokens: int,
        image_size: tuple[int, int],
        fit: Fit = "stretch",
        max_source: int = 256,
        max_target: int = 128,
        code_images: CodeImages | None = None,
        around_image: tuple[Sequence[int], Sequence[int]] = ((), ()),
        region_sizes: RegionSizes | None = None,
    ) -> None:
        if len(text) != vocabulary.text_size:
            raise UserError(
                f"the text tokenizer has {len(text)} pieces, the vocabulary {vocabulary.text_size}"
            )
        own = {name: number for name, number in text.special_ids.items() if number >= 0}
        if wrong := {name: i for name, i in own.items() if getattr(vocabulary, name) != i}:
            raise UserError(
                f"the text tokenizer has other special ids than the vocabulary: {wrong}",
                expected=", ".join(f"{name} {getattr(vocabulary, name)}" for name in wrong),
            )
        codes = 0 if code_images is None else code_images.codec.codes
        if code_images is not None and codes != vocabulary.image_code_count:
            raise UserError(
                f"the image tokenizer has {codes} codes, the vocabulary "
                f"{vocabulary.image_code_count}"
            )
        self.vocabulary = vocabulary
        self.text = text
        self.shapes = ShapeCodec(vocabulary)
        self.image_tokens = image_tokens
        self.image_size = image_size
        self.fit: Fit = fit
        self.max_source = max_source
        self.max_target = max_target
        self.code_images = code_images
        self.around_image = around_image
        self.region_sizes = region_sizes
        self._image_id = vocabulary.tag_id(IMAGE_TAG)
        self._frame_ids = frame_ids(vocabulary)

    def encode_source(self, segments: Sequence[Segment]) -> Encoded:
        return self._encode(segments, self.max_source)

    def encode_target(self, segments: Sequence[Segment]) -> Encoded:
        return self._encode(segments, self.max_target)

    def source_length(self, segments: Sequence[Segment]) -> int:
        """How many ids `encode_source` gives; no pixels are asked for.

        Raises:
            BadRow: as `encode_source` does.
            UserError: likewise.
        """
        return self._cut_length(segments, self.max_source)

    def target_length(self, segments: Sequence[Segment]) -> int:
        """How many ids `encode_target` gives; it raises what that does."""
        return self._cut_length(segments, self.max_target)

    def _cut_length(self, segments: Sequence[Segment], limit: int) -> int:
        needed = self.length(segments)
        if needed <= limit:
            return needed
        return len(self._encode(segments, limit, images=False).ids)

    def _encode(self, segments: Sequence[Segment], limit: int, images: bool = True) -> Encoded:
        """All ids, cut to `limit`: only text gives way, from its end, never an image; without
        `images` no pixels are asked for, and there are none."""
        gone: list[list[int]] = []
        pieces = [self._ids(segment) for segment in segments]
        excess = sum(map(len, pieces)) + 1 - limit
        truncated = excess > 0 or any(isinstance(s, Pieces) and s.cut for s in segments)
        for index in reversed(range(len(pieces))):
            if excess <= 0:
                break
            if isinstance(segments[index], Text):
                left = self.text.whole(pieces[index], max(len(pieces[index]) - excess, 0))
                excess -= len(pieces[index]) - left
                gone.insert(0, pieces[index][left:])
                pieces[index] = pieces[index][:left]
        if excess > 0:
            raise _too_long(limit + excess, limit)
        ids = [i for piece in pieces for i in piece] + [self.vocabulary.eos_id]
        seen = [s.image for s in segments if isinstance(s, Image)] if images else []
        pixels = [self.pixels(image) for image in seen]
        found = [s for s in segments if isinstance(s, Regions)] if images else []
        sizes, pad_id = self.region_sizes, self.vocabulary.pad_id
        regions = [region_values(each, sizes) for each in found]
        labels = joined_labels((len(each), region_labels(each, sizes)) for each in found)
        return Encoded(ids, pixels, truncated, gone, pad_id, regions, labels)

    def pixels(self, image: LoadedImage) -> np.ndarray:
        """An image as the network reads it (uint8 HWC), all images in one shape."""
        if isinstance(self.fit, Pack):
            return to_strip(image.pixels_HWC, self.fit.side, self.image_tokens)
        return image.pixels_HWC

    def grid(self, image: LoadedImage) -> tuple[int, int] | None:
        """Rows and columns of a packed image's squares; None where all images have one grid."""
        return grid_of(image.shape_HW, self.fit.side) if isinstance(self.fit, Pack) else None

    def image_ids(self, grid: tuple[int, int] | None = None, frame: int | None = None) -> list[int]:
        """The ids that the features of an image take the place of, or those of a frame."""
        return [self._image_id if frame is None else self._frame_ids[frame]] * self._places(grid)

    def _places(self, grid: tuple[int, int] | None) -> int:
        return self.image_tokens if grid is None else grid[0] * grid[1]

    def check_source(self, segments: Sequence[Segment]) -> None:
        """That `encode_source` takes a source; without its ids, which cost more.

        Raises:
            BadRow: when it does not fit even without its text.
        """
        needed = self.length([each for each in segments if not isinstance(each, Text)])
        if needed > self.max_source:
            raise _too_long(needed, self.max_source)

    def length(self, segments: Sequence[Segment]) -> int:
        """How many ids these take, with eos, where none give way."""
        return sum(map(self._count, segments)) + 1

    def _count(self, segment: Segment) -> int:
        """The number of `_ids`: of an image without making so many."""
        if not isinstance(segment, Image):
            return len(self._ids(segment))
        before, behind = self.around_image
        return len(before) + self._places(self.grid(segment.image)) + len(behind)

    def _ids(self, segment: Segment) -> list[int]:
        match segment:
            case Text(text):
                # what is behind the limit would give way anyhow
                return self.text.encode_start(text, max(self.max_source, self.max_target))
            case Tag(name):
                return [self.vocabulary.tag_id(name)]
            case Shape():
                return self.shapes.encode(segment)
            case Image(image, frame):
                before, behind = self.around_image
                return [*before, *self.image_ids(self.grid(image), frame), *behind]
            case ImageCodes(codes):
                return [self._code_id(code) for code in codes]
            case Regions():
                return [self.vocabulary.tag_id(PLACE_TAG)] * len(segment)
            case Pieces(ids):
                return list(ids)
        raise ValueError("noise has no ids before `settle`")

    def _code_id(self, code: int | None) -> int:
        if code is None:
            return self.vocabulary.tag_id(IMAGE_MASK_TAG)
        return self.vocabulary.image_codes[code]

    def decode(self, ids: Sequence[int], shape: str = "") -> tuple[Segment, ...]:
        """Segments of a generated sequence, up to its eos.

        A run of location ids becomes shapes of the kind `shape` that the task writes, one of image
        codes images; what is left of it is dropped, as are ids that mean nothing in a target.
        """
        segments: list[Segment] = []
        run: list[int] = []
        kind: IdKind | None = None

        def close() -> None:
            if kind == "piece" and run:
                segments.append(Text(self.text.decode(run)))
            elif kind == "location":
                segments.extend(self.shapes.decode_run(run, shape or usual_place()))
            elif kind == "image code":
                segments.extend(self._images_of(run))
            run.clear()

        for token in self._until_eos(ids):
            found = self.vocabulary.kind_of(token)
            if found != kind:
                close()
                kind = found
            if kind == "tag":
                segments.append(Tag(self.vocabulary.tag_name(token)))
            else:
                run.append(token)
        close()
        return tuple(segments)

    def _images_of(self, run: Sequence[int]) -> list[ImageCodes]:
        """The whole images of ids that follow each other."""
        if self.code_images is None:
            return []
        places, columns = self.code_images.places, self.code_images.grid[1]
        codes = [token - self.vocabulary.image_codes.start for token in run]
        starts = range(0, len(run) // places * places, places)
        return [ImageCodes(tuple(codes[i : i + places]), columns) for i in starts]

    def decode_images(self, images: Sequence[ImageCodes]) -> list[np.ndarray]:
        """The pixels (uint8 RGB, HWC) of images, all at once.

        Raises:
            ValueError: without an image tokenizer, or for a masked one.
        """
        if not images:
            return []
        if self.code_images is None or any(None in image.codes for image in images):
            raise ValueError("there is nothing to decode these images with")
        codes_BN = np.array([image.codes for image in images], dtype=np.int64)
        return list(self.code_images.codec.decode(codes_BN.reshape(-1, *self.code_images.grid)))

    def decode_text(self, ids: Sequence[int]) -> str:
        """The text of a generated sequence, without anything that is not text."""
        words = [s.text.strip() for s in self.decode(ids) if isinstance(s, Text)]
        return " ".join(word for word in words if word)

    def _until_eos(self, ids: Sequence[int]) -> list[int]:
        kept = []
        for token in ids:
            if token == self.vocabulary.eos_id:
                break
            if token != self.vocabulary.pad_id:
                kept.append(int(token))
        return kept

    def save(self, directory: Path, *, images: bool = True) -> None:
        """Write the text tokenizer, `vocabulary.json` and, where there is one, the image tokenizer.

        Limits live in the model's config.

        Args:
            directory: made if need be.
            images: write the image tokenizer too, which `vocabulary.json` names in any case.
        """
        write_atomically(directory / self.text.FILE, self.text.content)
        if images and self.code_images is not None:
            self.code_images.codec.save_pretrained(directory / IMAGE_TOKENIZER)
        write_atomically(directory / VOCABULARY, self.vocabulary.to_json())


def _too_long(needed: int, limit: int) -> BadRow:
    return BadRow(f"a sequence needs {needed} tokens without its text", expected=f"at most {limit}")


def load_tokenizer(directory: Path) -> tuple[Vocabulary, TextCodec]:
    """Read what `SequenceCodec.save` wrote.

    Raises:
        UserError: when a part is missing or broken.
    """
    path = directory / VOCABULARY
    if not path.is_file():
        raise UserError("there is no vocabulary here", file=path)
    try:
        vocabulary = Vocabulary.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"this is not a vocabulary: {error}", file=path) from error
    return vocabulary, load_text_codec(directory)
