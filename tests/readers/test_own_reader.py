"""A reader of somebody else's: the one of docs/extending.md, which edits nothing of the package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from unified_vl.authoring.reference import pages
from unified_vl.cli.main import app
from unified_vl.data.examples import ExampleBuilder
from unified_vl.data.images.image_loader import ImageLoader
from unified_vl.data.rows.sources import TaskData
from unified_vl.errors import UserError
from unified_vl.readers import Reader
from unified_vl.readers.registry import READERS, register, unregister
from unified_vl.specs.load import load_task
from unified_vl.specs.reading.schema import editor_schemas

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Add a reader")[1].split("\n## ")[0]
CODE, SPEC, ROWS = re.findall(r"```\w+\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture
def proverbs(tmp_path: Path) -> Iterator[Path]:
    """The page's spec and data, once its code has run."""
    (tmp_path / "proverbs.yaml").write_text(SPEC, encoding="utf-8")
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(ROWS, encoding="utf-8")
    before = set(READERS)
    exec(compile(CODE, "proverbs.py", "exec"), {"__name__": "proverbs"})
    yield tmp_path / "proverbs.yaml"
    for name in set(READERS) - before:
        unregister(name)


def run(*words: str | Path) -> str:
    found = CliRunner().invoke(app, [*map(str, words)])
    assert found.exit_code == 0, found.output
    return found.output


def test_check_and_show_know_it(proverbs: Path) -> None:
    checked = run("check", proverbs, "--data", proverbs.parent)
    assert "train leaves out 1 of 3 rows: they are remarks" in checked, checked
    assert "train.txt:2 is test.txt:2" in checked, checked
    shown = run("show", proverbs, "--data", proverbs.parent)
    assert "Better late than never." in shown


def test_training_gets_examples_of_it(proverbs: Path) -> None:
    spec = load_task(proverbs)
    data = TaskData(spec, "train", proverbs.parent)
    builder = ExampleBuilder(spec, ImageLoader(proverbs.parent, (8, 8)))
    made = [builder.build(row, seed=0) for row in data.rows(range(len(data)))]
    assert len(made) == 2
    assert "Besser spät als nie." in str(made[0].target)


