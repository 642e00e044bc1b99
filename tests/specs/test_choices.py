"""Closed answers in a spec: what is refused, with place and remedy, and what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from unified_vl.errors import UserError
from unified_vl.specs.load import load_task

SPEC = """\
task: answer
version: 1
about: Answer with one of the known answers.
data:
  reader: jsonl
  path: "answer/{split}.jsonl"
  splits: {train: train, test: test}
  languages: [en]
fields:
  question: {kind: text, column: question}
  answer: {kind: text, column: answer}
  place: {kind: box, column: place, layout: xyxy, units: relative}
example: {source: "{question} {place}", target: "{answer}"}
generate: {method: constrained, choices: {values: [yes, no, گربه]}}
score:
  - {metric: accuracy, against: answer, primary: true}
"""
VALUES = "choices: {values: [yes, no, گربه]}"


def write(tmp_path: Path, generate: str) -> Path:
    (tmp_path / "specs").mkdir(exist_ok=True)
    path = tmp_path / "specs/answer.yaml"
    path.write_text(SPEC.replace(f"method: constrained, {VALUES}", generate), encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error:
        load_task(path)
    return "\n".join(str(e) for e in getattr(error.value, "all", ()) or (error.value,))


def test_choices_are_in_the_spec_or_in_a_file_beside_it(tmp_path: Path) -> None:
    inline = load_task(write(tmp_path, f"method: constrained, {VALUES}"))
    assert inline.choices == ("yes", "no", "گربه")
    path = write(tmp_path, "method: score_choices, choices: {file: lists/answers.txt}")
    (tmp_path / "specs/lists").mkdir()
    lines = "\ufeffyes \r\n\r\nno\u2028or\r\n  گربه\r\n"
    (tmp_path / "specs/lists/answers.txt").write_text(lines, encoding="utf-8", newline="")
    assert load_task(path).choices == ("yes", "no\u2028or", "گربه")


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        ("method: constrained", "14: generate.choices: is missing for constrained; expected {file"),
        (f"method: greedy, {VALUES}", "14: generate.choices: has no effect with greedy; expected"),
        (f"method: score_choices, beams: 2, {VALUES}", "generate.beams: has no effect with score"),
        (f"method: constrained, normalize: none, {VALUES}", "generate.normalize: has no effect wi"),
        (f"method: constrained, allow: box, {VALUES}", "generate.allow: has no effect with choic"),
        ("method: greedy, temperature: 2", "generate.temperature: has no effect with greedy; exp"),
        ("method: beam, beams: 2, seed: 1", "generate.seed: has no effect with beam; expected me"),
        ("method: sample, temperature: 0", "generate.temperature: found 0; expected greater than"),
        ("method: sample, top_p: 1.5", "generate.top_p: found 1.5; expected less than or equal"),
        ("method: constrained, choices: {}", "generate.choices: found none; expected one of 'fil"),
        (
            "method: constrained, choices: {file: a.txt, field: answer}",
            "generate.choices: found 'file' and 'field'; expected one of",
        ),
        ("method: constrained, choices: {values: []}", "values: found an empty list; expected at"),
        ("method: constrained, choices: {values: [a, ' ']}", "values.1: found ' '; expected a li"),
        (
            "method: constrained, choices: {values: [a, b, 'a ']}",
            "14: generate.choices.values.2: 'a ' is also number 1 of the list",
        ),
        (
            "method: constrained, choices: {values: [e\u0301, é]}",
            "generate.choices.values.1: 'é' is also number 1 of the list",
        ),
        (
            "method: constrained, choices: {field: anwser}",
            "14: generate.choices.field: 'anwser' is not a field; expected a field of kind 'text' "
            "or 'label'; did you mean 'answer'?",
        ),
        (
            "method: constrained, choices: {field: place}",
            "generate.choices.field: 'place' is a field of kind 'box'; expected a field of kind",
        ),
        (
            "method: constrained, choices: {file: ../answers.txt}",
            "14: generate.choices.file: '../answers.txt' leaves the spec's folder; expected a path",
        ),
        (
            "method: constrained, choices: {file: answres.txt}",
            "14: generate.choices.file: there is no file 'answres.txt'; expected a file relative "
            "to the spec, a choice a line; did you mean 'answers.txt'?",
        ),
        ("method: constrained, choices: {file: link.txt}", "'link.txt' leaves the spec's folder"),
        ("method: constrained, choices: {file: empty.txt}", "empty.txt: holds no choice; expecte"),
        (
            "method: constrained, choices: {file: twice.txt}",
            "twice.txt:4: the choice 'yes' is also on line 1",
        ),
        ("method: constrained, choices: {file: binary.txt}", "binary.txt: is not UTF-8 text"),
    ],
)
def test_choices_that_cannot_be_are_refused(tmp_path: Path, generate: str, message: str) -> None:
    path = write(tmp_path, generate)
    folder = path.parent
    (tmp_path / "answers.txt").write_text("yes\n")
    (folder / "answers.txt").write_text("yes\n")
    (folder / "link.txt").symlink_to(tmp_path / "answers.txt")
    (folder / "empty.txt").write_text("\n \n")
    (folder / "twice.txt").write_text("yes\n\nno\n yes\n")
    (folder / "binary.txt").write_bytes(b"\xff\xfe")
    assert message in refused(path)
