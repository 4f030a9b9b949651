"""The distribution as users get it: what is in the wheel and the source archive, and that it works alone."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "pyfer"
LIMIT = 12_000_000
"""Bytes a wheel may have."""


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def in_tree() -> set[str]:
    """Return the files of the package as the repository has them, ``pyfer/...``."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the source archive and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("io_pyfer-*.whl")
    return path


@pytest.fixture(scope="module")
def content(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that the wheel is installed in."""
    folder = tmp_path_factory.mktemp("target")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


def isolated(target: Path, code: str) -> list[str]:
    """Run `code` where ``import pyfer`` finds the installed wheel before anything else; return its lines."""
    return run(
        sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(target)!r})\n{code}"
    ).splitlines()


def test_wheel_holds_the_package_and_nothing_else(content: set[str]) -> None:
    mine = {name for name in content if ".dist-info/" not in name}
    assert mine == in_tree()
    assert "pyfer/py.typed" in mine
    assert not [name for name in mine if "test" in name or name.endswith((".pyc", ".pt", ".pkl"))]


@pytest.mark.parametrize("name", ["mtcnn", "base", "svm", "film", "film-both"])
def test_wheel_holds_the_weights(content: set[str], name: str) -> None:
    files = {Path(path).name for path in content if path.startswith(f"pyfer/weights/{name}/")}
    assert any(file.endswith(".onnx") for file in files)
    if name != "mtcnn":
        assert {"model.json", "README.md"} <= files
    assert ("features.npz" in files) == (name == "svm")


def test_wheel_holds_every_licence(content: set[str]) -> None:
    licences = {
        name.partition(".dist-info/licenses/")[2] for name in content if ".dist-info/licenses/" in name
    }
    written = [ROOT / "LICENSE", *(PACKAGE / "weights").glob("*/LICENSE*")]
    assert len(written) > 1
    assert licences == {path.relative_to(ROOT).as_posix() for path in written}


def test_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LIMIT


def test_core_needs_no_extra(wheel: Path, content: set[str]) -> None:
    (name,) = (name for name in content if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["Requires-Python"] == ">=3.11"
    core = [need for need in metadata.get_all("Requires-Dist", []) if "extra" not in need]
    heavy = ("torch", "scikit", "pandas", "opencv", "onnx>", "fastapi", "ray")
    assert core
    assert not [need for need in core if need.startswith(heavy)]


def test_source_archive_can_be_worked_on(built: Path) -> None:
    (path,) = built.glob("io_pyfer-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "constraints.txt", "LICENSE", "README.md", "scripts/test", "scripts/demo"}
    assert wanted <= names
    assert {f"src/{name}" for name in in_tree()} <= names
    assert f"tests/{Path(__file__).name}" in names
    assert not [
        name for name in names if "__pycache__" in name or name.startswith(("out/", ".venv", "runs/"))
    ]


def test_installed_wheel_is_what_is_imported(target: Path) -> None:
    where, version = isolated(target, "import pyfer; print(pyfer.__file__); print(pyfer.__version__)")
    assert Path(where) == target / "pyfer" / "__init__.py"
    assert f"io_pyfer-{version}.dist-info" in {path.name for path in target.iterdir()}


def test_installed_wheel_detects(target: Path) -> None:
    code = "import numpy, pyfer; print(len(pyfer.Mtcnn()(numpy.zeros((96, 96, 3), 'uint8'))))"
    assert isolated(target, code) == ["0"]


def test_installed_wheel_predicts(target: Path) -> None:
    code = "import numpy, pyfer; print(len(pyfer.predict(numpy.zeros((64, 64, 3), 'uint8'), crops=True)))"
    assert isolated(target, code) == ["1"]


def test_installed_command(target: Path) -> None:
    code = "sys.argv[0] = 'pyfer'; sys.argv.append('--version')\nfrom pyfer.cli import main; main()"
    (line,) = isolated(target, code)
    assert line.startswith("pyfer ")