def test_pages_and_schemas_name_it_and_its_keys(proverbs: Path) -> None:
    assert "## `proverbs`\n\n" in pages()["readers.md"]
    assert "| `remark` | text |" in pages()["keys.md"]
    schema = json.loads(run("schema"))["task"]
    assert "proverbs" in str(schema) and "remark" in str(schema)
    Draft202012Validator(editor_schemas()["task"]).validate(YAML(typ="safe").load(SPEC))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("remark: '#'", "remark: 5", "data.remark: found 5; expected text"),
        ("remark: '#'", "remark: '='", "data.remark: found '='; expected a mark that is not ="),
        ("remark: '#'", "remrk: '#'", "data.remrk: is not a known key; did you mean 'remark'?"),
        ("column: german", "column: germn", "did you mean 'german'?"),
        ("reader: proverbs", "reader: proverb", "found 'proverb'; did you mean 'proverbs'?"),
        ("reader: proverbs", "reader: jsonl", "remark: has no effect with the reader 'jsonl'"),
    ],
)
def test_mistakes_are_told_as_of_all_readers(
    proverbs: Path, old: str, new: str, message: str
) -> None:
    assert old in SPEC
    proverbs.write_text(SPEC.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load_task(proverbs)
    assert any(message in str(each) for each in error.value.all), error.value.all


@pytest.mark.parametrize("given", ["train.proverbs.txt", "."])
def test_new_drafts_it_for_files_that_it_recognises(proverbs: Path, given: str) -> None:
    """Those of docs/extending.md are recognised by how they are called, here in a folder, too."""
    folder = proverbs.parent / "sayings"
    folder.mkdir()
    for split in ("train", "test"):
        lines = "".join(f"Proverb {n} of {split} = Sprichwort {n}\n" for n in range(4))
        (folder / f"{split}.proverbs.txt").write_text(lines, encoding="utf-8")
    draft = folder / "sayings.yaml"
    run("new", "--from", folder / given, "--output", draft, "--task", "sayings", "--data", folder)
    spec = load_task(draft)
    assert spec.data.reader == "proverbs" and spec.data.path == "{split}.proverbs.txt"
    assert {field.column for field in spec.fields.values()} == {"english", "german"}
    run("check", draft, "--data", folder)


def test_who_recognises_files_says_their_columns() -> None:
    with pytest.raises(ValueError, match="recognises files: it says its `columns`"):
        Reader("mine", "Mine.", read=lambda source: None, recognises=lambda path: True)


def test_what_it_says_of_a_broken_file_is_a_message_of_its_file_and_line(proverbs: Path) -> None:
    (proverbs.parent / "train.txt").write_text("Better late than never.\n", encoding="utf-8")
    found = CliRunner().invoke(app, ["check", str(proverbs), "--data", str(proverbs.parent)])
    assert "train.txt:1: has no =" in found.output + str(found.exception)


def test_when_it_is_gone_its_name_and_keys_are_unknown(proverbs: Path) -> None:
    unregister("proverbs")
    proverbs.write_text(SPEC.replace("reader: proverbs", "reader: jsonl"), encoding="utf-8")
    with pytest.raises(UserError, match="remark: is not a known key"):
        load_task(proverbs)
    assert "remark" not in pages()["keys.md"]
    register(Reader("proverbs", "Again.", rows=lambda source: (), columns={}))


def test_names_and_keys_are_taken_once(proverbs: Path) -> None:
    keys = READERS["proverbs"].keys
    with pytest.raises(ValueError, match="there is a reader 'csv' already"):
        register(Reader("csv", "Mine.", rows=lambda source: (), columns={}))
    own = type("Own", (keys,), {"__annotations__": {"remark": int}, "remark": 1})
    with pytest.raises(
        ValueError, match=r"the key 'remark' of \w+ \(\w+\.py\) is one of the reader 'proverbs'"
    ):
        register(Reader("mine", "Mine.", rows=lambda source: (), columns={}, keys=own))
    own = type("Own", (keys,), {"__annotations__": {"tone": str}})
    with pytest.raises(ValueError, match=r"the key 'tone' of Own \(\w+\.py\) has no default"):
        register(Reader("mine", "Mine.", rows=lambda source: (), columns={}, keys=own))
    own = type("Own", (keys,), {"__annotations__": {"path": str}, "path": ""})
    with pytest.raises(ValueError, match=r"'path' of \w+ \(\w+\.py\) is one of all readers"):
        register(Reader("mine", "Mine.", rows=lambda source: (), columns={}, keys=own))


@pytest.mark.parametrize("how", [{}, {"rows": list, "read": list, "columns": {}}, {"rows": list}])
def test_a_reader_has_one_function_and_rows_have_columns(how: dict) -> None:
    with pytest.raises(ValueError, match="the reader 'half'"):
        Reader("half", "Half.", **how)


def test_an_installed_package_has_its_readers_known_on_the_command_line(
    proverbs: Path, tmp_path: Path
) -> None:
    """As an installer leaves it: modules, and the entry points of their distribution."""
    site = tmp_path / "site"
    (site / "proverbs-1.0.dist-info").mkdir(parents=True)
    (site / "proverbs.py").write_text(CODE, encoding="utf-8")
    entry = "[unified_vl.plugins]\nmine = proverbs\n"
    (site / "proverbs-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (site / "proverbs-1.0.dist-info" / "METADATA").write_text("Name: proverbs\nVersion: 1.0\n")
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            SITE.format(site=str(site)),
            "check",
            "proverbs.yaml",
            "--data",
            ".",
        ],
        cwd=proverbs.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "4 rows" in told.stdout + told.stderr


SITE = "import sys; sys.path.insert(0, {site!r}); from unified_vl.cli.main import main; main()"
