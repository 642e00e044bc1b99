from __future__ import annotations

from unified_vl.data.readers.registry import READERS
from unified_vl.specs.readers import READERS as LISTED


def test_every_reader_that_a_spec_may_name_reads() -> None:
    assert set(READERS) == set(LISTED)
