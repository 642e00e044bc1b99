"""Images and texts, as people hand them to a processor, to the fields that a task reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.inference.inputs import source_fields
from unified_vl.specs.task import TaskSpec

ABOUT_TENSORS = frozenset(  # what callers of processors say by habit; rows are padded in any case
    ("padding", "truncation", "max_length", "add_special_tokens", "timeout", "return_dict")
)


def chosen_spec(
    specs: Mapping[str, TaskSpec], task: str | TaskSpec | None, images: Any, text: Any
) -> TaskSpec:
    """The task that is asked: the one named, or the only one that reads what is given.

    Raises:
        UserError: for an unknown task; where none is named and not exactly one fits.
    """
    if isinstance(task, TaskSpec):
        return task
    if task is not None:
        if task not in specs:
            raise UserError(
                f"the model has no task {task!r}",
                field="task",
                expected=f"one of {', '.join(specs)}",
                nearest=nearest(str(task), specs),
            )
        return specs[task]
    given = (images is not None, _said(text))
    fitting = [spec for spec in specs.values() if _reads(spec) == given]
    if len(fitting) == 1 or len(specs) == 1:
        return (fitting or list(specs.values()))[0]
    raise UserError(
        "no task is named", field="task", expected=f"one of {', '.join(s for s in specs)}"
    )


def asked_fields(
    spec: TaskSpec, images: Any, text: Any, others: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of a task's fields by name; a list is several inputs.

    Args:
        spec: the task.
        images: one, a list with one for each input, or, for a task that reads several, a list of
            them, or a list of such lists.
        text: what goes into the one field of text that no name is given for.
        others: fields by name.

    Raises:
        UserError: when an image or a text has no field, or might have several.
    """
    given = {name: value for name, value in others.items() if name not in ABOUT_TENSORS}
    free = [name for name in source_fields(spec) if name not in given]
    pictures = [name for name in free if spec.fields[name].of_kind.is_image]
    texts = [name for name in free if _is_text(spec, name)]
    if images is not None:
        given |= _images(spec, pictures, images)
    if _said(text):
        if len(texts) != 1:
            raise UserError(
                f"the task {spec.task!r} reads {'no' if not texts else 'more than one'} text",
                field="text",
                expected=" and ".join(f"{name}=" for name in texts) or "none",
            )
        given[texts[0]] = text
    return given


def _images(spec: TaskSpec, names: list[str], images: Any) -> dict[str, Any]:
    if not names:
        raise UserError(f"the task {spec.task!r} reads no image", field="images", expected="none")
    if len(names) == 1:
        if isinstance(images, list | tuple) and not spec.fields[names[0]].many:
            nested = [one[0] if _is_one(one) else one for one in images]
            return {names[0]: nested}
        return {names[0]: images}
    rows = images if isinstance(images, list | tuple) else [images]
    single = not any(isinstance(row, list | tuple) for row in rows)
    if any(len(row) != len(names) for row in ([rows] if single else rows)):
        raise UserError(
            f"the task {spec.task!r} reads {len(names)} images",
            field="images",
            expected=f"a list of {', '.join(names)}, or a list of such lists",
        )
    if single:
        return dict(zip(names, rows, strict=True))
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _is_one(value: Any) -> bool:
    """Whether an input's images are a list of one, as nested lists of `transformers` are."""
    return isinstance(value, list | tuple) and len(value) == 1


def _said(text: Any) -> bool:
    """Whether there is a text: their pipelines ask for one where a task reads none."""
    return text is not None and text != "" and not (isinstance(text, list) and not any(text))


def _is_text(spec: TaskSpec, name: str) -> bool:
    field = spec.fields[name]
    return field.writing == "text" and field.of_kind.asks and not field.of_kind.is_image


def _reads(spec: TaskSpec) -> tuple[bool, bool]:
    names = source_fields(spec)
    pictures = any(spec.fields[name].of_kind.is_image for name in names)
    return pictures, any(_is_text(spec, name) for name in names)
