"""The readers of public formats on small trees, every kind of bad data, checks, parts and folds."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pyfer.cartoon import cartoon_faces
from pyfer.datasets import (
    CARDS,
    CKPLUS_LABELS,
    EXAMPLES,
    FER2013_LABELS,
    FaceData,
    Problem,
    check,
    concatenate,
    ferplus_majority,
    folds,
    one_hot,
    open_data,
    readers,
    register,
    registry,
    split,
)
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, BadDataError, DataError, MissingExtraError
from pyfer.vocabulary import load

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
Write = Callable[..., Path]


def drawn(emotion: str = "happiness", size: int = 48, seed: int = 1) -> NDArray[np.uint8]:
    """Return a cartoon face (size, size, 3); MTCNN finds the happy one of seed 1."""
    weights = np.zeros((8, 8))
    weights[:, BASIC.index(emotion)] = 1
    return cartoon_faces(weights, size=size, seed=seed)[1]


def picture(path: Path, pixels: NDArray[np.uint8] | int) -> Path:
    """Write a picture; a number draws noise of 20 x 20 that is unlike other numbers'."""
    if isinstance(pixels, int):
        pixels = np.random.default_rng(pixels).integers(0, 256, (20, 20), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def labels(data: FaceData) -> list[str]:
    """Return the label of each face in the first head."""
    head, target = next(iter(data.targets.items()))
    return [data.labels[head][k] for k in target.argmax(1)]


def inside(data: FaceData) -> list[float]:
    """Return the mean of each crop without its margin, where resampling mixes in what lies outside."""
    return [float(image[4:-4, 4:-4].mean()) for image in data.images]


def kinds(problems: Sequence[Problem]) -> list[str]:
    return [problem.kind for problem in problems]


# --- FER2013 ----------------------------------------------------------------------------------------------


def pixels(value: int, side: int = 48) -> str:
    return " ".join([str(value)] * side * side)


def fer2013_csv(folder: Path, *codes: str, usages: Sequence[str] = ()) -> Path:
    usages = usages or ["Training"] * len(codes)
    rows = [f"{code},{pixels(k)},{use}" for k, (code, use) in enumerate(zip(codes, usages, strict=True))]
    return text(folder / "fer2013.csv", "emotion,pixels,Usage", *rows)


def test_fer2013_csv_has_the_official_codes_and_splits(tmp_path: Path) -> None:
    usages = [*["Training"] * 5, "PublicTest", "PrivateTest"]
    fer2013_csv(tmp_path, *"0123456", usages=usages)
    data = open_data(f"fer2013:{tmp_path}")
    assert labels(data) == ["anger", "disgust", "fear", "happiness", "sadness"]
    assert data.labels == {"fer2013": FER2013_LABELS}
    assert data.images.shape == (5, 48, 48)
    assert data.images[:, 7, 7].tolist() == [0, 1, 2, 3, 4]
    assert data.ids.tolist() == [f"Training/{k}" for k in range(5)]  # as fer2013plus has them
    for word in ("test", "PrivateTest"):
        assert labels(open_data(f"fer2013:{tmp_path}?split={word}")) == ["neutral"]
    assert labels(open_data(f"fer2013:{tmp_path}/fer2013.csv?split=PublicTest")) == ["surprise"]
    every = open_data(f"fer2013:{tmp_path}?split=all")
    assert every.splits is not None
    assert every.splits.tolist() == ["train"] * 5 + ["validation", "test"]


def test_fer2013_csv_lists_damaged_rows_and_foreign_codes(tmp_path: Path) -> None:
    lines = [f"3,{pixels(1)},Training", f"9,{pixels(1)},Training", "3,1 2 3,Training", "3,1 2 x 4,Training"]
    text(tmp_path / "fer2013.csv", "emotion,pixels,Usage", *lines, f"3,{pixels(1)} 256,Training")
    data = open_data(f"fer2013:{tmp_path}", skip_bad=True)
    assert data.ids.tolist() == ["Training/0"]
    assert sorted(kinds(data.left_out)) == ["corrupt picture"] * 3 + ["unknown label"]
    assert any("Training/2" in problem.where for problem in data.left_out)
    good = text(tmp_path / "good.csv", "id", "Training/0")
    assert len(open_data(f"fer2013:{tmp_path}?only={good}")) == 1  # nothing that is wanted is bad


def test_fer2013_in_folders(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "angry" / "a.jpg", 1)
    picture(tmp_path / "train" / "happy" / "b.png", 2)
    picture(tmp_path / "test" / "surprise" / "c.png", 3)
    data = open_data(f"fer2013:{tmp_path}")
    assert data.ids.tolist() == ["train/angry/a.jpg", "train/happy/b.png"]
    assert labels(data) == ["anger", "happiness"]
    assert labels(open_data(f"fer2013:{tmp_path}?split=test")) == ["surprise"]
    with pytest.raises(ArgumentError, match=r"split='validation' must be one of train, test, all"):
        open_data(f"fer2013:{tmp_path}?split=val")


VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


@pytest.fixture
def ferplus(tmp_path: Path) -> Path:
    """Four faces: angry, of two minds, no face at all, and one of PrivateTest."""
    fer2013_csv(tmp_path, *"0236", usages=[*["Training"] * 3, "PrivateTest"])
    votes = ["1,0,0,0,8,1,0,0,0,0", "0,0,5,0,0,0,5,0,0,0", "0,0,0,0,0,0,0,0,0,10", "9,0,0,0,0,0,0,0,1,0"]
    uses = ["Training"] * 3 + ["PrivateTest"]
    rows = [f"{use},fer.png,{vote}" for use, vote in zip(uses, votes, strict=True)]
    text(tmp_path / "fer2013new.csv", VOTES, *rows)
    return tmp_path


def test_ferplus_joins_the_votes_row_by_row(ferplus: Path) -> None:
    data = open_data(f"ferplus:{ferplus}")
    assert data.ids.tolist() == ["Training/0", "Training/1"]
    assert data.images[:, 0, 0].tolist() == [0, 1]
    target = data.targets["ferplus"]
    assert target[0].tolist() == one_hot(np.array([4]), 8)[0].tolist()
    assert target[1, [2, 6]].tolist() == [0.5, 0.5]
    assert [FER2013_LABELS[k] for k in data.targets["fer2013"].argmax(1)] == ["anger", "fear"]
    assert [(p.kind, p.detail) for p in data.left_out] == [
        ("no emotion", "1 faces that all annotators called 'not a face'")
    ]
    assert labels(open_data(f"ferplus:{ferplus}?labels=ferplus")) == ["anger"]  # no majority for the other
    assert open_data(f"ferplus:{ferplus}?blends=only").ids.tolist() == ["Training/1"]
    assert open_data(f"ferplus:{ferplus}?split=PrivateTest").ids.tolist() == ["PrivateTest/3"]
    every = open_data(f"ferplus:{ferplus}?split=all")
    assert every.ids.tolist() == ["Training/0", "Training/1", "PrivateTest/3"]


def test_ferplus_refuses_tables_that_do_not_belong_together(ferplus: Path) -> None:
    lines = (ferplus / "fer2013new.csv").read_text().splitlines()
    text(ferplus / "fer2013new.csv", *lines[:-1])
    with pytest.raises(DataError, match=r"has 3 rows, fer2013.csv 4; .*github.com/microsoft/FERPlus"):
        open_data(f"ferplus:{ferplus}")
    text(ferplus / "fer2013new.csv", lines[0], lines[-1], *lines[2:])
    with pytest.raises(DataError, match="of the same Usage row by row"):
        open_data(f"ferplus:{ferplus}")
    text(ferplus / "fer2013new.csv", *lines[:-1], lines[-1].replace("9", "nine"))
    with pytest.raises(BadDataError, match="PrivateTest/3: votes"):
        open_data(f"ferplus:{ferplus}?split=test")


def test_the_majority_of_the_paper() -> None:
    rows = [[0, 6, 4], [0, 5, 5], [1, 1, 1], [0, 3, 0], [4, 4, 3]]
    votes = np.zeros((5, 10), np.float32)
    votes[:, :3] = rows
    assert ferplus_majority(votes).tolist() == [1, -1, -1, 1, -1]


# --- CK+ --------------------------------------------------------------------------------------------------


@pytest.fixture
def ck_original(tmp_path: Path) -> Path:
    """Two labelled sequences of two frames and one without a label."""
    for name, first, last in (("S005/001", 0, 1), ("S010/004", 2, 3), ("S010/005", 4, 5)):
        stem = name.replace("/", "_")
        for number, seed in ((1, first), (11, last)):
            picture(tmp_path / "cohn-kanade-images" / name / f"{stem}_{number:08}.png", seed)
    emotion = tmp_path / "Emotion"
    text(emotion / "S005" / "001" / "S005_001_00000011_emotion.txt", "   3.0000000e+00")
    text(emotion / "S010" / "004" / "S010_004_00000011_emotion.txt", "   7.0000000e+00")
    return tmp_path


def test_ckplus_as_the_owner_gives_it_out(ck_original: Path) -> None:
    data = open_data(f"ckplus:{ck_original}?faces=whole&size=20")
    assert data.labels == {"ckplus": CKPLUS_LABELS}
    assert labels(data) == ["disgust", "surprise"]
    assert data.subjects is not None
    assert data.subjects.tolist() == ["S005", "S010"]
    expected = np.random.default_rng(1).integers(0, 256, (20, 20), np.uint8)
    np.testing.assert_array_equal(data.images[0], expected)  # the last frame
    more = open_data(f"ckplus:{ck_original}?faces=whole&neutral=1")
    assert more.labels == {"ckplus": BASIC}
    assert labels(more) == ["disgust", "neutral", "surprise", "neutral"]
    assert more.ids[1] == "cohn-kanade-images/S005/001/S005_001_00000001.png"
    with pytest.raises(BadDataError, match="2 faces cannot be read"):  # noise: by default faces are detected
        open_data(f"ckplus:{ck_original}")


def test_ckplus_with_foreign_codes_and_lost_frames(ck_original: Path) -> None:
    text(ck_original / "Emotion" / "S010" / "004" / "S010_004_00000011_emotion.txt", "8.0")
    for file in (ck_original / "cohn-kanade-images" / "S005" / "001").iterdir():
        file.unlink()
    with pytest.raises(BadDataError) as caught:
        open_data(f"ckplus:{ck_original}?faces=whole")
    problems: Any = caught.value.problems
    assert kinds(problems) == ["missing file", "unknown label"]
    assert problems[1].detail.startswith("label '8.0' is none of")


def test_ckplus_as_a_table_of_pixels(tmp_path: Path) -> None:
    rows = [f"{code},{pixels(int(code))},Training" for code in "01234567"]
    text(tmp_path / "ckextended.csv", "emotion,pixels,Usage", *rows)
    found = labels(open_data(f"ckplus:{tmp_path}?neutral=1"))
    assert found == ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt"]
    assert len(open_data(f"ckplus:{tmp_path}")) == 7


@pytest.mark.parametrize("inside", ["", "CK+48"])
def test_ckplus_as_folders_knows_the_persons(tmp_path: Path, inside: str) -> None:
    picture(tmp_path / inside / "anger" / "S010_004_00000017.png", 1)
    picture(tmp_path / inside / "contempt" / "S138_008_00000007.png", 2)
    data = open_data(f"ckplus:{tmp_path}")
    assert labels(data) == ["anger", "contempt"]
    assert data.subjects is not None
    assert data.subjects.tolist() == ["S010", "S138"]


# --- JAFFE and KDEF ---------------------------------------------------------------------------------------


def test_jaffe_reads_the_names_and_finds_the_faces(tmp_path: Path) -> None:
    for code in ("NE1", "HA2", "SA1", "SU3", "AN1", "DI1", "FE1"):
        picture(tmp_path / f"KA.{code}.39.tiff", drawn(size=120)[..., 0])
    picture(tmp_path / "YM.HA1.52.tiff", drawn(size=120)[..., 1])
    text(tmp_path / "README", "not a picture")
    data = open_data(f"jaffe:{tmp_path}")
    assert sorted(labels(data)[:7]) == sorted(FER2013_LABELS)
    assert labels(data)[7] == "happiness"
    assert data.subjects is not None
    assert data.subjects.tolist() == ["KA"] * 7 + ["YM"]
    whole = open_data(f"jaffe:{tmp_path}?faces=whole")
    assert (whole.images[0] != data.images[0]).mean() > 0.5  # aligned by its landmarks


def test_kdef_reads_the_names(tmp_path: Path) -> None:
    for k, name in enumerate(("AF01AFS.JPG", "BF01HAS.JPG", "AM02SUS.JPG", "AM02ANHL.JPG", "AM02DIFR.JPG")):
        picture(tmp_path / name[:4] / name, k)
    data = open_data(f"kdef:{tmp_path}?faces=whole")
    assert labels(data) == ["fear", "surprise", "happiness"]
    assert data.subjects is not None
    assert data.subjects.tolist() == ["F01", "M02", "F01"]  # both sessions show the same person
    assert data.groups["gender"].tolist() == ["female", "male", "female"]
    assert labels(open_data(f"kdef:{tmp_path}?faces=whole&angle=HL")) == ["anger"]
    assert len(open_data(f"kdef:{tmp_path}?faces=whole&angle=all")) == 5
    picture(tmp_path / "AF31V.JPG", 9)
    with pytest.raises(BadDataError, match=r"AF31V.JPG: the name is not of the form AF01AFS.JPG"):
        open_data(f"kdef:{tmp_path}?faces=whole")
    with pytest.raises(ArgumentError, match="angle='X' must be one of S, all, HL, HR, FL, FR"):
        open_data(f"kdef:{tmp_path}?angle=X")


# --- in the wild ------------------------------------------------------------------------------------------


def test_rafdb_basic_with_what_is_known_of_the_persons(tmp_path: Path) -> None:
    root = tmp_path / "basic"
    lines = [f"train_0000{code}.jpg {code}" for code in range(1, 8)]
    text(root / "EmoLabel" / "list_patition_label.txt", *lines, "test_0001.jpg 4")
    for line in (*lines, "test_0001.jpg"):
        picture(root / "Image" / "aligned" / f"{line.split('.')[0]}_aligned.jpg", 1)
    marks = ["1.0\t2.0"] * 5
    text(root / "Annotation" / "manual" / "train_00001_manu_attri.txt", *marks, "1", "2", "4")
    text(root / "Annotation" / "manual" / "train_00002_manu_attri.txt", *marks, "0", "7", "0")
    data = open_data(f"rafdb:{tmp_path}")
    assert data.labels == {"rafdb": FER2013_LABELS}
    names = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
    assert labels(data) == names
    assert {name: group[0] for name, group in data.groups.items()} == {
        "gender": "female",
        "race": "Asian",
        "age": "70+",
    }
    assert data.groups["age"][1] == ""  # there is no seventh race: the file is of another form
    assert open_data(f"rafdb:{root}?split=test").ids.tolist() == ["test_0001.jpg"]


def test_rafdb_compound_has_the_names_of_the_catalogue(tmp_path: Path) -> None:
    root = tmp_path / "compound"
    lines = [f"train_{code:04}.jpg {code}" for code in range(1, 12)]
    text(root / "EmoLabel" / "list_patition_label.txt", *lines)
    for line in lines:
        picture(root / "Image" / "aligned" / f"{line[:10]}_aligned.jpg", 1)
    data = open_data(f"rafdb:{tmp_path}?set=compound")
    assert list(data.labels) == ["rafdb_compound"]
    assert labels(data) == [name for name in load("rafdb").names if name not in BASIC]
    assert set(labels(data)) <= set(load("du2014").names)
    text(root / "EmoLabel" / "list_patition_label.txt", "train_0001.jpg")
    with pytest.raises(DataError, match=r"line 1: 'train_0001.jpg' must be a file name and a number"):
        open_data(f"rafdb:{tmp_path}?set=compound")


HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def test_affectnet_tables_cut_the_box_out(tmp_path: Path) -> None:
    scene = np.zeros((60, 90, 3), np.uint8)
    scene[10:40, 50:80] = 200
    picture(tmp_path / "Manually_Annotated_Images" / "1" / "a.png", scene)
    rows = [f"1/a.png,50,10,30,30,1;2,{code},0.1,0.2" for code in range(8)]
    lost = ["1/b.png,NULL,NULL,NULL,NULL,,10,-2,-2", "1/c.png,0,0,9,9,,9,-2,-2", "1/d.png,0,0,9,9,,9,-2,-2"]
    text(tmp_path / "training.csv", HEADER, *rows[:1], *lost)
    text(tmp_path / "validation.csv", HEADER, rows[3])
    data = open_data(f"affectnet:{tmp_path}")
    assert data.labels == {"affectnet": BASIC}
    assert labels(data) == ["neutral"]
    assert inside(data) == [200]
    remarks = sorted(problem.detail for problem in data.left_out)
    assert remarks == ["1 faces labelled 'no face'", "2 faces labelled 'uncertain'"]
    assert labels(open_data(f"affectnet:{tmp_path}?split=val")) == ["surprise"]
    assert (open_data(f"affectnet:{tmp_path}?faces=whole&split=val").images == 0).any()


def test_affectnet_codes(tmp_path: Path) -> None:
    rows = [f"{code}.png,0,0,20,20,,{code},0,0" for code in range(8)]
    text(
        tmp_path / "Manually_Annotated_file_lists" / "validation.csv", HEADER, *rows, "8.png,0,0,9,9,,11,0,0"
    )
    for code in range(8):
        picture(tmp_path / "Manually_Annotated" / "Manually_Annotated_Images" / f"{code}.png", code)
    with pytest.raises(BadDataError, match="label '11' is none of neutral, happiness"):
        open_data(f"affectnet:{tmp_path}")
    found = labels(open_data(f"affectnet:{tmp_path}", skip_bad=True))
    assert found == ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]


