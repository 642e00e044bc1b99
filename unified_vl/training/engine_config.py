"""DeepSpeed's JSON: what of it a run may set, and what it may not ask for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.files import read_json_object

OWNED = ("zero_optimization", "bf16", "data_types", "communication_data_type")


def read_engine_config(path: Path) -> dict[str, Any]:
    """The DeepSpeed JSON of a run, which may say how memory and precision are spent.

    Batch size, accumulation, clipping, optimiser and schedule are the run file's, so
    that they cannot be said twice.

    Raises:
        UserError: when the file is missing, is not JSON, has any other key, or asks for what
            would make gradients unknown or checkpoints incomplete.
    """
    if not path.is_file():
        raise UserError("there is no such file", file=path, expected="a DeepSpeed JSON")
    config = read_json_object(path)
    for key in config:
        if key not in OWNED:
            raise UserError(
                "this key is not the engine's to set; batch size, accumulation, clipping, "
                "optimiser and schedule come from the run file",
                file=path,
                field=key,
                expected=f"only {', '.join(OWNED)}",
                nearest=nearest(key, OWNED),
            )
    _check_zero(config.get("zero_optimization", {}), path)
    return config


def _check_zero(zero: Mapping[str, Any], path: Path) -> None:
    if zero.get("compute_grad_norm", True) is False:
        raise UserError(
            "without the gradient's norm nothing can be clipped or refused",
            file=path,
            field="zero_optimization.compute_grad_norm",
            expected="true",
        )
    for key in ("offload_optimizer", "offload_param"):
        if (zero.get(key) or {}).get("device") == "nvme":
            raise UserError(
                "checkpoints do not hold what lies on NVMe",
                file=path,
                field=f"zero_optimization.{key}.device",
                expected="cpu or none",
            )
