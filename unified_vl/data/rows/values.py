"""The columns of a row to typed values: what each field of a spec says that they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from unified_vl.codecs.image_codes import CodeImages
from unified_vl.codecs.images import LoadedImage
from unified_vl.codecs.segments import Clip, Image, ImageCodes, Regions, Segment
from unified_vl.data.draws import Draws
from unified_vl.data.images.code_cache import ImageCodeCache
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.images.unread import UnreadImage, UnreadImages
from unified_vl.data.regions.region_loader import RegionLoader
from unified_vl.data.rows.row import Row
from unified_vl.data.rows.selection import is_blank
from unified_vl.data.shapes import ShapeReader
from unified_vl.data.videos.video_loader import VideoLoader
from unified_vl.errors import BadRow, nearest
from unified_vl.geometry import Shape
from unified_vl.kinds.hooks.cells import Cell, Size, said, whole_number
from unified_vl.kinds.hooks.fits import Pack
from unified_vl.kinds.kind import Kind
from unified_vl.languages.tags import nearest_tag
from unified_vl.specs.reading.checks import named_slots
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.template import slots

Value = tuple[Any, ...]  # texts, or segments of one type


class ValueReader:
    """Reads the fields of a task's rows.

    Args:
        spec: the task.
        images: reads its images.
        code_images: makes codes of images; without, images in codes have none.
        code_cache: where these are kept; None keeps none.
        region_labels: whether all that a detector says of the classes of regions is read, where a
            field hides some.
    """

    def __init__(
        self,
        spec: TaskSpec,
        images: ImageLoader,
        code_images: CodeImages | None = None,
        code_cache: Path | None = None,
        region_labels: bool = False,
    ) -> None:
        self.spec = spec
        self.images = images
        self.videos = VideoLoader(images)
        self.region_files = RegionLoader(images, labels=region_labels)
        self._main = spec.image_field or spec.regions_field
        self._code_images = code_images
        self._code_loader = images
        if code_images is not None:
            self._code_loader = images.at(code_images.size)
            self._codes = ImageCodeCache(code_images.codec, code_cache)
        self._may_be_empty = _only_joined(spec) | _of_none(spec)
        self.kinds = {name: field.of_kind for name, field in spec.fields.items()}
        self._needs_size = {
            name: field.of_kind.is_input_image or field.writing == "places"
            for name, field in spec.fields.items()
        }
        self.shapes = ShapeReader(spec)

    def unread(self) -> ValueReader:
        """Reads the same values, and leaves images undecoded; codes of images are all 0.

        The sizes of images are read where places are measured in them, or tokens are by them.
        """
        other = copy(self)
        places = any(field.writing == "places" for field in self.spec.fields.values())
        sized = places or isinstance(self.images.fit, Pack)
        other.images = UnreadImages(self.images, sized=sized)
        other.videos = VideoLoader(other.images)
        other.region_files = RegionLoader(self.images, features=False)
        other._code_loader = UnreadImages(self._code_loader, sized=places)
        other.shapes = ShapeReader(self.spec)
        return other

    def read(
        self,
        row: Row,
        names: Iterable[str],
        columns: Mapping[str, str],
        language: str,
        *,
        sized: bool = True,
        draws: Draws | None = None,
    ) -> tuple[dict[str, Value], Size | None]:
        """All values of each field, and the size of the first image (read first: shapes need it).

        A field that may be empty has none in a row without it.

        Args:
            row: the row.
            names: the fields to read.
            columns: the column of each field.
            language: of the row; names of classes may differ by it.
            sized: whether the first image is read although no name asks for it.
            draws: of the example, where something is drawn in training: which frames of a video
                are taken.

        Raises:
            BadRow: for a value that is missing, empty or not of its kind.
        """
        values: dict[str, Value] = {}
        reading = _RowReading(self, row, columns, language, draws)
        main = self._main
        if not sized and not any(self._needs_size[n] for n in names):
            main = None
        for name in (main, *names) if main is not None else names:
            if name in values:
                continue
            allowed = self.spec.fields[name].missing == "allow"
            if allowed and is_blank(row.columns.get(columns[name])):
                values[name] = ()
                continue
            values[name] = self.kinds[name].read(self.cell(row, name, columns), reading)
            if name == main:
                first = values[name][0]
                reading.first = _measured(first)
        image = reading.first
        return values, None if image is None else image.size

    def cell(self, row: Row, name: str, columns: Mapping[str, str]) -> Cell:
        """What a row has in the column of a field.

        Raises:
            BadRow: where it has nothing.
        """
        column = columns[name]
        value = row.columns.get(column)
        if value is None:
            close = None if column in row.columns else nearest(column, row.columns)
            raise BadRow("is missing", file=row.where, field=row.named(column), nearest=close)
        return Cell(row, name, column, self.spec.fields[name], value, name in self._may_be_empty)

    def image(
        self, row: Row, cell: Cell, value: object, loader: ImageLoader | None = None
    ) -> LoadedImage:
        """An image of a row, at the size that the network reads.

        Raises:
            BadRow: for one that cannot be read.
        """
        try:
            allowed = self.spec.data.truncated_images == "allow"
            load = (loader or self.images).load
            return load(row.image(value), row.where, row.linked, truncated=allowed)
        except BadRow as error:
            error.field = cell.called
            raise

    def video(self, row: Row, cell: Cell, value: object, draws: Draws | None) -> Clip:
        """A video of a row: the frames that its field asks for.

        Raises:
            BadRow: for one that cannot be read.
        """
        random = None if draws is None else draws.training("frames", cell.name)
        try:
            return self.videos.load(row, value, cell.field, random)
        except BadRow as error:
            error.field = cell.called
            raise

    def regions(self, row: Row, cell: Cell, value: object, draws: Draws | None) -> Regions:
        """The regions that a row names: as many as its field says.

        Raises:
            BadRow: for an image that no file of features has, or regions that are broken.
        """
        random = None if draws is None else draws.training("regions", cell.name)
        try:
            return self.region_files.load(row, value, cell.field, random)
        except BadRow as error:
            said = error.message if error.file == row.where else f"{error.file}: {error.message}"
            raise cell.bad(said, error.expected, error.nearest) from error

    def in_codes(self, row: Row, cell: Cell, value: object) -> ImageCodes:
        """An image in codes: of its pixels, or those that the row has.

        Raises:
            BadRow: for an image that cannot be read, or codes that are none.
        """
        if isinstance(value, (list, tuple)) and cell.field.writing == "codes":
            return self._given_codes(cell, value)
        image = self.image(row, cell, value, self._code_loader)
        if self._code_images is None:
            return ImageCodes((), 0, image)
        if isinstance(image, UnreadImage):
            return ImageCodes((0,) * self._code_images.places, self._code_images.grid[1], image)
        codes_hw = self._codes.codes(image.pixels_HWC)
        return ImageCodes(tuple(codes_hw.reshape(-1).tolist()), codes_hw.shape[1], image)

    def _given_codes(self, cell: Cell, values: Sequence[object]) -> ImageCodes:
        images = self._code_images
        if images is None:
            return ImageCodes((), 0)
        count = images.codec.codes
        codes = [whole_number(value) for value in values]
        known = [code for code in codes if code is not None and 0 <= code < count]
        if len(known) != len(codes) or len(known) != images.places:
            expected = f"{images.places} whole numbers from 0 to {count - 1}"
            raise cell.bad(f"found {said(values)}", expected)
        grid_1hw = np.array(known, dtype=np.int64).reshape(1, *images.grid)
        height, width = images.size

        def decoded() -> LoadedImage:
            return LoadedImage(images.codec.decode(grid_1hw)[0], width, height)

        later = isinstance(self.images, UnreadImages)
        image = UnreadImage(decoded, (width, height, 1)) if later else decoded()
        return ImageCodes(tuple(known), images.grid[1], image)


def _measured(first: Image | ImageCodes | Regions) -> LoadedImage | None:
    """The image that places are measured in; of regions no more than its size is known."""
    if not isinstance(first, Regions):
        assert first.image is not None
        return first.image
    return None if first.size is None else UnreadImage(_without_pixels, (*first.size, 1))


def _without_pixels() -> LoadedImage:
    raise ValueError("of this image the regions alone are known")


class _RowReading:
    """One row on its way through a `ValueReader`, as the kinds of its values see it."""

    __slots__ = ("_columns", "_draws", "_reader", "_row", "first", "language")

    def __init__(
        self,
        reader: ValueReader,
        row: Row,
        columns: Mapping[str, str],
        language: str,
        draws: Draws | None,
    ) -> None:
        self._reader = reader
        self._row = row
        self._columns = columns
        self._draws = draws
        self.language = language
        self.first: LoadedImage | None = None
        """The first image, once it is read."""

    def beside(self, name: str) -> Cell:
        return self._reader.cell(self._row, name, self._columns)

    def values(self, cell: Cell) -> Value:
        return self._reader.kinds[cell.name].read(cell, self)

    def class_names(self, name: str) -> tuple[str, ...]:
        return self._reader.spec.class_names(name, self.language)

    def image(self, cell: Cell, value: object) -> LoadedImage:
        return self._reader.image(self._row, cell, value)

    def video(self, cell: Cell, value: object) -> Clip:
        return self._reader.video(self._row, cell, value, self._draws)

    def regions(self, cell: Cell, value: object) -> Regions:
        return self._reader.regions(self._row, cell, value, self._draws)

    def in_codes(self, cell: Cell, value: object) -> ImageCodes:
        return self._reader.in_codes(self._row, cell, value)

    def places(self, cell: Cell) -> tuple[Shape, ...]:
        return self._reader.shapes.read(cell, self.first)

    def tag_of(self, cell: Cell) -> str:
        spec = self._reader.spec
        tag = spec.data.tag_of(cell.value) if isinstance(cell.value, str) else None
        if tag is None:
            raise unlisted(spec, self._row, cell.column, cell.value)
        return tag


def _only_joined(spec: TaskSpec) -> frozenset[str]:
    """Fields that are read within joins alone, which may be of nothing: a dialogue's first turn."""
    shots = () if spec.shot is None else slots(spec.shot)
    direct = {*slots(spec.source), *slots(spec.target), *shots}
    joined = {name for join in spec.example.join.values() for name in named_slots(join.each)}
    return frozenset(joined - direct)


def _of_none(spec: TaskSpec) -> frozenset[str]:
    """Lists of shapes that may be of none, and those of their labels."""
    shapes = [(name, field) for name, field in spec.fields.items() if field.empty]
    return frozenset(n for name, field in shapes for n in (name, *field.beside))


def pieces_of(kind: Kind, values: Value) -> Sequence[str | Segment]:
    """What a field's values write into a template: texts, and segments of other kinds."""
    if type(kind).pieces is Kind.pieces:
        return values
    return tuple(
        piece for number, value in enumerate(values) for piece in kind.pieces(value, number)
    )


def unlisted(spec: TaskSpec, row: Row, column: str, language: object) -> BadRow:
    """The error for a language that a spec does not list."""
    return BadRow(
        f"the language {language!r} is not among data.languages",
        file=row.where,
        field=column,
        expected="a tag of it, or a name in data.language_names",
        nearest=nearest_tag(str(language), spec.data.languages),
    )
