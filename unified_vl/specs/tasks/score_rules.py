"""What the scores of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError, PydanticKnownError

from unified_vl.errors import nearest
from unified_vl.kinds.registry import KINDS, written_in
from unified_vl.languages.tags import find, nearest_tag
from unified_vl.metrics.registry import METRICS, refused
from unified_vl.specs.reading.document import KeyPath, Problem, one_of
from unified_vl.specs.tasks.template import TemplateError, parse_template, slots

if TYPE_CHECKING:
    from unified_vl.metrics.metric import Metric
    from unified_vl.specs.task import TaskSpec
    from unified_vl.specs.tasks.score import ScoreSpec

COLUMNS = {  # keys that name a column, and what it holds
    "implies": "a column of keys",
    "group": "a column that is the same within a group",
    "relevance": "a column with a number for each choice",
    "keypoint": "a column with the name of the point",
    "area": "a column with the area of the object in pixels",
    "rest": "a column with the text behind the last box",
}


def known_metric(name: object) -> object:
    """The name of a metric.

    Raises:
        PydanticCustomError: for one that cannot be computed, with the reason.
        PydanticKnownError: for anything else.
    """
    if isinstance(name, str) and name in METRICS:
        return name
    if isinstance(name, str) and (why := refused().get(name.lower())):
        raise PydanticCustomError("refused", "{why}", {"why": why})
    expected = ", ".join(f"'{known}'" for known in METRICS)
    raise PydanticKnownError("literal_error", {"expected": expected})


def score_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `score`."""
    for index, score in enumerate(spec.score):
        place: KeyPath = ("score", index, "against")
        metric = score.definition
        kinds = _kinds(metric)
        mismatch = spec.example.mismatch
        if mismatch is not None and score.against == mismatch.slot:
            if not _of_texts(metric) or metric.references == "agreeing":
                found = f"{score.against!r} is one text"
                yield Problem(place, found, expected="a metric of texts, such as accuracy")
        elif score.against not in spec.fields:
            yield Problem(
                place,
                f"{score.against!r} is not a field",
                expected=one_of(spec.fields),
                nearest=nearest(score.against, spec.fields),
            )
        elif spec.fields[score.against].kind not in kinds:
            found = spec.fields[score.against].kind
            yield Problem(
                place,
                f"{score.against!r} is a field of kind {found!r}",
                expected=f"kind {one_of(kinds)} for {score.metric}",
            )
        else:
            yield from _many_problems(spec, place, score)
        if score.iou is not None and "iou" not in metric.options:
            yield Problem(("score", index, "iou"), f"has no effect with {score.metric}")
        if score.within is not None and "within" not in metric.options:
            yield Problem(("score", index, "within"), f"has no effect with {score.metric}")
        yield from _column_problems(spec, index, score)
        yield from _joint_problems(spec, index, score)
        if metric.ranks and spec.generate.method != "score_choices":
            message = f"{score.metric} compares all choices, and {spec.generate.method} gives one"
            expected = "generate: {method: score_choices, ...}"
            yield Problem(("score", index, "metric"), message, expected=expected)
        yield from _reading_problems(spec, index, score)
        yield from _positive_problems(spec, index, score)
        yield from _mean_problems(spec, index, score)
    primaries = sum(score.primary for score in spec.score)
    if primaries != 1:
        yield Problem(
            ("score",),
            f"{primaries} of {len(spec.score)} are primary",
            expected="primary: true on exactly one",
        )


def _column_problems(spec: TaskSpec, index: int, score: ScoreSpec) -> Iterator[Problem]:
    """That metrics which look at several rows know which belong together."""
    metric = score.definition
    for key, expected in COLUMNS.items():
        place: KeyPath = ("score", index, key)
        given = getattr(score, key) is not None
        if given and key not in metric.options:
            yield Problem(place, f"has no effect with {score.metric}")
        if key in metric.options and not given:
            yield Problem(place, f"is missing for {score.metric}", expected=expected)
    joins = metric.options & {"implies", "with"}
    if joins and spec.data.key_column is None:
        place = ("data", "key_column")
        yield Problem(place, f"is missing for {score.metric}", expected="a column")
    if score.primary and not metric.may_be_primary:
        message = f"{score.metric} says nothing of how many answers are right"
        if metric.ranks:
            message = f"{score.metric} compares all choices, which is not done during training"
        yield Problem(("score", index, "primary"), message, expected="another score as primary")


