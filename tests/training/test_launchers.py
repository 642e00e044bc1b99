"""Launchers end in every way, and their ranks with them: real processes, all at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from tests.processes import free_port
from unified_vl.checkpoint_folders import newest
from unified_vl.errors import HUNG, LostRank
from unified_vl.training.distributed.signals import LOOKS

BIN = Path(sys.executable).parent
RANK = Path(__file__).with_name("launched_rank.py")
PATIENCE = 300  # seconds: a test that waits longer has failed, however slow the machine
GONE = {"the launcher is gone"}


class Launched:
    """A command in a process group of its own, as a shell with job control starts it."""

    def __init__(self, folder: Path, command: Sequence[str], **environment: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "DS_ACCELERATOR": "cpu",
                    "OMP_NUM_THREADS": "1",
                    **environment,
                },
            )
        self.children: list[psutil.Process] = []

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def launch(self) -> psutil.Process:
        """`deepspeed`'s second process."""
        return next(p for p in self.children if "deepspeed.launcher.launch" in p.cmdline())

    def wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not done():
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.05)

    def wait_for(self, *names: str) -> list[str]:
        """What the files hold, once all are there."""
        files = [self.folder / name for name in names]
        self.wait(lambda: all(file.exists() for file in files))
        return [file.read_text() for file in files]

    def note_children(self) -> None:
        self.children = psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        for process in self.children:
            if process.is_running():
                process.kill()
        self.process.kill()
        self.process.wait()


def launcher(name: str, *arguments: str) -> list[str]:
    ranks = "--num_gpus=2" if name == "deepspeed" else "--nproc_per_node=2"
    port = f"--master_port={free_port()}"
    return [sys.executable, str(BIN / name), ranks, port, *arguments]


ENDS: dict[str, tuple[str, Callable[[Launched], None], set[str]]] = {
    # a Ctrl-C reaches all, and the launcher sends SIGTERM after it
    "ctrl-c": ("deepspeed", lambda job: job.signal_group(signal.SIGINT), {"SIGINT", *GONE}),
    "closed terminal": ("deepspeed", lambda job: job.signal_group(signal.SIGHUP), {"SIGHUP"}),
    "SIGTERM": ("deepspeed", lambda job: job.process.terminate(), GONE),
    "SIGKILL of its launch.py": ("deepspeed", lambda job: job.launch().kill(), GONE),
    "SIGKILL": ("torchrun", lambda job: job.process.kill(), GONE),
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Launched]]:
    root = tmp_path_factory.mktemp("launchers")
    started = {}
    try:
        for number, (end, (name, _, _)) in enumerate(ENDS.items()):
            folder = root / str(number)
            started[end] = Launched(folder, launcher(name, str(RANK), str(folder)))
        yield started
    finally:
        for job in started.values():
            job.end()


@pytest.mark.parametrize("end", ENDS)
def test_however_a_launcher_ends_its_ranks_save_and_end(
    jobs: dict[str, Launched], end: str
) -> None:
    job = jobs[end]
    _, act, expected = ENDS[end]
    job.wait_for("rank-0.ready", "rank-1.ready")
    job.note_children()
    act(job)
    job.wait_for("rank-0.asked")
    if end == "ctrl-c":  # its SIGTERM comes while the first rank saves
        job.wait(lambda: "Killing subprocess" in job.log.read_text())
    (job.folder / "saved").touch()
    asked = job.wait_for("rank-0.asked", "rank-1.asked")
    job.wait_for("rank-0.ended", "rank-1.ended")
    assert set(asked) <= expected
    assert psutil.wait_procs(job.children, timeout=PATIENCE)[1] == []


