"""Which weights of a model a run trains, and that a checkpoint is of the same ones.

A checkpoint holds what is trained. What is not, a start makes or reads anew as the run file says,
and compares its digest with that of the start before: a base that has changed on disk, or is
drawn by another version of torch, would give a model that was never trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unified_vl.errors import UserError, number_of
from unified_vl.model.backbone import Backbone
from unified_vl.model.pretrained.starting import Start
from unified_vl.model.tuning.adapters import add_adapters
from unified_vl.model.tuning.freezing import freeze
from unified_vl.model.tuning.names import listed, named_weights
from unified_vl.specs.run import Run
from unified_vl.specs.runs.run_paths import told_at_its_key


@dataclass(frozen=True)
class Trained:
    """The weights that are trained, and those that are not.

    Attributes:
        names: of those that are; None where all are.
        numbers: how many numbers they hold.
        of: how many all weights hold.
        frozen: a digest of those that are not; None where all are trained.
    """

    names: tuple[str, ...] | None
    numbers: int
    of: int
    frozen: str | None

    def __str__(self) -> str:
        share = 100 * self.numbers / self.of
        return f"training {self.numbers:,} of {self.of:,} weights ({share:.3g} %)"

    def facts(self) -> dict[str, int]:
        """What the run's record says."""
        return {"trained": self.numbers, "weights": self.of}

    def state_dict(self) -> dict[str, Any]:
        """JSON values for `refuse_others`."""
        return {"trained": self.names, "frozen": self.frozen}


def choose_trained(model: nn.Module, run: Run) -> None:
    """Freeze what the run freezes, and add its adapters.

    Raises:
        UserError: at the key, when a pattern matches nothing or nothing is left to train.
    """
    with told_at_its_key(run):
        frozen = (*run.freeze, *run.model.vision.frozen)
        if frozen:
            freeze(model, frozen)
        if run.lora is not None:
            torch.manual_seed(run.seed)  # a model that starts from another draws nothing
            add_adapters(model, run.lora)


def trained_of(model: nn.Module, *, digest: bool = True) -> Trained:
    """What is trained of a model that is whole on this process.

    Args:
        digest: whether to read the frozen weights for their digest; rank 0 compares it.
    """
    weights = named_weights(model)
    frozen = {name: each for name, each in weights.items() if not each.requires_grad}
    of = sum(each.numel() for each in weights.values())
    return Trained(
        names=tuple(name for name in weights if name not in frozen) if frozen else None,
        numbers=of - sum(each.numel() for each in frozen.values()),
        of=of,
        frozen=_digest(frozen) if frozen and digest else None,
    )


def untrained_rows(model: Backbone, start: Start | None) -> str | None:
    """What to say where a vocabulary has new rows, and they stay as they were drawn; else None.

    Args:
        model: with what it trains chosen.
        start: what it started from.
    """
    if start is None or not start.new:
        return None
    weights = named_weights(model)
    of_rows = {id(table) for table in model.tables().values()}
    tables = [
        name
        for name, weight in weights.items()
        if id(weight) in of_rows
        and not weight.requires_grad
        and f"{name.removesuffix('.weight')}.lora_A.weight" not in weights
    ]
    if not tables:
        return None
    named = ", ".join(f'"{name}"' for name in tables)
    return (
        f"{number_of(len(start.new), 'new row')} of the vocabulary will stay as drawn, as "
        f"{' and '.join(tables)} {'are' if len(tables) > 1 else 'is'} not trained; to train "
        f"{'them' if len(start.new) > 1 else 'it'}: lora.also_train: [{named}], or no freeze "
        "that matches"
    )


def refuse_others(saved: Mapping[str, Any], now: Trained, run: Run, folder: Path) -> None:
    """Refuse a checkpoint of other trained weights, or beside other frozen ones.

    Args:
        saved: `Trained.state_dict` of the run that wrote it; empty where all were trained.

    Raises:
        UserError: which weights are new or gone.
    """
    before, after = saved.get("trained"), now.names
    key = "freeze" if run.lora is None else "lora"
    if before is None or after is None:
        if (before is None) == (after is None):
            return
        what = "froze some of them" if after is None else "trained all weights"
        raise _another(run, key, f"the checkpoint is of a run that {what}", folder)
    gone = [name for name in before if name not in set(after)]
    new = [name for name in after if name not in set(before)]
    if gone or new:
        told = [f"trained {listed(gone)}, now frozen or gone"] if gone else []
        told += [f"did not train {listed(new)}"] if new else []
        raise _another(run, key, f"the checkpoint is of a run that {' and '.join(told)}", folder)
    if saved.get("frozen") != now.frozen:
        raise UserError(
            "the weights that are not trained are not those that it was trained beside",
            file=folder,
            expected="the same model to start from, and the same torch where it starts at random",
        )


def _another(run: Run, key: str, found: str, folder: Path) -> UserError:
    return run.error(
        (key,),
        f"{found} ({folder})",
        expected="the same `freeze` and `lora`, or a run of its own",
    )


def _digest(weights: Mapping[str, nn.Parameter]) -> str:
    digest = hashlib.sha256()
    for name, weight in weights.items():
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
        flat = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(flat.numpy().data)
    return digest.hexdigest()
