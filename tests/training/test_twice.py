"""A notebook trains, looks at the model, and trains again in the same process."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from unified_vl.specs.load import load_run
from unified_vl.training.distributed.engine import stop_process
from unified_vl.training.trainer import train

run_file, folder = sys.argv[1:]
for number in range(2):
    output = f"output={folder}/{number}"
    train(load_run(run_file, [output, "steps=2", "keep_best=false"]), progress=False)
    stop_process()
"""


def test_a_process_trains_again_after_it_left_the_others(squares: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(squares / "run.yaml"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / f"{n}/model/model.safetensors").is_file() for n in range(2))
