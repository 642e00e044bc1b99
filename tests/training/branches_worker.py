"""One process of `test_optional_branches.py`: updates that use some of two branches, by turns.

Arguments: the run file, the folder to write to, and engine files. Rank 0 writes the branches'
weights after each update, as the engines compute them and, of all rows at once, torch alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from unified_vl.data.batching import Batch
from unified_vl.model.unified import UnifiedVLForConditionalGeneration, UnifiedVLOutput
from unified_vl.specs.load import load_run
from unified_vl.specs.run import Run
from unified_vl.training.build import build
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.distributed.process import start_process, stop_process
from unified_vl.training.optimizers.registry import build_optimizer

# the branch of each part of each update
UPDATES = (("left",), ("right",), (None,), ("left", "right"), ("right",), ("right", "left"))
RATE = 1e-2


class Branching(UnifiedVLForConditionalGeneration):
    """A model with two branches, of which a part of an update uses one or none."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.left = nn.Linear(config.d_model, 1)
        self.right = nn.Linear(config.d_model, 1)
        self.turn: str | None = None

    def forward(self, **inputs: Any) -> UnifiedVLOutput:
        output = super().forward(**inputs)
        if self.turn is not None:
            shift_BT1 = getattr(self, self.turn)(output.encoder_last_hidden_state).mean(1)
            assert output.logits is not None
            output.logits = output.logits * (1 + shift_BT1[:, None])
        return output

    def branches(self) -> dict[str, torch.Tensor]:
        named = self.state_dict().items()
        return {n: each.clone() for n, each in named if n.startswith(("left", "right"))}


def new_model(run: Run) -> tuple[Branching, Any]:
    parts = build(run)
    torch.manual_seed(0)
    return Branching(parts.model.config), parts.streams["say"]


def loss_of(logits: torch.Tensor | None, part: Sequence[object]) -> torch.Tensor:
    assert logits is not None
    return logits.square().mean() / len(part)


def by_engine(run: Run) -> Iterator[dict[str, torch.Tensor]]:
    process = start_process()
    model, stream = new_model(run)
    engine = Engine(process, model, build_optimizer(model, run.optimizer), run)
    (batch,) = stream.micro_batches(0, process.rank, process.world, 1)
    for update in UPDATES:
        for number, model.turn in enumerate(update, 1):
            loss = loss_of(engine.outputs(batch).logits, update)
            engine.backward(loss, last=number == len(update))
        engine.step(RATE)
        yield {n: w for n, w in engine.weights().items() if n.startswith(("left", "right"))}


def by_torch(run: Run, world: int) -> Iterator[dict[str, torch.Tensor]]:
    model, stream = new_model(run)
    optimizer = build_optimizer(model, run.optimizer)
    for group in optimizer.param_groups:
        group["lr"] = RATE
    shares: list[Batch] = [stream.micro_batches(0, n, world, 1)[0] for n in range(world)]
    for update in UPDATES:
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        for model.turn in update:
            for batch in shares:
                assert batch.labels_BT is not None
                shifted = model.prepare_decoder_input_ids_from_labels(batch.labels_BT)
                output = model(**batch.model_inputs(), decoder_input_ids=shifted)
                (loss_of(output.logits, update) / world).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield model.branches()


def main(arguments: list[str]) -> None:
    run_file, folder, *engines = (a for a in arguments if not a.startswith("--local_rank"))
    process = start_process()
    for engine in engines:
        run = load_run(run_file, [f"engine={engine}", "model.dropout_rate=0.0"])
        write(Path(folder) / f"{Path(engine).stem}.safetensors", by_engine(run), process.rank)
    write(Path(folder) / "torch.safetensors", by_torch(run, process.world), process.rank)
    stop_process()


def write(path: Path, updates: Iterator[dict[str, torch.Tensor]], rank: int) -> None:
    found = {f"{n}.{name}": each for n, of in enumerate(updates) for name, each in of.items()}
    if rank == 0:
        save_file(found, path)


if __name__ == "__main__":
    main(sys.argv[1:])
