"""What devices can do at most."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unified_vl.specs.load import load_run
from unified_vl.training.distributed.devices import known_peak, peak_memory, peak_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "halves", "tera"),
    [
        ("NVIDIA H200", True, 989),
        ("NVIDIA H100 80GB HBM3", True, 989),
        ("NVIDIA H100 PCIe", True, 756),
        ("NVIDIA A100-SXM4-80GB", False, 19.5),
        ("NVIDIA L4", True, 121),
        ("NVIDIA L40S", True, 362),
        ("NVIDIA L40", True, None),
        ("NVIDIA A10G", True, None),
        ("NVIDIA GeForce RTX 5090", True, None),
    ],
)
def test_peaks_are_those_of_the_device_by_its_own_name(
    name: str, halves: bool, tera: float | None
) -> None:
    peak = known_peak(name, halves=halves)
    assert peak == (None if tera is None else pytest.approx(tera * 1e12))


def test_of_a_cpu_the_run_says_it_or_nobody(squares: Path) -> None:
    assert peak_of(load_run(squares / "run.yaml"), CPU) is None
    assert peak_of(load_run(squares / "run.yaml", ["peak_tflops=0.1"]), CPU) == 1e11
    assert peak_memory(CPU) > 10e6
