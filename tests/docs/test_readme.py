"""README.md's first screen: its very commands, on small folders of photos."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.docs.test_authoring import ROOT, run_apart
from tests.docs.test_examples import run
from unified_vl.authoring.drafting.run import SIZES

README = (ROOT / "README.md").read_text(encoding="utf-8")
OWN_DATA = README[README.index("## You have your own data") :]


def split_by_files(root: Path) -> None:
    for split, first in (("train", 0), ("test", 6)):
        rows = [{"image": f"{n}.png", "captions": [f"photo {n}"]} for n in range(first, first + 6)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / f"photos/{split}.jsonl").write_text(text)


def in_a_table(root: Path) -> None:
    rows = [f"images/{n}.png,a photo of roof {n}\n" for n in range(12)]
    (root / "photos/rows.csv").write_text("image,caption\n" + "".join(rows))


def with_texts_beside(root: Path) -> None:
    for number in range(12):
        (root / f"photos/images/{number}.txt").write_text(f"a photo of roof {number}")


@pytest.mark.parametrize("captions", [split_by_files, in_a_table, with_texts_beside])
def test_own_data_become_a_model_in_eight_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, captions: Callable[[Path], None]
) -> None:
    (tmp_path / "photos/images").mkdir(parents=True)
    for number in range(12):
        picture = Image.new("RGB", (40, 30), (20 * number, 90, 10 * number))
        picture.save(tmp_path / f"photos/images/{number}.png")
    captions(tmp_path)
    monkeypatch.chdir(tmp_path)
    block = OWN_DATA.split("```sh\n")[1].split("```")[0]
    lines = block.splitlines()
    assert len(lines) == 8
    for line in lines:
        if " train run.yaml " in line:
            # enough steps to see that it runs; the drafted number trains for a minute
            run_apart(line.replace("train run.yaml ", "train run.yaml steps=2 batch_size=2 "))
        else:
            run(line.partition("  # ")[0])
    for name in ("model/model.safetensors", "report.json", "report.html", "predictions.jsonl"):
        assert (tmp_path / "runs/photos" / name).is_file()


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
