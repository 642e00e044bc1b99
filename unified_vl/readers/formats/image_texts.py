"""Images with a text file beside each: `a.jpg` and `a.txt`, or `a.de.txt` for each language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.image_formats import is_image
from unified_vl.readers.columns import Column
from unified_vl.readers.image_files import files_below, note_links
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

_LARGEST = 1 << 20  # bytes of a text


def _rows(source: Source) -> Iterator[Mapping[str, Any]]:
    """A row each image and language that it has a text in; in the order of names, then tags."""
    folder = source.path
    files = files_below(source)
    images = [path for path in files if is_image(path)]
    if not images:
        raise UserError("holds no image", file=folder, expected="PNG, JPEG, WEBP, GIF or BMP files")
    note_links(source, images)
    texts = {path.with_suffix(""): path for path in files if path.suffix.lower() == ".txt"}
    stems = {path.with_suffix("") for path in images}
    used: set[Path] = set()
    places: list[Path] = []
    without = 0
    for image in images:
        stem = image.with_suffix("")
        said = dict(_texts_of(source, stem, texts, stems))
        used.update(said.values())
        without += not said
        for language, path in said.items():
            text = _text(path)
            places.append(path)
            yield {
                "key": stem.relative_to(folder).as_posix(),
                "image": source.name(image),
                "file_name": image.relative_to(folder).as_posix(),
                "caption": text,
                "captions": [line.strip() for line in text.splitlines() if line.strip()],
                "language": language,
            }
    source.found_in(places)
    source.leave_out(without, "lack their text")
    source.leave_out(len(texts) - len(used), "are texts beside no image, or in another language")


def _texts_of(
    source: Source, stem: Path, texts: Mapping[Path, Path], stems: set[Path]
) -> Iterator[tuple[str, Path]]:
    """The texts of an image by what the files call their language.

    `a.de.txt` is in German, unless it is the text of an image `a.de.jpg`; `a.txt` is in the only
    language of a spec, where the image has none that says so.
    """
    found = False
    for tag in source.languages:
        name = source.language_name(tag)
        named = stem.parent / f"{stem.name}.{name}"
        if named in texts and named not in stems:
            found = True
            yield name, texts[named]
    if not found and stem in texts and len(source.languages) == 1:
        yield source.language_name(source.languages[0]), texts[stem]


def _text(path: Path) -> str:
    if path.stat().st_size > _LARGEST:
        raise UserError("is too large for a caption", file=path, expected="at most 1 MiB")
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error


IMAGE_TEXTS = Reader(
    "image_texts",
    "A folder of images, and below it too, with a text file beside each: `a.jpg` and `a.txt`, "
    "or a file a language, `a.en.txt` and `a.de.txt`, each of which is a row. `a.txt` counts "
    "where the spec has one language. Images without a text, and texts that are not used, are "
    "left out and counted.",
    rows=_rows,
    columns={
        "key": Column("text", "the image's path below the folder, without its suffix"),
        "image": Column("image", "the image"),
        "file_name": Column("text", "its path below the folder"),
        "caption": Column("text", "the text, whole"),
        "captions": Column("texts", "its lines, where each is a caption"),
        "language": Column("text", "what the file calls the language"),
    },
    path="folder",
    images="never",
)