def test_affectnet_in_arrays(tmp_path: Path) -> None:
    for folder, name, code in (("train_set", "5", "6"), ("train_set", "17", "8"), ("val_set", "3", 2)):
        picture(tmp_path / folder / "images" / f"{name}.jpg", 1)
        (tmp_path / folder / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / folder / "annotations" / f"{name}_exp.npy", np.array(code))
    data = open_data(f"affectnet:{tmp_path}")
    assert data.ids.tolist() == ["train_set/images/5.jpg"]
    assert labels(data) == ["anger"]
    assert labels(open_data(f"affectnet:{tmp_path}?split=val")) == ["sadness"]
    assert labels(open_data(f"affectnet:{tmp_path}/val_set")) == ["sadness"]
    (tmp_path / "val_set" / "annotations" / "4_exp.npy").write_bytes(b"no array")
    with pytest.raises(BadDataError, match="1 unknown label"):
        open_data(f"affectnet:{tmp_path}?split=val")


def test_expw_cuts_each_face_of_a_picture(tmp_path: Path) -> None:
    scene = np.zeros((60, 90), np.uint8)
    scene[10:40, 50:80] = 200  # top 10, left 50, right 80, bottom 40
    picture(tmp_path / "image" / "origin" / "a.png", scene)
    text(tmp_path / "label" / "label.lst", "a.png 0 10 50 80 40 22.9 5", "a.png 1 41 0 19 60 9.1 0")
    data = open_data(f"expw:{tmp_path}")
    assert data.ids.tolist() == ["a.png#0", "a.png#1"]
    assert labels(data) == ["surprise", "anger"]
    assert inside(data) == [200, 0]
    text(tmp_path / "label" / "label.lst", "a.png 0 10 50")
    with pytest.raises(DataError, match=r"label.lst, line 1: 'a.png 0 10 50' must have eight words"):
        open_data(f"expw:{tmp_path}")


