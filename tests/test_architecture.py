"""The map of the house: imports go one way, the core is light, and what is public is explained."""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pyfer

ROOT = Path(pyfer.__file__).parent
FLOORS = (
    {"errors"},
    {"emotions", "files", "sources", "crops", "mtcnn"},
    {"segments", "films"},
    {"successions", "faces", "cartoon", "results", "evidence"},
    {"vocabulary", "features", "tracking", "sinks"},
    {"models", "datasets", "drawing", "posterior", "learning"},
    {"evaluation", "baseline", "maps", "discovery", "audit", "streams"},
    {"pipeline"},
    {"blends", "subsets", "report", "watching"},
    {"benchmark", "studies"},
    {"terminal"},
    {"cli"},
    {"__main__"},
)
"""Rooms are modules or packages. All the files of a room may import from the floors below its own."""
CORE = sorted(name for floor in FLOORS for name in floor)
FILES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix()
    for path in ROOT.rglob("*.py")
    if ROOT / "training" not in path.parents
)
"""Every file but those of training, as in ``models``, ``cli/__init__``, ``cli/data``."""
FILES_OF_ROOMS = [file for file in FILES if file != "__init__"]
THIRD_PARTY = {"numpy", "PIL"}
ALSO = {"mtcnn": {"onnxruntime"}, "cli": {"typer", "rich"}, "terminal": {"rich"}}
"""What a room may import at its top beside the standard library and `THIRD_PARTY`."""
HEAVY = ("torch", "sklearn", "pandas", "cv2", "skimage", "onnx", "scipy", "matplotlib")


def room_of(file: str) -> str:
    return file.split("/")[0]


def dotted(file: str) -> str:
    """Return the name to import a file by: ``cli/models`` is pyfer.cli.models, ``cli/__init__`` pyfer.cli."""
    return ".".join(["pyfer", *file.removesuffix("/__init__").split("/")])