def test_the_end_of_a_shell_ends_no_training(tmp_path: Path) -> None:
    """As after `nohup unified-vl train RUN &` and a logout."""
    ready = tmp_path / "rank-0.ready"
    rank = f"RANK=0 {sys.executable} {RANK} {tmp_path} > {tmp_path}/out 2>&1"
    command = f"{rank} & while [ ! -e {ready} ]; do sleep 0.1; done; exit 0"
    subprocess.run(["sh", "-c", command], check=True, timeout=PATIENCE)
    job = Launched(tmp_path, ["true"])
    shell_ended = time.monotonic()
    job.wait(lambda: time.monotonic() > shell_ended + 1.5 * LOOKS)
    assert not (tmp_path / "rank-0.asked").exists()
    os.kill(int(ready.read_text()), signal.SIGUSR1)
    assert job.wait_for("rank-0.asked") == ["SIGUSR1"]
    (tmp_path / "saved").touch()
    job.wait_for("rank-0.ended")


def test_a_bad_run_file_is_told_once(squares: Path, tmp_path: Path) -> None:
    bad = ["-m", *trains(squares, tmp_path / "run", "seed=never")]
    job = Launched(tmp_path, launcher("torchrun", *bad))
    job.note_children()
    assert job.process.wait(PATIENCE) != 0
    assert job.log.read_text().count("seed: found 'never'") == 1, job.log.read_text()


LONG = ("steps=5000", "checkpoint_every=100000", "validation_rows=0")


def trains(squares: Path, output: Path, *overrides: str) -> list[str]:
    arguments = [str(squares / "run.yaml"), f"output={output}", *LONG, *overrides]
    return ["unified_vl.cli.main", "train", *arguments]


def steps(job: Launched) -> bool:
    events = job.folder / "run" / "events.jsonl"
    return events.exists() and '"step": 2' in events.read_text()


def by_hand(squares: Path, folder: Path, rank: int, port: int, *overrides: str) -> Launched:
    """One of two ranks, without a launcher."""
    command = [sys.executable, "-m", *trains(squares, folder / "run", *overrides)]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    log = folder if rank == 0 else folder / "second"
    return Launched(log, command, RANK=str(rank), LOCAL_RANK=str(rank), **where)


@pytest.fixture(scope="module")
def alone(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """A rank whose only other never comes; it waits while other tests run."""
    folder = tmp_path_factory.mktemp("alone")
    job = by_hand(squares, folder, 0, free_port(), "hang_timeout=2")
    yield job
    job.end()


def test_a_rank_that_is_killed_ends_the_other_with_one_message(
    squares: Path, tmp_path: Path, alone: Launched
) -> None:
    port = free_port()
    first, second = (by_hand(squares, tmp_path, rank, port) for rank in range(2))
    try:
        first.wait(lambda: steps(first))
        second.process.kill()
        assert first.process.wait(PATIENCE) == LostRank.exit_code
    finally:
        first.end()
        second.end()
    lines = first.log.read_text().splitlines()
    told = [line for line in lines if not line.startswith("step ")]
    assert [line for line in told if line.startswith("error: ")] == told[-1:]
    assert "the connection to another rank broke" in told[-1]
    assert not any("Traceback" in line for line in lines)


def test_a_training_under_the_launcher_saves_at_ctrl_c(squares: Path, tmp_path: Path) -> None:
    command = trains(squares, tmp_path / "run")
    job = Launched(tmp_path, launcher("deepspeed", "--module", *command))
    try:
        job.wait(lambda: steps(job))
        job.note_children()
        job.signal_group(signal.SIGINT)
        assert psutil.wait_procs(job.children, timeout=PATIENCE)[1] == []
    finally:
        job.end()
    saved = newest(tmp_path / "run" / "checkpoints")
    assert saved is not None, job.log.read_text()
    assert f"stopped after step {int(saved.removeprefix('step-'))}" in job.log.read_text()


def test_a_rank_that_never_comes_ends_the_start(alone: Launched) -> None:
    assert alone.process.wait(PATIENCE) == HUNG
    text = alone.log.read_text()
    assert "rank 0 has made no progress for 2 seconds while the ranks meet" in text
    assert (alone.folder / "run" / "stacks" / "rank-00000.txt").exists()