def _joint_problems(spec: TaskSpec, index: int, score: ScoreSpec) -> Iterator[Problem]:
    """That a score of two tasks names another one."""
    place: KeyPath = ("score", index, "with")
    if "with" not in score.definition.options:
        if score.with_ is not None:
            yield Problem(place, f"has no effect with {score.metric}")
    elif score.with_ is None:
        yield Problem(place, f"is missing for {score.metric}", expected="the name of a task")
    elif score.with_ == spec.task:
        yield Problem(place, "is this task itself", expected="the name of another task")


def _reading_problems(spec: TaskSpec, index: int, score: ScoreSpec) -> Iterator[Problem]:
    """That what is read in a picture is read in one."""
    options = score.definition.options
    if score.top is not None and score.read_by is None and "top" not in options:
        yield Problem(("score", index, "top"), f"has no effect with {score.metric}")
    if score.read_by is None:
        return
    place: KeyPath = ("score", index, "read_by")
    if "read_by" not in options:
        message = f"has no effect with {score.metric}"
        others = " or ".join(name for name, each in METRICS.items() if "read_by" in each.options)
        yield Problem(place, message, expected=f"metric: {others}")
    written = [spec.fields[n].writing for n in _slots_of_target(spec) if n in spec.fields]
    if "codes" not in written:
        expected = f"a field of kind {one_of(written_in('codes'))} in example.target"
        yield Problem(place, "the task writes no image", expected=expected)
    if score.primary:
        message = "what another task reads says nothing of this one alone"
        yield Problem(("score", index, "primary"), message, expected="another score as primary")


def _positive_problems(spec: TaskSpec, index: int, score: ScoreSpec) -> Iterator[Problem]:
    """That the F1 of a class is that of a class there is."""
    place: KeyPath = ("score", index, "positive")
    if "positive" not in score.definition.options:
        if score.positive is not None:
            yield Problem(place, f"has no effect with {score.metric}")
        return
    if score.positive is None:
        yield Problem(place, f"is missing for {score.metric}", expected="the name of a class")
        return
    field = spec.fields.get(score.against)
    known = field.names.values if field is not None and field.names is not None else None
    if known and score.positive not in known:
        close = nearest(score.positive, known)
        yield Problem(place, f"{score.positive!r} is no class", one_of(known), close)


def _mean_problems(spec: TaskSpec, index: int, score: ScoreSpec) -> Iterator[Problem]:
    """That a mean over languages has several to be over."""
    place: KeyPath = ("score", index, "mean_over")
    left = [find(tag, spec.data.languages) for tag in score.without or ()]
    if score.mean_over is None:
        if score.without is not None:
            yield Problem(("score", index, "without"), "has no effect without mean_over")
        return
    if score.definition.rows is None:
        yield Problem(place, f"has no effect with {score.metric}", expected="another metric")
    if score.primary:
        message = "a mean over languages is no number of rows, as a primary score is"
        yield Problem(("score", index, "primary"), message, expected="another score as primary")
    for number, tag in enumerate(left):
        if tag is None:
            said = (score.without or ())[number]
            yield Problem(
                ("score", index, "without", number),
                f"{said!r} is not among data.languages",
                nearest=nearest_tag(said, spec.data.languages),
            )
    if len(set(spec.data.languages) - set(left)) < 2:
        yield Problem(place, "has no effect with a single language")


def _many_problems(spec: TaskSpec, place: KeyPath, score: ScoreSpec) -> Iterator[Problem]:
    """Metrics that make sense for a list of values only."""
    many, metric = spec.fields[score.against].many, score.definition
    if metric.references == "agreeing" and not many:
        yield Problem(
            place,
            f"{score.against!r} holds one answer, and {score.metric} counts people who agree",
            expected="a field with many: true, the answers of all",
        )
    if metric.references == "all" and (
        not many
        or score.against in spec.example.pick
        or score.against not in _slots_of_target(spec)
    ):
        yield Problem(
            place,
            f"{score.metric} scores all {_plural(metric.kinds)} of a row, and the target has not "
            f"all of {score.against!r}",
            expected="a field with many: true in example.target and not in example.pick",
        )


def _kinds(metric: Metric) -> tuple[str, ...]:
    """The kinds of field that a metric scores: all that are written as texts, for texts."""
    return written_in("text") if _of_texts(metric) else metric.kinds


def _of_texts(metric: Metric) -> bool:
    """Whether a metric scores texts, whatever these say."""
    return any(KINDS[kind].free_text for kind in metric.kinds)


def _plural(kinds: tuple[str, ...]) -> str:
    return " and ".join(KINDS[kind].plural for kind in kinds)


def _slots_of_target(spec: TaskSpec) -> tuple[str, ...]:
    """What the target names; nothing where the template is broken, which is told elsewhere."""
    try:
        return tuple(slots(parse_template(spec.example.target)))
    except TemplateError:
        return ()