def tree_of(file: str) -> ast.Module:
    return ast.parse((ROOT / f"{file}.py").read_text(encoding="utf-8"))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(node: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """Yield the full names of modules that are imported when the code runs."""
    for child in ast.iter_child_nodes(node):
        if is_for_types(child):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            yield child.module or ""
            yield from (f"{child.module}.{alias.name}" for alias in child.names)  # may be modules as well
        elif inside_functions or not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from imports(child, inside_functions=inside_functions)


def rooms(file: str) -> set[str]:
    """Return the rooms of this package that a file imports, in functions too; not the package it is in."""
    found = {full.split(".")[1] for full in imports(tree_of(file), inside_functions=True) if "." in full
             and full.startswith("pyfer.")}  # fmt: skip
    own = {room_of(file)} if "/" in file else set()
    return {room for room in found if (ROOT / f"{room}.py").exists() or (ROOT / room).is_dir()} - own


def test_every_module_has_its_floor() -> None:
    assert {room_of(file) for file in FILES_OF_ROOMS} == set(CORE)
    assert sum(map(len, FLOORS)) == len(CORE)


def test_a_room_is_a_module_or_a_package() -> None:
    for name in {room_of(file) for file in FILES_OF_ROOMS}:
        files = {file for file in FILES_OF_ROOMS if room_of(file) == name}
        assert (f"{name}/__init__" in files) == (name not in files)  # of both, Python would read one alone


@pytest.mark.parametrize("file", FILES_OF_ROOMS)
def test_imports_go_one_way(file: str) -> None:
    name = room_of(file)
    floor = next(k for k, names in enumerate(FLOORS) if name in names)
    below = {other for names in FLOORS[:floor] for other in names}
    if name in ("cli", "studies"):
        below.add("training")  # the command that trains, and those that compare trainings
    assert rooms(file) <= below


def test_a_group_of_commands_imports_no_other() -> None:
    """`common` serves the groups, ``__init__`` gathers them: one way inside the package too."""
    files = {file for file in FILES if room_of(file) == "cli"} - {"cli/__init__"}
    assert "cli/common" in files
    for file in files:
        found = {tuple(full.split(".")) for full in imports(tree_of(file), inside_functions=True)}
        inside = {full[:3] for full in found if full[:2] == ("pyfer", "cli")}
        assert inside <= (set() if file == "cli/common" else {("pyfer", "cli", "common")}), file


def test_nothing_imports_the_command_and_training_needs_no_command() -> None:
    for path in (ROOT / "training").rglob("*.py"):
        found = set(imports(ast.parse(path.read_text(encoding="utf-8")), inside_functions=True))
        assert not {full for full in found if full.startswith(("pyfer.cli", "pyfer.terminal"))}


@pytest.mark.parametrize("file", FILES_OF_ROOMS)
def test_a_module_imports_only_light_things_at_its_top(file: str) -> None:
    tops = {full.split(".")[0] for full in imports(tree_of(file), inside_functions=False)}
    foreign = {top for top in tops if top not in sys.stdlib_module_names and top != "pyfer"}
    assert foreign <= THIRD_PARTY | ALSO.get(room_of(file), set())


@pytest.mark.parametrize("file", FILES_OF_ROOMS)
def test_no_network_and_no_pickle(file: str) -> None:
    found = set(imports(tree_of(file), inside_functions=True))
    banned = {
        "pickle",
        "socket",
        "ssl",
        "http.client",
        "urllib.request",
        "requests",
        "httpx",
        "joblib",
        "shelve",
    }
    assert not found & banned
    assert "allow_pickle" not in (ROOT / f"{file}.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", [file for file in FILES_OF_ROOMS if room_of(file) != "cli"])
def test_only_the_command_prints(file: str) -> None:
    calls = [node.func for node in ast.walk(tree_of(file)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def loaded_by(statement: str) -> tuple[set[str], float]:
    """Return the modules that are there after a statement in a fresh Python, and its seconds."""
    clock = "time.perf_counter()"
    code = f"import sys, time; t = {clock}; {statement}; t = {clock} - t; print(t, *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    seconds, *names = done.stdout.split()
    return {name.split(".")[0] for name in names} | set(names), float(seconds)


def test_import_pyfer_is_quick_and_loads_nothing_heavy() -> None:
    loaded, seconds = loaded_by("import pyfer")
    assert not loaded & {*HEAVY, "numpy", "PIL", "onnxruntime", "typer", "rich"}
    assert seconds < 0.3


def test_the_command_answers_help_without_loading_networks() -> None:
    loaded, _ = loaded_by("import pyfer.cli")
    assert not loaded & {*HEAVY, "numpy", "PIL", "onnxruntime", "pyfer.pipeline", "pyfer.training"}


def test_all_of_the_core_loads_no_extra() -> None:
    loaded, _ = loaded_by("import " + ", ".join(map(dotted, FILES_OF_ROOMS)))
    assert not loaded & {*HEAVY, "pyfer.training"}


def test_public_names_are_there_and_explained() -> None:
    assert sorted(set(pyfer.__all__)) == sorted(pyfer.__all__)
    assert set(pyfer.__all__) <= set(dir(pyfer))
    for name in pyfer.__all__:
        value = getattr(pyfer, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert len((value.__doc__ or "").split()) >= 3, name
        elif name != "__version__":
            assert explained(pyfer._HOMES[name], name), name


def explained(module: str, name: str) -> bool:
    """Whether a text follows the assignment of a constant."""
    body = tree_of(module).body
    for node, following in itertools.pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    return False


def test_a_public_name_stays_itself_whatever_is_imported_before_or_after() -> None:
    """A module of the same name would take its place (``pyfer.draw``)."""
    modules = {path.stem for path in ROOT.iterdir()}
    assert not modules & set(pyfer.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pyfer' has no attribute 'predicts'"):
        pyfer.predicts  # noqa: B018


@pytest.mark.parametrize("file", FILES)
def test_a_module_says_what_it_is(file: str) -> None:
    assert len((ast.get_docstring(tree_of(file)) or "").split()) >= 4


def test_the_errors_have_one_root() -> None:
    errors = importlib.import_module("pyfer.errors")
    kinds = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
    ]
    assert len(kinds) >= 7
    for kind in kinds:
        assert issubclass(kind, pyfer.PyferError)
        assert kind.__name__ in (errors.__doc__ or "")  # drawn in the tree


def lines_of_body(function: ast.FunctionDef) -> int:
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # the docstring
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("file", FILES_OF_ROOMS)
def test_functions_fit_on_a_screen(file: str) -> None:
    functions = [node for node in ast.walk(tree_of(file)) if isinstance(node, ast.FunctionDef)]
    assert not [f"{f.name}: {lines_of_body(f)}" for f in functions if lines_of_body(f) > 40]
