"""A plan as YAML, with a comment where something was guessed."""

from __future__ import annotations

import json
from collections.abc import Mapping

from unified_vl.authoring.drafting.columns import FieldGuess
from unified_vl.authoring.drafting.files.samples import delimiter_of
from unified_vl.authoring.drafting.plan import Plan
from unified_vl.authoring.drafting.roles import Field, Roles, generation, request, scores
from unified_vl.authoring.yaml_text import quoted
from unified_vl.specs.reading.parse import parse_text, validate
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.data import SplitName

HISTORY_TURN = "{questions} {answers}"
MOST_TURNS = 10


def render(plan: Plan) -> str:
    """The YAML of a plan."""
    place, roles = plan.place, plan.roles
    ask = request(roles.written, roles.read, len(plan.languages))
    has_image = any(f.guess.kind.is_seen for f in plan.fields)
    how, why = generation(roles.written)
    lines = [
        "# Drafted by `unified-vl new` from a look at the first rows. Where a comment says",
        "# `guessed`, look twice; then `unified-vl check` and `unified-vl show` it.",
        f"task: {plan.task}",
        "version: 1",
        _said(f"about: {quoted(_about(roles))}", "say it in your words"),
        "data:",
        f"  reader: {place.reader}",
        f"  path: {json.dumps(place.path, ensure_ascii=False)}",
    ]
    if place.reader == "csv" and (delimiter := delimiter_of(place.file, place.encoding)) != ",":
        lines.append(f"  delimiter: {json.dumps(delimiter)}")
    if place.encoding is not None:
        lines.append(f"  encoding: {quoted(place.encoding)}")
    if plan.images:
        images = json.dumps(plan.images, ensure_ascii=False)
        lines.append(_said(f"  images: {images}", "the first images are there"))
    if plan.image_prefix:
        lines.append(f"  image_prefix: {quoted(plan.image_prefix)}")
    lines.append(_splits(plan))
    if plan.split_column is not None:
        lines.append(f"  split_column: {quoted(plan.split_column)}")
    tags = ", ".join(map(quoted, plan.languages))
    lines.append(_said(f"  languages: [{tags}]", plan.why_languages))
    others = {tag: name for tag, name in plan.language_names.items() if tag != name}
    if others:
        lines.append(f"  language_names: {{{_pairs(others)}}}")
    if plan.unpivot:
        lines.append("  unpivot: true")
    for key in ("language_column", "key_column"):
        if (column := getattr(plan, key)) is not None:
            lines.append(f"  {key}: {quoted(column)}")
    if plan.skip:
        lines.append(_said("  on_bad_row: skip", plan.skip))
    lines.append("fields:")
    lines += [_field(f) for f in plan.fields if f not in roles.unused]
    lines += [f"  # {_one_line(note)}" for note in plan.notes]
    lines += _example(plan, ask)
    lines.append(_said(f"generate: {how}", why))
    lines.append("score:")
    lines += [f"  - {score}" for score in scores(roles.written, has_image)]
    if len(plan.languages) > 1:
        lines.append("report_by: [language]")
    return "\n".join(lines) + "\n"


def spec_of(plan: Plan) -> TaskSpec:
    """The spec that the YAML of a plan is."""
    return validate(TaskSpec, parse_text(render(plan)))


def _splits(plan: Plan) -> str:
    if plan.shares is None:
        return f"  splits: {{{_pairs(plan.place.splits)}}}"
    shares = ", ".join(f"{split}: {share}" for split, share in plan.shares.items())
    by = "" if plan.split_by is None else f", by: {quoted(plan.split_by)}"
    return _said(
        f"  splits: {{fraction: {{{shares}}}{by}}}",
        "no name and no column says which rows are for testing",
    )


def _example(plan: Plan, ask: str) -> list[str]:
    roles = plan.roles
    slots = ["{task}", *(["{language}"] if len(plan.languages) > 1 else [])]
    given = [f"{{{f.name}}}" for f in roles.read]
    if plan.history:  # behind the images, before the question
        given.insert(sum(f.guess.kind.is_seen for f in roles.read), "{history}")
    slots += given + (["{ask}"] if ask else [])
    lines = ["example:", f'  source: "{" ".join(slots)}"']
    lines.append(_said(f'  target: "{{{roles.written.name}}}"', roles.why))
    many = [f for f in (*roles.read, roles.written) if f.guess.many and f.guess.is_written_text]
    if many:
        lines.append(f"  pick: {{{', '.join(f'{f.name}: random' for f in many)}}}")
    if plan.history:
        lines += ["  join:", f"    history: {{each: {quoted(HISTORY_TURN)}, last: {MOST_TURNS}}}"]
    if ask:
        lines += ["wording:", f"  ask: {{default: {quoted(ask)}}}"]
    return lines


def _field(each: Field) -> str:
    guess = each.guess
    keys = [
        f"kind: {guess.kind.name}",
        f"column: {quoted(_column(guess))}",
    ]
    if guess.columns:
        keys[1] = f"columns: [{', '.join(map(quoted, guess.columns))}]"
    if guess.many:
        keys.append("many: true")
    if guess.missing:
        keys.append("missing: allow")
    keys += [f"{key}: {first}" for key, (first, *_) in guess.keys.items()]
    if guess.empty:
        keys.append("empty: true")
    if each.labels is not None:
        keys.append(f"labels: {each.labels}")
    return _said(f"  {each.name}: {{{', '.join(keys)}}}", guess.why)


def _column(guess: FieldGuess) -> str:
    """A column as a template."""
    plain = guess.column.replace("{", "{{").replace("}", "}}")
    return guess.column if guess.per_language else plain


def _about(roles: Roles) -> str:
    given = " and ".join(f.name.replace("_", " ") for f in roles.read)
    return f"Give the {roles.written.name.replace('_', ' ')} of the {given}."


def _said(line: str, guessed: str) -> str:
    return f"{line}  # guessed: {_one_line(guessed)}" if guessed else line


def _one_line(text: str) -> str:
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= 200 else f"{shown[:197]}..."


def _pairs(values: Mapping[SplitName, str] | Mapping[str, str]) -> str:
    return ", ".join(f"{key}: {quoted(value)}" for key, value in values.items())
