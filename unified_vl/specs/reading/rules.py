"""What a task spec must obey beyond the types of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unified_vl.specs.reading.checks import repeated
from unified_vl.specs.reading.document import Problem
from unified_vl.specs.stream_rules import stream_problems
from unified_vl.specs.tasks.data_rules import data_problems
from unified_vl.specs.tasks.example_rules import template_problems, wording_problems
from unified_vl.specs.tasks.field_rules import field_problems
from unified_vl.specs.tasks.generate_rules import generate_problems
from unified_vl.specs.tasks.noise_rules import noise_problems
from unified_vl.specs.tasks.other_row_rules import mismatch_problems, shots_problems
from unified_vl.specs.tasks.score_rules import score_problems

if TYPE_CHECKING:
    from unified_vl.specs.task import TaskSpec


def task_problems(spec: TaskSpec) -> list[Problem]:
    """Everything that is wrong with a spec whose types are right."""
    return [
        *data_problems(spec),
        *stream_problems(spec),
        *field_problems(spec),
        *wording_problems(spec),
        *template_problems(spec),
        *shots_problems(spec),
        *mismatch_problems(spec),
        *noise_problems(spec),
        *score_problems(spec),
        *generate_problems(spec),
        *repeated(("example", "forbid_augment"), spec.example.forbid_augment),
        *repeated(("report_by",), spec.report_by),
    ]
