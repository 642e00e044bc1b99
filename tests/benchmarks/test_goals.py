"""The table of what speed aims at, and what fits on paper."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unified_vl.data.counts import counts_of
from unified_vl.model.configuration import UnifiedVLConfig
from unified_vl.model.unified import UnifiedVLForConditionalGeneration
from unified_vl.model.work import work_of

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_every_goal_has_a_script_that_is_there() -> None:
    bench: Any = importlib.import_module("bench")
    assert {goal.script for goal in bench.GOALS} <= {path.name for path in FOLDER.glob("*.py")}
    assert len({goal.what for goal in bench.GOALS}) == len(bench.GOALS)


def test_goals_are_met_from_the_side_that_they_name() -> None:
    bench: Any = importlib.import_module("bench")
    rows = [{"what": "one", "ratio": 0.9}]
    at_least = bench.Goal("one", "data_feed.py", bench.named("one"), 1.0)
    assert not at_least.met(at_least.ratio(rows))
    assert replace(at_least, least=False).met(at_least.ratio(rows))
    assert math.isnan(bench.named("two")(rows))
    sides = [
        {"side": "a", "dtype": "float32", "tokens_per_second": 6.0},
        {"side": "b", "dtype": "float32", "tokens_per_second": 2.0},
        {"side": "b", "dtype": "bfloat16", "tokens_per_second": 6.0},
    ]
    of = bench.between("a", "b", "tokens_per_second", dtype="float32")
    assert of(sides) == 3.0


def test_only_runs_without_options_are_in_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench: Any = importlib.import_module("bench")
    command = "python benchmarks/compiling.py"
    rows = [{"command": f"{command} --packing", "ratio": 1}, {"command": command, "ratio": 2}]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    monkeypatch.setattr(bench, "HERE", tmp_path)
    assert [row["ratio"] for row in bench.recorded("compiling.py")] == [2]


@pytest.mark.parametrize("stage", range(4))
def test_a_stage_never_holds_more_than_the_one_before(stage: int) -> None:
    scaling: Any = importlib.import_module("scaling")
    for bf16 in (True, False):
        case, before = (scaling.Case(each, bf16=bf16) for each in (stage, max(stage - 1, 0)))
        for ranks in (8, 64):
            assert case.bytes_a_weight(ranks) <= before.bytes_a_weight(ranks)
        assert case.bytes_a_weight(64) <= case.bytes_a_weight(8)


def test_a_size_on_paper_is_that_of_a_model() -> None:
    """Weights and operations are those that the project counts in a model of these sizes."""
    paper: Any = importlib.import_module("scaling_on_paper")
    size = paper.Size("small", 128, 256, 2, 2)
    with torch.device("meta"):
        model = UnifiedVLForConditionalGeneration(
            UnifiedVLConfig(
                vocab_size=paper.VOCABULARY,
                d_model=size.width,
                d_ff=size.inner,
                num_layers=size.layers,
                num_heads=size.heads,
                d_kv=64,
                vision={"kind": "patches", "image_size": [32, 32], "patch_size": 16},
            )
        )
    work = work_of(model)
    assert work is not None
    counts = counts_of([paper.SOURCE], [paper.TARGET], 0)
    assert size.operations() == pytest.approx(work.operations(counts), rel=1e-3)
    matrices = sum(each.numel() for each in model.parameters() if each.dim() == 2)
    assert size.weights == pytest.approx(matrices, rel=1e-2)


def test_more_ranks_or_less_kept_let_larger_models_fit() -> None:
    paper: Any = importlib.import_module("scaling_on_paper")
    largest = [
        max(s.weights for s in paper.SIZES if paper.fits(s, *way))
        for way in (
            (0, 8, 80e9, False),
            (3, 8, 80e9, False),
            (3, 64, 80e9, False),
            (3, 64, 80e9, True),
        )
    ]
    assert largest == sorted(largest)


def test_the_gpu_benchmark_runs_on_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpu: Any = importlib.import_module("gpu")
    monkeypatch.setattr(gpu, "ROWS", 60)
    monkeypatch.setattr(gpu, "WORDS", 40)
    monkeypatch.setattr("sys.argv", ["gpu.py", "--tiny", "--steps", "3"])
    recorded: list[object] = []
    monkeypatch.setattr(gpu, "record", lambda *given: recorded.append(given))
    gpu.main()
    told = capsys.readouterr().out
    assert "model FLOP utilisation" in told and "static cache" in told
    assert not recorded
