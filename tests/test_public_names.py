"""What `import unified_vl` offers, and how it looks to a person and to an editor."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_overloads

import unified_vl

ROOT = Path(__file__).parent.parent


def test_every_public_name_is_there() -> None:
    assert set(unified_vl.__all__) <= set(dir(unified_vl))
    for name in unified_vl.__all__:
        assert getattr(unified_vl, name) is not None


def test_the_import_loads_no_torch() -> None:
    program = "import sys, unified_vl; dir(unified_vl); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


def test_the_help_tells_the_way_in() -> None:
    said = unified_vl.__doc__ or ""
    for name in (
        "from_pretrained",
        "predict",
        "load_run",
        "train",
        "evaluate",
        "Retriever",
        "predict_many",
        "push",
    ):
        assert name in said


def test_an_editor_knows_what_predict_returns() -> None:
    """One input gives one prediction, a list of languages several; fields may be either."""
    overloads = get_overloads(unified_vl.UnifiedVL.predict)
    assert [each.__annotations__["return"] for each in overloads] == [
        "Prediction",
        "list[Prediction]",
        "Prediction | list[Prediction]",
    ]


def test_type_checkers_see_every_public_name() -> None:
    """The names are loaded when they are asked for; what checkers read of them is an import."""
    tree = ast.parse(Path(unified_vl.__file__ or "").read_text(encoding="utf-8"))
    seen = {
        name.asname or name.name: f"{node.module}:{name.name}"
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert set(seen) == set(unified_vl.__all__) - {"__version__"}
    for name, place in seen.items():
        module, _, attribute = place.partition(":")
        assert getattr(import_module(module), attribute) is getattr(unified_vl, name)
    assert (Path(unified_vl.__file__ or "").parent / "py.typed").is_file()


def test_editors_find_an_editable_install() -> None:
    """A finder that setuptools installs at start-up is invisible to mypy and pyright."""
    assert "editable_mode=compat" in (ROOT / "Makefile").read_text(encoding="utf-8")
