"""What devices can do at most."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unified_vl.cli.training.demo import better_in_float32
from unified_vl.specs.load import load_run
from unified_vl.training import trainer
from unified_vl.training.distributed import devices
from unified_vl.training.distributed.devices import (
    SLOW_BF16,
    is_slow_in_bf16,
    known_peak,
    peak_memory,
    peak_of,
)

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
BF16 = f"engine={ROOT / 'deepspeed_configs/zero0_bf16.json'}"


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


def test_bf16_is_slow_on_cpus_without_vectors_for_it() -> None:
    assert is_slow_in_bf16(CPU) is ("AVX512" not in torch.backends.cpu.get_cpu_capability())
    assert not is_slow_in_bf16(torch.device("cuda"))


@pytest.mark.parametrize(
    ("override", "slow", "warned"),
    [(BF16, True, True), (BF16, False, False), ("engine=null", True, False)],
)
def test_a_run_in_bf16_says_that_this_machine_is_slow_in_it(
    squares: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    override: str,
    slow: bool,
    warned: bool,
) -> None:
    monkeypatch.setattr(trainer, "is_slow_in_bf16", lambda device: slow)
    keys = [override, "steps=1", "optimizer.warmup_steps=0", f"output={tmp_path / 'run'}"]
    trainer.train(load_run(squares / "run.yaml", keys))
    assert (f"warning: {SLOW_BF16}" in capsys.readouterr().err) is warned


@pytest.mark.parametrize(
    ("given", "slow", "better"),
    [([], True, True), ([], False, False), ([BF16], True, False), (["engine=null"], True, False)],
)
def test_the_demo_trains_in_float32_where_bf16_is_slow(
    monkeypatch: pytest.MonkeyPatch, given: list[str], slow: bool, better: bool
) -> None:
    monkeypatch.setattr(devices, "is_slow_in_bf16", lambda device: slow)
    run = load_run(ROOT / "task_specs/runs/emoji_demo.yaml", given)
    assert better_in_float32(run, given) is better
