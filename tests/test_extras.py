"""What only some commands need is no dependency: all else works without, and they say so."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from unified_vl.extras import EXTRAS

ROOT = Path(__file__).parent.parent
MISSING = (*EXTRAS, "pillow_heif")
BLOCKED = f"""
import importlib.util, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {MISSING!r}:
            raise ModuleNotFoundError(f"no module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name.split(".")[0] in {MISSING!r} else found(name, package)
)
"""
NEED_THEM = (
    "unified_vl.__main__",
    "unified_vl.app.page",
    "unified_vl.serving.routes",
    "unified_vl.serving.wire.openapi",
)
IMPORT_ALL = f"""
import unified_vl
for module in pkgutil.walk_packages(unified_vl.__path__, "unified_vl."):
    if module.name not in {NEED_THEM!r}:
        importlib.import_module(module.name)
"""
COMMAND = """
from unified_vl.cli.main import main
sys.argv = ["unified-vl", *{words!r}]
main()
"""


def blocked(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + program],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_all_modules_import_without_them(tmp_path: Path) -> None:
    found = blocked(IMPORT_ALL, tmp_path)
    assert found.returncode == 0, found.stderr


def test_the_core_checks_trains_scores_and_predicts_without_them(tmp_path: Path) -> None:
    """From a file of rows to an answer, in one process: importing takes the longest."""
    lines = ""
    for number, colour in enumerate(["red", "green", "blue", "white"] * 5):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{number}.png")
        lines += json.dumps({"image": f"{number}.png", "caption": f"a {colour} square"}) + "\n"
    (tmp_path / "rows.jsonl").write_text(lines, encoding="utf-8")
    commands = [
        "new --from rows.jsonl --output see.yaml --task see --run run.yaml",
        "tokenizer train --spec see.yaml --output tokenizers/see --vocabulary-size 280",
        "check run.yaml",
        "train run.yaml steps=1 batch_size=2 output=out",
        "evaluate out/model --data . --predictions out/predictions.jsonl --output out/report.json",
        "predict out/model --task see --input rows.jsonl --output answers.jsonl",
    ]
    program = f"""
from unified_vl.cli.main import main
for words in {commands!r}:
    sys.argv = ["unified-vl", *words.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, words
"""
    found = blocked(program, tmp_path)
    assert found.returncode == 0, found.stderr
    answers = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["error"] for line in answers] == [None] * 20


COMMANDS = [
    # what somebody asks for, and what has to be installed
    (["data", "emoji-world", "--output", "world"], "demo"),
    (["demo", "--run", str(ROOT / "task_specs/runs/emoji_demo.yaml"), "--output", "demo"], "demo"),
    (
        ["schedule", str(ROOT / "task_specs/mixtures/emoji.yaml"), "--plot", "who.svg"],
        "report",
    ),
]


@pytest.mark.parametrize(("words", "extra"), COMMANDS)
def test_a_command_that_needs_one_says_how_to_install_it(
    words: list[str], extra: str, tmp_path: Path
) -> None:
    found = blocked(COMMAND.format(words=words), tmp_path)
    assert found.returncode == 2, found.stderr
    assert f"is not installed; expected pip install 'unified_vl[{extra}]'" in " ".join(
        found.stderr.split()
    )


def test_every_extra_that_is_named_brings_its_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    core = {each.split(">")[0].split("[")[0] for each in project["dependencies"]}
    for package, extra in EXTRAS.values():
        assert any(each.startswith(f"{package}>") for each in extras[extra]), package
        assert package not in core
    assert "unified_vl[demo]" in extras["dev"]  # what `make demo` installs
    assert "unified_vl[report]" in extras["demo"]
