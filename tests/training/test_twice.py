"""A notebook trains, looks at the model, and trains again in the same process."""

from pathlib import Path

from tests.processes import run_command

PROGRAM = """
import sys
from unified_vl.specs.load import load_run
from unified_vl.training.distributed.process import stop_process
from unified_vl.training.trainer import train

run_file, folder = sys.argv[1:]
for number in range(2):
    output = f"output={folder}/{number}"
    train(load_run(run_file, [output, "steps=2", "keep_best=false"]), progress=False)
    stop_process()
"""


def test_a_process_trains_again_after_it_left_the_others(squares: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run_command(program, squares / "run.yaml", tmp_path)
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / f"{n}/model/model.safetensors").is_file() for n in range(2))
