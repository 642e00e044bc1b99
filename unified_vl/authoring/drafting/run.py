"""A first run and its mixture for a spec: sizes that suit the number of rows."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.specs.load import load_task
from unified_vl.specs.task import TaskSpec

TOKENIZERS = "tokenizers"  # beside the run file; each draft has its own there
BATCH = 32
EPOCHS = 25
FEWEST_STEPS, MOST_STEPS = 500, 100_000
OPTIMIZER = "{lr: 8e-4, vision_lr_scale: 3, embedding_lr_scale: 3, warmup_steps: 100}"


@dataclass(frozen=True)
class Size:
    """Sizes of a model for up to so many rows. The second is the demo's; the others are scaled
    from it by rule of thumb."""

    rows: int
    vocabulary: int
    d_model: int
    num_heads: int
    layers: int
    image_side: int


SIZES = (
    Size(5_000, 1_000, 128, 4, 2, 96),
    Size(100_000, 4_000, 192, 6, 2, 96),
    Size(1_000_000, 16_000, 384, 6, 4, 128),
    Size(1 << 62, 32_000, 512, 8, 8, 224),
)


@dataclass(frozen=True)
class DraftedRun:
    """Two files to write, and what to call the tokenizer's training with."""

    run: str
    mixture: str
    mixture_path: Path
    tokenizer: Path
    vocabulary: int


def draft_run(spec_path: Path, data_root: Path, run_path: Path) -> DraftedRun:
    """A run for one task.

    Args:
        spec_path: the task spec, which passes `check`.
        data_root: of its data.
        run_path: where the run file will be; the mixture is beside it.

    Raises:
        UserError: when the spec has no train split, or its data cannot be read.
    """
    spec = load_task(spec_path)
    if "train" not in spec.data.splits:
        raise spec.error(("data", "splits"), "has no train split to draft a run for")
    rows = len(TaskData(spec, "train", data_root))
    if not rows:
        raise UserError("the train split holds no row", file=spec_path)
    size = next(each for each in SIZES if rows <= each.rows)
    mixture_path = run_path.with_name(f"{run_path.stem}_mixture.yaml")
    return DraftedRun(
        _run(spec, rows, size, data_root, run_path, mixture_path),
        _mixture(spec, spec_path, mixture_path),
        mixture_path,
        run_path.parent / TOKENIZERS / spec.task,
        size.vocabulary,
    )


def _mixture(spec: TaskSpec, spec_path: Path, mixture_path: Path) -> str:
    return (
        "# Which tasks are trained, how often and when; add yours.\n"
        f"mixture: {spec.task}\n"
        "version: 1\n"
        "tasks:\n"
        f"  - {{spec: {_relative(spec_path, mixture_path)}}}\n"
    )


def _run(
    spec: TaskSpec, rows: int, size: Size, data_root: Path, run_path: Path, mixture_path: Path
) -> str:
    steps = min(max(rows * EPOCHS // BATCH, FEWEST_STEPS), MOST_STEPS)
    every = max(steps // 10, 1)
    images = any(field.of_kind.is_seen for field in spec.fields.values())
    side = size.image_side if images else 32
    vision = f"kind: stem, image_size: [{side}, {side}], patch_size: 16, channels: [32, 64]"
    if any(field.of_kind.is_video for field in spec.fields.values()):
        vision += ", pool: {kind: average, grid: [2, 2]}"  # a frame's tokens, of a few frames
    lines = [
        "# Drafted by `unified-vl new`: sizes for as many rows as there are, to start from.",
        "# Paths are relative to this file.",
        f"run: {spec.task}",
        "version: 1",
        "seed: 0",
        f"mixture: {_relative(mixture_path, run_path)}",
        f"data: {_relative(data_root, run_path)}",
        f"tokenizer: {TOKENIZERS}/{spec.task}",
        f"output: {json.dumps(f'runs/{spec.task}')}",
        f"steps: {steps}  # {EPOCHS} epochs of {rows:,} rows, {FEWEST_STEPS:,} at least, "
        f"{MOST_STEPS:,} at most",
        f"batch_size: {BATCH}",
        "model:",
        f"  d_model: {size.d_model}",
        f"  d_kv: {size.d_model // size.num_heads}",
        f"  d_ff: {2 * size.d_model}",
        f"  num_layers: {size.layers}",
        f"  num_decoder_layers: {size.layers}",
        f"  num_heads: {size.num_heads}",
        f"  vision: {{{vision}}}",
        f"optimizer: {OPTIMIZER}",
        f"max_target_tokens: {max(spec.generate.max_tokens, 8)}",
        f"validate_every: {every}",
        f"checkpoint_every: {every}",
    ]
    if "validation" not in spec.data.splits:
        lines.append("validation_rows: 0  # the spec has no validation split")
    return "\n".join(lines) + "\n"


def _relative(path: Path, to: Path) -> str:
    """A path as seen from the folder of a file, quoted for YAML."""
    return json.dumps(os.path.relpath(path, to.parent).replace(os.sep, "/"), ensure_ascii=False)
