"""What the groups of commands share: options, and files that are written only where that does no harm."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyfer.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def model_names(incomplete: str) -> list[str]:
    """Return the installed models whose name begins so: what the shell offers to complete."""
    from pyfer.models import installed

    return [name for name, _ in installed() if name.startswith(incomplete)]


ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Installed model or model folder.", autocompletion=model_names),
]
HeadOption = Annotated[str | None, typer.Option(help="Which of the model's sets of labels speaks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
DataArgument = Annotated[str, typer.Argument(help="READER:PATH?OPTION=VALUE&..., see 'pyfer data list'.")]

CropsOption = Annotated[bool, typer.Option("--crops", help="Each picture is one face already.")]


def catalogue_names(incomplete: str) -> list[str]:
    """Return the catalogues whose name begins so: what the shell offers to complete."""
    from pyfer.vocabulary import MINE, catalogues

    return [name for name in (*catalogues(), MINE) if name.startswith(incomplete)]


EmotionsOption = Annotated[
    str | None,
    typer.Option(
        "--emotions",
        "-e",
        help="New emotions: a catalogue (see 'pyfer emotions list'), mine, a .toml file, 'awe = fear + joy', "
        "or several of these with commas.",
        autocompletion=catalogue_names,
    ),
]


def real(names: Sequence[str | Path]) -> set[str]:
    """Return the real paths of files, links followed: what `check_target` takes as `taken`."""
    return {os.path.realpath(name) for name in names}


def check_target(option: str, path: Path, taken: Set[str] = frozenset()) -> None:
    """Refuse, before any work, to write where there is no folder or over a file that is `taken`.

    Parameters
    ----------
    option : str
        The option's name, for the message.
    path : Path
        The file to write.
    taken : set of str
        Real paths of the pictures to read and of the other files to write (see `real`).

    Raises
    ------
    ArgumentError
        The path is ``-``, a folder, in no folder, or taken.
    """
    if str(path) == "-":
        raise ArgumentError(f"{option}='-' is no file; to print the results, use --json")
    if path.is_dir() or not path.parent.is_dir():
        rule = (
            "is a folder" if path.is_dir() else f"cannot be written: there is no folder {str(path.parent)!r}"
        )
        raise ArgumentError(f"{option}={str(path)!r} {rule}; name a file")
    if os.path.realpath(path) in taken:
        raise ArgumentError(
            f"{option}={str(path)!r} is read or written by this command already; write elsewhere"
        )


def write(option: str, path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raise `ArgumentError` with the option's name where it cannot be."""
    from pyfer.files import replace_file

    try:
        replace_file(path, content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"{option}={str(path)!r} cannot be written: {reason}") from error


def check_picture(option: str, path: Path, taken: Set[str] = frozenset()) -> str:
    """Do as `check_target`, and return Pillow's name of the format that the file's ending stands for.

    Raises
    ------
    ArgumentError
        As in `check_target`, and where Pillow writes no such format.
    """
    from PIL import Image

    check_target(option, path, taken)
    form = Image.registered_extensions().get(path.suffix.lower(), "")
    if form not in Image.SAVE:
        raise ArgumentError(f"{option}={str(path)!r} must end in .png, .jpg, .webp or the like")
    return form


def write_picture(option: str, path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture, RGB uint8 ``(h, w, 3)``, in the format of the path's ending.

    Raises
    ------
    ArgumentError
        As in `check_picture`, and where the picture or the disk does not allow it.
    """
    from PIL import Image

    stream = io.BytesIO()
    try:
        Image.fromarray(picture).save(stream, check_picture(option, path))
    except (OSError, ValueError) as error:  # such as a side of more pixels than the format can have
        raise ArgumentError(f"{option}={str(path)!r} cannot be written: {error}") from error
    write(option, path, stream.getvalue())
