"""What a resumed run is told of what has changed since its checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_run
from unified_vl.training.record.differences import differences
from unified_vl.training.trainer import train

SAVED = {
    "the vocabulary": "1",
    "the text tokenizer": "1",
    "the mixture": "1",
    "seed": "1",
    "model": "1",
    "task see": "1",
    "the number of rows of task see": "1",
    "task say": "1",
    "the number of rows of task say": "1",
    "the dictionary of 'text' of task say": "1",
}
OF_SAY = [key for key in SAVED if key.endswith("task say")]


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (SAVED, []),
        (SAVED | {"seed": "2"}, ["seed is not what it was"]),
        (SAVED | {"task see": "2"}, ["task see is not what it was"]),
        (SAVED | {"the mixture": "2"}, ["the mixture is not what it was"]),
        (SAVED | {"the mixture": "2", "task look": "1"}, ["the task 'look' is new"]),
        ({k: v for k, v in SAVED.items() if k not in OF_SAY}, ["the task 'say' is gone"]),
        (
            {k.replace("say", "look"): v for k, v in SAVED.items()} | {"the mixture": "2"},
            ["the task 'look' is new", "the task 'say' is gone"],
        ),
        (
            SAVED | {"task look": "1", "the vocabulary": "2", "seed": "3", "the mixture": "2"},
            ["the vocabulary is not what it was", "the task 'look' is new", "seed is not what it"],
        ),
    ],
)
def test_each_change_is_said_once_and_causes_first(now: dict[str, str], told: list[str]) -> None:
    found = differences(SAVED, now)
    assert len(found) == len(told)
    assert all(line.startswith(start) for line, start in zip(found, told, strict=True))


def test_a_task_that_joined_or_left_is_named(squares: Path, tmp_path: Path) -> None:
    only = tmp_path / "only.yaml"
    only.write_text(f"mixture: only\nversion: 1\ntasks: [{{spec: {squares}/see.yaml}}]\n")
    settings = [f"output={tmp_path / 'out'}", "steps=2", "validation_rows=0"]
    train(load_run(squares / "run.yaml", settings), progress=False)
    with pytest.raises(
        UserError, match=r"the task 'say' is gone: this checkpoint is of another run"
    ):
        train(
            load_run(squares / "run.yaml", [*settings, f"mixture={only}"]),
            resume=True,
            progress=False,
        )