@pytest.mark.parametrize("form", ["{}", "{}_Aligned_Faces", "{0}/{0}_Aligned_Faces"])
def test_sfew_prefers_the_aligned_faces(tmp_path: Path, form: str) -> None:
    for part, emotion in (("Train", "Angry"), ("Val", "Happy")):
        picture(tmp_path / form.format(part) / emotion / "Film_000519240_00000005.png", 1)
    if "/" not in form and form != "{}":
        picture(tmp_path / "Train" / "Sad" / "whole_frame.png", 2)
    (tmp_path / "Test").mkdir()
    assert labels(open_data(f"sfew:{tmp_path}")) == ["anger"]
    assert labels(open_data(f"sfew:{tmp_path}?split=validation")) == ["happiness"]


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    text(
        tmp_path / "labels.csv",
        "id,file,label,subject,source,gray,annotator",
        "mux_A,A.jpg,happiness,A_B,lfw,1,302",
        "mux_B,B.jpg,neutral,C_D,lfw,1,302",
    )
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for k, name in enumerate("AB"):
            archive.write(picture(tmp_path / "loose" / f"{name}.jpg", k), f"{name}.jpg")
    return tmp_path


def test_lfw_expressions_reads_the_archive_itself(lfw: Path) -> None:
    data = open_data(f"lfw_expressions:{lfw}")
    assert data.ids.tolist() == ["mux_A", "mux_B"]
    assert labels(data) == ["happiness", "neutral"]
    assert data.subjects is not None
    assert data.subjects.tolist() == ["A_B", "C_D"]
    archive = lfw / "images.zip"
    archive.write_bytes(archive.read_bytes().replace(b"JFIF", b"JFIX"))  # the checksum does not hold
    with pytest.raises(BadDataError, match="2 corrupt picture"):
        open_data(f"lfw_expressions:{lfw}")
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(DataError, match=r"images.zip is damaged"):
        open_data(f"lfw_expressions:{lfw}")
    archive.unlink()
    (lfw / "loose").rename(lfw / "images")
    assert len(open_data(f"lfw_expressions:{lfw}")) == 2
    (lfw / "images" / "B.jpg").unlink()
    with pytest.raises(BadDataError, match="1 missing file"):
        open_data(f"lfw_expressions:{lfw}")


