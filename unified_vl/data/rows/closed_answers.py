"""Closed answers that the training data hold."""

from __future__ import annotations

from pathlib import Path

from unified_vl.data.rows.sources import TaskData
from unified_vl.specs.task import TaskSpec
from unified_vl.specs.tasks.choices import same_choice


def learn_choices(spec: TaskSpec, root: Path) -> TaskSpec:
    """A spec whose choices are a field's, with them.

    They are all texts of the train split, sorted, or the names of a label's classes.

    Nothing is read for another spec, or when they are known already (from a saved model).

    Raises:
        UserError: when the train split is missing or holds no such text.
    """
    asked = spec.generate.choices
    if asked is None or asked.field is None or spec.choices:
        return spec
    if spec.fields[asked.field].names is not None:  # known without the data
        names = (spec.class_names(asked.field, tag) for tag in spec.data.languages)
        return spec.with_choices(same_choice(name) for tag in names for name in tag)
    data = TaskData(spec, "train", root)
    columns = dict.fromkeys(map(spec.fields[asked.field].column_in, spec.data.languages))
    texts = {same_choice(text) for name in columns for text in data.distinct(name)}
    found = sorted(" ".join(text.split()) for text in texts if text)
    if not found:
        raise spec.error(("generate", "choices", "field"), f"{asked.field!r} holds no text")
    return spec.with_choices(found)
