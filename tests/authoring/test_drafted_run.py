"""`unified-vl new --run`: a run whose sizes suit the rows."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unified_vl.authoring.drafting.run import FEWEST_STEPS, SIZES, draft_run
from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.specs.load import load_run, load_task
from unified_vl.specs.task import TaskSpec

SPEC = """\
task: look
version: 1
about: Say it again.
data: {reader: jsonl, path: "{split}.jsonl", splits: {train: train}, languages: [en]}
fields:
  text: {kind: text, column: text}
  said: {kind: text, column: said}
example: {source: "{task} {text}", target: "{said}"}
generate: {method: greedy, max_tokens: 8}
score: [{metric: exact_match, against: said, primary: true}]
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    rows = [{"text": f"a heron on roof {n}", "said": f"the heron of roof {n}"} for n in range(9)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "data/train.jsonl").write_text(lines)
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/look.yaml").write_text(SPEC)
    return tmp_path / "specs/look.yaml"


@pytest.mark.parametrize("rows", [3, 5_000, 5_001, 200_000, 2_000_000])
def test_a_run_of_any_number_of_rows_loads(
    spec: Path, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "unified_vl.authoring.drafting.run.TaskData", lambda *_: range(rows)
    )  # its length alone counts
    run_path = tmp_path / "runs/a.yaml"
    drafted = draft_run(spec, tmp_path / "data", run_path)
    run_path.parent.mkdir()
    run_path.write_text(drafted.run, encoding="utf-8")
    drafted.mixture_path.write_text(drafted.mixture, encoding="utf-8")
    run = load_run(run_path)
    size = next(each for each in SIZES if rows <= each.rows)
    assert run.model.d_model == size.d_model == run.model.d_kv * run.model.num_heads
    assert run.data.resolve() == tmp_path / "data"
    assert run.steps >= FEWEST_STEPS and run.validation_rows == 0
    assert [each.task for each in run.loaded_mixture.specs] == ["look"]


def test_the_command_writes_it_and_tells_the_way_on(spec: Path, tmp_path: Path) -> None:
    made, run = tmp_path / "made.yaml", tmp_path / "run.yaml"
    arguments = ["new", "--from", str(tmp_path / "data"), "--output", str(made), "--run", str(run)]
    said = CliRunner().invoke(app, arguments, catch_exceptions=False).output
    assert f"train {run}" in said and "tokenizer train --spec" in said
    loaded = load_run(run)
    assert loaded.tokenizer == tmp_path / "tokenizers" / loaded.run
    assert f"--output {loaded.tokenizer}" in said
    drafted = loaded.loaded_mixture.specs[0]
    assert isinstance(drafted, TaskSpec) and drafted.task == load_task(made).task
    with pytest.raises(UserError, match="is there already"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_a_run_needs_a_spec_to_train(spec: Path, tmp_path: Path) -> None:
    arguments = ["new", "--from", str(tmp_path / "data"), "--run", str(tmp_path / "run.yaml")]
    with pytest.raises(UserError, match="expected --output"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    (tmp_path / "specs/look.yaml").write_text(SPEC.replace("{train: train}", "{test: train}"))
    with pytest.raises(UserError, match="no train split"):
        draft_run(spec, tmp_path / "data", tmp_path / "run.yaml")