# --- one's own --------------------------------------------------------------------------------------------


def test_folders_know_other_words(tmp_path: Path) -> None:
    for k, name in enumerate(("Happy", "ANGRY", "fearful", "anger")):
        picture(tmp_path / name / "deep" / "a.png", k)
    data = open_data(f"folders:{tmp_path}")
    assert data.labels == {"folders": ("happiness", "anger", "fear")}
    assert sorted(labels(data)) == ["anger", "anger", "fear", "happiness"]
    assert open_data(f"folders:{tmp_path}?labels=basic&head=ferplus").labels == {"ferplus": BASIC}
    assert "Happy/deep/a.png" in data.ids


def test_folders_of_other_names_are_a_problem_or_classes(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "hapiness" / "a.png", 1)
    picture(tmp_path / "valid" / "sad" / "a.png", 2)
    with pytest.raises(BadDataError, match=r"'hapiness' is no basic emotion.*did you mean 'happiness'"):
        open_data(f"folders:{tmp_path}")
    data = open_data(f"folders:{tmp_path}?labels=any&split=all")
    assert data.labels == {"folders": ("sadness", "hapiness")}
    assert labels(data) == ["hapiness", "sadness"]
    assert data.splits is not None
    assert data.splits.tolist() == ["train", "validation"]


