"""The float32 weights that an optimiser updates, beside those that the model computes with.

DeepSpeed's optimisers are given as arguments, because only `engine.py` and `process.py` import
DeepSpeed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def changing_masters(optimizer: Any) -> Iterator[None]:
    """The float32 weights may be changed inside; then the model computes with them.

    Args:
        optimizer: DeepSpeed's, of any ZeRO stage, or torch's where DeepSpeed has none.
    """
    sharded_weights = hasattr(optimizer, "fp16_partitioned_groups_flat")  # ZeRO 3
    if sharded_weights:
        optimizer.checkpoint_event_prologue()
    yield
    if hasattr(optimizer, "update_lp_params"):  # ZeRO 1 and 2
        optimizer.update_lp_params()
    elif sharded_weights:
        flats = optimizer.fp16_partitioned_groups_flat
        for weights, masters in zip(flats, optimizer.fp32_partitioned_groups_flat, strict=True):
            weights.data.copy_(masters.data)
        optimizer.checkpoint_event_epilogue()
    elif hasattr(optimizer, "fp32_groups"):
        pairs = zip(optimizer.fp16_groups, optimizer.fp32_groups, strict=True)
        for of_weights, of_masters in pairs:
            for weight, master in zip(of_weights, of_masters, strict=True):
                weight.data.copy_(master.data)
