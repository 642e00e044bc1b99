"""Spec files to frozen objects; whatever is wrong with a file is one `UserError`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from os.path import normpath
from pathlib import Path
from typing import Any

from unified_vl.errors import UserError, nearest
from unified_vl.specs.choices import load_choices, load_class_names
from unified_vl.specs.code_switch import load_dictionaries
from unified_vl.specs.document import COMMAND_LINE, KeyPath, dotted
from unified_vl.specs.engine import read_engine_config
from unified_vl.specs.image_tokenizer import ImageTokenizerSpec
from unified_vl.specs.include import read_including
from unified_vl.specs.mixture import Mixture
from unified_vl.specs.parse import Parsed, missing_file, parse_file, parse_text, validate
from unified_vl.specs.run import Run, explain
from unified_vl.specs.run_paths import refuse_old_paths, resolve_paths
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.template import Slot, Template

KINDS = ("task", "mixture", "run", "image_tokenizer")  # the key that says what a file is


def load_task(path: str | Path) -> TaskSpec:
    """Read a task spec, and what it keeps in other files: choices and dictionaries.

    Raises:
        UserError: with file, line, field and the nearest known name.
    """
    spec = validate(TaskSpec, _parse_kind(Path(path), "task"))
    spec._choices = load_choices(spec)
    spec._dictionaries = load_dictionaries(spec)
    spec._class_names = load_class_names(spec)
    return spec


def load_tasks(paths: Iterable[str | Path]) -> list[TaskSpec]:
    """Read the task specs among files and folders (all `*.yaml` below a folder).

    A mixture or a run that is named stands for its tasks; below a folder they are passed over.

    Raises:
        UserError: for a bad spec, a folder without any, or two specs of one name.
    """
    specs: dict[str, TaskSpec] = {}
    for path in spec_files(paths):
        for spec in _tasks_of(path):
            if spec.task in specs:
                raise spec.error(("task",), f"{spec.task!r} is also in {specs[spec.task].file}")
            specs[spec.task] = spec
    return list(specs.values())


def _tasks_of(path: Path) -> Sequence[TaskSpec]:
    match file_kind(path):
        case "mixture":
            return load_mixture(path).specs
        case "run":
            return load_run(path).loaded_mixture.specs
        case _:
            return [load_task(path)]


def spec_files(paths: Iterable[str | Path], kind: str = "task") -> list[Path]:
    """The files of a kind: each file that is named, and those below each folder.

    Raises:
        UserError: for a path that does not exist, or a folder without such files.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.is_dir():
            found[path] = None
            continue
        below = [p for p in sorted(path.rglob("*.yaml")) if file_kind(p) in (kind, None)]
        if not below:
            raise UserError(f"has no {kind} spec below it", file=path, expected="*.yaml")
        found.update(dict.fromkeys(below))
    return list(found)


def file_kind(path: Path) -> str | None:
    """Whether a YAML file is a `task`, a `mixture` or a `run`; None when it does not say."""
    try:
        values = parse_file(path).values
    except UserError:
        return None
    return next((kind for kind in reversed(KINDS) if kind in values), None)


def load_mixture(path: str | Path) -> Mixture:
    """Read a mixture and the task specs that it names.

    Raises:
        UserError: for a bad mixture, a spec that is missing or bad, one listed twice, or one that
            asks a task which is missing.
    """
    path = Path(path)
    mixture = validate(Mixture, _parse_kind(path, "mixture"))
    _check_schedule(mixture)
    specs: list[TaskSpec] = []
    for index, entry in enumerate(mixture.tasks):
        place = ("tasks", index, "spec")
        file = Path(normpath(path.parent / entry.spec))
        if not file.is_file():
            raise mixture.error(
                place,
                f"there is no task spec {entry.spec!r}",
                expected="a file relative to the mixture",
                nearest=_nearest_file(entry.spec, path.parent),
            )
        spec = load_task(file)
        if spec.task in (other.task for other in specs):
            raise mixture.error(place, f"the task {spec.task!r} is listed twice")
        _check_entry(mixture, index, spec)
        specs.append(spec)
    for spec in specs:
        _check_tasks_asked(spec, [other.task for other in specs])
    mixture._specs = tuple(specs)
    return mixture


def _check_tasks_asked(spec: TaskSpec, tasks: Sequence[str]) -> None:
    """The tasks that rank or read its pictures must be learnt beside it: an evaluation would miss
    them when all is trained."""
    asked: list[tuple[tuple[str | int, ...], str | None]] = [
        (("score", index, "read_by"), score.read_by) for index, score in enumerate(spec.score)
    ]
    if spec.generate.rerank is not None:
        asked.append((("generate", "rerank", "task"), spec.generate.rerank.task))
    for place, name in asked:
        if name is not None and name not in tasks:
            raise spec.error(
                place,
                f"the mixture has no task {name!r}",
                expected="a task that is trained beside this one",
                nearest=nearest(name, tasks),
            )


def _check_schedule(mixture: Mixture) -> None:
    """What the keys of a schedule ask of each other and of the tasks."""
    schedule = mixture.schedule
    idle = schedule.idle_key()
    if idle is not None:
        raise mixture.error(
            ("schedule", idle),
            f"a schedule of kind {schedule.kind!r} with updates {schedule.update!r} does not "
            "read this",
            expected="`order` for round_robin; `by` for sampled, and `temperature` and `limit` "
            "where that is by rows; `joint_weights` for joint updates",
        )
    for index, entry in enumerate(mixture.tasks):
        if schedule.curriculum is not None and entry.difficulty is None:
            raise mixture.error(
                ("tasks", index), "has no `difficulty`, which the schedule's curriculum goes by"
            )
        if schedule.curriculum is not None and entry.from_round:
            raise mixture.error(
                ("tasks", index, "from_round"), "the schedule's curriculum decides this"
            )
    if all(entry.from_round for entry in mixture.tasks):
        raise mixture.error(
            ("tasks", 0, "from_round"), "no task begins", expected="from_round: 0 for one at least"
        )


