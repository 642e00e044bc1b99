"""Collections of images, of videos or of texts, as people have them.

- a folder of images, with all folders below it, or of video files where it has no image;
- a text file, a text a line;
- a JSONL file, whose rows have an `image` or a `video` (a path relative to the file) or a `text`,
  and if wished a `key` and a `language`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, get_args

from unified_vl.codecs.images import LoadedImage
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.row import OneValue
from unified_vl.data.videos.video_loader import VideoLoader
from unified_vl.errors import BadRow, UserError, nearest
from unified_vl.image_formats import expected_formats
from unified_vl.inference.folders import images_below, videos_below
from unified_vl.inference.retrieval.features import Frames
from unified_vl.json_text import full_lines, json_objects
from unified_vl.kinds.hooks.fits import Fit
from unified_vl.languages.tags import find, nearest_tag
from unified_vl.specs.tasks.fields import FieldSpec

Modality = Literal["image", "video", "text"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
OnBad = Callable[[BadRow], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Item:
    """An image, a video or a text of a collection.

    Attributes:
        key: what it is called.
        image: its path relative to the collection's root; None where it is none.
        video: likewise.
        text: likewise.
        language: tag of the text's language.
        where: `file:line`, for messages.
    """

    key: str
    image: str | None = None
    video: str | None = None
    text: str | None = None
    language: str | None = None
    where: str = ""

    @property
    def modality(self) -> Modality:
        """Which of the three it is."""
        return next(name for name in MODALITIES if getattr(self, name) is not None)


@dataclass(frozen=True)
class Corpus:
    """A collection, all of images, all of videos or all of texts.

    Attributes:
        root: the folder that paths are relative to.
        modality: of all of them.
        items: at least one.
    """

    root: Path
    modality: Modality
    items: list[Item]

    def load(
        self, size: tuple[int, int], on_bad: OnBad | None, fit: Fit = "stretch"
    ) -> Iterator[tuple[Item, LoadedImage]]:
        """The images that can be read, at the network's size (height, width).

        Raises:
            BadRow: for one that cannot, unless `on_bad` is told.
        """
        loader = ImageLoader(self.root, size, cache_bytes=0, fit=fit)
        return self._loaded(lambda item: loader.load(item.image, item.where), on_bad)

    def load_clips(
        self, field: FieldSpec, size: tuple[int, int], on_bad: OnBad | None, fit: Fit = "stretch"
    ) -> Iterator[tuple[Item, Frames]]:
        """The videos that can be read: their frames at the network's size (height, width).

        Args:
            field: of kind video: how many frames.
            size: of the network.
            on_bad: told of those that cannot be read.
            fit: how frames are brought to that size.

        Raises:
            BadRow: for one that cannot, unless `on_bad` is told.
            UserError: for a video file without PyAV.
        """
        loader = VideoLoader(ImageLoader(self.root, size, cache_bytes=0, fit=fit))

        def frames(item: Item) -> Frames:
            clip = loader.load(OneValue({}, item.where, 0, None), item.video, field, random=None)
            return tuple(frame.image for frame in clip.frames)

        return self._loaded(frames, on_bad)

    def _loaded(self, load: Callable[[Item], T], on_bad: OnBad | None) -> Iterator[tuple[Item, T]]:
        for item in self.items:
            try:
                if not is_utf8(item.key):  # the index has no room for such a name
                    raise BadRow(f"the name {item.key!r} is not UTF-8 text", file=item.where)
                found = load(item)
            except BadRow as error:
                if on_bad is None:
                    raise
                on_bad(error)
                continue
            yield item, found


def read_corpus(path: str | Path, languages: Collection[str], language: str | None) -> Corpus:
    """The items of a collection; images and videos are not opened yet.

    Args:
        path: the folder or file.
        languages: tags that the model knows.
        language: of texts that name none.

    Raises:
        UserError: when there is nothing, a row is none of the three or the rows are of several,
            or a text's language is missing or unknown.
    """
    path = Path(path)
    if path.is_dir():
        items, root = _shown_below(path), path
    elif path.is_file() and path.suffix in (".txt", ".jsonl"):
        read = json_objects if path.suffix == ".jsonl" else _lines
        items, root = [_item(row, path, n) for n, row in read(path)], path.parent
    else:
        raise UserError(
            "this is no collection" if path.exists() else "does not exist",
            file=path,
            expected="a folder of images or of videos, a .txt file of texts, or a .jsonl file of "
            "any of these",
        )
    if not items:
        kinds = f"{expected_formats()} files, or videos" if path.is_dir() else "a row"
        raise UserError("the collection is empty", file=path, expected=kinds)
    modality, *others = sorted({item.modality for item in items}, key=MODALITIES.index)
    if others:
        found = f"some rows are {modality}s and some are {others[0]}s"
        raise UserError(found, file=path, expected="one kind")
    if modality == "text":
        items = [_spoken(item, languages, language) for item in items]
    return Corpus(root, modality, items)


def is_utf8(text: str) -> bool:
    """Whether a text can be stored: names of files and JSON may hold what cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _shown_below(folder: Path) -> list[Item]:
    """Its images, or where there is none, its videos."""

    def names(found: list[Path]) -> list[str]:
        return [path.relative_to(folder).as_posix() for path in found]

    images = [Item(name, image=name, where=str(folder)) for name in names(images_below(folder))]
    return images or [
        Item(name, video=name, where=str(folder)) for name in names(videos_below(folder))
    ]


def _lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in full_lines(path):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError("is not UTF-8 text", file=path, line=number) from error
        yield number, {"text": text.strip()}


def _item(row: dict[str, object], path: Path, number: int) -> Item:
    given = {name: row.get(name) for name in (*MODALITIES, "language")}
    for name, value in given.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise UserError(
                f"found {value!r}", file=path, line=number, field=name, expected="a text"
            )
    for name in ("text", "key", "language"):
        if not is_utf8(str(row.get(name))):  # half of a surrogate pair
            raise UserError("is not UTF-8 text", file=path, line=number, field=name)
    there = [name for name in MODALITIES if given[name] is not None]
    if len(there) != 1:
        raise UserError(
            f"the row has {' and '.join(f'`{name}`' for name in there)}"
            if there
            else "the row has no `image`, no `video` and no `text`",
            file=path,
            line=number,
            expected="one of `image`, `video` and `text`",
            nearest=next(filter(None, (nearest(name, row) for name in MODALITIES)), None),
        )
    key = row.get("key")
    name = str(number if there == ["text"] else given[there[0]])
    return Item(
        name if key is None else str(key),
        **{field: None if value is None else str(value) for field, value in given.items()},
        where=f"{path}:{number}",
    )


def _spoken(item: Item, languages: Collection[str], language: str | None) -> Item:
    spoken = item.language or language
    known = None if spoken is None else find(spoken, languages)
    if known is None:
        said = "no language is given" if spoken is None else f"unknown language {spoken!r}"
        raise UserError(
            said,
            file=item.where,
            field="language",
            expected=f"one of {', '.join(languages)}",
            nearest=None if spoken is None else nearest_tag(spoken, languages),
        )
    return Item(item.key, text=item.text, language=known, where=item.where)
