"""Speed of closed answers, side by side in one run: `python benchmarks/closed_answers.py`.

A grammar of 20,000 choices beside a callback, and the scores of 1,000 candidates beside a
forward pass each; on one thread, medians of the CPU time of alternating runs, which other work
on the machine disturbs least. `--quick` measures once, for a look, and records nothing.

Legend: B batch, T target length, V vocabulary, C candidates.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from t5_pairs import BATCH, Pair, pair
from tables import keep, line, medians, processor_name

from unified_vl.codecs.vocabulary import EOS_ID
from unified_vl.decoding.choice_scoring import ChoiceScorer
from unified_vl.decoding.grammars.choices import ChoiceGrammar
from unified_vl.decoding.grammars.trie import build_trie
from unified_vl.decoding.search import likeliest

COMMAND = "python benchmarks/closed_answers.py"
QUICK = "--quick" in sys.argv
REPEATS = 1 if QUICK else 5
CHOICES, CHOICE_TOKENS = 20_000, 9
CANDIDATES = 1_000
RESOLUTION = 0.1  # milliseconds; a smaller difference counts as so much


def times(*sides: Any) -> list[float]:
    return medians(*sides, repeats=REPEATS, clock=time.process_time)


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


def main() -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        models = pair("11.5 M")
        rows = [*constraint_rows(models), scoring_row(models)]
    about = (
        f"{processor_name()}; medians of CPU time of {REPEATS} alternating runs; the ratio is the "
        "peer's time by ours."
    )
    keep(rows, "Closed answers", COMMAND, about, look=QUICK)


if __name__ == "__main__":
    main()
