"""Broken specs and data through the command line: one message, exit code 2, nothing written.

bad_input.yaml is the table. A case spoils one thing of a small workplace that works, runs a
command as a person would, and says what the message must hold.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from ruamel.yaml import YAML

from unified_vl.cli.main import main

WORDS = """\
task: words
version: 1
about: Say it in another language.
data: {reader: csv, path: "words.csv", splits: {train: all}, languages: [en]}
fields:
  english: {kind: text, column: english}
  german: {kind: text, column: german}
example: {source: "{ask}: {english}", target: "{german}"}
wording:
  ask: {default: "Translate from {language_name}"}
score: [{metric: chrf, against: german, primary: true}]
"""
ANSWERS = """\
task: answers
version: 1
about: Answer in a word.
data: {reader: parquet, path: "answers.parquet", splits: {train: all}, languages: [en]}
fields:
  question: {kind: text, column: question}
  answers: {kind: text, column: answers, many: true}
example: {source: "{question}", target: "{answers}", pick: {answers: first}}
score: [{metric: vqa_accuracy, against: answers, primary: true}]
"""
MIXTURE = """\
mixture: both
version: 1
tasks:
  - {spec: ground.yaml, batches: 2}
  - {spec: words.yaml}
schedule: {kind: round_robin, order: fixed}
"""
RUN = """\
run: small
version: 1
mixture: mixture.yaml
data: .
tokenizer: tokenizer
output: out
steps: 100
batch_size: 8
optimizer: {lr: 1e-3, decay: linear}
engine: engine.json
"""
REPORT = {"model": "m", "version": "0.1", "seconds": 1.0, "tasks": {}}


@pytest.fixture
def workplace(
    tmp_path: Path, box_spec: str, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Specs, a mixture, a run, a tokenizer and data, all right, in the working directory."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    shutil.copytree(tokenizer, folder / "tokenizer")
    for name, text in (
        ("ground.yaml", box_spec + "report_by: [language]\n"),
        ("words.yaml", WORDS),
        ("answers.yaml", ANSWERS),
        ("mixture.yaml", MIXTURE),
        ("run.yaml", RUN),
        ("engine.json", "{}"),
        ("report.json", json.dumps(REPORT)),
        ("words.csv", "english,german\ncat,Katze\ndog,Hund\n"),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    for number in range(2):
        Image.new("RGB", (20, 10), (90 * number, 0, 0)).save(folder / f"{number}.png")
    for split in ("train", "test"):
        lines = [
            {
                "key": str(number),
                "image": f"{number % 2}.png",
                "lang": "ar" if number % 2 else "en",
                "phrase": f"thing {number}",
                "box": [2, 1, 12, 9],
            }
            for number in range(4)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    table = pa.table({"question": ["who?", "what?"], "answers": [["a", "b"], ["c", "c"]]})
    pq.write_table(table, folder / "answers.parquet")
    monkeypatch.chdir(folder)
    return folder


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["unified-vl", *command.split()])
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


CASES: dict[str, dict[str, Any]] = YAML(typ="safe", pure=True).load(
    Path(__file__).with_name("bad_input.yaml").read_text(encoding="utf-8")
)


def spoil(folder: Path, case: Mapping[str, Any]) -> None:
    """Do to a workplace what a case asks for.

    `edit: {FILE: [OLD, NEW, ...]}` replaces texts, `write: {FILE: TEXT}` a file, `bytes: {FILE:
    LATIN-1}` too, `remove: FILE` takes it away, `row: {NUMBER: {COLUMN: VALUE}}` changes a row of
    train.jsonl, `parquet: {COLUMN: VALUES}` writes answers.parquet, and `call: NAME` calls a
    function of `Spoilers`.
    """
    for file, edits in case.get("edit", {}).items():
        text = (folder / file).read_text(encoding="utf-8")
        for old, new in zip(edits[::2], edits[1::2], strict=True):
            assert old in text, f"{old!r} is not in {file}"
            text = text.replace(old, new, 1)
        (folder / file).write_text(text, encoding="utf-8")
    for file, text in case.get("write", {}).items():
        place = folder / file
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for file, text in case.get("bytes", {}).items():
        (folder / file).write_bytes(text.encode("latin-1"))
    if "remove" in case:
        (folder / case["remove"]).unlink()
    for number, columns in case.get("row", {}).items():
        path = folder / "train.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows[int(number)] |= columns
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    if "parquet" in case:
        pq.write_table(pa.table(case["parquet"]), folder / "answers.parquet")
    if "call" in case:
        getattr(Spoilers, case["call"])(folder)


class Spoilers:
    """What a line of YAML cannot say."""

    @staticmethod
    def empty_folder(folder: Path) -> None:
        (folder / "empty").mkdir()

    @staticmethod
    def no_tokenizer(folder: Path) -> None:
        shutil.rmtree(folder / "tokenizer")

    @staticmethod
    def file_in_place_of_output(folder: Path) -> None:
        (folder / "out").write_text("")

    @staticmethod
    def link_to_itself(folder: Path) -> None:
        (folder / "loop").symlink_to("loop")

    @staticmethod
    def run_of_another_folder(folder: Path) -> None:
        (folder / "runs").mkdir()
        text = RUN.replace("data: .", "data: pictures")
        (folder / "runs" / "run.yaml").write_text(text.replace("mixture.yaml", "../mixture.yaml"))
        (folder / "pictures").mkdir()

    @staticmethod
    def large_spec(folder: Path) -> None:
        (folder / "ground.yaml").write_text("a: " + "x" * (1 << 20))

    @staticmethod
    def image_in_place_of_csv(folder: Path) -> None:
        (folder / "words.csv").write_bytes((folder / "0.png").read_bytes())

    @staticmethod
    def cut_parquet(folder: Path) -> None:
        path = folder / "answers.parquet"
        path.write_bytes(path.read_bytes()[:-20])

    @staticmethod
    def cut_shard(folder: Path) -> None:
        with tarfile.open(folder / "words.csv", "w") as archive:
            for name in ("0.txt", "0.cls"):
                member = tarfile.TarInfo(name)
                member.size = 300
                archive.addfile(member, io.BytesIO(b"x" * 300))
        path = folder / "words.csv"
        path.write_bytes(path.read_bytes()[: 3 * 512 + 100])

    @staticmethod
    def cut_rows(folder: Path) -> None:
        path = folder / "train.jsonl"
        path.write_bytes(path.read_bytes()[:-30])

    @staticmethod
    def rows_that_are_no_utf8(folder: Path) -> None:
        path = folder / "train.jsonl"
        path.write_bytes(path.read_bytes().replace(b"thing 2", b"th\xffng"))

    @staticmethod
    def rows_in_utf16(folder: Path) -> None:
        path = folder / "train.jsonl"
        path.write_bytes(path.read_text().encode("utf-16"))

    @staticmethod
    def nested_row(folder: Path) -> None:
        path = folder / "train.jsonl"
        deep = "[" * 100_000 + "]" * 100_000
        path.write_text(path.read_text().replace("[2, 1, 12, 9]", deep, 1))

    @staticmethod
    def images_that_are_numbers(folder: Path) -> None:
        path = folder / "train.jsonl"
        path.write_text(path.read_text().replace('"0.png"', "0").replace('"1.png"', "1"))

    @staticmethod
    def folder_of_rows(folder: Path) -> None:
        (folder / "train.jsonl").unlink()
        (folder / "train.jsonl").mkdir()

    @staticmethod
    def large_image(folder: Path) -> None:
        Image.new("1", (20_000, 20_000)).save(folder / "0.png")

    @staticmethod
    def cut_image(folder: Path) -> None:
        Image.effect_noise((200, 100), 50).save(folder / "0.png")
        (folder / "0.png").write_bytes((folder / "0.png").read_bytes()[:-2000])

    @staticmethod
    def image_link(folder: Path) -> None:
        (folder / "0.png").unlink()
        (folder / "0.png").symlink_to("/etc/passwd")

    @staticmethod
    def folder_of_pictures(folder: Path) -> None:
        (folder / "pictures").mkdir()
        (folder / "0.png").rename(folder / "pictures" / "0.png")

    @staticmethod
    def folder_page(folder: Path) -> None:
        (folder / "page").mkdir()


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_message_and_exit_code_2(
    name: str,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = CASES[name]
    spoil(workplace, case)
    before = sorted(str(path) for path in workplace.rglob("*"))
    code = run(case["run"], monkeypatch)
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert code == 2, text
    assert case["says"] in text
    assert "Traceback" not in text
    assert sorted(str(path) for path in workplace.rglob("*")) == before, "something was written"


@pytest.mark.parametrize("spec", ["ground", "words", "answers", "mixture", "run"])
def test_the_workplace_itself_is_right(
    spec: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(f"check {spec}.yaml --data .", monkeypatch) == 0


def test_the_table_is_long() -> None:
    assert len(CASES) >= 60
