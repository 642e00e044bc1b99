"""Speed of answering, side by side in one run: `python benchmarks/generation.py`.

Every row alternates between the two sides on one thread and compares medians of the CPU
time, which other work on the machine disturbs least. `--quick` measures once, for a look.

Legend: B batch, S source length.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from tables import keep, medians, processor_name
from transformers import LogitsProcessor, LogitsProcessorList

from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.inference.constraints import ChoiceGrammar, Grammar, Scored
from unified_vl.inference.scoring import ChoiceScorer
from unified_vl.inference.search import (
    Choose,
    Hypothesis,
    Memory,
    beam_search,
    likeliest,
    write,
)
from unified_vl.inference.trie import build_trie
from unified_vl.model.convert import from_t5
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

COMMAND = "python benchmarks/generation.py"
BATCH, SOURCE, TARGET = 32, 64, 32
REPEATS = 1 if "--quick" in sys.argv else 5
# What the demo's captions take: 16 places of an image, two tags and the end; and a batch of
# answers, the quantiles of the 4,200 test captions in 14 languages, mean 4.8.
CAPTION_SOURCE = 19
CAPTION_LENGTHS = [2] * 10 + [3] * 2 + [4] * 5 + [5] * 5 + [6] * 3 + [7, 7, 8, 8, 9, 10, 13]
CHOICES, CHOICE_TOKENS = 20_000, 9
CANDIDATES = 1_000
RESOLUTION = 0.1  # milliseconds; a smaller difference counts as so much
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
    """Two models of the same weights, and what both read."""

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


class Lengths(Grammar):
    """Each row writes a number of ids of its own: answers differ in length."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths = lengths

    def start(self, rows: int) -> torch.Tensor:
        return torch.tensor(self.lengths)[:rows, None]

    def allowed(self, scores_RV: torch.Tensor, state_RF: torch.Tensor, step: int) -> Scored:
        ends_R1 = state_RF <= step + 1
        scores_RV = scores_RV.masked_fill(ends_R1, -torch.inf)
        scores_RV[:, EOS_ID] = torch.where(ends_R1[:, 0], 0.0, -torch.inf)
        return Scored(scores_RV)

    def advance(self, state_RF: torch.Tensor, ids_R: torch.Tensor, step: int) -> torch.Tensor:
        return state_RF


class LengthsProcessor(LogitsProcessor):
    """The same for `generate`, at the same cost: it only looks at the number of the step."""

    def __init__(self, lengths: Lengths) -> None:
        self.lengths = lengths

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        rows, written = input_ids.shape  # the start id among them
        return self.lengths.allowed(scores, self.lengths.start(rows), written - 1).scores_RC


def asking_for_a_caption(models: Pair) -> Pair:
    """The same models, reading as much as the demo's captions ask."""
    read = [part[:, :CAPTION_SOURCE] for part in (models.ids_BS, models.mask_BS)]
    return Pair(models.ours, models.theirs, *read)


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


def times(*sides: Any) -> list[float]:
    return medians(*sides, repeats=REPEATS, clock=time.process_time)


def greedy_row(name: str, models: Pair, lengths: Lengths | None = None) -> dict[str, object]:
    """Tokens (eos included) a second, encoder and all; both must write the same."""
    processors = LogitsProcessorList([LengthsProcessor(lengths)] if lengths else [])

    def our_side() -> list[list[Hypothesis]]:
        return models.write(grammar=lengths)

    def their_side() -> torch.Tensor:
        return models.generate(logits_processor=processors)

    found = our_side()
    expected = their_side()[:, 1:].tolist()
    for row, ids in zip(found, expected, strict=True):
        assert row[0].ids == ids[: len(row[0].ids)], "the two sides write different ids"
    tokens = sum(len(row[0].ids) for row in found)
    mine, peers = times(our_side, their_side)
    return line(name, 1000 * tokens / mine, 1000 * tokens / peers, "tokens/s", mine, peers, T5)


def beam_row(name: str, models: Pair) -> dict[str, object]:
    """What a beam of 4 costs in greedy decodings, here and there."""
    four, one, their_four, their_one = times(
        lambda: models.write(4), models.write, lambda: models.generate(4), models.generate
    )
    return line(name, four / one, their_four / their_one, "x greedy", four, their_four, T5)


def constraint_rows(models: Pair) -> list[dict[str, object]]:
    """What 20,000 choices of 8 ids and eos add to greedy decoding.

    The difference of two whole runs is smaller than their noise, so the time is taken
    inside: of the logits processor there; here of the grammar and of choosing an id, less
    what choosing one costs without a grammar.
    """
    from transformers import PrefixConstrainedLogitsProcessor

    choices = labels()
    trie = build_trie(sorted(choices))
    grammar = Timed(ChoiceGrammar(trie, models.ours.config.vocab_size, torch.device("cpu")))
    chooser = Timed(likeliest)
    processor = Timed(PrefixConstrainedLogitsProcessor(walk(choices), 1))
    for row in models.write(most=CHOICE_TOKENS, grammar=grammar):
        assert tuple(row[0].ids) in choices, "a choice that is none"
    spent: dict[str, list[float]] = {"ours": [], "plain": [], "theirs": []}

    def measured(side: str, run: Callable[[], object]) -> Callable[[], None]:
        def measure() -> None:
            grammar.spent = chooser.spent = processor.spent = 0.0
            run()
            spent[side].append(1000 * (grammar.spent + chooser.spent + processor.spent))

        return measure

    most = CHOICE_TOKENS
    _, _, whole, their_whole = times(
        measured("ours", lambda: models.write(1, most, grammar, chooser)),
        measured("theirs", lambda: models.generate(1, most, logits_processor=[processor])),
        measured("plain", lambda: models.write(1, most, None, chooser)),
        lambda: models.generate(1, most),
    )
    medians_of = {side: statistics.median(values) for side, values in spent.items()}
    mine = max(medians_of["ours"] - medians_of["plain"], RESOLUTION)
    peers = medians_of["theirs"]
    name = f"greedy, 11.5 M, constrained to {CHOICES:,} choices: overhead"
    peer = "prefix_allowed_tokens_fn of transformers over a dict"
    part, their_part = 100 * mine / whole, 100 * peers / their_whole
    return [
        line(name, mine, peers, "ms", mine, peers, peer),
        line(name, part, their_part, "% of greedy", mine, peers, peer),
    ]


