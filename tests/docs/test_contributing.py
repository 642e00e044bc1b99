"""CONTRIBUTING.md: the files, modules, functions and commands it names are there."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.test_architecture import ORDER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", PAGE, flags=re.M | re.S))
LINKS = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
FOLDERS = ("unified_vl/", "tests/", "benchmarks/", "task_specs/", "docs/")
PATHS = sorted({*LINKS, *(name for name in CODE if name.startswith(FOLDERS))})
NAMES = sorted({name for name in CODE if name.startswith("unified_vl.")})


@pytest.mark.parametrize("path", PATHS)
def test_paths_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", NAMES)
def test_names_exist(name: str) -> None:
    """The longest part that is a module is imported; the rest are attributes."""
    parts = name.split(".")
    length = next(
        n
        for n in range(len(parts), 0, -1)
        if (file := ROOT.joinpath(*parts[:n])).is_dir() or file.with_suffix(".py").is_file()
    )
    found = import_module(".".join(parts[:length]))
    for attribute in parts[length:]:
        found = getattr(found, attribute)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make (\w+)", PAGE, re.M))))
def test_make_knows_the_targets(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, flags=re.M)


def test_the_folders_stand_in_the_order_of_their_imports() -> None:
    table = re.findall(r"^\| `unified_vl/(\w+)/` \|", PAGE, flags=re.M)
    assert table == sorted(table, key=ORDER.index)


def test_the_readme_links_it() -> None:
    assert "(CONTRIBUTING.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
