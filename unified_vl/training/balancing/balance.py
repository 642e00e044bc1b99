"""What a balance of tasks is to training.

Plain numbers, no torch: a pure function of the losses and norms that it is told, which are those of
the global batch. So all ranks have the same, at every ZeRO stage, and a resume goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from unified_vl.parts import Part
from unified_vl.specs.balance import BalanceSpec

Square = Sequence[Sequence[float]]


class Balance:
    """Multiplies nothing, takes nothing out: what a mixture without `balance` has.

    Attributes:
        takes_gradients: whether `combine` is asked, with the gradients of a joint update apart.
    """

    takes_gradients = False

    def factor(self, task: str) -> float:
        """What the task's loss is multiplied by in the next update, beside its weight."""
        return 1.0

    def observe(self, losses: Mapping[str, float], norm: float) -> None:
        """Take note of an update that was made.

        Args:
            losses: of its tasks, in nats a target token, without weights and factors.
            norm: of its gradient, with them, before clipping.
        """

    def combine(self, products: Square, draw: str) -> list[float]:
        """What the gradient of each task of a joint update is multiplied by.

        Args:
            products: inner products of all pairs of gradients, weights and shares included.
            draw: seeds what is drawn; another for each step.
        """
        return [1.0] * len(products)

    def state_dict(self) -> dict[str, Any]:
        """JSON values from which `load_state_dict` goes on."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was."""


@dataclass(frozen=True)
class BalanceKind:
    """A balance that `balance: {kind: NAME}` names.

    Attributes:
        name: what specs call it.
        keys: its own keys under `balance`, each with a default.
        make: the balance, of the keys and the names of the tasks.
        update: the updates that it is for; None for all.
        takes_gradients: whether it takes the gradient of each task alone (ZeRO 0 to 2).
    """

    name: str
    keys: type[Part]
    make: Callable[[BalanceSpec, Sequence[str]], Balance]
    update: Literal["per_task", "joint"] | None = None
    takes_gradients: bool = False
