"""What devices can do, how much at most, and how much memory was in use."""

from __future__ import annotations

import resource
import sys

import torch

from unified_vl.specs.run import Run
from unified_vl.specs.runs.engine import read_engine

SLOW_BF16 = "torch computes bf16 slowly on this CPU, which has no AVX-512"
TERA = 1e12
# TFLOP/s by the makers' data sheets, without sparsity: 16 bits (tensor cores), 32 bits (without);
# the first name that a device's own begins with
KNOWN: dict[str, tuple[float, float]] = {
    "NVIDIA H200": (989.0, 67.0),
    "NVIDIA H100 PCIe": (756.0, 51.0),
    "NVIDIA H100 NVL": (835.0, 60.0),
    "NVIDIA H100": (989.0, 67.0),
    "NVIDIA A100": (312.0, 19.5),
    "NVIDIA L40S": (362.0, 91.6),
    "NVIDIA L4": (121.0, 30.3),
    "NVIDIA A10": (125.0, 31.2),
}


def peak_of(run: Run, device: torch.device) -> float | None:
    """Operations a second that a device of the run can do at most; None where nobody knows."""
    if run.peak_tflops is not None:
        return run.peak_tflops * TERA
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return known_peak(name, halves=read_engine(run.engine).halves)


def known_peak(name: str, *, halves: bool) -> float | None:
    """Operations a second of a device of this name, in 16 bits or in 32."""
    for start, (of_halves, of_floats) in KNOWN.items():
        if name == start or name.startswith((f"{start} ", f"{start}-")):
            return (of_halves if halves else of_floats) * TERA
    return None


def is_slow_in_bf16(device: torch.device) -> bool:
    """Whether it is a CPU for which torch computes bfloat16 number by number, not in vectors.

    Without AVX-512 a training step of the demo took 15 times as long in bf16 as in float32
    (2 cores of an AMD EPYC with AVX2, torch 2.13); with it, bf16 is as fast or faster.
    """
    return device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()


def peak_memory(device: torch.device) -> int:
    """The most bytes so far: of tensors on a GPU; of this process where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
