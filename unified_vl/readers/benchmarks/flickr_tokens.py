"""The captions of Flickr8k and Flickr30k as a text file, five lines an image.

Flickr30k: Young et al., aclanthology.org/Q14-1006, `results_20130124.token`. Flickr8k: Hodosh
et al., jair.org/index.php/jair/article/view/10833, `Flickr8k.token.txt`. A line is
`1000092795.jpg#0`, a tab and a caption. Which images are of a split is a list beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError
from unified_vl.image_formats import is_image
from unified_vl.readers.columns import CAPTIONS, IMAGE, IMAGE_ID
from unified_vl.readers.formats.moses import text_lines
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

SUFFIX = ".jpg"


def images_of_list(path: Path) -> Iterator[tuple[int, str]]:
    """The images of a list, with the numbers of their lines, from 1; with a suffix or without.

    What follows a `#` is the number of a sentence, which COCO's images have in Multi30k's lists.

    Raises:
        UserError: for a name that leads to another folder.
    """
    for number, line in enumerate(text_lines(path), 1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        if "/" in name or "\\" in name:
            message = f"found {name[:60]!r}"
            raise UserError(message, file=path, line=number, expected="the name of an image")
        yield number, name if is_image(Path(name)) else f"{name}{SUFFIX}"


def _captions(path: Path) -> dict[str, list[str]]:
    """The captions of each image, in the order of the file."""
    found: dict[str, list[str]] = {}
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        key, tab, caption = line.partition("\t")
        image, mark, _ = key.partition("#")
        if not (tab and mark and caption.strip()):
            raise UserError(
                f"found {line[:60]!r}",
                file=path,
                line=number,
                expected="IMAGE.jpg#NUMBER, a tab and a caption",
            )
        found.setdefault(image, []).append(caption.strip())
    return found


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    path = source.files["captions"]
    captions = _captions(path)
    listed = source.files.get("images")
    if listed is None:
        names: Iterator[tuple[int, str]] = enumerate(captions, 1)
    else:
        names = images_of_list(listed)
    for number, image in names:
        if image not in captions:
            message = f"{str(path)!r} has no caption of {image!r}"
            raise UserError(message, file=listed, line=number)
        yield {
            "key": image.removesuffix(SUFFIX),
            "image": image,
            "captions": captions[image],
        }


FLICKR_TOKENS = Reader(
    "flickr_tokens",
    "The captions of Flickr30k and Flickr8k as a text file (`results_20130124.token`), and a "
    "list of the images of the split, a name a line: a row an image, in the list's order.",
    rows=_rows,
    files=("captions", "images"),
    optional=("images",),
    columns={"key": IMAGE_ID, "image": IMAGE, "captions": CAPTIONS},
)
