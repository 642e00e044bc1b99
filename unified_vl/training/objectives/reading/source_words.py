"""Which ids of sources are words: pieces of text, not tags, places of images or ends.

Legend: B rows, S source length, V vocabulary.
"""

from __future__ import annotations

import torch

from unified_vl.codecs.vocabulary import Vocabulary
from unified_vl.data.batching import Batch


class SourceWords:
    """Finds the words of sources.

    Args:
        vocabulary: of the ids.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        words = set(vocabulary.text_ids) - {vocabulary.pad_id, vocabulary.eos_id}
        self._is_word_V = torch.tensor([number in words for number in range(vocabulary.size)])

    def of(self, batch: Batch) -> torch.Tensor:
        """Where a batch has them: bool, (B, S)."""
        ids_BS = batch.input_ids_BS
        self._is_word_V = self._is_word_V.to(ids_BS.device)  # a copy in the first step alone
        return self._is_word_V[ids_BS] & batch.attention_mask_BS.bool()
