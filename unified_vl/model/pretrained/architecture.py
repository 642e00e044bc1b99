"""A run's `model` keys beside those of what it starts from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unified_vl.errors import UserError
from unified_vl.model.pretrained.opening import open_pretrained
from unified_vl.model.pretrained.pretrained import Pretrained
from unified_vl.model.pretrained.transformers_checkpoint import TransformersCheckpoint
from unified_vl.specs.reading.parse import problems_of
from unified_vl.specs.run import Run
from unified_vl.specs.runs.model import ModelSpec
from unified_vl.specs.runs.vision import ENCODERS

# what weights do not depend on, or can be resized to
CHANGEABLE = (
    ("dropout_rate",),
    ("code_image_size",),
    ("vision", "image_size"),
)
KEY = "model"


def open_start(run: Run, *, download: bool = True) -> Pretrained | TransformersCheckpoint:
    """What `model.from` names.

    Raises:
        UserError: at that key, or naming the file that is broken.
    """
    assert run.model.from_ is not None
    try:
        return open_pretrained(run.model.from_, download=download)
    except UserError as error:
        if error.file is not None and Path(error.file) != Path(run.model.from_):
            raise
        found = error.message if error.file is None else f"{error.file!r}: {error.message}"
        told, close = error.expected, error.nearest
        raise run.error((KEY, "from"), found, expected=told, nearest=close) from error


def known_start(
    run: Run, *, download: bool = True
) -> tuple[Run, Pretrained | TransformersCheckpoint]:
    """A run that starts from something, with every key of its model known, and what that is.

    Raises:
        UserError: at `model.from`, or at a key that contradicts it.
    """
    pretrained = open_start(run, download=download)
    if isinstance(pretrained, TransformersCheckpoint):
        return pretrained.settled(run), pretrained
    return settled(run, pretrained.architecture, pretrained.about), pretrained


def settled(run: Run, architecture: Mapping[str, Any], about: str) -> Run:
    """The run with every key of its model known: its own, and those of what it starts from.

    Args:
        run: as its file says.
        architecture: of `Pretrained`.
        about: what it is of, for people.

    Raises:
        UserError: at a key that contradicts the weights, or is of no use to them.
    """
    given = run.model.model_dump(mode="json", exclude_unset=True)
    values = _merged(architecture, given)
    _refuse_idle(run, values.get("vision", {}).get("kind"))
    for path, value in _leaves(given):
        decided = _at(architecture, path)
        if decided is not None and path not in CHANGEABLE and _plain(decided[0]) != value:
            raise run.error(
                (KEY, *path),
                f"found {json.dumps(value)}, but {about} has {json.dumps(_plain(decided[0]))}",
                expected="that, or no such key: it is known from the weights",
            )
    try:
        model = ModelSpec.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        problem = next(problems_of(error, ModelSpec))
        raise run.error((KEY, *problem.path), problem.message, expected=problem.expected) from error
    for problem in model.problems(KEY):
        raise run.error(problem.path, problem.message, expected=problem.expected)
    return run.model_copy(update={KEY: model})


def _refuse_idle(run: Run, kind: Any) -> None:
    """Refuse keys that only other image branches read than the one that there is."""
    if kind not in ENCODERS:
        return
    said = f"an image branch of kind {kind!r} does not read this"
    given = run.model.vision.model_fields_set
    for problem in ENCODERS.idle_problems(kind, given, (KEY, "vision"), said):
        raise run.error(problem.path, problem.message, expected=problem.expected)


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """The path and the value of each key that is no mapping; not what it starts from."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        elif (*path, key) != ("from",):
            yield (*path, key), value


def _at(values: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Any] | None:
    """What stands at `path`, in brackets; None where nothing does.

    A mapping that is decided not to be there decides its keys: they are null.
    """
    found: Any = values
    for key in path:
        if found is None:
            return (None,)
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return (found,)


def _merged(decided: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(decided)
    for key, value in given.items():
        own = merged.get(key)
        both = isinstance(own, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(own, value) if both else value  # type: ignore[arg-type]
    return {key: _plain(value) for key, value in merged.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
