"""ImageNet's classification task of 2012 (Russakovsky et al., arXiv 1409.0575), as Kaggle packs it.

`LOC_synset_mapping.txt` has a class a line, `n01440764 tench, Tinca tinca`: its WordNet id and
its names, in the order of the classes' numbers. `LOC_train_solution.csv` and
`LOC_val_solution.csv` have an image a line, `n01440764_10026,n01440764 13 17 175 190`: its
name, and the class and box of its objects, which are all of the same class.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.readers.columns import Column
from unified_vl.readers.formats.moses import text_lines
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

HEAD = "ImageId,PredictionString"


def _classes(path: Path) -> dict[str, tuple[int, str]]:
    """The number, from 0, and all names of each class by its WordNet id."""
    found: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(text_lines(path)):
        synset, space, names = line.strip().partition(" ")
        if not space:
            message = f"found {line[:60]!r}"
            expected = "a WordNet id, a space and names"
            raise UserError(message, file=path, line=number + 1, expected=expected)
        found[synset] = number, names
    return found


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    classes = _classes(source.files["classes"])
    path = source.files["images"]
    for line, text in enumerate(text_lines(path), 1):
        image, comma, objects = text.partition(",")
        synset = objects.partition(" ")[0]
        if not text or (line == 1 and text == HEAD):
            continue
        if not comma or synset not in classes:
            raise UserError(
                f"there is no class {synset!r}" if comma else f"found {text[:60]!r}",
                file=path,
                line=line,
                expected=None if comma else HEAD,
                nearest=nearest(synset, classes),
            )
        number, names = classes[synset]
        in_folder = image.startswith(f"{synset}_")  # those of training
        yield {
            "key": image,
            "image": f"{synset}/{image}.JPEG" if in_folder else f"{image}.JPEG",
            "synset": synset,
            "number": number,
            "name": names.partition(",")[0],
            "names": names,
        }


IMAGENET = Reader(
    "imagenet",
    "ImageNet's images of 2012 as Kaggle packs them, `LOC_synset_mapping.txt` and the list of "
    "a split's images with their classes: a row an image.",
    rows=_rows,
    files=("images", "classes"),
    columns={
        "key": Column("text", "the image's name"),
        "image": Column("image", "its file, in training with its folder"),
        "synset": Column("text", "the WordNet id of its class: n01440764"),
        "number": Column("whole", "the number of its class, from 0"),
        "name": Column("text", "the first name of its class"),
        "names": Column("text", "all names of its class, between commas"),
    },
)