def manifest(path: Path, header: str, *rows: str) -> str:
    text(path, header, *rows)
    return f"manifest:{path}"


def test_a_manifest_with_everything(tmp_path: Path) -> None:
    scene = np.zeros((40, 60), np.uint8)
    scene[:, 30:] = 90
    picture(tmp_path / "pictures" / "a.png", scene)
    spec = manifest(
        tmp_path / "faces.csv",
        "\ufeffpath,label,subject,split,x0,y0,x1,y1,age",  # as a spreadsheet writes it
        "pictures/a.png,joy,ann,train,0,0,30,30,old",
        "pictures/a.png,sad,bob,train,30,0,60,30,young",
        "pictures/a.png,sad,bob,test,30,0,60,31,young",
    )
    data = open_data(spec)
    assert data.labels == {"manifest": ("happiness", "sadness")}
    assert labels(data) == ["happiness", "sadness"]
    assert inside(data) == [0, 90]
    assert len(set(data.ids.tolist())) == 2
    assert data.subjects is not None
    assert data.subjects.tolist() == ["ann", "bob"]
    assert data.groups["age"].tolist() == ["old", "young"]
    assert len(open_data(spec + "?split=all")) == 3


def test_a_manifest_in_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    picture(tmp_path / "a.png", 1)
    columns = {
        "path": ["a.png"],
        "label": ["fear"],
        "age": [None],
        "x0": [0],
        "y0": [0],
        "x1": [5],
        "y1": [9.5],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "faces.parquet")
    data = open_data(f"manifest:{tmp_path}/faces.parquet?labels=basic")
    assert labels(data) == ["fear"]
    assert data.groups["age"].tolist() == [""]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is no Parquet file, or damaged"):
        open_data(f"manifest:{tmp_path}/bad.parquet")
    parquet.write_table(pyarrow.table({"file": ["a.png"]}), tmp_path / "bad.parquet")
    with pytest.raises(DataError, match="lacks path, label"):
        open_data(f"manifest:{tmp_path}/bad.parquet")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(
        MissingExtraError, match=r"pyarrow is not installed: pip install 'io-pyfer\[parquet\]'"
    ):
        open_data(f"manifest:{tmp_path}/faces.parquet")


