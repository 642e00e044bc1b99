"""Which tasks of a run take which of its augmentations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from unified_vl.errors import nearest
from unified_vl.kinds.registry import place_kind
from unified_vl.specs.runs.augment import AugmentSpec
from unified_vl.specs.task import TaskSpec

if TYPE_CHECKING:
    from unified_vl.specs.run import Run


def why_not(augment: AugmentSpec, spec: TaskSpec) -> str | None:
    """Why a task does not take an augmentation; None where it does."""
    fields = spec.fields.values()
    if not any(field.of_kind.is_image for field in fields):
        return "has no pictures"
    if any(field.in_codes for field in fields):
        return "has pictures in codes, which are made once and kept"
    if augment.name in spec.example.forbid_augment:
        return f"says forbid_augment: {augment.name}"
    places = (place_kind(field.kind) for field in fields if field.writing == "places")
    if augment.augmentation.turns and (kind := next((k for k in places if not k.turns), None)):
        return f"has {kind.plural}, which cannot be turned"
    return None


def taken(augment: Sequence[AugmentSpec], spec: TaskSpec) -> tuple[AugmentSpec, ...]:
    """The augmentations of a run that one of its tasks takes, in their order."""
    return tuple(
        each
        for each in augment
        if (each.tasks is None or spec.task in each.tasks) and why_not(each, spec) is None
    )


def refuse_idle_augment(run: Run) -> None:
    """That each augmentation has a task, and every task that one names takes it.

    Raises:
        UserError: at the key.
    """
    specs = {spec.task: spec for spec in run.loaded_mixture.specs}
    for index, each in enumerate(run.augment):
        for place, name in enumerate(each.tasks or ()):
            key = ("augment", index, "tasks", place)
            if name not in specs:
                mixture = run.loaded_mixture.mixture
                raise run.error(
                    key,
                    f"found {name!r}",
                    expected=f"a task of the mixture {mixture!r}",
                    nearest=nearest(name, specs),
                )
            why = why_not(each, specs[name])
            if why is not None:
                raise run.error(
                    key,
                    f"{name!r} {why}",
                    expected=f"tasks whose pictures {each.name} may change",
                )
        if each.tasks is None and not any(why_not(each, s) is None for s in specs.values()):
            said = "; ".join(f"{name!r} {why_not(each, spec)}" for name, spec in specs.items())
            raise run.error(("augment", index), f"no task takes it: {said}")


def told(run: Run) -> Iterator[str]:
    """What is done to the pictures of each task, in a line each, and why what is not."""
    for spec in run.loaded_mixture.specs if run.augment else ():
        names = [each.name for each in taken(run.augment, spec)]
        line = f"{spec.task}: augmented by {', '.join(names)}" if names else ""
        without: dict[str, list[str]] = {}
        for each in run.augment:
            why = why_not(each, spec)
            if each.tasks is None and why is not None:
                without.setdefault(why, []).append(each.name)
        said = "; ".join(
            f"not by {', '.join(names)}: it {why}" if line else f"it {why}"
            for why, names in without.items()
        )
        if line and said:
            yield f"{line}; {said}"
        elif line or said:
            yield line or f"{spec.task}: not augmented: {said}"
