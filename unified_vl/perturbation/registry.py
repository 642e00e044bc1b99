"""All perturbations by name: those of this folder, and those that others register."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from unified_vl import perturbation as package
from unified_vl.perturbation.perturbation import InputPerturbation, Perturbation, RowWeighting

FIRST = ("images", "typos", "casing", "prompts", "choices", "priors", "shift")  # suites
ALL = "all"


class _Perturbations(Mapping[str, Perturbation]):
    """Perturbations by name, as they are by now."""

    def __getitem__(self, name: str) -> Perturbation:
        return _known()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_known())

    def __len__(self) -> int:
        return len(_known())


PERTURBATIONS: Mapping[str, Perturbation] = _Perturbations()


def suites() -> dict[str, list[Perturbation]]:
    """The perturbations of each suite, and of all."""
    found: dict[str, list[Perturbation]] = {}
    for each in PERTURBATIONS.values():
        found.setdefault(each.suite, []).append(each)
    return {**found, ALL: list(PERTURBATIONS.values())}


def register(perturbation: Perturbation) -> None:
    """Let `--perturb` name a perturbation, from now on and in this process.

    What an installed package registers in a module that it names as an entry point of the group
    `unified_vl.plugins` is known on the command line, too (docs/extending.md).

    Raises:
        TypeError: for what is no perturbation.
        ValueError: when another perturbation or a suite has its name.
    """
    if not isinstance(perturbation, InputPerturbation | RowWeighting):
        raise TypeError(f"{perturbation!r} is no unified_vl.InputPerturbation")
    _add(_known(), perturbation)


def unregister(name: str) -> None:
    """Take one away that was added, as tests do."""
    del _known()[name]


@cache
def _known() -> dict[str, Perturbation]:
    own: list[Perturbation] = []
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name != __name__:
            own += getattr(import_module(module.name), "PERTURBATIONS", ())
    own.sort(key=lambda each: FIRST.index(each.suite))
    known: dict[str, Perturbation] = {}
    for each in own:
        _add(known, each)
    return known


def _add(known: dict[str, Perturbation], each: Perturbation) -> None:
    taken = {ALL, *known, *(other.suite for other in known.values())}
    if each.name in taken or each.suite in {ALL, *known}:
        raise ValueError(f"there is a perturbation or suite {each.name!r} already")
    known[each.name] = each