def test_a_manifest_with_boxes_that_make_no_sense(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    rows = ["a.png,fear,0,0,9,9", "a.png,fear,9,0,0,9", "a.png,fear,x,0,0,9", "a.png,fear,,,,"]
    data = open_data(manifest(tmp_path / "m.csv", "path,label,x0,y0,x1,y1", *rows), skip_bad=True)
    assert len(data) == 2
    assert [p.detail.split(" must")[0] for p in data.left_out] == ["box 9, 0, 0, 9", "box x, 0, 0, 9"]
    with pytest.raises(ArgumentError, match="faces='box' needs a list with boxes"):
        open_data(manifest(tmp_path / "n.csv", "path,label", "a.png,fear") + "?faces=box")


# --- options of all ---------------------------------------------------------------------------------------


def test_size_color_and_faces(tmp_path: Path) -> None:
    face = np.zeros((100, 160, 3), np.uint8) + 90
    face[:, 60:] = drawn(size=100)
    picture(tmp_path / "a.png", face)
    base = manifest(tmp_path / "m.csv", "path,label", "a.png,happy")
    assert open_data(base + "?size=20").images.shape == (1, 20, 20)
    colour = open_data(base + "?size=20&color=rgb").images
    assert colour.shape == (1, 20, 20, 3)
    assert (colour[..., 0] != colour[..., 2]).any()
    found = open_data(base + "?size=64&color=rgb&faces=detect").images[0]
    assert (found != 90).any(-1).mean() > 0.9  # the gray half of the picture is gone
    boxed = manifest(tmp_path / "b.csv", "path,label,x0,y0,x1,y1", "a.png,happy,60,0,160,100")
    assert open_data(boxed + "?size=100&color=rgb").images[0].tolist() == face[:, 60:].tolist()
    near = open_data(boxed + "?size=64&color=rgb&faces=detect").images[0]
    assert np.abs(near.astype(int) - found).mean() < 12  # the same face, found around its box


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("size=4", "size=4 must be 8..1024"),
        ("size=big", "size='big' must be a whole number"),
        ("color=grey", "color='grey' must be one of gray, rgb; did you mean 'gray'"),
        ("faces=found", "faces='found' must be one of whole, detect, box"),
        ("split=trian", "split='trian' must be one of .*did you mean 'train'"),
        ("split=train", "split='train' must be one of all"),
        ("sise=4", "'sise' is not an option of folders .*did you mean 'size'"),
        ("labels=all", "labels='all' must be one of present, basic, any"),
    ],
)
def test_wrong_options(tmp_path: Path, query: str, message: str) -> None:
    picture(tmp_path / "anger" / "a.png", 1)
    with pytest.raises(ArgumentError, match=message):
        open_data(f"folders:{tmp_path}?{query}")


def test_progress_counts_the_pictures(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / "anger" / f"{k}.png", k)
    told: list[tuple[int, int]] = []
    open_data(f"folders:{tmp_path}", on_done=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("name", sorted(set(readers()) - {"cartoon"}))
def test_a_missing_path_says_where_the_owner_gives_it_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError) as caught:
        open_data(f"{name}:{tmp_path}/gone")
    card = CARDS[name]
    assert "gone" in str(caught.value)
    if "://" in card.where:
        assert f"is given out at {card.where}" in str(caught.value)
    assert EXAMPLES[name].startswith(f"{name}:")
    assert card.layout
    assert card.terms


# --- bad data ---------------------------------------------------------------------------------------------


@pytest.fixture
def bad(tmp_path: Path) -> str:
    """One good face, and each thing that can be wrong with one."""
    good = picture(tmp_path / "good.png", drawn(size=100))
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:300])
    text(tmp_path / "page.png", "<html>not found</html>")
    picture(tmp_path / "wall.png", np.full((100, 100, 3), 127, np.uint8))
    return manifest(
        tmp_path / "m.csv",
        "path,label",
        "good.png,happy",
        "cut.png,happy",
        "page.png,sad",
        "wall.png,sad",
        "good.png,happy",
        *(f"gone{k}.png,sad" for k in range(5)),
        "wall.png,bored",
    )


def test_bad_data_is_refused_with_counts_and_places(bad: str) -> None:
    with pytest.raises(BadDataError) as caught:
        open_data(bad + "?faces=detect")
    message = str(caught.value)
    counts = "5 missing file, 2 corrupt picture, 1 no face, 2 duplicate file"
    assert f"10 faces cannot be read ({counts}); 1 can" in message
    assert "gone2.png: there is no such file" in message
    assert "gone3.png" not in message
    assert "missing file: ... and 2 more" in message
    assert "--skip-bad" in message
    assert f"pyfer data check '{bad}?faces=detect'" in message
    assert len(caught.value.problems) == 10


def test_bad_data_can_be_left_out(bad: str) -> None:
    data = open_data(bad + "?faces=detect", skip_bad=True)
    assert data.ids.tolist() == ["good.png"]
    assert len(data.left_out) == 10
    assert len(data[:0].left_out) == 10
    both = concatenate([data, data])
    assert len(both.left_out) == 20


def test_a_label_that_the_data_set_does_not_have(bad: str) -> None:
    path = Path(bad.removeprefix("manifest:"))
    path.write_text("path,label\ngood.png,happy\nwall.png,bored\n")
    with pytest.raises(BadDataError, match=r"unknown label: .*wall.png: label 'bored' is none of happiness"):
        open_data(bad)


def test_nothing_good_is_an_error_even_when_bad_is_skipped(tmp_path: Path) -> None:
    spec = manifest(tmp_path / "m.csv", "path,label", "gone.png,fear")
    with pytest.raises(DataError, match=r"selects no faces; 1 are bad"):
        open_data(spec, skip_bad=True)


def test_a_problem_has_a_known_kind() -> None:
    with pytest.raises(ArgumentError, match="kind='bad' must be one of missing file"):
        Problem("bad", "here")


def test_bad_faces_of_a_reader_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_READERS", dict(registry._READERS))
    monkeypatch.setattr(registry, "EXAMPLES", dict(registry.EXAMPLES))
    images = np.zeros((1, 8, 8), np.uint8)
    faces = FaceData(
        images,
        {"a": one_hot(np.array([0]), 2)},
        {"a": ("fear", "anger")},
        np.array(["x"]),
        left_out=(Problem("no face", "y"),),
    )
    register("mine", lambda path, options: faces)
    with pytest.raises(BadDataError, match="no face: y"):
        open_data("mine")
    assert open_data("mine", skip_bad=True) is faces


