"""T5 models of `transformers` with random weights, and this project's of the same weights.

Legend: B batch, S source length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from unified_vl.decoding.decoders.compiled import compile_model
from unified_vl.decoding.grammars.grammar import Grammar
from unified_vl.decoding.protocol import Memory
from unified_vl.decoding.search import Choose, Hypothesis, beam_search, likeliest, write
from unified_vl.model.convert import from_t5
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

BATCH, SOURCE, TARGET = 32, 64, 32
T5 = "transformers T5 generate, same weights"
SIZES: dict[str, dict[str, int]] = {
    "demo": {
        "vocab_size": 4096,
        "d_model": 192,
        "d_ff": 384,
        "num_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 6,
    },
    "11.5 M": {
        "vocab_size": 8192,
        "d_model": 256,
        "d_ff": 512,
        "num_layers": 6,
        "num_decoder_layers": 6,
        "num_heads": 8,
    },
}


@dataclass(frozen=True)
class Pair:
    """A model of ours, one of theirs with the same weights, and what both read."""

    ours: UnifiedVLForConditionalGeneration
    theirs: Any
    ids_BS: torch.Tensor
    mask_BS: torch.Tensor

    def memory(self) -> Memory:
        return Memory(self.ours.encoder(self.ids_BS, self.mask_BS)[0], self.mask_BS)

    def write(
        self,
        beams: int = 1,
        most: int = TARGET,
        grammar: Grammar | None = None,
        choose: Choose = likeliest,
    ) -> list[list[Hypothesis]]:
        if beams == 1:
            return write(self.ours, self.memory(), most, grammar, choose=choose)
        return beam_search(self.ours, self.memory(), most, beams, grammar)

    def generate(self, beams: int = 1, most: int = TARGET, **options: Any) -> torch.Tensor:
        return self.theirs.generate(
            input_ids=self.ids_BS,
            attention_mask=self.mask_BS,
            max_new_tokens=most,
            do_sample=False,
            num_beams=beams,
            **options,
        )

    def reading(self, tokens: int) -> Pair:
        """The same models with shorter sources."""
        return Pair(self.ours, self.theirs, self.ids_BS[:, :tokens], self.mask_BS[:, :tokens])

    def compiled(self) -> Pair:
        """A copy of ours that is compiled, beside the same one of theirs."""
        ours = from_t5(self.theirs)
        compile_model(ours)
        return Pair(ours, self.theirs, self.ids_BS, self.mask_BS)


def pair(size: str) -> Pair:
    """A T5 v1.1 of `transformers` with random weights, and this project's of the same."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        d_kv=32,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        **SIZES[size],
    )
    theirs = T5ForConditionalGeneration(config).eval()
    ids_BS = torch.randint(3, 4000, (BATCH, SOURCE))
    return Pair(from_t5(theirs), theirs, ids_BS, torch.ones_like(ids_BS))
