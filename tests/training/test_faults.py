"""What happens to a job: two processes meet one fault after the other, and none hangs.

One job of two ranks runs all of `fault_worker.py`, because starting one takes longer than
what it tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file

from tests.processes import started_ranks
from unified_vl.checkpoint_folders import newest
from unified_vl.errors import HUNG, Stopped
from unified_vl.specs.load import load_run
from unified_vl.training.distributed.engine import Engine
from unified_vl.training.trainer import train

ENGINES = Path(__file__).parents[2] / "deepspeed_configs"
WEIGHTS = Path("model", "model.safetensors")
STAGES = ("zero0", "zero1", "zero2", "zero3")
FAULTS = {"nan": "is not finite", "spike": "standard deviations above the last 2"}
EXACT = ("model.dropout_rate=0", "optimizer.eps=1e-3", "validation_rows=0")


@dataclass(frozen=True)
class Job:
    """What the two ranks told, by name of the training, and how they ended."""

    output: Path
    told: tuple[dict[str, dict[str, Any]], ...]
    codes: tuple[int, ...]
    stderr: tuple[str, ...]

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        lines = (self.output / name / "events.jsonl").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]


@pytest.fixture(scope="module")
def variants(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`squares` with what a careless second machine has: other mixtures, other data."""
    root = tmp_path_factory.mktemp("variants") / "squares"
    shutil.copytree(squares, root)
    text = (root / "run.yaml").read_text().replace(str(squares), str(root))
    (root / "run.yaml").write_text(text)
    mixture = (root / "mixture.yaml").read_text()
    (root / "no_contrast.yaml").write_text(mixture.replace(", contrast: 0.5", ""))
    first, second = [line for line in mixture.splitlines() if line.startswith("  - ")]
    (root / "other_order.yaml").write_text(
        mixture.replace(first, "!")
        .replace(second, first)
        .replace("!", second)
        .replace("batches: 2, ", "")
    )
    shutil.copytree(root / "data", root / "bad_data")
    spoil(root / "bad_data" / "say_train.jsonl", 0, text="")
    shutil.copytree(root / "data", root / "more_skipped")
    spoil(root / "more_skipped" / "see_train.jsonl", 7, image="missing.png")
    shutil.copytree(root / "data", root / "broken")
    whole = (root / "data" / "red.png").read_bytes()
    (root / "broken" / "half.png").write_bytes(whole[: len(whole) // 2])
    for line in (1, 7, 8):
        spoil(root / "broken" / "see_train.jsonl", line, image="half.png")
    spoil(root / "broken" / "see_validation.jsonl", 2, image="half.png")
    return root


def spoil(path: Path, line: int, **columns: str) -> None:
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    rows[line] |= columns
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def stop_at(step: int) -> Any:
    """A signal arrives in the update of `step`."""
    done = 0
    update = Engine.step

    def signalled(self: Engine, *arguments: Any) -> float:
        nonlocal done
        done += 1
        if done == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, *arguments)

    return mock.patch.object(Engine, "step", signalled)


@pytest.fixture(scope="module")
def job(variants: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    for stage in STAGES:
        settings = [f"output={variants}/alone-{stage}", f"engine={ENGINES / stage}.json", *EXACT]
        with stop_at(3), pytest.raises(Stopped):
            train(load_run(variants / "run.yaml", settings), progress=False)
    output = tmp_path_factory.mktemp("faults")
    worker = Path(__file__).with_name("fault_worker.py")
    with started_ranks(worker, variants, output) as ranks:
        codes = tuple(rank.wait() for rank in ranks)
        told = tuple(
            {line["name"]: line for line in map(json.loads, rank.stdout.splitlines())}
            for rank in ranks
        )
        stderr = tuple(rank.stderr for rank in ranks)
    return Job(output, told, codes, stderr)


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("sigterm", 0, r"SIGTERM: stopped after step 4 of 6.*--resume"),
        ("full", 4, "rank 1: no room for the checkpoint"),
        ("best_full", 4, "best_model: no room to write it"),
        ("best_killed", 0, "^$"),
        (
            "task",
            3,
            "rank 0 is at step 1 of task 'see' .*; rank 1 is at step 1 of task 'say' with only",
        ),
        (
            "graph",
            3,
            "rank 0 .* with images and contrast without .*; rank 1 .* with images without",
        ),
        ("bad_on_one", 2, r"rank 1: say_train.jsonl:1: text"),
        ("bad_on_all", 2, r"say_train.jsonl:1: text"),
        ("skipped_on_one", 3, "without see_train.jsonl:5; .* without .*, see_train.jsonl:8"),
        ("no_run_file_on_one", 2, "rank 1: .*nowhere"),
        ("no_engine_on_all", 2, "DeepSpeed refuses it"),
        ("abort", 3, "step 4, task 'see': the gradient is not finite; faults.policy is abort"),
    ],
)
def test_all_ranks_end_alike_and_the_first_tells_why(
    job: Job, name: str, code: int, message: str
) -> None:
    assert [told[name]["code"] for told in job.told] == [code, code]
    assert re.search(message, job.told[0][name]["message"]), job.told[0][name]["message"]


