"""The readers: which files each reads and, where its format fixes them, which columns it gives.

What reads them is `data/readers/`; here is what a spec can be checked against before there
is a file.
"""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from unified_vl.specs.benchmarks import BENCHMARKS
from unified_vl.specs.document import one_of
from unified_vl.specs.reader_info import ReaderInfo

TABLES = {
    "parquet": ReaderInfo("Parquet files."),
    "jsonl": ReaderInfo("A JSON object a line."),
    "csv": ReaderInfo("Comma-separated values below a line of names; every value is text."),
}
READERS: dict[str, ReaderInfo] = {**TABLES, **BENCHMARKS}


def known_reader(name: object) -> object:
    """The name of a reader, as it is.

    Raises:
        PydanticCustomError: for another, with the nearest name.
    """
    if isinstance(name, str) and name not in READERS:
        context = {"expected": one_of(READERS), "names": tuple(READERS)}
        raise PydanticCustomError("unknown_name", "{expected}", context)
    return name
