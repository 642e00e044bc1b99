"""Data flows one way: a folder imports only from those before it, and DeepSpeed has one room."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
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
    "shown",
    "run_record",
    "checkpoint_folders",
    "locks",
    "streams",
    "remote",
    "torchvision_compat",
    "auto_classes",
    "parts",
    "yaml_text",
    "image_formats",
    "video_formats",
    "geometry",
    "box_conventions",
    "languages",
    "metrics",
    "kinds",
    "augmentation",
    "readers",
    "specs",
    "codecs",
    "data",
    "perturbation",
    "image_tokenizer",
    "model",
    "decoding",
    "authoring",
    "inference",
    "other_models",
    "export",
    "evaluation",
    "hugging_face",
    "serving",
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


def test_only_the_engine_and_how_processes_join_know_deepspeed() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if any(module.split(".")[0] == "deepspeed" for module in imports(path))
    }
    assert found == {"training/distributed/engine.py", "training/distributed/process.py"}


def test_tests_lie_in_the_rooms_of_what_they_test() -> None:
    """What else there is has files of its own to test, or is asked by several rooms."""
    others = {"benchmarks", "docs", "golden", "task_specs"}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tests = {path.relative_to(TESTS).parts[0] for path in TESTS.glob("*/**/test_*.py")}
    assert tests - others == rooms


def test_a_kind_of_value_is_named_by_its_registry_alone() -> None:
    """Whatever else differs from kind to kind is asked of the kind (`unified_vl/kinds/kind.py`)."""
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in MODULES
        if path.parts[-2:] != ("kinds", "registry.py")
        and path.relative_to(PACKAGE).parts[0] != "metrics"  # which say what they score
        and (names := kinds_told_apart(path))
    }
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        'field.kind == "box"',
        '"box" not in kinds',
        '["box"] == [f.kind for f in fields]',
        'spec.fields[name].kind in ("label", "box")',
        '[kind.name for kind in kinds].count("box")',
        'place_kind("box")',
        'def f(kind: str = "box"): ...',
        'guess(kind="box")',
        'kind: str = "box"',
        'ROOM = {"box": 4}\nROOM[field.kind]',
        'ROOM = {"box": 4}\nROOM.get(field.kind)',
        'match field.kind:\n    case "label" | "box": ...',
        "isinstance(kind, BoxKind)",
        "from unified_vl.kinds.box import BoxKeys",
        "import unified_vl.kinds.box",
    ],
)
def test_each_way_of_telling_kinds_apart_is_found(code: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code)
    assert "box" in kinds_told_apart(path)


def kinds_told_apart(path: Path) -> set[str]:
    """The kinds of value that code knows by name: which it compares a kind with, passes or assigns
    as one, looks up by one, or whose class or file it uses.

    What is only called as a kind is does not count: columns of readers, keys of rows, words of
    others' formats, what values are written in (`writing`).
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = {type(kind).__name__: name for name, kind in KINDS.items()}
    tables = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Compare(left=left, comparators=others):
                said = [left, *others] if any(map(_says_kind, (left, *others))) else []
            case ast.Match(subject=subject, cases=cases):
                said = [case.pattern for case in cases] if _says_kind(subject) else []
            case ast.Call(func=func, args=args, keywords=keywords):
                said = [k.value for k in keywords if k.arg and "kind" in k.arg.lower()]
                said += args if _says_kind(func) else []
                if isinstance(func, ast.Attribute) and any(map(_says_kind, args)):
                    said += _keys(func.value, tables)  # TABLE.get(field.kind)
            case ast.Subscript(value=value, slice=index):
                said = _keys(value, tables) if _says_kind(index) else []
            case ast.arguments(args=named, defaults=defaults):
                ends = zip(named[::-1], defaults[::-1], strict=False)
                said = [default for each, default in ends if "kind" in each.arg.lower()]
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                said = [value] if _says_kind(target) else []
            case ast.Assign(targets=targets, value=value):
                said = [value] if any(map(_says_kind, targets)) else []
            case ast.ImportFrom(module=str() as module):
                found.add(module.removeprefix("unified_vl.kinds."))
                continue
            case ast.Import(names=names):
                found |= {name.name.removeprefix("unified_vl.kinds.") for name in names}
                continue
            case ast.Name(id=name):
                found.add(classes.get(name, ""))
                continue
            case _:
                continue
        found |= {text for each in said for text in _texts(each)}
    return found & set(KINDS)


def _says_kind(node: ast.AST) -> bool:
    """Whether code names something that is called a kind."""
    if isinstance(node, ast.Attribute) and node.attr == "writing":
        return False
    names = (getattr(e, "attr", None) or getattr(e, "id", "") for e in ast.walk(node))
    return any("kind" in name.lower() for name in names)


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts that a value may be or hold; of what a call is given nothing is known."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Dict):
        yield from (text for key in node.keys if key for text in _texts(key))
    elif not isinstance(node, ast.Call):
        yield from (text for inner in ast.iter_child_nodes(node) for text in _texts(inner))


def _keys(node: ast.expr, tables: Mapping[str, ast.Dict]) -> list[ast.expr]:
    """The keys of a table that is written here, or by that name in the same file."""
    table = tables.get(node.id) if isinstance(node, ast.Name) else node
    return [key for key in table.keys if key] if isinstance(table, ast.Dict) else []


DECIDE = ("training/schedules/registry.py", "specs/task.py", "specs/tasks/template.py")


@pytest.mark.parametrize("name", DECIDE)
def test_what_decides_needs_no_torch(name: str) -> None:
    assert not [m for m in imports(PACKAGE / name) if m.split(".")[0] == "torch"]


def test_asset_folders_are_no_packages() -> None:
    """With an __init__.py, `tokenizers/` would hide the library of that name."""
    for folder in ("tokenizers", "task_specs"):
        assert not list((PACKAGE.parent / folder).rglob("__init__.py"))