# --- only -------------------------------------------------------------------------------------------------


def test_only_keeps_the_faces_of_a_file(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / "data" / "anger" / f"{k}.png", k)
    (tmp_path / "data" / "anger" / "1.png").write_bytes(b"damaged")
    file = text(tmp_path / "part.csv", "id,label", "anger/0.png,anger", "anger/2.png,anger")
    told: list[tuple[int, int]] = []
    spec = f"folders:{tmp_path}/data?only={file}"
    data = open_data(spec, on_done=lambda *n: told.append(n))  # the damaged one is not even looked at
    assert data.ids.tolist() == ["anger/0.png", "anger/2.png"]
    assert told[-1] == (2, 2)
    text(file, "id", "cartoon/0/3", "cartoon/0/5")
    assert open_data(f"cartoon:?n=8&only={file}").ids.tolist() == ["cartoon/0/3", "cartoon/0/5"]
    for other in (spec, f"cartoon:?n=4&only={file}"):
        with pytest.raises(ArgumentError, match=r"of 2 ids of the file are not in the data set, such as"):
            open_data(other)
    text(file, "name", "x")
    with pytest.raises(DataError, match="lacks id"):
        open_data(spec)


# --- check ------------------------------------------------------------------------------------------------


def test_check_counts_and_finds_nothing_wrong() -> None:
    report = check(["cartoon:?n=16", "cartoon:?n=8&seed=1"])
    assert [(part.faces, part.counts["fer2013"]["anger"]) for part in report.parts] == [(16, 2), (8, 1)]
    assert report.problems == report.faults == ()


def test_check_finds_what_lies_between_data_sets(tmp_path: Path) -> None:
    for k in range(4):
        picture(tmp_path / f"{k}.png", k)
    picture(tmp_path / "copy.png", 0)
    header = "path,label,subject"
    first = manifest(tmp_path / "a.csv", header, "0.png,fear,ann", "1.png,anger,bob", "gone.png,anger,eve")
    second = manifest(tmp_path / "b.csv", header, "2.png,fear,ann", "3.png,fear,", "copy.png,fear,")
    report = check([first, second + "?labels=basic", "cartoon:?n=8"])
    found = {kind: [p for p in report.problems if p.kind == kind] for kind in report.kinds}
    assert {kind: len(problems) for kind, problems in found.items()} == report.kinds
    assert report.kinds == {
        "missing file": 1,
        "empty class": 7,
        "subject in two splits": 1,
        "duplicate file": 1,
    }
    assert found["subject in two splits"][0].where == "ann"
    assert found["subject in two splits"][0].detail == f"1 faces in {first}; 1 faces in {second}?labels=basic"
    assert found["duplicate file"][0] == Problem(
        "duplicate file", "copy.png", f"same pixels as 0.png of {first}"
    )
    assert found["empty class"][0].detail == "no face of 'neutral' (head 'manifest')"
    assert report.to_dict()["parts"][0]["counts"] == {"manifest": {"anger": 1, "fear": 1}}


def test_check_looks_at_the_splits_of_one_data_set(tmp_path: Path) -> None:
    for k in range(3):
        picture(tmp_path / f"{k}.png", k)
    rows = ["0.png,fear,ann,train", "1.png,fear,ann,test", "2.png,fear,bob,test"]
    spec = manifest(tmp_path / "a.csv", "path,label,subject,split", *rows) + "?split=all"
    report = check([spec])
    assert [(part.split, part.faces) for part in report.parts] == [("train", 1), ("test", 2)]
    assert [(p.kind, p.where) for p in report.faults] == [("subject in two splits", "ann")]


def test_persons_of_other_data_sets_are_other_persons(tmp_path: Path) -> None:
    specs = []
    for k, folder in enumerate(("one", "two")):
        picture(tmp_path / folder / "a.png", k)
        specs.append(manifest(tmp_path / folder / "m.csv", "path,label,subject", "a.png,fear,1"))
    assert check(specs).problems == ()
    with pytest.raises(ArgumentError, match="specs is empty"):
        check([])


def test_check_of_nothing_readable_still_reports(tmp_path: Path) -> None:
    report = check([manifest(tmp_path / "m.csv", "path,label", "gone.png,fear")])
    assert report.parts[0].faces == 0
    assert report.kinds == {"missing file": 1, "empty class": 1}


def test_remarks_are_no_faults(ferplus: Path) -> None:
    report = check([f"ferplus:{ferplus}?labels=fer2013"])
    assert report.kinds["no emotion"] == 1
    assert "no emotion" not in kinds(report.faults)


# --- parts and folds --------------------------------------------------------------------------------------


@st.composite
def people(draw: Any, least: int) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Persons with a few faces each, and faces without a person, in a mixed order."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=least, max_size=25))
    alone = draw(st.integers(0, 20))
    names = [f"p{k}" for k, size in enumerate(sizes) for _ in range(size)] + [""] * alone
    order = draw(st.permutations(range(len(names))))
    classes = draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    return np.array(names)[list(order)], np.array(classes)


def assert_whole_persons(subjects: NDArray[np.str_], part: NDArray[np.int64]) -> None:
    for name in set(subjects.tolist()) - {""}:
        assert len(set(part[subjects == name].tolist())) == 1


