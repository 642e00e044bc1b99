"""The templates of a task in one language, and what fills their slots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from unified_vl.codecs.segments import Segment, Tag, Text
from unified_vl.data.draws import Draws
from unified_vl.data.rows.values import Value, pieces_of
from unified_vl.errors import BadRow
from unified_vl.kinds.hooks.options import letter
from unified_vl.languages.tags import language_name
from unified_vl.specs.task import TaskSpec, TaskTags
from unified_vl.specs.tasks.template import Slot, Template, fill, parse_template

Part = str | Segment  # of what fills a slot; neighbouring texts become one
Planned = tuple[str | Slot | Tag, ...]


def task_tags(spec: TaskSpec, tags: TaskTags) -> list[str]:
    """Names of the tags that {task} stands for in a spec's templates: one, or none."""
    if tags == "task":
        return [f"task:{spec.task}"]
    return [] if tags == "none" else [f"family:{spec.family}"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a task is the same for every row of a language.

    Attributes:
        language: its tag.
        columns: the column of each field.
        source: the template with all filled in that no row changes.
        target: the same.
        shot: the template of a shot; empty where there are none.
        joins: the template of one value of each join, and the fields in it.
        wordings: the texts of those that have several.
        answers: what says that a pair matches, and that it does not.
    """

    language: str
    columns: Mapping[str, str]
    source: Planned
    target: Planned
    shot: Planned
    joins: Mapping[str, tuple[Planned, tuple[str, ...]]]
    wordings: Mapping[str, tuple[str, ...]]
    answers: tuple[str, str]


def make_plan(spec: TaskSpec, language: str, tags: TaskTags) -> Plan:
    """The plan of a language.

    Args:
        spec: the task.
        language: one of its languages.
        tags: what {task} stands for.
    """
    name = language_name(language)
    wordings = {
        slot: tuple(fill(text, language_name=name) for text in spec.wording_in(slot, language))
        for slot in spec.wording
    }

    def planned(template: Template) -> Planned:
        pieces: list[str | Slot | Tag] = []
        for piece in template:
            if isinstance(piece, str):
                pieces.append(piece)
            elif len(wordings.get(piece.name, ())) == 1:
                pieces.append(wordings[piece.name][0])
            elif piece.name == "language_name":
                pieces.append(name)
            elif piece.name == "language":
                pieces.append(Tag(f"language:{language}"))
            elif piece.name == "task":
                pieces += [Tag(tag) for tag in task_tags(spec, tags)]
            else:
                pieces.append(piece)
        return tuple(pieces)

    example = spec.example
    said = ("", "")
    if example.mismatch is not None:
        right, wrong = example.mismatch.right, example.mismatch.wrong
        said = wordings.get(right, (right,))[0], wordings.get(wrong, (wrong,))[0]
    return Plan(
        language=language,
        columns={n: f.column_in(language) for n, f in spec.fields.items()},
        source=planned(spec.source),
        target=planned(spec.target),
        shot=planned(spec.shot or ()),
        joins={
            slot: (planned(parse_template(join.each)), spec.fields_of((Slot(slot),)))
            for slot, join in example.join.items()
        },
        wordings={slot: texts for slot, texts in wordings.items() if len(texts) > 1},
        answers=said,
    )


def slot_parts(
    spec: TaskSpec,
    plan: Plan,
    where: str,
    values: Mapping[str, Value],
    draws: Draws,
    matches: bool = True,
) -> dict[str, Sequence[Part]]:
    """What fills each slot but that of shots.

    Args:
        spec: the task.
        plan: of the row's language.
        where: the row, for messages.
        values: the fields; joins of others are left out.
        draws: decides what `pick: random` and wordings take.
        matches: whether the values are the row's own.

    Raises:
        BadRow: for lists of different lengths in a join.
    """
    picked = _picked(spec, values, draws)
    parts: dict[str, Sequence[Part]] = {
        name: pieces_of(spec.fields[name].of_kind, value) for name, value in picked.items()
    }
    for slot, texts in plan.wordings.items():
        random = draws.training("wording", slot)
        parts[slot] = (texts[0] if random is None else random.choice(texts),)
    for slot, (_, names) in plan.joins.items():
        if all(name in values for name in names):
            lists = {name: values[name] for name in names}
            parts[slot] = _join(spec, slot, plan, where, lists, parts)
    if spec.example.mismatch is not None:
        parts[spec.example.mismatch.slot] = (plan.answers[0 if matches else 1],)
    return parts


def _picked(spec: TaskSpec, values: Mapping[str, Value], draws: Draws) -> Mapping[str, Value]:
    pick = spec.example.pick
    if not pick:
        return values
    chosen = dict(values)
    random = None if draws.seed is None else Random(draws.seed)
    for name, how in pick.items():
        if name in values:
            several = values[name]
            at_random = random is not None and how != "first" and len(several) > 0
            number = random.randrange(len(several)) if random is not None and at_random else 0
            chosen[name] = several[number : number + 1]
    return chosen


def _join(
    spec: TaskSpec,
    slot: str,
    plan: Plan,
    where: str,
    lists: Mapping[str, Value],
    others: Mapping[str, Sequence[Part]],
) -> list[Part]:
    """The values of lists, place by place."""
    join = spec.example.join[slot]
    kinds = {name: spec.fields[name].of_kind for name in lists}
    (first, values), *rest = lists.items()
    for name, other in rest:
        if len(other) != len(values):
            raise BadRow(
                f"holds {len(other)} values, and {first!r} {len(values)}, in the join {slot!r}",
                file=where,
                field=plan.columns[name],
            )
    template, _ = plan.joins[slot]
    places = range(len(values))
    each = []
    for place in places if join.last is None else places[-join.last :]:
        own = {name: pieces_of(kinds[name], v[place : place + 1]) for name, v in lists.items()}
        counted = {"letter": (letter(place),), "number": (str(place + 1),)}
        each.append(filled(template, {**others, **counted, **own}))
    return joined(each, join.between)


def filled(plan: Planned, values: Mapping[str, Sequence[Part]]) -> list[Part]:
    """A template's texts and segments with those of its slots between them."""
    parts: list[Part] = []
    for piece in plan:
        parts += values[piece.name] if isinstance(piece, Slot) else (piece,)
    return parts


def joined(several: Iterable[Sequence[Part]], between: str) -> list[Part]:
    """All parts, with a text between one of `several` and the next."""
    parts: list[Part] = []
    for number, one in enumerate(several):
        parts += [between, *one] if number else one
    return parts


def merged(parts: Iterable[Part]) -> tuple[Segment, ...]:
    """The segments of parts: neighbouring texts are one, stripped at its ends."""
    segments: list[Segment] = []
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text and (stripped := text.strip()):
            segments.append(Text(stripped))
        text = ""
        segments.append(part)
    if text and (stripped := text.strip()):
        segments.append(Text(stripped))
    return tuple(segments)