def test_images_that_one_rank_finds_broken_are_told_as_one_process_tells_them(
    job: Job, variants: Path
) -> None:
    output = variants / "alone_broken"
    settings = [f"output={output}", f"data={variants / 'broken'}", "workers=2"]
    train(load_run(variants / "run.yaml", settings), progress=False)
    alone = told_of_rows(output)
    steps = {event["row"]: event["step"] for event in alone if event["event"] == "bad_row"}
    train_rows = [f"see_train.jsonl:{row}" for row in (2, 5, 8, 9)]
    assert sorted(steps) == [*train_rows, "see_validation.jsonl:3"]
    assert len(set(steps.values())) > 2  # broken ones are met when it is their turn
    assert told_of_rows(job.output / "broken") == alone


def told_of_rows(output: Path) -> list[dict[str, Any]]:
    """What a record says of bad rows, and of which rows were trained on: by their tokens."""
    kept = ("event", "step", "task", "row", "rows", "problem", "tokens")
    events = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [
        {key: event[key] for key in kept if key in event}
        for event in events
        if event["event"] in ("bad_row", "skipped", "step")
    ]


def test_what_all_ranks_meet_in_deepspeed_is_told_by_the_first_alone(job: Job) -> None:
    kinds = [told["no_engine_on_all"]["kind"] for told in job.told]
    assert kinds == ["UserError", "EndedElsewhere"]


def test_a_signal_leaves_a_checkpoint_of_the_step(job: Job) -> None:
    assert newest(job.output / "sigterm" / "checkpoints") == "step-00000004"


def test_a_full_disk_loses_nothing_saved(job: Job) -> None:
    root = job.output / "full" / "checkpoints"
    assert sorted(path.name for path in root.iterdir()) == ["pointer.json", "step-00000002"]
    assert newest(root) == "step-00000002"


def test_the_best_model_is_there_after_a_kill_while_it_was_written(job: Job) -> None:
    *_, best = job.events("best_killed", "best")
    assert [event["step"] for event in job.events("best_killed", "resume")] == [4]
    facts = json.loads((job.output / "best_killed/best_model/training.json").read_text())
    assert (facts["steps"], facts["processes"]) == (best["step"], 2)
    assert not [path for path in (job.output / "best_killed").iterdir() if "model." in path.name]


@pytest.mark.parametrize("stage", [*STAGES, "zero0_bf16", "zero1_bf16"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_refused_update_changes_nothing(job: Job, stage: str, fault: str) -> None:
    for name in (f"{stage}-good", f"{stage}-{fault}"):
        told = [each[name] for each in job.told]
        assert [each["code"] for each in told] == [0, 0], told
    good = tensors(job.output / f"{stage}-good" / "checkpoints" / "step-00000003")
    after = tensors(job.output / f"{stage}-{fault}" / "checkpoints" / "step-00000004")
    assert good.keys() == after.keys()
    assert {key.partition(":")[0] for key in good} >= {"master", "exp_avg", "exp_avg_sq", "step"}
    assert [key for key in good if not torch.equal(good[key], after[key])] == []
    (refused,) = job.events(f"{stage}-{fault}", "refused")
    assert (refused["step"], refused["task"]) == (4, "see")
    assert FAULTS[fault] in refused["reason"]


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in sorted((folder / "state").iterdir()):
        found |= load_file(path)
    return found


@pytest.fixture(scope="module")
def unbroken(variants: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("unbroken") / "run"
    train(load_run(variants / "run.yaml", [f"output={output}", *EXACT]), progress=False)
    return output


def near(output: Path, unbroken: Path) -> None:
    weights, expected = load_file(output / WEIGHTS), load_file(unbroken / WEIGHTS)
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-6, msg=name)
    assert steps(output) == steps(unbroken)


def steps(output: Path) -> list[tuple[int, str, int]]:
    """Step, task and target tokens: equal for the identical stream of samples only."""
    found = map(json.loads, (output / "events.jsonl").read_text().splitlines())
    return [(e["step"], e["task"], e["target_tokens"]) for e in found if e["event"] == "step"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_of_one_process_goes_on_with_two(job: Job, unbroken: Path, stage: str) -> None:
    assert job.told[0][f"widened-{stage}"]["code"] == 0, job.told[0][f"widened-{stage}"]
    near(job.output / f"widened-{stage}", unbroken)


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_of_two_processes_goes_on_with_one(
    job: Job, variants: Path, unbroken: Path, stage: str
) -> None:
    told = job.told[1][f"narrowed-{stage}"]
    assert told["message"].startswith("SIGINT: stopped after step 4"), told
    output = job.output / f"narrowed-{stage}"
    settings = [f"output={output}", f"engine={ENGINES / stage}.json", *EXACT]
    train(load_run(variants / "run.yaml", settings), resume=True, progress=False)
    near(output, unbroken)


def test_a_rank_that_stands_still_ends_the_job(job: Job) -> None:
    assert job.codes == (HUNG, HUNG)
    folder = job.output / "hang" / "stacks"
    waiting, sleeping = ((folder / f"rank-0000{rank}.txt").read_text() for rank in range(2))
    assert "torch/distributed" in waiting
    assert "<lambda>" in sleeping and "fault_worker.py" in sleeping
    for rank in range(2):
        assert f"rank {rank} has made no progress for 6 seconds" in job.stderr[rank]
