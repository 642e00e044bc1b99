"""Models answer on a GPU where there is one, unless told otherwise."""

from __future__ import annotations

import inspect

import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

from unified_vl.cli.main import app
from unified_vl.errors import UserError
from unified_vl.inference.predictor import UnifiedVL
from unified_vl.inference.saved_models.model_directory import find_device, usable_device


@pytest.mark.parametrize(
    ("name", "gpu", "found"),
    [
        ("auto", True, "cuda"),
        ("auto", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cuda:1", True, "cuda:1"),
        (torch.device("cpu"), True, "cpu"),
    ],
)
def test_auto_is_a_gpu_where_there_is_one(
    name: str | torch.device, gpu: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert find_device(name) == torch.device(found)


@pytest.mark.parametrize(
    "command",
    [
        "predict",
        "evaluate",
        "index",
        "retrieve",
        "app",
        "evaluate-retrieval",
        "evaluate-transfer",
        "image-tokenizer train",
    ],
)
def test_every_command_that_answers_takes_it_by_default(command: str) -> None:
    found = get_command(app)
    for name in command.split():
        found = found.commands[name]  # type: ignore[attr-defined]
    (device,) = (each for each in found.params if each.name == "device")
    assert device.default == "auto"
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).output
    assert "auto takes a GPU where there is one" in shown


def test_python_takes_it_by_default_too() -> None:
    assert inspect.signature(UnifiedVL.from_pretrained).parameters["device"].default == "auto"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "cuda:x", "cpu:-1", "meta", ""])
def test_a_device_that_is_not_there_is_one_message(name: str) -> None:
    with pytest.raises(UserError, match=f"device: cannot compute on '{name}'"):
        usable_device(name)
