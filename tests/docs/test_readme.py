"""README.md's first screen: its very commands, on a small folder of photos."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.docs.test_authoring import ROOT, folder, run_apart  # noqa: F401
from unified_vl.authoring.drafting.run import SIZES

README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN_DATA = README[README.index("## You have your own data") :]


def test_own_data_become_a_model_in_eight_lines(folder: Path) -> None:  # noqa: F811
    (folder / "run.yaml").unlink()  # that of another page
    block = OWN_DATA.split("```sh\n")[1].split("```")[0]
    assert len(block.splitlines()) == 8
    # enough steps to see that it runs; the drafted number trains for a minute
    run_apart(block.replace("train run.yaml ", "train run.yaml steps=2 batch_size=2 "))
    for name in ("model/model.safetensors", "report.json", "report.html", "predictions.jsonl"):
        assert (folder / "runs/photos" / name).is_file()


def test_the_table_of_sizes_is_the_one_that_new_goes_by() -> None:
    rows = re.findall(
        r"\| [^|]*(?:up to|more)[^|]*\| (\d+) \| (\d+) \+ \d+ \| (\d+) \| ([\d,]+) \|", OWN_DATA
    )
    assert [tuple(int(cell.replace(",", "")) for cell in row) for row in rows] == [
        (size.d_model, size.layers, size.image_side, size.vocabulary) for size in SIZES
    ]


def test_plain_make_lists_its_targets() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("install", "demo", "pictures", "test", "check", "format", "clean"):
        assert f"make {target}" in said


def test_every_link_leads_somewhere() -> None:
    for name in re.findall(r"\]\((?!https?:)([^)#]+)", README):
        assert (ROOT / name).exists(), name
