"""The balances that a mixture may ask for."""

from __future__ import annotations

from unified_vl.specs import balance as specs
from unified_vl.specs.balance import BalanceVariant
from unified_vl.specs.mixture import Mixture
from unified_vl.training.balancing.balance import Balance, BalanceKind
from unified_vl.training.balancing.pcgrad import PCGRAD
from unified_vl.training.balancing.running_means import GRADIENT_NORM, RUNNING_LOSS
from unified_vl.training.balancing.uncertainty import UNCERTAINTY

BALANCES = {kind.name: kind for kind in (RUNNING_LOSS, GRADIENT_NORM, UNCERTAINTY, PCGRAD)}


def register(kind: BalanceKind) -> None:
    """Let mixtures name a balance, from now on and in this process.

    Raises:
        ValueError: for a name that is taken, or a key without a default or with another meaning.
    """
    specs.BALANCES.add(
        BalanceVariant(
            kind.name, kind.keys, update=kind.update, takes_gradients=kind.takes_gradients
        )
    )
    BALANCES[kind.name] = kind


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    specs.BALANCES.remove(name)
    del BALANCES[name]


def make_balance(mixture: Mixture) -> Balance:
    """The balance that a mixture asks for; one that changes nothing where it asks for none."""
    if mixture.balance is None:
        return Balance()
    tasks = [spec.task for spec in mixture.specs]
    return BALANCES[mixture.balance.kind].make(mixture.balance, tasks)
