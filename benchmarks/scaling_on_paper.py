"""What fits on which GPUs and how fast data must come, by formulas alone.

    python benchmarks/scaling_on_paper.py

Sizes are T5 v1.1's and three beyond them on the same line. A rank reads rows of 256 image tokens
and 64 of text and writes 64. Memory of weights, gradients and optimiser is what DeepSpeed holds
(`scaling.Case`), memory of activations that of a transformer layer in 16 bits (Korthikanti et
al. 2022, arXiv 2205.05198, section 4): with checkpointing its input alone is kept, and one layer
is computed again. Operations are those of `unified_vl.model.work`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scaling import Case

from unified_vl.model.work import OF_A_PAIR, OF_A_WEIGHT
from unified_vl.training.distributed.devices import TERA, known_peak

SOURCE, TARGET, VOCABULARY = 256 + 64, 64, 32_128
ROWS = 8  # of a rank in one pass
USED = 0.9  # of a device's memory: the rest is for CUDA, buckets and what cannot be allocated whole
UTILISATION = 0.4
CHUNK = 1024  # target tokens whose logits exist at once
MACHINES = {"1 x 24 GB": (1, 24e9), "8 x 80 GB": (8, 80e9), "64 x 80 GB": (64, 80e9)}
DEVICES = ("NVIDIA A100", "NVIDIA H100")


@dataclass(frozen=True)
class Size:
    """A model: `layers` of encoder and decoder each, heads of 64."""

    name: str
    width: int
    inner: int
    layers: int
    heads: int

    @property
    def encoder(self) -> int:
        """Weights of the encoder's layers."""
        return self.layers * (self._attention + 3 * self.width * self.inner)

    @property
    def decoder(self) -> int:
        return self.layers * (2 * self._attention + 3 * self.width * self.inner)

    @property
    def _attention(self) -> int:
        return 4 * self.width * self.heads * 64

    @property
    def weights(self) -> int:
        """All of them, embedding and head included, without an image branch."""
        return self.encoder + self.decoder + 2 * VOCABULARY * self.width

    def activations(self, checkpointing: bool) -> float:
        """Bytes of one pass of a rank in 16 bits, loss in chunks."""
        layers = [(SOURCE, SOURCE)] * self.layers + [(TARGET, SOURCE + TARGET)] * self.layers
        whole = [
            ROWS * length * (34 * self.width + 5 * self.heads * keys) for length, keys in layers
        ]
        inputs = sum(2 * ROWS * length * self.width for length, _ in layers)
        logits = 3 * 4 * CHUNK * VOCABULARY
        return logits + (inputs + max(whole) if checkpointing else sum(whole))

    def operations(self) -> float:
        """Of one row, forward and backward."""
        pairs = SOURCE * SOURCE + TARGET * TARGET + SOURCE * TARGET
        of_source = self.encoder + self.layers * self._attention // 2  # keys, values
        of_target = self.decoder - self.layers * self._attention // 2 + VOCABULARY * self.width
        weights = of_source * SOURCE + of_target * TARGET
        return OF_A_WEIGHT * weights + OF_A_PAIR * pairs * self.layers * self.heads * 64


SIZES = [
    Size("base", 768, 2048, 12, 12),
    Size("large", 1024, 2816, 24, 16),
    Size("xl", 2048, 5120, 24, 32),
    Size("xxl", 4096, 10240, 24, 64),
    Size("xxl, 48 layers", 4096, 10240, 48, 64),
    Size("width 6144, 64 layers", 6144, 16384, 64, 96),
    Size("width 8192, 96 layers", 8192, 24576, 96, 128),
]


def fits(size: Size, stage: int, ranks: int, memory: float, checkpointing: bool) -> bool:
    state = Case(stage, bf16=True).bytes_a_weight(ranks) * size.weights
    return state + size.activations(checkpointing) <= USED * memory


def largest() -> Iterator[str]:
    """The largest size for each machine and stage."""
    yield "| machine | ZeRO 0 | ZeRO 1 | ZeRO 2 | ZeRO 3 | ZeRO 3, activation checkpointing |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for machine, (ranks, memory) in MACHINES.items():
        cells = []
        for stage, checkpointing in [*((stage, False) for stage in range(4)), (3, True)]:
            found = [s for s in SIZES if fits(s, stage, ranks, memory, checkpointing)]
            cells.append(f"{found[-1].name} ({billions(found[-1])})" if found else "none")
        yield f"| {machine} | {' | '.join(cells)} |"


def rates() -> Iterator[str]:
    """Images a second that a GPU takes, one to a row."""
    heads = [f"{name.removeprefix('NVIDIA ')}, images/s" for name in DEVICES]
    yield f"| size | weights | TFLOP a row | {' | '.join(heads)} |"
    yield "| --- | --: | --: |" + " --: |" * len(DEVICES)
    for size in SIZES:
        cells = []
        for name in DEVICES:
            peak = known_peak(name, halves=True)
            assert peak is not None
            cells.append(f"{UTILISATION * peak / size.operations():,.1f}")
        operations = f"{size.operations() / TERA:,.2f}"
        yield f"| {size.name} | {billions(size)} | {operations} | {' | '.join(cells)} |"


def billions(size: Size) -> str:
    return f"{size.weights / 1e9:.2f} B"


def main() -> None:
    print(*largest(), "", *rates(), sep="\n")


if __name__ == "__main__":
    main()
