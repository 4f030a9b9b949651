"""The commands ``pyfer features list`` and ``pyfer features show``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from numpy.typing import NDArray
from PIL import Image

from pyfer import cli
from pyfer.cartoon import cartoon_faces
from pyfer.cli.features import app, feature_names
from pyfer.features import KINDS, Hog, feature, picture, sheet

for library in ("skimage", "cv2"):
    pytest.importorskip(library)


def shown(path: str | Path) -> NDArray[np.int64]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), int)


@pytest.fixture(autouse=True)
def _known() -> None:
    """Register the group where the command does not have it."""
    if not any(group.name == "features" for group in cli.app.registered_groups):
        cli.app.add_typer(app, name="features")


def test_list_shows_every_kind_and_options_that_can_be_read(run: Run) -> None:
    done = run("features", "list")
    assert done.status == 0
    table, _, options = done.out.partition("options and their defaults")
    for name, kind in KINDS.items():
        row = next(line for line in table.splitlines() if line.split()[:1] == [name])
        assert kind.sees in row
        assert str(kind().width) in row.split()
    lines = [line for line in options.splitlines() if line]
    assert [feature(line) for line in lines] == [kind() for kind in KINDS.values()]
    assert max(map(len, table.splitlines())) <= 80


def test_show_draws_the_largest_face(run: Run, portrait: Path) -> None:
    done = run("features", "show", portrait, "--feature", "hog?cell=6", "-o", "hog.png")
    assert (done.status, done.out, done.err) == (0, "hog?cell=6: hog.png\n", "")
    drawn, whole = shown("hog.png"), shown(portrait)
    assert drawn.shape == (466, 842, 3)
    run("features", "show", portrait, "--feature", "hog?cell=6", "-o", "whole.png", "--crops")
    face, uncut = (each[14:414, 14:414] for each in (drawn, shown("whole.png")))
    small = np.asarray(Image.fromarray(uncut.astype(np.uint8)).resize(whole.shape[:2]), int)
    assert np.abs(small - whole).mean() < 8  # with --crops it is all of the picture
    assert np.abs(uncut - face).mean() > 20


def test_show_all_is_a_sheet(run: Run) -> None:
    face = cartoon_faces(np.eye(8)[:1], size=96)[0]
    Image.fromarray(face).save("face.png")
    done = run("features", "show", "face.png", "--crops")
    assert (done.status, done.out) == (0, "all: features.png\n")
    assert shown("features.png").shape == sheet(list(KINDS), face).shape


def test_without_a_face_the_whole_picture_is_shown(run: Run) -> None:
    Image.fromarray(np.full((60, 90, 3), 120, np.uint8)).save("wall.png")
    done = run("features", "show", "wall.png", "-f", "pixels", "-o", "seen.png")
    assert done.status == 0
    assert done.err == "no face found: the whole picture is shown\n"
    assert shown("seen.png").shape == (466, 842, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("face.png", "-f", "hot"), "feature='hot' must be one of hog"),
        (("face.png", "-f", "hog?cel=3"), "did you mean 'cell'?"),
        (("face.png", "-f", "hog", "-o", "face.png"), "is read or written by this command already"),
        (("face.png", "-f", "hog", "-o", "seen.txt"), "must end in .png"),
        (("none.png", "-f", "hog"), "none.png"),
    ],
)
def test_wrong_use_is_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    Image.fromarray(np.zeros((48, 48, 3), np.uint8)).save("face.png")
    done = run("features", "show", *arguments, "--crops")
    assert done.status == 2
    assert done.err.startswith("error: ")
    assert message in done.err


def test_a_coding_is_shown_without_a_codebook(run: Run) -> None:
    Image.fromarray(cartoon_faces(np.eye(8)[:1], size=48)[0]).save("face.png")
    assert (
        run("features", "show", "face.png", "-f", "sift?coding=words", "-o", "seen.png", "--crops").status
        == 0
    )


def test_the_shell_completes_names() -> None:
    assert feature_names("l") == ["lbp", "landmarks"]
    assert feature_names("a") == ["all"]


def test_the_picture_is_that_of_the_library(run: Run) -> None:
    face = cartoon_faces(np.eye(8)[:1], size=256)[0]
    Image.fromarray(face).save("face.png")
    run("features", "show", "face.png", "-f", "hog", "-o", "seen.png", "--crops")
    assert np.array_equal(shown("seen.png"), picture(Hog(), face))
