"""docs/authoring.md: its very commands and files, on a small folder of photos."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests.docs.test_examples import run
from tests.processes import run_command
from unified_vl.specs.load import load_task
from unified_vl.specs.reading.schema import editor_schemas

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/authoring.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.M | re.S)
SHELL = [text for kind, text in BLOCKS if kind == "sh"]
FILES = {
    text.split(":")[0]: text
    for kind, text in BLOCKS
    if kind == "yaml" and text.startswith(("mixture:", "run:"))
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page's reader has."""
    (tmp_path / "photos/images").mkdir(parents=True)
    for split, first in (("train", 0), ("test", 6)):
        rows = []
        for number in range(first, first + 6):
            name = f"{number}.png"
            picture = Image.new("RGB", (40, 30), (40 * number % 256, 90, 10 * number))
            picture.paste("white", (0, 0, 9, 9))
            picture.save(tmp_path / "photos/images" / name)
            said = [f"picture {number % 6}", f"photo {number % 6}"]
            rows.append({"image": name, "captions": said})
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"photos/{split}.jsonl").write_text(text)
    (tmp_path / "mixture.yaml").write_text(FILES["mixture"])
    (tmp_path / "run.yaml").write_text(FILES["run"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_apart(block: str) -> None:
    """Commands in processes of their own: a training that ends takes its process group along."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            done = run_command("unified_vl", *words[1:])
            assert done.returncode == 0, done.stderr


def test_the_page_goes_from_a_folder_to_a_model(folder: Path) -> None:
    new, check, tokens, train, leaks, schema, pages = SHELL
    run(new)
    assert load_task("photos.yaml").data.images == "photos/images"
    assert "all well" in run(check)
    assert (folder / "photos.html").is_file()
    printed = run(tokens)
    assert "all well" in printed
    assert "decoded" in printed
    run_apart(train)
    assert (folder / "runs/photos/model/model.safetensors").is_file()

    other = (folder / "photos.yaml").read_text().replace("task: photos", "task: other")
    (folder / "other.yaml").write_text(other.replace("test: test", "test: train"))
    assert "6 of 6 rows (100.0 %) of train are in test of other too" in run(leaks)
    assert len((folder / "leaks.jsonl").read_text().splitlines()) == 12, "both tasks' rows"
    run(schema)
    run(pages)
    assert {path.name for path in (folder / "docs").iterdir()} == {
        "keys.md",
        "readers.md",
        "metrics.md",
    }


def test_the_settings_of_the_editor_name_the_schemas_that_are_written() -> None:
    (settings,) = (json.loads(text) for kind, text in BLOCKS if kind == "json")
    named = {Path(name).name for name in settings["yaml.schemas"]}
    named |= {Path(each["url"]).name for each in settings["json.schemas"]}
    assert named == {f"{name}.schema.json" for name in editor_schemas()}
    assert "$schema=schemas/task.schema.json" in PAGE


def test_every_block_of_yaml_is_yaml() -> None:
    for kind, text in BLOCKS:
        if kind == "yaml":
            YAML(typ="safe", pure=True).load(text)
