"""The names of a model's weights, as its saved file has them, and patterns over them.

In a pattern `*` stands for any characters, dots included, and `?` for one: `encoder.vision.*` is
everything of the image branch, `*.attend_self.*` the self-attention of all blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from unified_vl.errors import UserError, nearest

BASE = ".base_layer"  # what `peft` puts into the name of a matrix that an adapter stands beside
ADAPTER = "default"  # what it calls an adapter that has no name of its own


def saved_name(name: str) -> str:
    """The name of a weight without what `peft` adds to it."""
    return name.replace(BASE, "").replace(f".{ADAPTER}.", ".")


def named_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights by name; a tied one by its first."""
    return {saved_name(name): weight for name, weight in model.named_parameters()}


def second_names(model: nn.Module) -> frozenset[str]:
    """The names under which tied weights are in a `state_dict` again."""
    first = {name for name, _ in model.named_parameters()}
    every = (name for name, _ in model.named_parameters(remove_duplicate=False))
    return frozenset(name for name in every if name not in first)


def matching(
    pattern: str, model: nn.Module, weights: Mapping[str, nn.Parameter], field: str
) -> list[str]:
    """The names that a pattern matches.

    Args:
        pattern: over the names of `weights`.
        model: whose weights they are.
        weights: `named_weights` of it, or some of them.
        field: the key that the pattern stands at.

    Raises:
        UserError: when there is none.
    """
    found = [name for name in weights if fnmatchcase(name, pattern)]
    if found:
        return found
    for name, weight in model.named_parameters(remove_duplicate=False):
        if fnmatchcase(name, pattern):
            first = next(each for each, other in weights.items() if other is weight)
            raise UserError(
                f"{name!r} is tied to {first!r}, by whose name it goes",
                field=field,
                expected=repr(first),
            )
    raise UserError(
        f"no weight is called {pattern!r}",
        field=field,
        expected="a pattern such as 'encoder.*' over the names that `unified-vl weights RUN` lists",
        nearest=_nearest(pattern, weights),
    )


def scales_of(model: nn.Module, scales: Mapping[str, float]) -> dict[str, float]:
    """What the learning rate of each weight that a pattern matches is multiplied by.

    Args:
        model: with the weights that are trained, and those that are not.
        scales: by pattern; of several that match a weight, the last counts.

    Raises:
        UserError: when a pattern matches none, or only frozen ones.
    """
    weights = named_weights(model)
    found = {}
    for pattern, scale in scales.items():
        field = f"optimizer.lr_scales.{pattern}"
        names = matching(pattern, model, weights, field)
        if not any(weights[name].requires_grad for name in names):
            raise UserError(f"all weights called {pattern!r} are frozen", field=field)
        found.update(dict.fromkeys(names, scale))
    return found


def _nearest(pattern: str, names: Iterable[str]) -> str | None:
    """The name, or pattern of all below a module, that is most like a pattern."""
    known = dict.fromkeys(form for name in names for form in _forms(name))
    if f"{pattern}.*" in known:
        return f"{pattern}.*"
    return nearest(pattern, known)


def _forms(name: str) -> Iterator[str]:
    """A name with `*` for its numbers, and the patterns of all modules that it lies in."""
    parts = re.sub(r"\.\d+\b", ".*", name).split(".")
    yield ".".join(parts)
    for length in range(1, len(parts)):
        yield ".".join([*parts[:length], "*"])
        yield ".".join(["*", *parts[length - 1 :]])


def listed(names: Sequence[str], most: int = 3) -> str:
    """Some names for a message: `a, b, c and 5 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
