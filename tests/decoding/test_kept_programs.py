"""unified_vl/decoding/decoders/kept_programs.py: programs are found again where nothing changed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.decoding.test_search import build
from unified_vl.decoding.decoders import kept_programs
from unified_vl.decoding.decoders.kept_programs import KeptPrograms
from unified_vl.model.unified import UnifiedVLForConditionalGeneration

Model = UnifiedVLForConditionalGeneration


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache/programs"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.pt2"
    path.write_bytes(b"a program")
    return path


def kept(folder: Path, model: Model | None = None, **options: object) -> KeptPrograms:
    return KeptPrograms(model or build("biases of each layer"), options, folder)


def test_the_next_process_finds_what_this_one_kept(folder: Path, program: Path) -> None:
    assert kept(folder).find("encoder") is None
    kept(folder).keep("encoder", program)
    found = kept(folder).find("encoder")
    assert found is not None and found.read_bytes() == b"a program"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert len(list(folder.iterdir())) == 1


def _other_weight(model: Model) -> None:
    with torch.no_grad():
        model.decoder.norm.weight[3] += 1e-6


CHANGES: dict[str, Callable[[Path], KeptPrograms]] = {
    "weights": lambda folder: kept(folder, _changed(_other_weight)),
    "sizes": lambda folder: kept(folder, build("tied")),
    "options": lambda folder: kept(folder, freezing=True),
}


def _changed(change: Callable[[Model], None]) -> Model:
    model = build("biases of each layer")
    change(model)
    return model


@pytest.mark.parametrize("what", CHANGES)
def test_what_differs_has_programs_of_its_own(folder: Path, program: Path, what: str) -> None:
    kept(folder).keep("encoder", program)
    assert CHANGES[what](folder).find("encoder") is None


def test_another_name_torch_or_code_is_another_program(
    folder: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(folder).keep("encoder", program)
    assert kept(folder).find("a step") is None
    for place in range(len(kept_programs._here())):
        here = list(kept_programs._here())
        here[place] += " other"
        with monkeypatch.context() as patch:
            patch.setattr(kept_programs, "_here", lambda here=here: tuple(here))
            assert kept(folder).find("encoder") is None


def test_a_broken_file_is_no_program(folder: Path, program: Path) -> None:
    kept(folder).keep("encoder", program)
    (path,) = folder.iterdir()
    path.write_bytes(b"a progra")
    assert kept(folder).find("encoder") is None
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_not_used(
    folder: Path, program: Path, mode: int
) -> None:
    kept(folder).keep("encoder", program)
    folder.chmod(mode)
    assert kept(folder).find("encoder") is None
    kept(folder).keep("a step", program)
    assert len(list(folder.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="rights of POSIX")
def test_the_folder_of_another_is_not_used(
    folder: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(folder).keep("encoder", program)
    monkeypatch.setattr(os, "getuid", lambda: -7)
    assert kept(folder).find("encoder") is None


def test_those_used_longest_ago_go_first(
    folder: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_programs, "MOST_BYTES", 20)
    mine = kept(folder)
    for number, name in enumerate(["one", "two"]):
        mine.keep(name, program)
        path = mine.find(name)
        assert path is not None
        os.utime(path, (1000 + number, 1000 + number))
    assert mine.find("one") is not None  # which counts as used
    mine.keep("three", program)
    assert [mine.find(name) is not None for name in ("one", "two", "three")] == [True, False, True]


def test_where_nothing_can_be_kept_nothing_fails(tmp_path: Path, program: Path) -> None:
    (tmp_path / "file").write_text("")
    mine = kept(tmp_path / "file/programs")
    mine.keep("encoder", program)
    assert mine.find("encoder") is None
