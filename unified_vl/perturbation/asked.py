"""What `--perturb` asks for: names of suites and of perturbations, with a severity or all."""

from __future__ import annotations

from collections.abc import Iterable

from unified_vl.errors import UserError, nearest
from unified_vl.parts import one_of
from unified_vl.perturbation.perturbation import Perturbation
from unified_vl.perturbation.registry import suites


def asked_perturbations(names: Iterable[str]) -> dict[Perturbation, tuple[int, ...]]:
    """The severities of each perturbation that is named.

    Args:
        names: `SUITE`, `PERTURBATION`, or either with `:SEVERITY`, from 1.

    Raises:
        UserError: for an unknown name, with the nearest, or a severity that there is not.
    """
    found: dict[Perturbation, set[int]] = {}
    for text in names:
        name, colon, said = text.partition(":")
        members = _members(name)
        most = max(each.severities for each in members)
        if not colon:
            levels = range(1, most + 1)
        elif said.isascii() and said.isdigit() and 1 <= int(said) <= most:
            levels = range(int(said), int(said) + 1)
        else:
            raise UserError(
                f"{name} has no severity {said!r}",
                file="--perturb",
                expected=f"{name}:1 to {name}:{most}" if most > 1 else name,
            )
        for each in members:
            # in a suite, what has one severity alone is done at any
            known = {min(level, each.severities) for level in levels}
            found.setdefault(each, set()).update(known)
    return {each: tuple(sorted(levels)) for each, levels in found.items()}


def _members(name: str) -> list[Perturbation]:
    """The perturbations that a name means."""
    by_name = suites()
    if name in by_name:
        return by_name[name]
    each = {one.name: one for members in by_name.values() for one in members}
    if name in each:
        return [each[name]]
    raise UserError(
        f"there is no perturbation or suite {name!r}",
        file="--perturb",
        expected=f"a suite ({one_of(by_name)}), a perturbation of one, or one with its severity, "
        "as in gaussian_noise:3",
        nearest=nearest(name, [*by_name, *each]),
    )
