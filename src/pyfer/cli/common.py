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

    from pyfer.emotions import Emotion
    from pyfer.models import Model
    from pyfer.pipeline import Reading
    from pyfer.posterior import Posterior
    from pyfer.vocabulary import Vocabulary


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

FileOption = Annotated[
    Path | None, typer.Option("--file", "-f", help="Definition file (default: your own, 'mine').")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the emotion.")]
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


CLOSE = 0.8
"""Overlap from which two emotions are hard to tell apart: 40 of 100 faces are taken for the other."""


def reading_of(head: str | None, classes: str | None, prior: str | None) -> Reading:
    """Return how probabilities are to be read, from the words of the options.

    Raises
    ------
    ArgumentError
        The prior is neither a word nor weights such as ``happiness=3,fear=0.5``.
    """
    from pyfer.pipeline import Reading

    weights: str | dict[str, float] | None = prior
    if prior is not None and "=" in prior:
        try:
            weights = {name: float(w) for name, _, w in (part.partition("=") for part in prior.split(","))}
        except ValueError:
            raise ArgumentError(
                f"prior={prior!r} must look like happiness=3,fear=0.5, or be 'uniform'"
            ) from None
    chosen = None if classes is None else tuple(part for part in classes.split(",") if part.strip())
    return Reading(head, chosen, weights)


def posterior_of(vocabulary: Vocabulary, model: Model | str | None) -> Posterior:
    """Return what reads these emotions with a model."""
    from pyfer.pipeline import Pipeline, Reading

    posterior = Pipeline(model, reading=Reading(emotions=vocabulary)).posterior
    assert posterior is not None
    return posterior


def rivals(name: str, vocabulary: Vocabulary, model: Model | str | None) -> dict[str, float]:
    """Return the emotions that one of them is hard to tell from -> overlap, the largest first."""
    posterior = posterior_of(vocabulary, model)
    names = posterior.vocabulary.names
    if name not in names:
        return {}
    row = dict(zip(names, posterior.overlap()[names.index(name)].tolist(), strict=True))
    close = {other: value for other, value in row.items() if value >= CLOSE and other != name}
    return dict(sorted(close.items(), key=lambda item: -item[1]))


def warn_of_rivals(emotion: Emotion, path: Path, model: Model | str | None = None) -> None:
    """Say which basic emotions, and which of the same file, a new one is hard to tell from."""
    from rich.text import Text

    from pyfer.terminal import err, shown
    from pyfer.vocabulary import load

    for name, value in rivals(emotion.name, load(path), model).items():
        line = f"hard to tell from {shown(name)} in faces (overlap {value:.2f})"
        err.print(Text(line, "yellow"), soft_wrap=True)


def check_folder(option: str, path: Path, what: str, older: Set[str] | None) -> None:
    """Refuse, before any work, to replace a folder that has more in it than an older result.

    Parameters
    ----------
    option : str
        The option's name, for the message.
    path : Path
        The folder to write.
    what : str
        What it will be, for the message: ``a model``.
    older : set of str or None
        Names of the files of an older result, if that is what is there.

    Raises
    ------
    ArgumentError
        The path is a file, or a folder with anything else in it.
    """
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"{option}={str(path)!r} is a file; name a folder")
    there = {each.name for each in path.iterdir()} if path.is_dir() else set()
    if foreign := sorted(there - (older or set())):
        raise ArgumentError(
            f"{option}={str(path)!r} is a folder with other things in it ({', '.join(foreign[:3])}"
            f"{', ...' if len(foreign) > 3 else ''}); only {what} is replaced, so name another folder"
        )


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