@settings(max_examples=60, deadline=None, derandomize=True)
@given(people(least=4), st.integers(2, 4), st.integers(0, 3))
def test_folds_never_divide_a_person(
    faces: tuple[NDArray[np.str_], NDArray[np.int64]], k: int, seed: int
) -> None:
    subjects, classes = faces
    part = folds(subjects, classes, k, seed)
    assert_whole_persons(subjects, part)
    sizes = np.bincount(part, minlength=k)
    assert len(sizes) == k
    assert sizes.min() > 0
    largest = max(subjects.tolist().count(name) for name in set(subjects.tolist()) - {""})
    assert sizes.max() - sizes.min() <= 2 * largest + 4  # greedy, and rounding for each of four classes


@settings(max_examples=60, deadline=None, derandomize=True)
@given(people(least=3), st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5), (0.7, 0.3)]), st.integers(0, 3))
def test_split_approaches_the_shares(
    faces: tuple[NDArray[np.str_], NDArray[np.int64]], shares: tuple[float, ...], seed: int
) -> None:
    subjects, classes = faces
    part = split(subjects, classes, shares, seed)
    assert_whole_persons(subjects, part)
    sizes = np.bincount(part, minlength=len(shares))
    assert sizes.min() > 0
    largest = max(subjects.tolist().count(name) for name in set(subjects.tolist()) - {""})
    assert np.abs(sizes - np.array(shares) * len(part)).max() <= 2 * largest + 4


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 4), min_size=5, max_size=80), st.integers(2, 5), st.integers(0, 3))
def test_without_persons_every_class_is_at_its_share(classes: list[int], k: int, seed: int) -> None:
    part = folds(None, classes, k, seed)
    assert np.ptp(np.bincount(part, minlength=k)) <= 2
    for each in set(classes):
        assert np.ptp(np.bincount(part[np.array(classes) == each], minlength=k)) <= 1 + (len(classes) < 3 * k)


def test_parts_are_seeded_and_stratified() -> None:
    rng = np.random.default_rng(0)
    subjects = np.array([f"s{k}" for k in rng.integers(0, 200, 1000)])
    classes = np.array(["fear", "anger", "joy"])[rng.choice(3, 1000, p=[0.05, 0.25, 0.7])]
    part = split(subjects, classes, [0.8, 0.1, 0.1], seed=3)
    np.testing.assert_array_equal(part, split(subjects, classes, [0.8, 0.1, 0.1], seed=3))
    assert (part != split(subjects, classes, [0.8, 0.1, 0.1], seed=4)).any()
    for name in ("fear", "anger", "joy"):
        counts = np.bincount(part[classes == name], minlength=3)
        np.testing.assert_allclose(counts / counts.sum(), [0.8, 0.1, 0.1], atol=0.03)
    fold = folds(subjects, classes, 10)
    for name in ("fear", "anger", "joy"):
        counts = np.bincount(fold[classes == name], minlength=10)
        assert np.ptp(counts) <= 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: folds(["a", "a", "b"], [0, 1, 0], 3),
            "2 persons, or faces without one, cannot fill 3 parts",
        ),
        (lambda: folds(["a", "b"], [0, 1], 1), "k=1 must be a whole number of 2 or more"),
        (lambda: folds(["a"], [0, 1], 2), r"subjects has shape \(1,\) for 2 labels"),
        (lambda: split(None, [0, 1], [0.5, 0.6]), "must be two or more numbers above 0 with sum 1"),
        (lambda: split(None, [0, 1], [1.0]), "must be two or more numbers"),
        (lambda: split(None, [0, 1], [1.2, -0.2]), "must be two or more numbers"),
        (lambda: split(None, [], [0.5, 0.5]), "0 persons"),
    ],
)
def test_parts_that_cannot_be(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()


# --- the real ones, where they are ------------------------------------------------------------------------


def test_the_majority_is_that_of_the_real_table() -> None:
    file = DATA / "fer2013plus" / "labels.csv"
    if not file.is_file():
        pytest.skip(f"the data set fer2013plus is not at {DATA}")
    with file.open(newline="") as handle:
        rows = list(csv.DictReader(handle))[:4000]
    names = [*BASIC, "unknown", "NF", ""]
    counts = [[row[f"v_{name}"] for name in (*BASIC, "unknown", "not_face")] for row in rows]
    found = [names[k] for k in ferplus_majority(np.array(counts, np.float32))]
    assert found == [row["ferplus_majority"] for row in rows]


def test_the_real_lfw_expressions(tmp_path: Path) -> None:
    path = DATA / "lfw_expressions"
    if not path.is_dir():
        pytest.skip(f"the data set lfw_expressions is not at {DATA}")
    with (path / "labels.csv").open(newline="") as handle:
        ids = [row["id"] for row in csv.DictReader(handle)]
    assert len(ids) == 13681
    file = text(tmp_path / "some.csv", "id", *ids[::300])
    data = open_data(f"lfw_expressions:{path}?only={file}")
    assert data.ids.tolist() == ids[::300]
    assert 60 < data.images.mean() < 180


def test_an_option_is_given_once_and_drawn_faces_fit_in_memory() -> None:
    with pytest.raises(ArgumentError, match="gives 'n' twice or more; give it once"):
        open_data("cartoon:?n=8&n=9")
    with pytest.raises(ArgumentError, match=r"n=999999999999 faces of size=48 must have .* pixels at most"):
        open_data("cartoon:?n=999999999999")
