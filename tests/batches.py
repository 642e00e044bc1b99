"""Batches of examples, for what is asked of a model without a stream."""

from __future__ import annotations

from collections.abc import Sequence

from unified_vl.codecs.sequence import SequenceCodec
from unified_vl.data.batching import LENGTH_MULTIPLE, Batch, collate_encoded, encode_example
from unified_vl.data.example import Example


def collate(
    examples: Sequence[Example], codec: SequenceCodec, pad_to_multiple: int = LENGTH_MULTIPLE
) -> Batch:
    """Examples of one task, encoded and padded."""
    return collate_encoded([encode_example(each, codec) for each in examples], pad_to_multiple)
