"""The command line from outside: exit codes, messages, and a quick start."""

import subprocess
import sys
from pathlib import Path

import pytest

SPECS = Path(__file__).parent.parent.parent / "task_specs"


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "unified_vl.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)


@pytest.mark.parametrize(
    "command",
    ["demo", "check", "show", "schema", "data", "tokenizer", "train", "evaluate", "predict"],
)
def test_every_command_explains_itself(command: str) -> None:
    assert command in run("--help").stdout


def test_help_loads_no_torch() -> None:
    program = (
        "import sys; sys.argv = ['unified-vl', '--help']\n"
        "from unified_vl.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300, capture_output=True)


BAD_INPUT = [
    (["check", "nowhere.yaml"], "nowhere.yaml"),
    (["train", "nowhere.yaml"], "nowhere.yaml"),
    (["train", str(SPECS / "runs/emoji_demo.yaml"), "stepz=3"], "did you mean 'steps'"),
    (["train", str(SPECS / "runs/emoji_demo.yaml"), "tokenizer=nowhere"], "nowhere"),
    (["evaluate", "nowhere", "--data", "."], "nowhere"),
    (["predict", "nowhere", "--task", "emoji_caption"], "nowhere"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT)
def test_bad_input_is_one_message_and_exit_code_2(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == [], "something was left behind"


def test_shipped_specs_are_valid() -> None:
    result = run("check", str(SPECS))
    assert result.returncode == 0, result.stderr + result.stdout