def labels() -> set[tuple[int, ...]]:
    """Many beginnings and few ways to go on, as names have."""
    generator = torch.Generator().manual_seed(1)
    found: set[tuple[int, ...]] = set()
    while len(found) < CHOICES:
        first = torch.randint(3, 3000, (1,), generator=generator).tolist()
        rest = torch.randint(3, 60, (CHOICE_TOKENS - 2,), generator=generator).tolist()
        found.add((*first, *rest, EOS_ID))
    return found


def walk(choices: Iterable[tuple[int, ...]]) -> Callable[[int, torch.Tensor], list[int]]:
    """The usual callback: down a tree of dicts, a row at a time."""
    tree: dict[int, dict] = {}
    for choice in choices:
        node = tree
        for token in choice:
            node = node.setdefault(token, {})

    def allowed(_: int, ids: torch.Tensor) -> list[int]:
        node = tree
        for token in ids[1:].tolist():
            node = node[token]
        return list(node)

    return allowed


class Timed:
    """An object whose calls, its own and those of its methods, add up their CPU time."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.spent = 0.0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        result = self.wrapped(*arguments, **options)
        self.spent += time.process_time() - start
        return result

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.wrapped, name)

        def timed(*arguments: Any) -> Any:
            start = time.process_time()
            result = method(*arguments)
            self.spent += time.process_time() - start
            return result

        return timed


def scoring_row(models: Pair) -> dict[str, object]:
    """One source, 1,000 candidates of 3 to 6 ids and eos that share some beginnings."""
    generator = torch.Generator().manual_seed(2)
    candidates: set[tuple[int, ...]] = set()
    while len(candidates) < CANDIDATES:
        length = int(torch.randint(1, 5, (1,), generator=generator))
        first = torch.randint(3, 30, (2,), generator=generator).tolist()
        rest = torch.randint(3, 8000, (length,), generator=generator).tolist()
        candidates.add((*first, *rest, EOS_ID))
    ids = sorted(candidates)
    one = Pair(models.ours, models.theirs, models.ids_BS[:1], models.mask_BS[:1])
    scorer = ChoiceScorer(ids, 0, torch.device("cpu"))
    found_BC = scorer(one.ours, one.memory())
    expected_C = naive_scores(one, ids)
    assert torch.allclose(found_BC[0], expected_C, rtol=1e-5), "the two sides score differently"
    mine, peers = times(lambda: scorer(one.ours, one.memory()), lambda: naive_scores(one, ids))
    name = f"scores of {CANDIDATES:,} candidates, 11.5 M"
    naive = "forward of this model on source and candidate, batches of 32"
    return line(name, mine, peers, "ms", mine, peers, naive)


def naive_scores(models: Pair, candidates: list[tuple[int, ...]]) -> torch.Tensor:
    scores = []
    for start in range(0, len(candidates), BATCH):
        part = candidates[start : start + BATCH]
        width = max(map(len, part))
        labels_BT = torch.tensor([[*c, *[-100] * (width - len(c))] for c in part])
        rows = len(part)
        logits_BTV = models.ours(
            input_ids=models.ids_BS.expand(rows, -1),
            attention_mask=models.mask_BS.expand(rows, -1),
            labels=labels_BT,
        ).logits
        gained_BT = logits_BTV.log_softmax(-1).gather(2, labels_BT.clamp(min=0)[..., None])
        scores.append(gained_BT[..., 0].where(labels_BT >= 0, 0.0).sum(1))
    return torch.cat(scores)


def line(
    name: str, ours: float, peer: float, unit: str, mine: float, peers: float, peer_name: str
) -> dict[str, object]:
    return {
        "name": name,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "unit": unit,
        "ratio": round(peers / mine, 2),
        "peer_name": peer_name,
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = []
    with torch.inference_mode():
        for size in SIZES:
            models = pair(size)
            shape = f"{size}, batch {BATCH}, {SOURCE} + {TARGET} tokens"
            rows.append(greedy_row(f"greedy, {shape}", models))
            some = Lengths(torch.linspace(4, TARGET, BATCH).round().int().tolist())
            rows.append(greedy_row(f"greedy, {size}, answers of 4 to 32 tokens", models, some))
            captions = f"greedy, {size}, the demo's captions: {CAPTION_SOURCE} + 2 to 13 tokens"
            asked = asking_for_a_caption(models)
            rows.append(greedy_row(captions, asked, Lengths(CAPTION_LENGTHS)))
            rows.append(beam_row(f"beam 4, {shape}", models))
        rows += constraint_rows(models)
        rows.append(scoring_row(models))
    about = (
        f"{processor_name()}; medians of CPU time of {REPEATS} alternating runs; the ratio is the "
        "peer's time by ours."
    )
    keep(rows, "Generation", COMMAND, about)


if __name__ == "__main__":
    main()
