"""One writer for each output: the second is told who the first is."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unified_vl.errors import UserError
from unified_vl.locks import only_writer

HOLD = "import os, pathlib, sys; from unified_vl.locks import only_writer\n"
HOLD += "with only_writer(pathlib.Path(sys.argv[1])): "


def in_another_process(output: Path, what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HOLD + what, str(output)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_second_writer_is_told_who_the_first_is(tmp_path: Path) -> None:
    output = tmp_path / "new" / "rows.jsonl"
    with only_writer(output):
        second = in_another_process(output, "print('in')")
        assert second.stdout == "" and second.returncode == 1
        told = f"{output}: process {os.getpid()} on {socket.gethostname()} writes it; expected"
        assert told in second.stderr
        assert "remove" not in second.stderr  # a lock of this host frees itself
        with only_writer(output.with_name("other.jsonl")):
            pass
    assert list(output.parent.iterdir()) == []
    assert in_another_process(output, "print('in')").stdout == "in\n"


def test_two_names_of_an_output_have_one_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    with (
        only_writer(Path("here/out")),
        pytest.raises(UserError, match="writes it"),
        only_writer(tmp_path / "link" / "out"),
    ):
        pass


def test_a_killed_process_locks_nobody_out(tmp_path: Path) -> None:
    killed = in_another_process(tmp_path / "out", "os.kill(os.getpid(), 9)")
    assert killed.returncode == -9 and (tmp_path / "out.lock").exists()
    with only_writer(tmp_path / "out"):
        assert (tmp_path / "out.lock").read_text().splitlines()[0] == str(os.getpid())
    assert not (tmp_path / "out.lock").exists()


@pytest.mark.parametrize(
    ("lock", "who"),
    [
        ("123\nelsewhere\n", "process 123 on elsewhere writes it"),
        ("", "process of an unknown number on an unknown host writes it"),
        ("what\n", "process of an unknown number on an unknown host writes it"),
    ],
)
def test_of_another_host_it_says_what_to_do(tmp_path: Path, lock: str, who: str) -> None:
    (tmp_path / "out.lock").write_text(lock)
    told = rf"{who}.*remove {re.escape(str(tmp_path / 'out.lock'))}"
    with pytest.raises(UserError, match=told), only_writer(tmp_path / "out"):
        pass
    assert (tmp_path / "out.lock").read_text() == lock


def test_a_volume_has_its_lock_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "volume"
    output.mkdir()
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path and allowed(path, mode))
    with only_writer(output):
        assert [path.name for path in output.iterdir()] == [".lock"]


def write_tokenizer(output: Path) -> None:
    from unified_vl.training.tokenizers.tokenizer_training import train_tokenizer

    train_tokenizer(["some text"], [], output, 300)


def write_world(output: Path) -> None:
    from unified_vl.worlds.emoji import EmojiWorldOptions, write_emoji_world

    write_emoji_world(output, EmojiWorldOptions(concepts=28))


def write_image_tokenizer(output: Path) -> None:
    from unified_vl.specs.load import load_image_tokenizer
    from unified_vl.training.image_tokenizers.image_tokenizer_training import train_image_tokenizer

    folder = Path(__file__).parents[1] / "task_specs" / "image_tokenizers"
    spec = load_image_tokenizer(next(iter(sorted(folder.glob("*.yaml")))), [f"output={output}"])
    train_image_tokenizer(spec)


@pytest.mark.parametrize("write", [write_tokenizer, write_world, write_image_tokenizer])
def test_whatever_writes_takes_it(tmp_path: Path, write: Callable[[Path], None]) -> None:
    with only_writer(tmp_path / "out"), pytest.raises(UserError, match=f"process {os.getpid()} on"):
        write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "none", "--data", ".", "--output"],
        ["evaluate", "none", "--data", ".", "--predictions"],
        ["evaluate-retrieval", "none", "--data", ".", "--output"],
        ["evaluate-transfer", "none", "--data", ".", "--output"],
        ["evaluate-transfer", "none", "--data", ".", "--plot"],
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
@pytest.mark.parametrize("broken", ["locked", "a folder", "below a file"])
def test_what_scores_for_long_finds_its_output_first(
    tmp_path: Path, command: list[str], broken: str
) -> None:
    from unified_vl.cli.main import app

    name = {"--predictions": "out.jsonl", "--plot": "out.svg"}.get(command[-1], "out.json")
    output = tmp_path / name
    with ExitStack() as stack:
        if broken == "locked":
            stack.enter_context(only_writer(output))
        elif broken == "a folder":
            output.mkdir()
        else:
            (tmp_path / "file").touch()
            output = tmp_path / "file" / name
        found = CliRunner().invoke(app, [*command, str(output)]).exception
    told = "writes it" if broken == "locked" else "cannot be written"
    assert isinstance(found, UserError) and told in str(found)


def test_a_chart_of_a_kind_that_nobody_draws_is_told_first(tmp_path: Path) -> None:
    from unified_vl.cli.main import app

    for name in ("chart", "chart.txt"):
        command = ["evaluate-transfer", "none", "--data", ".", "--plot", str(tmp_path / name)]
        found = CliRunner().invoke(app, command).exception
        assert "cannot be drawn; expected .svg or .png" in str(found)
