"""`unified-vl tokenizer train` and `extend` as a person runs them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.codecs.sequence import load_tokenizer
from unified_vl.errors import UserError

SPEC = """\
task: name_{0}
version: 1
about: Name it.
data: {{reader: jsonl, path: rows.jsonl, splits: {{train: train}}, languages: [en]}}
fields:
  word: {{kind: text, column: word}}
example: {{source: "{{task}} {{word}}", target: "{{word}}"}}
generate: {{method: greedy, max_tokens: 8}}
score: [{{metric: exact_match, against: word, primary: true}}]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("birds", "fish"):
        (tmp_path / f"{name}.yaml").write_text(SPEC.format(name), encoding="utf-8")
    (tmp_path / "both.yaml").write_text(
        "mixture: both\nversion: 1\ntasks:\n  - {spec: birds.yaml}\n  - {spec: fish.yaml}\n",
        encoding="utf-8",
    )
    (tmp_path / "rows.jsonl").write_text('{"word": "heron"}\n{"word": "pike"}\n' * 4, "utf-8")
    return tmp_path


def train(root: Path, *arguments: str) -> str:
    command = ["tokenizer", "train", "--data", str(root), "--vocabulary-size", "300"]
    command += ["--output", str(root / "tokenizer"), *arguments]
    result = CliRunner().invoke(app, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_mixture_stands_for_its_tasks(root: Path) -> None:
    assert "tokenizer: " in train(root, "--spec", str(root / "both.yaml"))
    vocabulary = (root / "tokenizer/vocabulary.json").read_text(encoding="utf-8")
    assert "name_birds" in vocabulary and "name_fish" in vocabulary


def test_a_tokenizer_is_replaced_only_on_request(root: Path) -> None:
    spec = str(root / "birds.yaml")
    train(root, "--spec", spec)
    before = (root / "tokenizer/vocabulary.json").read_bytes()
    with pytest.raises(UserError, match="holds a tokenizer already") as caught:
        train(root, "--spec", str(root / "fish.yaml"))
    assert "--overwrite" in str(caught.value)
    assert (root / "tokenizer/vocabulary.json").read_bytes() == before
    train(root, "--spec", str(root / "fish.yaml"), "--overwrite")
    assert (root / "tokenizer/vocabulary.json").read_bytes() != before


def test_what_became_of_long_texts_is_said(root: Path) -> None:
    (root / "article.txt").write_text("The heron waits. " * 400, encoding="utf-8")
    said = train(root, "--input", str(root / "article.txt"))
    assert "1 text of over 4,192 bytes cut" in said


def extend(root: Path, output: str, *arguments: str) -> str:
    command = ["tokenizer", "extend", str(root / "tokenizer"), "--output", str(root / output)]
    command += ["--data", str(root), *arguments]
    result = CliRunner().invoke(app, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_a_tokenizer_is_extended_by_tags_and_pieces(root: Path) -> None:
    train(root, "--spec", str(root / "birds.yaml"))
    (root / "rows.jsonl").write_text('{"word": "zwaluw"}\n{"word": "zwaan"}\n' * 4, "utf-8")
    said = extend(root, "more", "--spec", str(root / "fish.yaml"), "--pieces", "20")
    assert "more: 1 new tag (task:name_fish), " in said and "new piece" in said
    before, old = load_tokenizer(root / "tokenizer")
    after, new = load_tokenizer(root / "more")
    assert all(after.tag_id(tag) == before.tag_id(tag) for tag in before.tags)
    assert len(new.encode("zwaluw")) < len(old.encode("zwaluw"))
    assert new.encode("heron") == old.encode("heron")
    assert "0 new tags, 0 new pieces" in extend(root, "same", "--spec", str(root / "birds.yaml"))
    assert (root / "same/text.model").read_bytes() == (root / "tokenizer/text.model").read_bytes()
    with pytest.raises(UserError, match="holds a tokenizer already"):
        extend(root, "more", "--spec", str(root / "fish.yaml"))
