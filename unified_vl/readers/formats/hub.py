"""Data sets of the Hugging Face hub, through `datasets`: cached, or only their first rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from unified_vl.errors import UserError
from unified_vl.json_text import refuse_deep_file
from unified_vl.parts import Problem
from unified_vl.readers.keys import ReaderKeys
from unified_vl.readers.reader import Reader
from unified_vl.readers.source import Source, first_line
from unified_vl.readers.table import ArrowTable, Table

if TYPE_CHECKING:
    import pyarrow as pa

_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


class HubKeys(ReaderKeys):
    """What of a data set is read."""

    templates = ("config",)

    config: str | None = Field(
        default=None,
        min_length=1,
        description="Reader `hub` only: the data set's configuration; {split} and {language} are "
        "filled in.",
        examples=["en-de"],
    )
    streaming: bool = Field(
        default=False,
        description="Reader `hub` only: read the first rows (`take`) without downloading the rest.",
        examples=[True],
    )
    take: int | None = Field(
        default=None,
        ge=1,
        le=10**15,
        description="Reader `hub` only: how many rows of a split to take.",
        examples=[10000],
    )

    def problems(self) -> Iterator[Problem]:
        """That a stream has an end."""
        if self.streaming and self.take is None:
            yield Problem(("data", "take"), "is missing", expected="how many rows to stream")


def read_hub(source: Source) -> Table:
    """The rows of a split, or the first of them.

    `datasets` has run no code of a data set since its version 4.
    """
    from datasets import load_dataset

    keys = source.own(HubKeys)
    said = source.name(source.path)
    if not source.path.is_dir() and not _ID.fullmatch(said):
        raise source.error(
            ("data", "path"),
            f"{said!r} is no folder below the data root, and no id",
            expected="owner/name",
        )
    path = str(source.path) if source.path.is_dir() else said
    how = {"name": keys.config, "split": source.split, "streaming": keys.streaming}
    try:
        found = load_dataset(path, **how, **_as_they_are(path, source))
        source.require(list(found.features or _first_row(found)))
        table = _table(found.select_columns(list(source.needed)), keys.take)
    except UserError:
        raise
    except Exception as error:  # its builders and the network raise almost anything
        raise UserError(f"cannot be loaded: {first_line(error)}", file=said) from error
    return ArrowTable(_with_image_bytes(table))


def _as_they_are(path: str, source: Source) -> dict[str, Any]:
    """What keeps `datasets` from guessing: of CSV `007` would be a number and `NA` nothing, of
    JSON Lines a date a time, and a column could not hold text and, far below, numbers.

    Columns whose features the data set declares are as it says.
    """
    from datasets import Features, Json, Value, load_dataset, load_dataset_builder

    config = source.own(HubKeys).config
    builder = load_dataset_builder(path, name=config)
    kind = type(builder).__module__.rpartition(".")[2]
    if kind == "json" and source.path.is_dir():  # Arrow's parser may end the process
        every = (builder.config.data_files or {}).values()
        for path_of_file in sorted({Path(name) for names in every for name in names}):
            if path_of_file.is_file() and path_of_file.suffix in (".json", ".jsonl"):
                refuse_deep_file(path_of_file)
    if kind not in ("csv", "json") or builder.info.features or builder.config.features:
        return {}
    options = {"keep_default_na": False} if kind == "csv" else {}
    streamed = load_dataset(path, name=config, split=source.split, streaming=True, **options)
    feature = Value("string") if kind == "csv" else Json()
    names = list(streamed.features or _first_row(streamed))
    return {**options, "features": Features(dict.fromkeys(names, feature))}


def _first_row(streamed: Any) -> dict[str, Any]:
    """Of a stream that does not say its columns."""
    return next(iter(streamed.take(1)), {})


def _table(found: Any, take: int | None) -> pa.Table:
    """Formatted as Arrow, nothing is decoded."""
    import pyarrow as pa
    from datasets import IterableDataset

    if isinstance(found, IterableDataset):
        assert take is not None  # a rule of the spec
        tables: list[pa.Table] = []
        missing = take
        # not `take` of the stream, which reads on to see that nothing follows
        for table in found.with_format("arrow").iter(batch_size=min(take, 1000)):
            tables.append(table.slice(0, missing))
            missing -= len(tables[-1])
            if not missing:
                break
        return pa.concat_tables(tables) if tables else pa.table({})
    count = len(found) if take is None else min(take, len(found))
    return found.with_format("arrow")[:count]


def _with_image_bytes(table: pa.Table) -> pa.Table:
    """With the bytes of images that are files of their own: these lie outside the data root."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from datasets.table import embed_table_storage

    for field in table.schema:
        if pa.types.is_struct(field.type) and {f.name for f in field.type} == {"bytes", "path"}:
            column = table.column(field.name)
            stored = pc.is_valid(pc.struct_field(column, "bytes"))
            if not pc.all(pc.or_(stored, pc.is_null(column))).as_py():
                try:
                    return embed_table_storage(table)
                except Exception as error:  # files and network, as above
                    raise UserError(
                        f"the images cannot be read: {first_line(error)}", field=field.name
                    ) from error
    return table


HUB = Reader(
    "hub",
    "A data set of the Hugging Face hub by its id, or a folder below the data root that "
    "`datasets.load_dataset` can load: `data.config` names its configuration, `data.splits` "
    "its splits, `data.take` how many rows to take, and with `data.streaming` only these are "
    "downloaded. What is downloaded lies in the cache of `datasets`. Code of a data set is "
    "never run.",
    read=read_hub,
    path="id",
    images="never",
    keys=HubKeys,
)
