"""What reads the files of data: a file a format, with its description, its keys and its function.

`registry.READERS` has them all, `register` adds one (docs/extending.md).
"""

from unified_vl.readers.columns import Column
from unified_vl.readers.keys import ReaderKeys
from unified_vl.readers.reader import Reader
from unified_vl.readers.registry import register
from unified_vl.readers.source import Source
from unified_vl.readers.table import Table

__all__ = ["Column", "Reader", "ReaderKeys", "Source", "Table", "register"]
