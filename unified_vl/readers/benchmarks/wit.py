"""Wikipedia's images with what is said of them in 108 languages (WIT: Srinivasan et al.).

arXiv 2103.01913; github.com/google-research-datasets/wit has files of values between tabs, such
as `wit_v1.train.all-00000-of-00010.tsv`; a value with a tab, a line end or a quotation mark
stands in quotes, as in CSV. The images are Wikipedia's own files, by their URL: img2dataset, or a
download, names them by the row, counted from 0, as NUMBERED of `image_lists` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.readers.benchmarks.image_lists import Downloaded, numbered
from unified_vl.readers.columns import IMAGE, LANGUAGE, Column
from unified_vl.readers.delimited import Delimited, DelimitedFile
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source

COLUMNS = {  # ours, and those of the files
    "language": "language",
    "url": "image_url",
    "title": "page_title",
    "caption": "caption_reference_description",
}


def _rows(source: Source) -> Iterator[dict[str, Any]]:
    """Rows in a language that is asked for, with a caption and a downloaded image."""
    kept: list[int] = []
    count = 0
    images = Downloaded(source.image_folder)
    for number, row in enumerate(_records(source)):
        if source.tag_of(row["language"]) is None or not row["caption"]:
            continue
        count += 1
        image = numbered(images, (number, row["caption"], row["url"]))
        if image is not None:
            kept.append(number)
            yield {"key": str(number), "image": image, **row}
    source.keep(kept, count, "lack their image")


def _records(source: Source) -> Iterator[dict[str, str]]:
    path = source.path
    records = DelimitedFile(path, Delimited("\t")).records()
    first = next(records, None)
    head = [] if first is None else first.cells
    for name in COLUMNS.values():
        if name not in head:
            raise UserError(
                f"has no column {name!r}", file=path, line=1, nearest=nearest(name, head)
            )
    places = {ours: head.index(name) for ours, name in COLUMNS.items()}
    for record in records:
        if len(record.cells) != len(head):
            raise UserError(
                f"found {len(record.cells)} values between tabs",
                file=path,
                line=record.line,
                expected=f"{len(head)}, as in the line of names",
            )
        yield {ours: record.cells[place].strip() for ours, place in places.items()}


WIT = Reader(
    "wit",
    "Wikipedia's image texts, between tabs, in quotes as in CSV where a text has line ends: a "
    "row for each in a language of the spec with a caption. The image of row n, counted from "
    "0, is named as for `cc3m`; rows without one are left out and counted.",
    rows=_rows,
    columns={
        "key": Column("text", "the row, counted from 0"),
        "image": IMAGE,
        "language": LANGUAGE,
        "caption": Column("text", "the caption below the image"),
        "title": Column("text", "the title of the page"),
        "url": Column("text", "where the image was"),
    },
    images="always",
)
