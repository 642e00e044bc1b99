"""docs/python.md: its very lines, from a task that no file holds to a model that answers."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from unified_vl import Mixture, Run, TaskSpec, UserError, check, load_run
from unified_vl.training.build import build
from unified_vl.training.record.fingerprints import fingerprints

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)
COLOURS = ("red", "green", "blue", "white")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("python")
    (root / "squares").mkdir()
    draw = random.Random(0)
    for split, rows in {"train": 24, "validation": 8, "test": 8}.items():
        lines = []
        for _ in range(rows):
            colour = draw.choice(COLOURS)
            number = len(list((root / "squares").glob("*.png")))
            shade = Image.new("RGB", (16, 16), colour)
            shade.putpixel((0, 0), (number, draw.randrange(256), draw.randrange(256)))
            shade.save(root / f"squares/{number}.png")
            lines.append(json.dumps({"file": f"{number}.png", "name": colour}))
        (root / f"squares/{split}.jsonl").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def page(folder: Path) -> dict[str, Any]:
    """What the lines of the page leave behind."""
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in BLOCKS:
            exec(compile(block, "docs/python.md", "exec"), names)
    return names


def test_the_page_trains_answers_scores_and_goes_on(
    page: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert page["model"].predict("name_colour", image=folder / "squares/0.png").text
    facts = json.loads((folder / "runs/colours/model/training.json").read_text())
    assert facts["steps"] == 60
    events = (folder / "runs/colours/events.jsonl").read_text().splitlines()
    assert {"event": "resume", "step": 40} in map(json.loads, events)


def test_what_is_written_down_is_the_same_run(
    page: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    made = page["longer"]
    read = load_run("runs/colours/specs/run.yaml")
    assert fingerprints(read, build(read)) == fingerprints(made, build(made))
    paths = ("data", "tokenizer", "output")
    assert [getattr(read, p) for p in paths] == [getattr(made, p) for p in paths]
    assert (read.steps, read.optimizer) == (made.steps, made.optimizer)
    assert check(read).summary() == check(made).summary()


def test_two_processes_train_what_a_program_makes(page: dict[str, Any], folder: Path) -> None:
    lines = [
        BLOCKS[0],
        BLOCKS[2].replace("runs/colours", "runs/two"),
        "from unified_vl import train",
        "train(run, progress=False)",
        "train(Run(**dict(run) | {'steps': 44, 'continuation': 'cooldown'}), resume=True)",
    ]
    program = "\n".join(lines)
    (folder / "program.py").write_text(program)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = f"--master_port={listener.getsockname()[1]}"
    torchrun = Path(sys.executable).with_name("torchrun")
    found = subprocess.run(
        [sys.executable, torchrun, "--nproc_per_node=2", port, "program.py"],
        cwd=folder,
        env={**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr
    facts = json.loads((folder / "runs/two/model/training.json").read_text())
    assert (facts["steps"], facts["processes"]) == (44, 2)


def keys_of(task: TaskSpec) -> dict[str, Any]:
    return task.model_dump(mode="json", exclude_unset=True)


BAD = [
    # what is made, with which keys changed, and what is said
    (TaskSpec, {"version": "1"}, "version: found '1'; expected a whole number"),
    (TaskSpec, {"about": None}, "about: found nothing; expected text"),
    (TaskSpec, {"fields": {"image": {"kind": "imgae"}}}, "fields.image.kind: found 'imgae'"),
    (TaskSpec, {"lr": 1}, "lr: is not a known key"),
    (TaskSpec, {"include": "nix.yaml"}, "include: there is no task spec 'nix.yaml'"),
    (
        TaskSpec,
        {"generate": {"method": "constrained", "choices": {"file": "nix.txt"}}},
        "generate.choices.file: there is no file 'nix.txt'",
    ),
    (Mixture, {"tasks": []}, "tasks: found an empty list; expected at least one"),
    (Mixture, {"tasks": [{"spec": "nix.yaml"}]}, "tasks.0.spec: there is no task spec 'nix.yaml'"),
    (Mixture, {"schedule": {"kind": "sampled", "order": "fixed"}}, "schedule.order: a schedule of"),
    (Run, {"mixture": "nix.yaml"}, "mixture: there is no file 'nix.yaml'"),
    (Run, {"steps": 0}, "steps: found 0; expected greater than or equal to 1"),
    (Run, {"optimizer": {"lr": "fast"}}, "optimizer.lr: found 'fast'; expected a number"),
    (Run, {"model": {"vocab_size": 3}}, "model.vocab_size: the tokenizer or the mixture decides"),
]


@pytest.mark.parametrize(("kind", "changed", "said"), BAD)
def test_bad_values_are_one_error_that_names_the_key(
    page: dict[str, Any], kind: type, changed: dict[str, Any], said: str
) -> None:
    made = {TaskSpec: page["name_colour"], Mixture: page["mixture"], Run: page["run"]}[kind]
    with pytest.raises(UserError) as caught:
        kind(**{**dict(made), **changed} if kind is not TaskSpec else {**keys_of(made), **changed})
    assert str(caught.value).startswith(said), str(caught.value)


def test_a_spec_of_another_kind_is_told_by_its_name(page: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"^mixture: found a TaskSpec; expected a Mixture"):
        Run(**{**dict(page["run"]), "mixture": page["name_colour"]})
    with pytest.raises(UserError, match=r"^about: found a mapping of 1 key; expected text"):
        TaskSpec(**{**keys_of(page["name_colour"]), "about": page["mixture"]})


def test_python_may_include_a_file_and_files_beside_it(
    page: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "base.yaml").write_text(page["name_colour"].text)
    (tmp_path / "names.txt").write_text("red\ngreen\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        made = TaskSpec(
            include="base.yaml",
            task="closed",
            generate={"method": "constrained", "choices": {"file": "names.txt"}},
        )
    assert (made.task, made.about) == ("closed", page["name_colour"].about)
    assert made.choices == ("red", "green")
