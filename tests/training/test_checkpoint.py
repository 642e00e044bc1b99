"""Checkpoints are whole or do not count."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from unified_vl.checkpoint_folders import find_fault, newest
from unified_vl.errors import DiskFull, UserError
from unified_vl.training import checkpoint
from unified_vl.training.distributed.process import Process


class FakeEngine:
    """Writes a file a rank would write, and remembers what it read."""

    def __init__(self) -> None:
        self.process = Process(0, 1, torch.device("cpu"))
        self.loaded: list[str] = []

    def save(self, directory: Path) -> None:
        (directory / "state").mkdir(parents=True)
        (directory / "state" / "shard.pt").write_bytes(bytes(range(256)))

    def load(self, directory: Path) -> None:
        self.loaded.append(directory.name)


def save(root: Path, *steps: int, keep: int = 10, best: int | None = None) -> Any:
    engine: Any = FakeEngine()
    for step in steps:
        progress = {"step": step, "fingerprints": {"seed": "1"}}
        checkpoint.save(root, step, engine, progress, keep, best)
    return engine


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_the_last_one_is_loaded_and_the_oldest_go(tmp_path: Path) -> None:
    engine = save(tmp_path, 5, 10, 15, keep=2)
    assert names(tmp_path) == ["step-00000010", "step-00000015"]
    progress = checkpoint.load(tmp_path, engine, {"seed": "1"})
    assert progress is not None and progress["step"] == 15
    assert engine.loaded == ["step-00000015"]


def test_the_best_one_stays_beside_the_last(tmp_path: Path) -> None:
    save(tmp_path, 5, 10, 15, 20, keep=2, best=5)
    assert names(tmp_path) == ["step-00000005", "step-00000015", "step-00000020"]
    save(tmp_path, 25, keep=2, best=20)
    assert names(tmp_path) == ["step-00000020", "step-00000025"]
    save(tmp_path, 30, keep=1)
    assert names(tmp_path) == ["step-00000030"]


def damage_flip(folder: Path) -> None:
    (folder / "state" / "shard.pt").write_bytes(bytes(255) + b"!")


def damage_cut(folder: Path) -> None:
    (folder / "state" / "shard.pt").write_bytes(b"")


def damage_remove(folder: Path) -> None:
    (folder / "state" / "shard.pt").unlink()


def damage_add(folder: Path) -> None:
    (folder / "state" / "rank-00007.safetensors").write_bytes(b"x")


def damage_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": {')


def damage_no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        damage_flip,
        damage_cut,
        damage_remove,
        damage_add,
        damage_manifest,
        damage_no_manifest,
    ],
)
def test_a_damaged_one_is_passed_over(tmp_path: Path, damage: Any) -> None:
    engine = save(tmp_path, 5, 10)
    damage(tmp_path / "step-00000010")
    assert find_fault(tmp_path / "step-00000010") is not None
    told: list[str] = []
    assert newest(tmp_path, told.append) == "step-00000005"
    assert len(told) == 1
    assert told[0].startswith("starting from step-00000005, not from step-00000010: ")
    damage(tmp_path / "step-00000005")
    with pytest.raises(UserError, match=r"no checkpoint is whole.*00010.*00005"):
        checkpoint.load(tmp_path, engine, {"seed": "1"})
    assert engine.loaded == []


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "state/.DS_Store",
        "state/.nfs0001",
        "state/._rank-00000.safetensors",
        "Thumbs.db",
    ],
)
def test_what_a_system_leaves_in_a_folder_damages_nothing(tmp_path: Path, name: str) -> None:
    save(tmp_path, 5)
    stray = tmp_path / "step-00000005" / name
    stray.write_bytes(b"x")
    assert find_fault(tmp_path / "step-00000005") is None
    checkpoint.write_manifest(tmp_path / "step-00000005")  # it was there when that was written
    stray.unlink()
    fault = find_fault(tmp_path / "step-00000005")
    assert fault == ("Thumbs.db is missing" if name == "Thumbs.db" else None)


@pytest.mark.parametrize("kind", ["file", "link"])
@pytest.mark.parametrize("step", [7, 10, 99])
def test_what_is_only_named_like_a_checkpoint_ends_no_run(
    tmp_path: Path, kind: str, step: int
) -> None:
    stray = tmp_path / "out" / f"step-{step:08d}"
    save(tmp_path / "out", 5)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        stray.write_text("a note")
    else:  # a checkpoint that was moved to another disk
        stray.symlink_to(elsewhere)
    save(tmp_path / "out", 10, 15, keep=1)
    assert newest(tmp_path / "out") == "step-00000015"
    assert elsewhere.is_dir()


def test_the_best_of_each_that_is_kept_stays_too(tmp_path: Path) -> None:
    engine: Any = FakeEngine()
    for step, best in ((5, 5), (10, 5), (15, 15)):
        checkpoint.save(tmp_path, step, engine, {"best": {"step": best}}, 2, best)
    assert names(tmp_path) == ["step-00000005", "step-00000010", "step-00000015"]
    checkpoint.save(tmp_path, 20, engine, {"best": {"step": 15}}, 2, 15)
    assert names(tmp_path) == ["step-00000015", "step-00000020"]


@pytest.mark.parametrize("pointer", [None, "{", "[]", '{"checkpoint": "step-00000099"}'])
def test_without_a_good_pointer_the_newest_counts(tmp_path: Path, pointer: str | None) -> None:
    save(tmp_path, 5, 100000010, 10)
    path = tmp_path / "pointer.json"
    path.unlink()
    if pointer is not None:
        path.write_text(pointer)
    assert newest(tmp_path) == "step-00000010"


def test_a_checkpoint_that_was_never_pointed_to_does_not_count_before_one_that_was(
    tmp_path: Path,
) -> None:
    save(tmp_path, 5, 10)
    (tmp_path / "pointer.json").write_text(json.dumps({"checkpoint": "step-00000005"}))
    assert newest(tmp_path) == "step-00000005"


def test_what_a_killed_run_left_is_replaced(tmp_path: Path) -> None:
    save(tmp_path, 5)
    left = tmp_path / "step-00000010"
    (left / "state").mkdir(parents=True)
    (left / "state" / "other.pt").write_bytes(b"half")
    later = tmp_path / "step-00000020"
    later.mkdir()
    save(tmp_path, 10)
    assert find_fault(left) is None
    assert names(tmp_path) == ["step-00000005", "step-00000010"]


def test_a_first_one_that_was_never_completed_is_no_error(tmp_path: Path) -> None:
    engine = save(tmp_path, 5)
    (tmp_path / "pointer.json").unlink()
    assert newest(tmp_path) == "step-00000005"  # killed just before the pointer
    (tmp_path / "step-00000005" / "manifest.json").unlink()
    assert newest(tmp_path) is None
    assert checkpoint.load(tmp_path, engine, {"seed": "1"}) is None
    save(tmp_path, 5)
    assert newest(tmp_path) == "step-00000005"


def test_nothing_begun_is_no_error(tmp_path: Path) -> None:
    engine: Any = FakeEngine()
    assert checkpoint.load(tmp_path / "none", engine, {}) is None


@pytest.mark.parametrize("now", [{"seed": "2"}, {}, {"seed": "1", "task see": "3"}])
def test_something_else_is_not_continued(tmp_path: Path, now: dict[str, str]) -> None:
    engine = save(tmp_path, 5)
    with pytest.raises(UserError, match=r"seed is not what it was|the task 'see' is new"):
        checkpoint.load(tmp_path, engine, now)
    assert engine.loaded == []


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(errno.ENOSPC, DiskFull, 4), (errno.EDQUOT, DiskFull, 4), (errno.EACCES, OSError, None)],
)
def test_a_save_that_fails_leaves_what_was_there(
    tmp_path: Path, number: int, kind: type[Exception], code: int | None
) -> None:
    save(tmp_path, 5)
    engine: Any = FakeEngine()

    def fail(directory: Path) -> None:
        FakeEngine.save(engine, directory)
        raise OSError(number, os.strerror(number))

    engine.save = fail
    with pytest.raises(kind) as caught:
        checkpoint.save(tmp_path, 10, engine, {"step": 10}, 1)
    assert getattr(caught.value, "exit_code", None) == code
    assert names(tmp_path) == ["step-00000005"]
    assert newest(tmp_path) == "step-00000005"


@pytest.mark.parametrize("name", ["progress.json", "manifest.json", "pointer.json"])
def test_a_disk_that_is_full_at_the_small_files_is_told_alike(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 5)
    write = Path.write_bytes

    def fail(self: Path, content: Any) -> int:
        if self.name == f"{name}.partial":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(DiskFull, match=r"no room for the checkpoint .*step-00000010.*--resume"):
        save(tmp_path, 10)
    assert names(tmp_path) == ["step-00000005"]
    assert newest(tmp_path) == "step-00000005"
