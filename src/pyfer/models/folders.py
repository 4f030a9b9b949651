"""Where model folders lie: those that ship, those that the user added, and any other by its path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pyfer.errors import ModelError, did_you_mean
from pyfer.files import home, sha256

DEFAULT_MODEL = "base"
_SHIPPED = Path(__file__).parents[1] / "weights"


def installed() -> Iterator[tuple[str, Path]]:
    """Yield (name, folder) of the models that ship and of those added by the user."""
    for root in (_SHIPPED, home() / "models"):
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                # a hidden folder is one that `add` has not finished
                if (folder / "model.json").is_file() and not folder.name.startswith("."):
                    yield folder.name, folder


def find(name: str | Path | None) -> Path:
    """Return the folder of an installed model's name, of a path, or (None) of the default model.

    A string that is both is the installed model; write ``./name`` or pass a `Path` for the folder.
    """
    if name is None:
        name = DEFAULT_MODEL
    known = dict(installed())
    is_folder = os.path.isdir(name)  # noqa: PTH112  (Path.is_dir raises on odd names)
    if str(name) in known and not (is_folder and isinstance(name, Path)):
        return known[str(name)]
    if is_folder:
        return Path(name)
    raise ModelError(
        f"model={str(name)!r} is neither an installed model ({', '.join(known) or 'none'}) nor a folder"
        + did_you_mean(str(name), known)
    )


def find_encoder(name: str, beside: Path) -> Path:
    """Return the folder of an encoder: an installed model, or a folder, relative to the one that asks."""
    known = dict(installed())
    if name in known:
        return known[name]
    folder = beside / name
    if os.path.isdir(folder):  # noqa: PTH112  (as above)
        return folder
    raise ModelError(
        f"encoder model={name!r} is neither an installed model ({', '.join(known) or 'none'}) nor a folder; "
        f"install it first with 'pyfer models add'{did_you_mean(name, known)}"
    )


def is_shipped(name: str) -> bool:
    """Whether a model of this name ships with pyFER."""
    return (_SHIPPED / name).is_dir()


def check_hash(path: Path, wanted: str) -> None:
    """Raise `ModelError` unless a file of a model folder is there and has the SHA-256 `wanted`."""
    if not path.is_file():
        raise ModelError(f"model {str(path.parent)!r} lacks {path.name!r}, which its model.json names")
    try:
        found = sha256(path)
    except OSError as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if found != wanted:
        raise ModelError(
            f"model {str(path.parent)!r} is damaged: {path.name} has sha256 {found[:12]}..., "
            f"its model.json says {wanted[:12]}...; install it again"
        )
