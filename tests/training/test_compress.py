"""`unified-vl compress`: models that are smaller, answer, and are measured beside the first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import load_model
from unified_vl.specs.load import load_run
from unified_vl.training.compression.compress import Pruning, Student, compress
from unified_vl.training.trainer import train

SHORT = ("optimizer.decay=constant", "validation_rows=0", "keep_best=false")
HOW: dict[str, Any] = {
    "pruned": (Pruning(0.5, rounds=2, batches=1), None),
    "fewer layers": (Student(layers=(1, 1)), {"logits": 1.0}),
    "another model": (
        Student(keys={"d_model": 16, "d_ff": 20, "num_layers": 1, "num_decoder_layers": 1}),
        {"logits": 1.0, "hidden": 0.5},
    ),
}


@pytest.fixture(scope="module")
def large(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run."""
    output = tmp_path_factory.mktemp("large")
    train(load_run(squares / "run.yaml", [f"output={output}", *SHORT, "steps=6"]), progress=False)
    return output


@pytest.mark.parametrize("name", HOW)
def test_a_smaller_model_is_made_measured_and_answers(
    name: str, squares: Path, large: Path, tmp_path: Path
) -> None:
    how, teacher = HOW[name]
    output = tmp_path / "out"
    table = compress(
        large / "model",
        squares / "run.yaml",
        output,
        how,
        overrides=(*SHORT, "steps=2"),
        teacher=teacher,
        say=lambda line: None,
    )
    assert json.loads((output / "compress.json").read_text()) == table
    before, *rounds = table["models"]
    assert len(rounds) == (2 if name == "pruned" else 1)
    after = rounds[-1]
    assert after["weights"] < before["weights"] and after["bytes"] < before["bytes"]
    assert before["scores"]["see"].keys() == {"metric", "score", "rows"}
    assert all(row["rows_per_second"] > 0 for row in table["models"])
    if name == "pruned":
        assert [(row["heads"], row["units"]) for row in table["models"]] == [
            (4, 48),
            (3, 34),
            (2, 24),
        ]
    answer = UnifiedVL.from_pretrained(after["directory"]).predict("say", text="red", language="de")
    assert answer.text is not None


def test_a_ticket_starts_with_the_weights_of_an_early_step(
    squares: Path, large: Path, tmp_path: Path
) -> None:
    early = large / "checkpoints" / "step-00000002"
    compress(
        large / "model",
        squares / "run.yaml",
        tmp_path / "out",
        Pruning(0.5, rounds=1, by="magnitude", rewind=early),
        overrides=(*SHORT, "steps=1"),
        say=lambda line: None,
    )
    start = load_model(tmp_path / "out" / "round-1" / "start").model.state_dict()
    kept = json.loads((tmp_path / "out" / "round-1" / "kept.json").read_text())
    state = tmp_path / "early"
    run = load_run(squares / "run.yaml", [f"output={state}", *SHORT, "steps=2"])
    early_weights = load_file(train(run, progress=False) / "model.safetensors")
    units = kept["encoder.blocks.1.feed"]
    found = start["encoder.blocks.1.feed.wo.weight"]
    torch.testing.assert_close(
        found, early_weights["encoder.blocks.1.feed.wo.weight"][:, units], rtol=1e-4, atol=1e-5
    )
    assert not torch.equal(
        found,
        load_file(large / "model" / "model.safetensors")["encoder.blocks.1.feed.wo.weight"][
            :, units
        ],
    )


def test_a_second_start_goes_on_with_what_is_there(
    squares: Path, large: Path, tmp_path: Path
) -> None:
    said: list[str] = []

    def make(resume: bool, share: float = 0.5) -> Any:
        return compress(
            large / "model",
            squares / "run.yaml",
            tmp_path / "out",
            Pruning(share, rounds=1, by="magnitude"),
            overrides=(*SHORT, "steps=1"),
            resume=resume,
            say=said.append,
        )

    make(resume=False)
    assert len(said) == 2
    with pytest.raises(UserError, match="not empty; expected an empty one, or --resume"):
        make(resume=False)
    make(resume=True)
    assert len(said) == 2  # nothing was done again
    with pytest.raises(UserError, match=r'plan.json: how was {"share": 0.5, .* the same to go on'):
        make(resume=True, share=0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prune", "0.5", "output=elsewhere"], "found 'output=elsewhere'; expected keys other"),
        (["--layers", "1", "model.d_model=16"], "found 'model.d_model=16'"),
        (["--layers", "1", "teacher=null"], "found 'teacher=null'"),
        (["--prune", "0.5", "--rewind", "step-99"], "step-99: rewind: does not exist; expected an"),
        (["--layers", "1", "--rounds", "2"], "--rounds: has no effect without --prune"),
        (["--layers", "1", "--by", "magnitude"], "--by: has no effect without --prune"),
        (["--prune", "0.5", "--decoder-layers", "1"], "no effect without --layers"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    squares: Path, large: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    output = tmp_path / "out"
    paths = [str(large / "model"), "--run", str(squares / "run.yaml"), "--output", str(output)]
    ended = CliRunner().invoke(app, ["compress", *paths, *options])
    assert isinstance(ended.exception, UserError) and message in str(ended.exception)
    assert not output.exists()


@pytest.mark.parametrize("source", ["checkpoints/step-00000002", "model"])
def test_weights_of_another_model_are_no_early_ones(
    source: str, squares: Path, large: Path, tmp_path: Path
) -> None:
    keys = [f"output={tmp_path / 'other'}", *SHORT, "steps=2", "model.d_ff=40"]
    train(load_run(squares / "run.yaml", keys), progress=False)
    with pytest.raises(UserError, match="expected a checkpoint of the model's own training"):
        compress(
            large / "model",
            squares / "run.yaml",
            tmp_path / "out",
            Pruning(0.5, by="magnitude", rewind=tmp_path / "other" / source),
            overrides=SHORT,
            say=lambda line: None,
        )
