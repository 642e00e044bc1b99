"""What the scores of a task spec must obey."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from unified_vl.errors import nearest
from unified_vl.kinds.registry import written_in
from unified_vl.languages.tags import find, nearest_tag
from unified_vl.specs.document import KeyPath, Problem, one_of
from unified_vl.specs.template import TemplateError, parse_template, slots

if TYPE_CHECKING:
    from unified_vl.specs.score import ScoreSpec
    from unified_vl.specs.task import TaskSpec

KINDS_OF_METRICS: dict[str, tuple[str, ...]] = {  # those of all others are texts
    "box_accuracy": ("box",),
    "mean_iou": ("box",),
    "coco_map": ("box",),
    "mean_absolute_error": ("number",),
    "point_accuracy": ("point", "box"),
    "mask_iou": ("polygon", "image_codes"),
    "psnr": ("image_codes",),
    "ssim": ("image_codes",),
    "nearest_reference": ("image_codes",),
}
READABLE = ("exact_match", "accuracy")  # metrics of what a task reads in a picture
COLUMNS_OF_METRICS = {"consistency": "implies", "group_accuracy": "group"}
WHOLE = ("coco_map", "spearman", "pearson_spearman")  # no functions of sums over rows
COLUMNS = {"implies": "a column of keys", "group": "a column that is the same within a group"}
REFUSED_METRICS = {
    "meteor": "another metric, such as cider: METEOR is what its Java program makes of WordNet "
    "and paraphrase tables, and cannot be computed exactly without it",
    "spice": "another metric, such as cider: SPICE is what its Java program's scene graphs give, "
    "and cannot be computed exactly without it",
}


def known_metric(name: object) -> object:
    """The name of a metric, unless it is one that cannot be computed.

    Raises:
        PydanticCustomError: with the reason.
    """
    if isinstance(name, str) and name.lower() in REFUSED_METRICS:
        raise PydanticCustomError("refused", "{why}", {"why": REFUSED_METRICS[name.lower()]})
    return name


def score_problems(spec: TaskSpec) -> Iterator[Problem]:
    """What is wrong with `score`."""
    for index, score in enumerate(spec.score):
        place: KeyPath = ("score", index, "against")
        kinds = KINDS_OF_METRICS.get(score.metric, written_in("text"))
        mismatch = spec.example.mismatch
        if mismatch is not None and score.against == mismatch.slot:
            if "text" not in kinds or score.metric == "vqa_accuracy":
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
        if score.iou is not None and score.metric != "box_accuracy":
            yield Problem(("score", index, "iou"), f"has no effect with {score.metric}")
        if score.within is not None and score.metric != "point_accuracy":
            yield Problem(("score", index, "within"), f"has no effect with {score.metric}")
        yield from _column_problems(spec, index, score)
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
    wanted = COLUMNS_OF_METRICS.get(score.metric)
    for key, expected in COLUMNS.items():
        place: KeyPath = ("score", index, key)
        given = getattr(score, key) is not None
        if given and key != wanted:
            yield Problem(place, f"has no effect with {score.metric}")
        if key == wanted and not given:
            yield Problem(place, f"is missing for {score.metric}", expected=expected)
    if wanted == "implies" and spec.data.key_column is None:
        place = ("data", "key_column")
        yield Problem(place, f"is missing for {score.metric}", expected="a column")
    if wanted is not None and score.primary:
        message = f"{score.metric} says nothing of how many answers are right"
        yield Problem(("score", index, "primary"), message, expected="another score as primary")


def _reading_problems(spec: TaskSpec, index: int, score: ScoreSpec) -> Iterator[Problem]:
    """That what is read in a picture is read in one."""
    if score.top is not None and score.read_by is None and score.metric != "nearest_reference":
        yield Problem(("score", index, "top"), f"has no effect with {score.metric}")
    if score.read_by is None:
        return
    place: KeyPath = ("score", index, "read_by")
    if score.metric not in READABLE:
        message = f"has no effect with {score.metric}"
        yield Problem(place, message, expected=f"metric: {' or '.join(READABLE)}")
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
    if score.metric != "binary_f1":
        if score.positive is not None:
            yield Problem(place, f"has no effect with {score.metric}")
        return
    if score.positive is None:
        yield Problem(place, "is missing for binary_f1", expected="the name of a class")
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
    if score.metric in WHOLE:
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
    many = spec.fields[score.against].many
    if score.metric == "vqa_accuracy" and not many:
        yield Problem(
            place,
            f"{score.against!r} holds one answer, and vqa_accuracy counts people who agree",
            expected="a field with many: true, the answers of all",
        )
    if score.metric == "coco_map" and (
        not many
        or score.against in spec.example.pick
        or score.against not in _slots_of_target(spec)
    ):
        yield Problem(
            place,
            f"coco_map scores all boxes of a row, and the target has not all of {score.against!r}",
            expected="a field with many: true in example.target and not in example.pick",
        )


def _slots_of_target(spec: TaskSpec) -> tuple[str, ...]:
    """What the target names; nothing where the template is broken, which is told elsewhere."""
    try:
        return tuple(slots(parse_template(spec.example.target)))
    except TemplateError:
        return ()
