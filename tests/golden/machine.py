"""What the bits of a computation depend on beside the code."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


def machine() -> dict[str, str | int]:
    """Where all of it is equal, results are equal to the last bit: torch and its kernels choose
    by it in which order they sum."""
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "threads": 1,  # which `record.py` and the test see to
    }


def _processor() -> str:
    """Its name as Linux tells it; oneDNN and MKL choose kernels of their own by it."""
    facts = Path("/proc/cpuinfo")
    if not facts.is_file():
        return platform.processor()
    lines = facts.read_text(encoding="utf-8", errors="replace").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "")
