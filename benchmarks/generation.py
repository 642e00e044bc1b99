"""Speed of answering, side by side in one run: `python benchmarks/generation.py`.

A T5 of `transformers` beside this project's model of the same weights, plain and compiled; on
one thread and on all cores, as torch takes them by itself. Greedy decoding without a grammar is
measured beside CTranslate2, too, which has none (`ctranslate2_peer.py` has its int8 weights).
Medians of alternating runs. `--quick` measures once, for a look, and records nothing.

Legend: R rows, V vocabulary, C candidates, F numbers of a grammar's state.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from ctranslate2_side import PEER, Ids, converted
from t5_pairs import BATCH, SIZES, SOURCE, T5, TARGET, Pair, pair
from tables import keep, line, medians, processor_name
from transformers import LogitsProcessor, LogitsProcessorList

from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.decoding.grammars.grammar import Grammar, Scored

COMMAND = "python benchmarks/generation.py"
QUICK = "--quick" in sys.argv
REPEATS = 1 if QUICK else 9
BEAMS = 4
# What the demo's captions take: 16 places of an image, two tags and the end; and a batch of
# answers, the quantiles of the 4,200 test captions in 14 languages, mean 4.8.
CAPTION_SOURCE = 19
CAPTION_LENGTHS = [2] * 10 + [3] * 2 + [4] * 5 + [5] * 5 + [6] * 3 + [7, 7, 8, 8, 9, 10, 13]


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


@dataclass(frozen=True)
class Sides:
    """A model as it is and compiled, beside the peers.

    Attributes:
        name: of the size.
        plain: the model with T5.
        compiled: the same, compiled.
        ctranslate2: what answers the same sources greedily there.
    """

    name: str
    plain: Pair
    compiled: Pair
    ctranslate2: Callable[[], Ids]

    def reading(self, tokens: int) -> Sides:
        plain, compiled = self.plain.reading(tokens), self.compiled.reading(tokens)
        return replace(self, plain=plain, compiled=compiled)


def greedy_rows(what: str, sides: Sides, lengths: Lengths | None = None) -> list[dict[str, object]]:
    """Tokens (eos included) a second, encoder and all; all must write the same."""
    processors = LogitsProcessorList([LengthsProcessor(lengths)] if lengths else [])

    def generate() -> Ids:
        return sides.plain.generate(logits_processor=processors)[:, 1:].tolist()

    peers: dict[str, Callable[[], Ids]] = {T5: generate}
    if lengths is None:
        peers[f"{PEER}, fp32"] = sides.ctranslate2
    ours = {
        how: lambda models=models: models.write(grammar=lengths)
        for how, models in (("compiled", sides.compiled), ("plain", sides.plain))
    }
    for (how, run), (peer, write) in itertools.product(ours.items(), peers.items()):
        found = run()
        for row, ids in zip(found, write(), strict=True):
            assert row[0].ids == ids[: len(row[0].ids)], f"{how} and {peer} write different ids"
    tokens = sum(len(row[0].ids) for row in found)
    times = dict(
        zip([*ours, *peers], medians(*ours.values(), *peers.values(), repeats=REPEATS), strict=True)
    )
    return [
        line(
            f"greedy, {sides.name}, {what}, {threads()}, {how}",
            1000 * tokens / times[how],
            1000 * tokens / times[peer],
            "tokens/s",
            times[how],
            times[peer],
            peer,
        )
        for peer in peers
        for how in ours
    ]


def beam_rows(sides: Sides) -> list[dict[str, object]]:
    """What a beam costs in greedy decodings, here and there."""
    compiled, one_compiled, plain, one_plain, peers, one_peers = medians(
        lambda: sides.compiled.write(BEAMS),
        sides.compiled.write,
        lambda: sides.plain.write(BEAMS),
        sides.plain.write,
        lambda: sides.plain.generate(BEAMS),
        sides.plain.generate,
        repeats=REPEATS,
    )
    return [
        line(
            f"beam {BEAMS}, {sides.name}, {SOURCE} + {TARGET} tokens, {threads()}, {how}",
            mine / one,
            peers / one_peers,
            "x greedy",
            mine,
            peers,
            T5,
        )
        for how, mine, one in (
            ("compiled", compiled, one_compiled),
            ("plain", plain, one_plain),
        )
    ]


def threads() -> str:
    count = torch.get_num_threads()
    return f"{count} thread" if count == 1 else f"{count} threads"


def rows_of(sides: Sides) -> list[dict[str, object]]:
    some = Lengths(torch.linspace(4, TARGET, BATCH).round().int().tolist())
    captions = f"captions: {CAPTION_SOURCE} + 2 to 13 tokens"
    return [
        *greedy_rows(f"{SOURCE} + {TARGET} tokens", sides),
        *greedy_rows(f"{SOURCE} + 4 to {TARGET} tokens", sides, some),
        *greedy_rows(captions, sides.reading(CAPTION_SOURCE), Lengths(CAPTION_LENGTHS)),
        *beam_rows(sides),
    ]


def main() -> None:
    cores = torch.get_num_threads()
    rows = []
    for size in SIZES:
        models = pair(size)
        compiled = models.compiled()
        with converted(models, ["float32"]) as theirs, torch.inference_mode():
            for count in sorted({1, cores}):
                torch.set_num_threads(count)
                rows += rows_of(Sides(size, models, compiled, theirs.greedy("float32")))
    about = (
        f"{processor_name()}; batch {BATCH}; medians of {REPEATS} alternating runs; the ratio is "
        "the peer's time by ours."
    )
    keep(rows, "Generation", COMMAND, about, look=QUICK)


if __name__ == "__main__":
    main()
