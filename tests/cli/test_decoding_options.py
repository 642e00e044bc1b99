"""The options of `predict` and `evaluate` that stand in place of a spec's `generate`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.test_predict_and_evaluate import call
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.specs.reading.overrides import with_generate


@pytest.mark.parametrize(
    ("task", "given", "expected"),
    [
        ("tiny_caption", {"beams": 4}, {"method": "beam", "beams": 4, "max_tokens": 12}),
        ("tiny_copy", {"beams": 1}, {"max_tokens": 8}),
        ("tiny_copy", {"method": "greedy"}, {"max_tokens": 8}),
        ("tiny_copy", {"max_tokens": 3}, {"method": "beam", "beams": 3, "max_tokens": 3}),
        (
            "tiny_copy",
            {"method": "sample", "seed": 1},
            {"method": "sample", "seed": 1, "max_tokens": 8},
        ),
    ],
)
def test_options_stand_in_place_of_the_spec(tiny, task: str, given: dict, expected: dict) -> None:
    changed = with_generate(tiny.specs[task], given).generate.model_dump(exclude_defaults=True)
    assert changed == {"max_tokens": 64} | expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "greedy", "--beams", 4], "--beams: has no effect with greedy"),
        (["--temperature", 0.5], "--temperature: has no effect with beam .*method: sample"),
        (["--method", "beam", "--beams", 1], "--beams: a beam search of width 1"),
        (["--max-tokens", 0], "--max-tokens: found 0; expected greater than or equal to 1"),
        (["--beams", 0], "--beams: found 0; expected greater than or equal to 1"),
        (["--prefix", ""], "--prefix: found ''; expected text that is not empty"),
        (["--bad-word", ""], "--bad-word: found ''; expected text that is not empty"),
        (["--min-tokens", 9], "--min-tokens: is more than max_tokens, 8"),
        (["--method", "constrained"], "--method: constrained takes one of the choices"),
        (["--bad-word", " "], "--bad-word: "),
    ],
)
def test_what_does_not_fit_is_one_message(
    model_directory: Path, arguments: list[object], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        call("predict", model_directory, "--task", "tiny_copy", "--text", "a", *arguments)


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_answers_record_the_options(model_directory: Path, tmp_path: Path, ending: str) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / f"out.{ending}"
    rows.write_text('{"text": "yes", "task": "tiny_copy"}\n')
    asked = ("predict", model_directory, "--input", rows, "--output", out, "--max-tokens", 2)
    result = call(*asked)
    assert "1 of 1 answers are cut at max_tokens (cut)" in result.stderr
    if ending == "jsonl":
        (row,) = map(json.loads, out.read_text().splitlines())
    elif ending == "csv":
        (row,) = csv.DictReader(out.open(newline=""))
        row |= {name: json.loads(row[name]) for name in ("cut", "source_cut", "generate")}
    else:
        (row,) = pq.read_table(out).to_pylist()
        row["generate"] = json.loads(row["generate"])
    assert row["generate"] == {"max_tokens": 2}
    assert (row["cut"], row["source_cut"]) == (True, False)


def test_a_source_that_is_cut_is_flagged(tiny, model_directory: Path) -> None:
    result = call("predict", model_directory, "--task", "tiny_copy", "--text", "red cat " * 40)
    assert "warning: the answer is of a source that was cut (source_cut)" in result.stderr
    answer = UnifiedVL(tiny.saved).predict("tiny_copy", text="red cat " * 40)
    assert answer.source_cut and not UnifiedVL(tiny.saved).predict("tiny_copy", text="a").source_cut


def test_a_report_records_how_it_was_answered(tiny, model_directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    asked = ("evaluate", model_directory, "tiny_caption", "--data", tiny.data, "--output", out)
    asked += ("--resamples", 0, "--predictions", tmp_path / "p.jsonl")
    result = call(*asked, "--max-tokens", 2, "--enforce-language")
    task = json.loads(out.read_text())["tasks"]["tiny_caption"]
    assert task["generate"] == {"max_tokens": 2, "language": "enforce"}
    assert task["flags"] == {"cut": 100.0, "source_cut": 0.0, "other_script": 0.0}
    assert set(task["flags_by"]["language"]) == {"en", "de", "fa"}
    assert "tiny_caption: 100 % of the answers are cut at max_tokens (cut)" in result.stderr
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert all(row["cut"] and not row["other_script"] for row in rows)


@pytest.mark.parametrize(
    ("splits", "scored", "said"),
    [
        ("{test: test, validation: test}", "test", ""),
        ("{validation: test}", "validation", "note: tiny_copy has no test split: validation was"),
    ],
)
def test_a_task_without_a_test_split_is_scored_on_validation(
    tiny, model_directory: Path, tmp_path: Path, splits: str, scored: str, said: str
) -> None:
    spec, out = tmp_path / "tiny_copy.yaml", tmp_path / "report.json"
    spec.write_text(tiny.specs["tiny_copy"].text.replace("{test: test}", splits))
    asked = ("evaluate", model_directory, spec, "--data", tiny.data, "--output", out)
    result = call(*asked, "--resamples", 0)
    assert json.loads(out.read_text())["tasks"]["tiny_copy"]["split"] == scored
    assert said in result.stderr and ("note:" in result.stderr) == bool(said)
