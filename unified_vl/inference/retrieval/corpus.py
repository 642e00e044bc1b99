"""Collections of images or of texts, as people have them.

- a folder of images, with all folders below it;
- a text file, a text a line;
- a JSONL file, whose rows have an `image` (a path relative to the file) or a `text`, and if
  wished a `key` and a `language`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unified_vl.codecs.images import LoadedImage
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.errors import BadRow, UserError, nearest
from unified_vl.image_formats import expected_formats
from unified_vl.inference.image_folder import images_below
from unified_vl.json_text import full_lines, json_objects
from unified_vl.kinds.hooks.fits import Fit
from unified_vl.languages.tags import find, nearest_tag

Modality = Literal["image", "text"]
OnBad = Callable[[BadRow], None]


@dataclass(frozen=True, slots=True)
class Item:
    """An image or a text of a collection.

    Attributes:
        key: what it is called.
        image: its path relative to the collection's root; None for a text.
        text: None for an image.
        language: tag of the text's language.
        where: `file:line`, for messages.
    """

    key: str
    image: str | None = None
    text: str | None = None
    language: str | None = None
    where: str = ""


@dataclass(frozen=True)
class Corpus:
    """A collection, all of images or all of texts.

    Attributes:
        root: the folder that image paths are relative to.
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
        for item in self.items:
            try:
                if not is_utf8(item.key):  # the index has no room for such a name
                    raise BadRow(f"the name {item.key!r} is not UTF-8 text", file=item.where)
                image = loader.load(item.image, item.where)
            except BadRow as error:
                if on_bad is None:
                    raise
                on_bad(error)
                continue
            yield item, image


def read_corpus(path: str | Path, languages: Collection[str], language: str | None) -> Corpus:
    """The items of a collection; images are not opened yet.

    Args:
        path: the folder or file.
        languages: tags that the model knows.
        language: of texts that name none.

    Raises:
        UserError: when there is nothing, a row is neither image nor text or the rows are
            both, or a text's language is missing or unknown.
    """
    path = Path(path)
    if path.is_dir():
        items, root = _images_below(path), path
    elif path.is_file() and path.suffix in (".txt", ".jsonl"):
        read = json_objects if path.suffix == ".jsonl" else _lines
        items, root = [_item(row, path, n) for n, row in read(path)], path.parent
    else:
        raise UserError(
            "this is no collection" if path.exists() else "does not exist",
            file=path,
            expected="a folder of images, a .txt file of texts, or a .jsonl file of either",
        )
    if not items:
        kinds = f"{expected_formats()} files" if path.is_dir() else "a row"
        raise UserError("the collection is empty", file=path, expected=kinds)
    modalities = {"text" if item.image is None else "image" for item in items}
    if len(modalities) > 1:
        raise UserError("some rows are images and some are texts", file=path, expected="one kind")
    if modalities == {"image"}:
        return Corpus(root, "image", items)
    return Corpus(root, "text", [_spoken(item, languages, language) for item in items])


def is_utf8(text: str) -> bool:
    """Whether a text can be stored: names of files and JSON may hold what cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _images_below(folder: Path) -> list[Item]:
    names = [path.relative_to(folder).as_posix() for path in images_below(folder)]
    return [Item(name, image=name, where=str(folder)) for name in names]


def _lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in full_lines(path):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError("is not UTF-8 text", file=path, line=number) from error
        yield number, {"text": text.strip()}


def _item(row: dict[str, object], path: Path, number: int) -> Item:
    given = {name: row.get(name) for name in ("image", "text", "language")}
    for name, value in given.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise UserError(
                f"found {value!r}", file=path, line=number, field=name, expected="a text"
            )
    for name in ("text", "key", "language"):
        if not is_utf8(str(row.get(name))):  # half of a surrogate pair
            raise UserError("is not UTF-8 text", file=path, line=number, field=name)
    if (given["image"] is None) == (given["text"] is None):
        raise UserError(
            "the row has no `image` and no `text`"
            if given["image"] is None
            else "the row has an `image` and a `text`",
            file=path,
            line=number,
            expected="one of them",
            nearest=nearest("image", row) or nearest("text", row),
        )
    key = row.get("key")
    name = str(number) if given["image"] is None else str(given["image"])
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
