"""Half precision: whether the device has it, and the scale of the loss (arXiv 1710.03740).

DeepSpeed multiplies the loss by the scale, so that small gradients are not lost in fp16, and
divides the gradients by it. Where one overflows it makes no update, and after some of these it
halves the scale. What it goes by belongs in a checkpoint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from unified_vl.errors import TrainingFault
from unified_vl.specs.run import Run
from unified_vl.specs.runs.engine import read_engine

REMEMBERED = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")
AT_LEAST = "loss scale already at minimum"  # how DeepSpeed says that it cannot be halved


def refuse_fp16(run: Run, device: str, able: bool) -> None:
    """That a device that cannot compute in fp16 is not asked to.

    Args:
        run: names the engine's file.
        device: its name.
        able: whether it can.

    Raises:
        UserError: at the key of that file.
    """
    engine = read_engine(run.engine)
    if engine.fp16.enabled and not able:
        raise engine.error(
            ("fp16", "enabled"),
            f"DeepSpeed does not train in fp16 on this device ({device})",
            expected="bf16: {enabled: true}, or fp32",
        )


@contextlib.contextmanager
def told_when_least() -> Iterator[None]:
    """A scale that overflows and cannot be halved ends the training, with one message.

    Raises:
        TrainingFault: where it does.
    """
    try:
        yield
    except Exception as error:  # DeepSpeed raises no narrower one
        if AT_LEAST not in str(error):
            raise
        raise TrainingFault(
            "gradients overflow in fp16 at the least loss scale (fp16.min_loss_scale); "
            "bf16 or fp32 has room for them"
        ) from error


class LossScale:
    """The scale of the loss of DeepSpeed's ZeRO optimiser.

    Args:
        optimizer: of ZeRO 1 to 3, in fp16.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer = optimizer

    @property
    def overflowed(self) -> bool:
        """Whether the last step made no update because a gradient overflowed."""
        return bool(self._optimizer.overflow)

    def told(self) -> str:
        """That it did, in words."""
        return f"its gradient overflows in fp16; the loss scale is {self.value:g} now"

    @property
    def value(self) -> float:
        """The scale of the next step."""
        return float(self._optimizer.loss_scaler.cur_scale)

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        scaler = self._optimizer.loss_scaler
        return {key: getattr(scaler, key) for key in REMEMBERED if hasattr(scaler, key)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        scaler = self._optimizer.loss_scaler
        for key, value in state.items():
            if hasattr(scaler, key):
                setattr(scaler, key, value)
