"""docs/examples.md: its very commands, files and lines of Python, on a tiny model.

The model has the tasks that the page asks for, and random weights: what is tested is that
everything on the page runs and gives what the page says it gives.
"""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.tiny import tiny_model
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.inference.saved_models.model_directory import save_model
from unified_vl.specs.load import load_tasks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
TASKS = ("emoji_caption", "emoji_ground", "emoji_translate")
SECTIONS = re.split(r"^## (.+)\n", PAGE, flags=re.M)[1:]
TITLES = SECTIONS[::2]


def blocks(title: str, kind: str) -> list[str]:
    """The fenced blocks of a kind in a section of the page."""
    text = SECTIONS[2 * TITLES.index(title) + 1]
    found = re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.M | re.S)
    assert found, f"{title} has no block of {kind}"
    return found


def commands(block: str) -> list[list[str]]:
    lines = block.replace("\\\n", " ").strip().splitlines()
    return [shlex.split(line) for line in lines]


def run(block: str) -> str:
    """Run the commands of a block; what they print."""
    printed = ""
    for program, *arguments in commands(block):
        assert program == "unified-vl"
        result = CliRunner().invoke(app, arguments)
        if isinstance(result.exception, UserError):
            raise result.exception
        assert result.exit_code == 0, result.output
        printed += result.stdout
    return printed


@pytest.fixture
def folder(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder as the page's reader has it: a model of the demo's tasks, and pictures."""
    specs = load_tasks(ROOT / f"task_specs/emoji/{name}.yaml" for name in TASKS)
    languages = specs[0].data.languages
    saved = tiny_model(specs, languages, tmp_path_factory.mktemp("tokenizer"))
    save_model(tmp_path / "runs/demo/model", saved.model, saved.codec, specs)
    (tmp_path / "pictures").mkdir()
    for number in range(2):
        Image.new("RGB", (64, 48), (90 * number, 200, 30)).save(tmp_path / f"pictures/{number}.png")
    Image.new("RGB", (64, 48), "red").save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_example_of_the_page_is_run_here() -> None:
    tested = {
        "Caption a folder of images, in every language",
        "Classify images by labels of your own, in another language",
        "Translate a file",
        "Boxes as COCO results",
    }
    assert set(TITLES) == tested


def test_caption_a_folder(folder: Path) -> None:
    title = TITLES[0]
    (command,) = blocks(title, "sh")
    run(command)
    rows = read_csv(folder / "captions.csv")
    assert list(rows[0]) == blocks(title, "csv")[0].splitlines()[0].split(",")
    assert len(rows) == 2 * 14
    assert len({row["language"] for row in rows}) == 14
    assert {row["key"] for row in rows} == {"0.png", "1.png"}
    assert not any(row["error"] for row in rows)


def test_classify_by_labels_of_another_language(folder: Path, capsys) -> None:
    title = TITLES[1]
    (spec,) = blocks(title, "yaml")
    (folder / "hangisi.yaml").write_text(spec, encoding="utf-8")
    labels = {"roket", "aslan", "zebra", "panda", "anahtar", "cami"}
    best = [line.split("\t") for line in run(blocks(title, "sh")[0]).splitlines()]
    assert len(best) == 3 and {label for _, label in best} < labels
    rows = read_csv(folder / "labels.csv")
    assert [row["key"] for row in rows] == ["0.png", "1.png"]
    assert {row["prediction"] for row in rows} <= labels
    exec(compile(blocks(title, "python")[0], "docs/examples.md", "exec"), {})
    printed = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert {label for _, label in printed} == labels
    assert [label for _, label in printed[:3]] == [label for _, label in best]


def test_translate_a_file(folder: Path) -> None:
    title = TITLES[2]
    (folder / "lines.csv").write_text(blocks(title, "csv")[0], encoding="utf-8")
    run(blocks(title, "sh")[0])
    rows = pq.read_table(folder / "lines.parquet").to_pylist()
    assert [row["key"] for row in rows] == ["1", "2", "3"]
    assert all(row["error"] is None and row["prediction"] is not None for row in rows)


def test_boxes_as_coco_results(folder: Path, capsys) -> None:
    title = TITLES[3]
    lines = blocks(title, "jsonl")[0]
    (folder / "phrases.jsonl").write_text(lines, encoding="utf-8")
    run(blocks(title, "sh")[0])
    results = json.loads((folder / "results.json").read_text())
    asked = [json.loads(line) for line in lines.splitlines()]
    assert [one["category_id"] for one in results] == [one["category_id"] for one in asked]
    for one in results:
        x, y, width, height = one["bbox"]
        assert 0 <= x <= x + width <= 64
        assert 0 <= y <= y + height <= 48
        assert 0 < one["score"] < 1
    capsys.readouterr()
    exec(compile(blocks(title, "python")[0], "docs/examples.md", "exec"), {})
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == str([(one["category_id"], one["bbox"]) for one in results])
    assert not (folder / "results.json.errors.jsonl").exists()