def _check_entry(mixture: Mixture, index: int, spec: TaskSpec) -> None:
    """What a mixture asks of a task."""
    if mixture.tasks[index].contrast and not _describes_an_image(spec):
        raise mixture.error(
            ("tasks", index, "contrast"),
            f"the task {spec.task!r} does not describe an image",
            expected="one image in its source and a text as its target",
        )
    if mixture.tags == "family" and spec.family is None:
        raise mixture.error(
            ("tags",), f"the task {spec.task!r} has no `family`", expected="one in every task spec"
        )
    if mixture.schedule.stop_and_go is not None and "validation" not in spec.data.splits:
        raise mixture.error(
            ("schedule", "stop_and_go"),
            f"the task {spec.task!r} has no validation split to go by",
        )


def _describes_an_image(spec: TaskSpec) -> bool:
    def kinds(template: Template) -> list[str]:
        slots = (piece.name for piece in template if isinstance(piece, Slot))
        fields = [spec.fields[name] for name in slots if name in spec.fields]
        return [
            "codes" if field.in_codes else "nothing" if field.missing == "allow" else field.kind
            for field in fields
        ]

    return kinds(spec.source).count("image") == 1 and kinds(spec.target) == ["text"]


def load_run(path: str | Path, overrides: Sequence[str] = ()) -> Run:
    """Read a run file, its mixture and the specs of that.

    Args:
        path: the run file.
        overrides: `key=value`, dotted for a key within a key (`optimizer.lr=1e-3`); the
            value is YAML. A path given here is relative to the working directory.

    Raises:
        UserError: for a bad run, mixture, spec or override, or a missing engine file.
    """
    path = Path(path)
    parsed = _parse_kind(path, "run")
    resolve_paths(parsed, path.parent)
    run = validate(Run, _overridden(parsed, overrides), explain)
    refuse_old_paths(run)
    if not run.mixture.is_file():
        close = missing_file(run.mixture).nearest
        raise run.error(("mixture",), f"there is no file {str(run.mixture)!r}", nearest=close)
    if run.engine is not None:
        _check_engine(run, run.engine)
    mixture = run._loaded_mixture = load_mixture(run.mixture)
    if mixture.schedule.stop_and_go is not None and not run.score_every:
        raise run.error(
            ("score_every",),
            f"stop-and-go goes by scores, which mixture {mixture.mixture!r} asks for",
            expected="1 or more",
        )
    return run


def load_image_tokenizer(path: str | Path, overrides: Sequence[str] = ()) -> ImageTokenizerSpec:
    """Read the file of an image tokenizer's training.

    Args:
        path: the file.
        overrides: `key=value`, as for `load_run`.

    Raises:
        UserError: for a bad file or override.
    """
    parsed = _parse_kind(Path(path), "image_tokenizer")
    return validate(ImageTokenizerSpec, _overridden(parsed, overrides))


def _parse_kind(path: Path, kind: str) -> Parsed:
    """A file whose keys do not say that it is something else."""
    parsed = read_including(path) if kind == "task" else parse_file(path)
    others = [k for k in KINDS if k != kind and k in parsed.values]
    # a run has a key `mixture` too: what it names, not what it is
    if others and (kind not in parsed.values or parsed.origin.files):
        found = "run" if "run" in others else others[0]
        file, line = parsed.origin.place((found,))
        raise UserError(f"is a {found} file", file=file, line=line, expected=f"a {kind}")
    return parsed


def _check_engine(run: Run, path: Path) -> None:
    """That the engine's file is there and right; a mistake in it is told at its own key."""
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.json")] if path.parent.is_dir() else []
        close = nearest(path.name, beside)
        raise run.error(("engine",), f"there is no file {str(path)!r}", nearest=close)
    read_engine_config(path)


def _overridden(parsed: Parsed, overrides: Sequence[str]) -> Parsed:
    """A file whose errors in keys that the command line has set are blamed on that."""
    keys = frozenset(_override(parsed, text) for text in overrides)
    return replace(parsed, origin=replace(parsed.origin, overridden=keys))


def _override(parsed: Parsed, text: str) -> KeyPath:
    """Set one key from the command line; returns where it is."""
    key, equals, value = text.partition("=")
    keys = tuple(key.strip().split("."))
    if not equals or not all(keys):
        raise UserError(f"found {text!r}", file=COMMAND_LINE, expected="key=value")
    target: dict[str, Any] = parsed.values
    for part in keys[:-1]:
        inner = target.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"{part!r} holds one value", file=COMMAND_LINE, field=dotted(keys))
        target = inner
    target[keys[-1]] = parse_text(f"value: {value or 'null'}", Path(COMMAND_LINE)).values["value"]
    return keys


def _nearest_file(name: str, folder: Path) -> str | None:
    """The YAML file whose relative path is most like `name`."""
    wanted = folder / name
    neighbours = wanted.parent.glob("*.yaml") if wanted.parent.is_dir() else ()
    return nearest(name, [str(Path(name).parent / p.name) for p in neighbours])
