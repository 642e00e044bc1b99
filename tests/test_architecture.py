"""Data flows one way: a folder imports only from those before it, and DeepSpeed has one door."""

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from unified_vl.kinds.registry import KINDS

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "unified_vl"
ORDER = [
    "errors",
    "json_text",
    "files",
    "extras",
    "png",
    "run_record",
    "checkpoint_folders",
    "locks",
    "streams",
    "torchvision_compat",
    "parts",
    "yaml_text",
    "image_formats",
    "geometry",
    "box_conventions",
    "languages",
    "metrics",
    "kinds",
    "readers",
    "specs",
    "codecs",
    "data",
    "image_tokenizer",
    "model",
    "decoding",
    "authoring",
    "inference",
    "other_models",
    "evaluation",
    "app",
    "training",
    "worlds",
    "cli",
]
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_folder_imports_only_from_those_before_it(path: Path) -> None:
    own = ORDER.index(path.relative_to(PACKAGE).parts[0])
    for module in imports(path):
        package, *rest = module.split(".")
        if package == "unified_vl" and rest:
            assert ORDER.index(rest[0]) <= own, f"{path} imports {module}"


def test_no_module_needs_itself() -> None:
    """No circles, also not through imports within functions (types alone may look back)."""
    by_name = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in MODULES
    }
    needs = {
        name: {one for one in _needed(path) if one in by_name} for name, path in by_name.items()
    }
    assert list(TopologicalSorter(needs).static_order())  # a CycleError names the circle


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_what_is_imported_exists(path: Path) -> None:
    """Types of modules that are not found count as known, so mypy does not say it."""
    for module in imports(path):
        if module.split(".")[0] == "unified_vl":
            place = PACKAGE.parent.joinpath(*module.split("."))
            assert place.is_dir() or place.with_suffix(".py").is_file(), module


def _needed(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_a_folder_holds_at_most_sixteen_modules() -> None:
    """Readers aside, which have a file a format."""
    count = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert not {
        str(folder): many
        for folder, many in count.items()
        if many > 16 and folder.relative_to(PACKAGE).parts[0] != "readers"
    }


def test_only_the_engine_knows_deepspeed() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(module.split(".")[0] == "deepspeed" for module in imports(path))
    }
    assert found == {"training/distributed/engine.py"}


def test_tests_lie_in_the_rooms_of_what_they_test() -> None:
    """What else there is has files of its own to test, or is asked by several rooms."""
    others = {"benchmarks", "docs", "golden", "task_specs"}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tests = {path.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
    assert tests - others == rooms


COMPARED = {"image": 19, "text": 16, "box": 5, "number": 3, "language": 3, "polygon": 1}
"""How many files outside `kinds/` compare a kind with each of these names; others: none."""


def test_kinds_are_not_told_apart_by_name_in_more_places() -> None:
    """What they differ in belongs in `unified_vl/kinds/`: a count here may only fall."""
    found: dict[str, set[Path]] = {}
    for path in (path for path in MODULES if path.relative_to(PACKAGE).parts[0] != "kinds"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and "kind" in ast.unparse(node).lower():
                constants = {e.value for e in ast.walk(node) if isinstance(e, ast.Constant)}
                for name in constants & set(KINDS):
                    found.setdefault(name, set()).add(path)
    counts = {name: len(files) for name, files in found.items()}
    assert {name: n for name, n in counts.items() if n > COMPARED.get(name, 0)} == {}, counts


DECIDE = ("training/schedules/registry.py", "specs/task.py", "specs/tasks/template.py")


@pytest.mark.parametrize("name", DECIDE)
def test_what_decides_needs_no_torch(name: str) -> None:
    assert not [m for m in imports(PACKAGE / name) if m.split(".")[0] == "torch"]


def test_asset_folders_are_no_packages() -> None:
    """With an __init__.py, `tokenizers/` would hide the library of that name."""
    for folder in ("tokenizers", "task_specs"):
        assert not list((PACKAGE.parent / folder).rglob("__init__.py"))
