"""DeepSpeed's JSON: what it may say, and one message for whatever else it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.runs.engine import read_engine

CONFIGS = Path(__file__).parents[2] / "deepspeed_configs"
OF_THE_TRAINER = """\
{
    "fp16": {
        "enabled": "auto"
    },
    "bf16": {
        "enabled": "auto"
    },
    "optimizer": {"type": "AdamW", "params": {"lr": "auto"}},
    "scheduler": {"type": "WarmupLR"},
    "zero_optimization": {
        "stage": 2,
        "overlap_comm": "auto",
        "reduce_bucket_size": "auto"
    },
    "gradient_accumulation_steps": "auto",
    "gradient_clipping": "auto",
    "steps_per_print": 2000,
    "train_batch_size": "auto",
    "train_micro_batch_size_per_gpu": "auto",
    "wall_clock_breakdown": false
}
"""
BUCKET = "zero_optimization.reduce_bucket_size"


@pytest.mark.parametrize("config", sorted(CONFIGS.glob("*.json")), ids=lambda p: p.stem)
def test_our_engine_files_hold_only_the_engines_keys(config: Path) -> None:
    assert read_engine(config).stage in range(4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"train_batch_size": 8}', ":1: train_batch_size: the run file says this: batch_size"),
        ('{"gradient_clipping": 1.0}', ":1: gradient_clipping: the run file says this: clip"),
        ('{"optimizer": {"type": "Adam"}}', ":1: optimizer: the run file says this: optimizer"),
        ('{"zero_optimisation": {}}', "did you mean 'zero_optimization'"),
        ('{"zero_force_ds_cpu_optimizer": 0}', "zero_force_ds_cpu_optimizer: is not a known key"),
        ('{"compile": {}}', "compile: is not a known key; expected 'zero_optimization'"),
        ('{"amp": {"enabled": true}}', "amp: is not supported; expected bf16 or fp16: {enabled"),
        (
            '{"fp16": {"enabled": true}}',
            "fp16.enabled: stage 0 divides gradients by the loss scale, which",
        ),
        (
            '{"zero_optimization": {"stage": 1}, "fp16": {"enabled": true, "hysterese": 2}}',
            "fp16.hysterese: is not a known key; did you mean 'hysteresis'",
        ),
        (
            '{"fp16": {"enabled": true}, "bf16": {"enabled": true}}',
            "fp16.enabled: bf16 is enabled, too; expected one of the two",
        ),
        (
            '{"zero_optimization": {"stage": 1}, "fp16": {"enabled": true}, '
            '"data_types": {"grad_accum_dtype": "fp32"}}',
            "data_types.grad_accum_dtype: gradients of fp16 weights are added up in fp16",
        ),
        ('{"bf16": {"enabled": "auto"}}', "nothing fills 'auto' in: that is done by the Trainer"),
        ('{"bf16": {"enabled": "auto"}}', "bf16.enabled: nothing fills"),
        ('{"bf16": {"enabled": "auto"}}', "; expected true or false"),
        ('{"bf16": "auto"}', "bf16: nothing fills"),
        ('{"bf16": true}', "bf16: found true; expected keys and values"),
        (
            '{"bf16": {"enabled": "off"}}',
            "found 'off'; expected true or false; did you mean 'false",
        ),
        ('{"zero_optimization": {"stage": "auto"}}', "stage: nothing fills 'auto' in"),
        ('{"zero_optimization": {"reduce_bucket_size": "auto"}}', f"{BUCKET}: nothing fills"),
        ('{"zero_optimization": {"reduce_bucket_size": 0}}', f"{BUCKET}: found 0; expected"),
        ('{"zero_optimization": {"reduce_bucket_size": 1.5}}', f"{BUCKET}: found 1.5; expected a"),
        (
            '{"zero_optimization": {"allgather_bucket_size": 3}}',
            "found 3; expected a multiple of 2",
        ),
        ('{"zero_optimization": {"stage": 7}}', "stage: found 7; expected less than or equal to 3"),
        ('{"zero_optimization": {"stage": "2"}}', "stage: found '2'; expected a whole number"),
        ('{"zero_optimization": {"zenflow": {}}}', "zero_optimization.zenflow: is not a known key"),
        ('{"zero_optimization": {"compute_grad_norm": false}}', "compute_grad_norm: without the"),
        (
            '{"zero_optimization": {"stage": 3, "offload_param": {"device": "nvme"}}}',
            "zero_optimization.offload_param.device: checkpoints do not hold what lies on NVMe",
        ),
        ('{"zero_optimization": {"stage": 2, "offload_param": {"device": "cpu"}}}', "stage: 3"),
        ('{"zero_optimization": {"offload_optimizer": {"device": "cpu"}}}', "stage: 1, 2 or 3"),
        (
            '{"bf16": {"enabled": true}, "data_types": {"grad_accum_dtype": "fp32"}}',
            "data_types.grad_accum_dtype: stage 0 adds bf16 gradients up in bf16",
        ),
        ('{"data_types": {"grad_accum_dtype": "bf16"}}', "gradients of fp32 weights are fp32"),
        ('{"communication_data_type": "float32"}', "expected 'fp32', 'fp16' or 'bf16'"),
        ('{"bf16": {}, "bf16": {"enabled": true}}', "bf16: the key is there twice"),
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        (None, "no such file"),
    ],
)
def test_a_bad_engine_file_is_refused(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "engine.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError) as error:
        read_engine(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("indent", ["    ", "\t"], ids=["spaces", "tabs"])
def test_a_file_of_the_trainer_of_transformers_is_told_line_by_line(
    tmp_path: Path, indent: str
) -> None:
    path = tmp_path / "engine.json"
    path.write_text(OF_THE_TRAINER.replace("    ", indent))
    with pytest.raises(UserError) as error:
        read_engine(path)
    lines = [line for line in OF_THE_TRAINER.splitlines() if "auto" in line]
    told = {each.field: each.line for each in error.value.all}  # type: ignore[attr-defined]
    assert len(told) == len(lines) + 3  # those, scheduler, steps_per_print, wall_clock_breakdown
    assert told[BUCKET] == 13


def test_what_the_engine_owns_passes(tmp_path: Path) -> None:
    config = {
        "zero_optimization": {"stage": 2, "reduce_bucket_size": 5e8, "overlap_comm": True},
        "bf16": {"enabled": True},
        "data_types": {"grad_accum_dtype": "fp32"},
    }
    path = tmp_path / "engine.json"
    path.write_text(json.dumps(config))
    engine = read_engine(path)
    assert engine.written == config
    assert engine.stage == 2 and engine.halves


def test_no_file_is_stage_0_in_fp32() -> None:
    engines = [read_engine(None), read_engine(CONFIGS / "zero0.json")]
    assert engines[0].written == engines[1].written
    assert not any(engine.stage or engine.halves for engine in engines)
