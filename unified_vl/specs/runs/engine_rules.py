"""What the keys of an engine file ask of each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unified_vl.specs.reading.document import KeyPath, Problem

if TYPE_CHECKING:
    from unified_vl.specs.runs.engine import EngineSpec


def engine_problems(engine: EngineSpec) -> Iterator[Problem]:
    """What would make gradients unknown, or has no effect."""
    zero = engine.zero_optimization
    place: KeyPath = ("zero_optimization",)
    if not zero.compute_grad_norm:
        found = "without the gradient's norm nothing can be clipped or refused"
        yield Problem((*place, "compute_grad_norm"), found, expected="true")
    if zero.offload_param is not None and zero.offload_param.device != "none" and zero.stage != 3:
        found = f"stage {zero.stage} keeps parameters where they are"
        yield Problem((*place, "offload_param"), found, expected="stage: 3")
    offload = zero.offload_optimizer
    if offload is not None and offload.device != "none" and zero.stage == 0:
        yield Problem(
            (*place, "offload_optimizer"), "stage 0 offloads nothing", expected="stage: 1, 2 or 3"
        )
    if engine.fp16.enabled and engine.bf16.enabled:
        yield Problem(("fp16", "enabled"), "bf16 is enabled, too", expected="one of the two")
    elif engine.fp16.enabled and zero.stage == 0:
        found = "stage 0 divides gradients by the loss scale, which the loss is not multiplied by"
        yield Problem(("fp16", "enabled"), found, expected="stage: 1, 2 or 3")
    if engine.fp16.enabled and engine.data_types.grad_accum_dtype is not None:
        found = "gradients of fp16 weights are added up in fp16"
        yield Problem(("data_types", "grad_accum_dtype"), found, expected="no such key")
        return
    if engine.data_types.grad_accum_dtype == "fp32" and engine.bf16.enabled and zero.stage == 0:
        found = "stage 0 adds bf16 gradients up in bf16"
        yield Problem(("data_types", "grad_accum_dtype"), found, expected="stage: 1, 2 or 3")
    if engine.data_types.grad_accum_dtype == "bf16" and not engine.bf16.enabled:
        found = "gradients of fp32 weights are fp32"
        yield Problem(("data_types", "grad_accum_dtype"), found, expected="bf16: {enabled: true}")
