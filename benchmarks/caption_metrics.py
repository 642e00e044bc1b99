"""Caption metrics side by side with pycocoevalcap, on the same words; prints one line each.

python benchmarks/caption_metrics.py [--rows 5000]
"""

from __future__ import annotations

import argparse
import random

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from tables import medians

from unified_vl.metrics.answers import Answers
from unified_vl.metrics.intervals import intervals
from unified_vl.metrics.registry import METRICS
from unified_vl.metrics.texts import captions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5000)
    count = parser.parse_args().rows
    rng = random.Random(0)
    # lengths and repetition about as in COCO: 5 references of 8 to 14 words, Zipf's law
    known = [f"w{i}" for i in range(8000)]
    weights = [1 / (i + 1) for i in range(8000)]

    def sentence() -> list[str]:
        return rng.choices(known, weights, k=rng.randint(8, 14))

    found = [sentence() for _ in range(count)]
    right = [[sentence() for _ in range(5)] for _ in range(count)]
    gts = {i: [" ".join(words) for words in row] for i, row in enumerate(right)}
    res = {i: [" ".join(words)] for i, words in enumerate(found)}
    pairs = {
        "cider": (
            lambda: captions.cider(found, right),
            lambda: Cider().compute_score(gts, res),
        ),
        "bleu_4": (
            lambda: captions.coco_bleu_statistics(found, right),
            lambda: Bleu(4).compute_score(gts, res, verbose=0),
        ),
        "rouge_l": (
            lambda: [captions.rouge_l(*row) for row in zip(found, right, strict=True)],
            lambda: Rouge().compute_score(gts, res),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        mine, peer = medians(ours, theirs, repeats=3)
        print(f"{name}: {mine:.0f} ms, pycocoevalcap {peer:.0f} ms, {peer / mine:.1f} x as fast")
    answers = Answers([" ".join(f) for f in found], list(gts.values()), ["en"] * count)
    measured = {
        name: METRICS[name].measure(answers)
        for name in ("cider", "coco_bleu_4", "rouge_l", "bleu", "chrf")
    }
    (took,) = medians(lambda: intervals(measured), repeats=3)
    print(f"intervals of 5 metrics, 1,000 resamples of {count} rows: {took:.0f} ms")


if __name__ == "__main__":
    main()
