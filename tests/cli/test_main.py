"""The command line from outside: exit codes, messages, and a quick start."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.processes import Ended, run_command
from unified_vl import __version__
from unified_vl.cli.main import app

SPECS = Path(__file__).parent.parent.parent / "task_specs"


def run(*arguments: str, cwd: Path | None = None) -> Ended:
    return run_command("unified_vl", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def overview() -> str:
    """What the command line says of itself."""
    return run("--help").stdout


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "check",
        "show",
        "schema",
        "data",
        "tokenizer",
        "schedule",
        "train",
        "evaluate",
        "predict",
        "app",
        "report",
        "compare",
        "index",
        "retrieve",
        "evaluate-retrieval",
        "evaluate-transfer",
    ],
)
def test_every_command_explains_itself(command: str, overview: str) -> None:
    assert command in overview


@pytest.mark.parametrize(
    ("arguments", "unneeded"),
    [
        (["--help"], ["numpy", "torch", "unified_vl.specs.task"]),
        (["check", str(SPECS / "emoji")], ["torch", "transformers"]),
    ],
)
def test_what_a_command_does_without_is_not_loaded(
    arguments: list[str], unneeded: list[str]
) -> None:
    program = (
        f"import sys; sys.argv = ['unified-vl', *{arguments}]\n"
        "from unified_vl.cli.main import main\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        f"assert not sys.modules.keys() & {set(unneeded)}"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300, capture_output=True)


def test_scores_are_shown_and_compared_without_torch() -> None:
    program = (
        "import sys, unified_vl.evaluation.comparison, unified_vl.evaluation.reporting.report\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


@pytest.mark.parametrize("name", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], ["check"], ["predict"], ["tokenizer"], ["data"]])
def test_help_is_asked_for_in_both_ways(command: list[str], name: str) -> None:
    result = CliRunner().invoke(app, [*command, name], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    assert "Show this message and exit." in result.output
    assert "<bool>" not in result.output, "a flag takes no value"


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"unified-vl {__version__}\n")


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "unified_vl", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.stdout == f"unified-vl {__version__}\n"


BAD_INPUT = [
    (["check", "nowhere.yaml"], "nowhere.yaml"),
    (["train", "nowhere.yaml"], "nowhere.yaml"),
    (["train", str(SPECS / "runs/emoji_demo.yaml"), "stepz=3"], "did you mean 'steps'"),
    (["train", str(SPECS / "runs/emoji_demo.yaml"), "data=.", "tokenizer=nowhere"], "nowhere"),
    (["schedule", "nowhere.yaml"], "nowhere.yaml"),
    (["evaluate", "nowhere", "--data", "."], "nowhere"),
    (["predict", "nowhere", "--task", "emoji_caption"], "nowhere"),
    (["index", "nowhere", "photos"], "nowhere"),
    (["retrieve", "nowhere", "photos.index", "--text", "a"], "nowhere"),
    (["retrieve", "nowhere", "photos.index"], "expected one of --text, --image and --video"),
    (["evaluate-retrieval", "nowhere", "--data", "."], "nowhere"),
    (["evaluate-transfer", "nowhere", "--data", "."], "nowhere"),
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


def test_a_schedule_is_simulated_without_a_model() -> None:
    mixture = str(SPECS / "mixtures/emoji.yaml")
    result = run("schedule", mixture, "--rounds", "1200", "--json")
    assert result.returncode == 0, result.stderr
    simulated = json.loads(result.stdout)
    assert simulated["updates"]["emoji_translate"] == 2400
    assert set(simulated["rounds"][0]) == {"emoji_translate"}
    assert set(simulated["rounds"][-1]) == set(simulated["updates"])
    shown = run("schedule", mixture, "--rounds", "2").stdout
    assert "emoji_translate" in shown
    assert "rounds 0-1: emoji_translate" in shown


def test_a_simulated_schedule_rests_and_is_drawn(tmp_path: Path) -> None:
    text = (SPECS / "mixtures/emoji.yaml").read_text(encoding="utf-8")
    text = text.replace("../emoji", str(SPECS / "emoji"))
    text = text.replace("{kind: round_robin, order: fixed}", "{stop_and_go: {}}")
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    picture = tmp_path / "who.svg"
    arguments = ["schedule", str(tmp_path / "mixture.yaml"), "--rounds", "400"]
    result = run(*arguments, "--plot", str(picture))
    assert result.returncode == 0, result.stderr
    assert "emoji_translate STOP (2 scores without a gain" in result.stdout
    assert "emoji_translate" in picture.read_text()
    result = run(*arguments, "--scores", str(tmp_path / "events.jsonl"))
    assert result.returncode == 2 and "events.jsonl" in result.stderr
    result = run(*arguments, "--plot", str(tmp_path / "who.txt"))
    assert result.returncode == 2 and "expected .svg or .png" in result.stderr


def test_shares_by_rows_need_the_data(tmp_path: Path) -> None:
    text = (SPECS / "mixtures/emoji.yaml").read_text(encoding="utf-8")
    text = text.replace("../emoji", str(SPECS / "emoji"))
    text = text.replace("{kind: round_robin, order: fixed}", "{kind: sampled, by: rows}")
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    result = run("schedule", str(tmp_path / "mixture.yaml"))
    assert result.returncode == 2
    assert "expected --data" in result.stdout + result.stderr


def test_a_report_names_a_data_root_that_is_not_there(tmp_path: Path) -> None:
    result = run("report", str(tmp_path), "--data", str(tmp_path / "none"))
    assert result.returncode == 2
    assert "none: there is no such folder; expected the data root" in result.stderr
