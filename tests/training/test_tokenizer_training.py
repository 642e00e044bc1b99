"""What the tokenizer of a task is trained on: all that its values are written with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unified_vl.specs.load import load_task
from unified_vl.training.tokenizers.tokenizer_training import texts_of_specs, train_tokenizer

SPEC = """\
task: asked
version: 1
about: Answer.
data: {{reader: jsonl, path: "rows.jsonl", splits: {{train: a}}, languages: [en]}}
fields:
  question: {{kind: text, column: q}}
  options: {{kind: text, column: options, many: true}}
  answer: {field}
example:
  source: "{{task}} {{question}} {{listed}}"
  target: "{{answer}}"
  join: {{listed: {{each: "{{options}}"}}}}
generate: {generate}
score: [{{metric: exact_match, against: answer, primary: true}}]
"""
ROWS = [{"q": "how", "options": ["a cat", "two"], "a": 1}, {"q": "much", "options": ["x"], "a": 0}]


@pytest.mark.parametrize(
    ("field", "generate", "characters"),
    [
        ("{kind: number, column: a}", "{allow: number}", "0123456789-"),
        ("{kind: number, column: a, decimals: 2}", "{allow: number}", "0123456789-."),
        ("{kind: label, column: a, names: {values: [Zebu, jay]}}", "{method: greedy}", "Zebujay"),
        ("{kind: choice, column: a, of: options}", "{method: greedy}", "ABCDEFGHIJ"),
        ("{kind: choice, column: a, of: options, write: number}", "{method: greedy}", "12"),
        ("{kind: text, column: q}", "{method: greedy}", "howmuch"),
        (
            "{kind: text, column: q}",
            "{method: constrained, choices: {values: [QUIZ, VEX]}}",
            "QUIZVEX",
        ),
    ],
)
def test_what_values_are_written_with_is_learnt(
    tmp_path: Path, field: str, generate: str, characters: str
) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = tmp_path / "asked.yaml"
    path.write_text(SPEC.format(field=field, generate=generate))
    spec = load_task(path)
    found = {character for text in texts_of_specs([spec], tmp_path) for character in text}
    assert set(characters) <= found
    assert not set(characters) & unknown(tmp_path, spec)


def unknown(root: Path, spec: object) -> set[str]:
    """The characters of ASCII that a tokenizer so trained has no piece of its own for."""
    from unified_vl.codecs.sequence import load_tokenizer

    train_tokenizer(texts_of_specs([spec], root), [spec], root / "tokenizer", 400)
    vocabulary, text = load_tokenizer(root / "tokenizer")
    pieces = set(text.pieces(vocabulary.text_ids))
    return {chr(code) for code in range(33, 127) if chr(code) not in pieces}
