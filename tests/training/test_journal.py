"""Events: every task is heard of, whatever the rhythm, and a resume leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from unified_vl.data.counts import counts_of
from unified_vl.model.work import Work
from unified_vl.run_record import TIMED
from unified_vl.specs.load import load_run
from unified_vl.training.record.journal import Journal
from unified_vl.training.record.running_mean import RunningMean
from unified_vl.training.record.speed import SpeedMeter
from unified_vl.training.update import TaskLoss


def make(squares: Path, output: Path, *overrides: str, writes: bool = True) -> Journal:
    run = load_run(squares / "run.yaml", [f"output={output}", "log_every=2", *overrides])
    return Journal(run, {"see": 8, "say": 10}, writes=writes, progress=False)


def events(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]


def test_losses_are_means_over_the_steps_since_the_last_line(squares: Path, tmp_path: Path) -> None:
    losses = [("see", 4.0), ("see", 2.0), ("say", 5.0), ("see", 1.0)]
    with make(squares, tmp_path) as journal:
        for step, (task, loss) in enumerate(losses):
            journal.update(step + 1, [TaskLoss(task, loss, 10)], 0.1 * step, 1.5)
    found = [(e["step"], e["task"], e["loss"], e["target_tokens"]) for e in events(tmp_path)]
    assert found == [(2, "see", 3.0, 20), (4, "say", 5.0, 10), (4, "see", 1.0, 10)]
    last = events(tmp_path)[-1]
    assert last["smoothed_loss"] == pytest.approx(
        (0.95**2 * 4 + 0.95 * 2 + 1) / (0.95**2 + 0.95 + 1)
    )
    assert last["lr"] == pytest.approx(0.3) and last["grad_norm"] == 1.5
    assert last["seconds"] >= 0


def test_the_first_batch_does_not_stand_for_all_before_it() -> None:
    mean = RunningMean()
    for value in (8.0, *([0.4] * 40)):
        mean.add(value)
        assert mean.value <= 8.0
    assert mean.value == pytest.approx(0.4 + 7.6 * 0.95**40 * 0.05 / (1 - 0.95**41))  # 0.456
    steady = RunningMean()
    for _ in range(3):
        steady.add(2.5)
        assert steady.value == pytest.approx(2.5)


def test_rows_of_refused_updates_are_seen_but_make_no_update(squares: Path, tmp_path: Path) -> None:
    with make(squares, tmp_path, "log_every=4") as journal:  # of batches of 4 among 8 and 10 rows
        journal.update(1, [TaskLoss("see", 4.0, 10), TaskLoss("say", 4.0, 10)], 0.1, 1.0)
        journal.refused(2, ("see", "say"), "a spike")
        journal.refused(3, ("see",), "a spike")
        journal.score(3, "see", "exact_match", 50.0)
        journal.update(4, [TaskLoss("say", 4.0, 10)], 0.1, 1.0)
    found = {
        e["task"]: (e["updates"], e["epochs"]) for e in events(tmp_path) if e["event"] == "step"
    }
    assert found == {"see": (1, 1.5), "say": (2, 1.2)}
    (score,) = [e for e in events(tmp_path) if e["event"] == "score"]
    assert score["updates"] == 1
    assert [e["task"] for e in events(tmp_path) if e["event"] == "refused"] == ["see + say", "see"]


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"event": "step", "step": null}',
        b'{"event": "step", "step": "2"}',
        b"\x00\x00\x00",
        b'{"event": "\xff"}',
        b"not JSON",
        b"",
    ],
)
def test_a_broken_line_forbids_no_resume(
    squares: Path, tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    good = b'{"event": "validation", "step": 1, "task": "see", "loss": 1.0}'
    end = b'{"event": "skipped", "task": "see", "rows": 1}'
    half = b'{"event": "st'
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([good, line, end, good, half]))
    run = load_run(squares / "run.yaml", [f"output={tmp_path}"])
    journal = Journal(run, {"see": 8, "say": 10}, writes=True)
    state = json.loads(json.dumps(journal.state_dict()))
    with journal:
        journal.restart(state, 1)
    kinds = [event["event"] for event in events(tmp_path)]
    assert kinds == ["validation", "validation", "resume"]
    assert "events.jsonl: 1 broken lines left out" in capsys.readouterr().err


def test_a_resumed_journal_drops_what_comes_again(squares: Path, tmp_path: Path) -> None:
    with make(squares, tmp_path) as first:
        first.update(1, [TaskLoss("see", 4.0, 10)], 0.1, 1.0)
        state = json.loads(json.dumps(first.state_dict()))
        first.update(2, [TaskLoss("see", 2.0, 10)], 0.1, 1.0)
        first.validation(2, {"see": 9.0})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "st')
    expected = events_before_resume(tmp_path)
    second = make(squares, tmp_path)
    second.restart(state, 1)
    with second:
        second.update(2, [TaskLoss("see", 2.0, 10)], 0.1, 1.0)
        second.validation(2, {"see": 9.0})
    found = events(tmp_path)
    assert found[0] == {"event": "resume", "step": 1}
    for event in found:
        for timed in TIMED:
            event.pop(timed, None)
    assert found[1:] == expected
    assert second.seconds >= state["seconds"]


def events_before_resume(output: Path) -> list[dict[str, Any]]:
    lines = (output / "events.jsonl").read_text().splitlines()[:-1]
    return [{k: v for k, v in json.loads(line).items() if k not in TIMED} for line in lines]


def test_other_ranks_write_nothing(squares: Path, tmp_path: Path) -> None:
    with make(squares, tmp_path / "out", writes=False) as journal:
        journal.update(2, [TaskLoss("see", 1.0, 5)], 0.1, 1.0)
        journal.validation(2, {"see": 1.0})
    assert not (tmp_path / "out").exists()


def test_lines_for_people_where_there_is_no_terminal(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = load_run(squares / "run.yaml", [f"output={tmp_path}", "log_every=2"])
    with Journal(run, {"see": 8, "say": 10}, writes=True) as journal:
        journal.update(1, [TaskLoss("see", 4.0, 10)], 0.1, 1.0)
        journal.update(2, [TaskLoss("say", 3.0, 10)], 0.1, 1.0)
        journal.skipped("see", {"see.jsonl:5": "see.jsonl:5: image: there is no image 'x.png'"})
    out, err = capsys.readouterr()
    assert out == ""
    assert "step 2/6" in err and "steps/s" in err and "see 4.000, say 3.000" in err
    assert "1 bad rows skipped, the first: see.jsonl:5" in err


def test_a_bar_on_a_terminal(
    squares: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    run = load_run(squares / "run.yaml", [f"output={tmp_path}", "log_every=2"])
    with Journal(run, {"see": 8, "say": 10}, writes=True) as journal:
        for step in range(1, 4):
            journal.update(step, [TaskLoss("see", 4.0, 10)], 0.1, 1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/6" in err and "steps/s" in err and "loss see 4.000" in err


def test_events_say_how_fast_each_tasks_steps_were(
    squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of real tokens; a joint step's time is that of its tasks by their tokens."""
    run = load_run(squares / "run.yaml", [f"output={tmp_path}", "log_every=2"])
    work = Work(source=6, target=12, image=100, source_pair=1, target_pair=2, cross_pair=3)
    meter = SpeedMeter(work, peak=1000.0, memory=lambda: 123_000_000)
    see, say = counts_of([3, 4], [1, 1], images=2), counts_of([20], [7], images=0)
    with Journal(run, {"see": 8, "say": 10}, writes=True, meter=meter) as journal:
        meter.add(["see"], [see], seconds=0.5, waited=0.1)
        journal.update(1, [TaskLoss("see", 4.0, 2)], 0.1, 1.0)
        meter.add(["see", "say"], [see, say], seconds=2.0, waited=0.0)
        journal.update(2, [TaskLoss("see", 4.0, 2), TaskLoss("say", 4.0, 7)], 0.1, 1.0)
        journal.update(4, [TaskLoss("say", 4.0, 7)], 0.1, 1.0)  # of before a resume: not measured
    of_see, of_say, unknown = (event["speed"] for event in events(tmp_path))
    operations = 7 * 6 + 2 * 12 + 2 * 100 + 25 * 1 + 2 * 2 + 7 * 3
    assert of_see == {
        "step_seconds": 1.0,  # 0.5, and a quarter of 2
        "tokens_per_second": 18.0,
        "images_per_second": 4.0,
        "data_wait": 0.1,
        "mfu": pytest.approx(2 * operations / 1000, abs=1e-5),
        "peak_memory_mb": 123.0,
    }
    assert of_say["tokens_per_second"] == 18.0 and of_say["images_per_second"] == 0
    assert unknown == {}
    first, last = (line for line in capsys.readouterr().err.splitlines() if "steps/s" in line)
    assert "18 tokens/s, 2 images/s, 4% waiting for data, MFU" in first
    assert "tokens/s" not in last
