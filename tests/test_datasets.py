"""Data sets: the readers on small trees in the documented formats, the label rules, and the real counts."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from pyfer.datasets import (
    CKPLUS_LABELS,
    FER2013_LABELS,
    FaceData,
    blend_pairs,
    concatenate,
    ferplus_targets,
    one_hot,
    open_data,
    readers,
    register,
    registry,
)
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, DataError

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
VOTES = (*BASIC, "unknown", "not_face")
Rows = list[dict[str, Any]]


def votes(**counts: int) -> NDArray[np.float32]:
    return np.array([[counts.get(name, 0) for name in VOTES]], np.float32)


def write_table(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


# --- a small tree in the format of fer2013plus ------------------------------------------------------------

# (split, fer2013_label, ferplus_majority, leak, votes)
FACES: list[tuple[str, str, str, int, dict[str, int]]] = [
    ("Training", "anger", "anger", 0, {"anger": 8, "disgust": 1, "neutral": 1}),
    ("Training", "happiness", "happiness", 1, {"happiness": 10}),
    ("Training", "fear", "", 0, {"fear": 5, "surprise": 5}),
    ("Training", "sadness", "unknown", 0, {"unknown": 8, "sadness": 2}),
    ("Training", "neutral", "contempt", 0, {"contempt": 6, "neutral": 4}),
    ("PublicTest", "surprise", "surprise", 0, {"surprise": 9, "fear": 1}),
    ("PrivateTest", "disgust", "disgust", 0, {"disgust": 6, "anger": 4}),
    ("PrivateTest", "happiness", "", 0, {"happiness": 4, "surprise": 4, "not_face": 2}),
]
FILES = {"Training": "train.npz", "PublicTest": "public_test.npz", "PrivateTest": "private_test.npz"}


def picture(row: int) -> NDArray[np.uint8]:
    return np.random.default_rng(row).integers(0, 256, (48, 48), np.uint8)


@pytest.fixture
def fer(tmp_path: Path) -> Path:
    """Rows numbered from 100; the pictures lie in the archives in another order than in the table."""
    folder = tmp_path / "fer2013plus"
    folder.mkdir()
    rows: Rows = []
    for k, (split, own, majority, leak, counts) in enumerate(FACES):
        row: dict[str, Any] = {
            "row": 100 + k,
            "split": split,
            "fer2013_label": own,
            "ferplus_majority": majority,
        }
        row |= {f"v_{name}": counts.get(name, 0) for name in VOTES}
        rows.append({**row, "dup_group": k, "train_leaks_test": leak})
    write_table(folder / "labels.csv", rows)
    for split, file in FILES.items():
        numbers = np.array([row["row"] for row in rows if row["split"] == split])[::-1]
        images = np.stack([picture(number) for number in numbers])
        delta = np.diff(images, axis=2, prepend=np.uint8(0)).astype(np.uint8)  # wraps around at 256
        np.savez(folder / file, delta=delta, row=numbers)
    return folder


def test_fer2013plus_by_default_is_training_without_leaks_and_both_heads(fer: Path) -> None:
    data = open_data(f"fer2013plus:{fer}")
    assert data.ids.tolist() == ["Training/100", "Training/102", "Training/103", "Training/104"]
    assert data.labels == {"ferplus": BASIC, "fer2013": FER2013_LABELS}
    for name, image in zip(data.ids, data.images, strict=True):
        np.testing.assert_array_equal(image, picture(int(name.split("/")[1])))
    own = [FER2013_LABELS[k] for k in data.targets["fer2013"].argmax(1)]
    assert own == ["anger", "fear", "sadness", "neutral"]


def test_fer2013plus_both_has_the_votes_as_shares(fer: Path) -> None:
    data = open_data(f"fer2013plus:{fer}?leaks=keep")
    shares = [dict(zip(BASIC, row, strict=True)) for row in data.targets["ferplus"].tolist()]
    assert [{k: v for k, v in row.items() if v} for row in shares] == [
        {"anger": 1.0},  # two single votes dropped
        {"happiness": 1.0},
        {"surprise": 0.5, "fear": 0.5},
        {},  # unreadable
        {"neutral": pytest.approx(0.4), "contempt": pytest.approx(0.6)},
    ]
    assert data.votes["ferplus"].sum(1).tolist() == [10] * 5


def test_fer2013plus_ferplus_is_the_majority_of_the_paper(fer: Path) -> None:
    data = open_data(f"fer2013plus:{fer}?labels=ferplus&leaks=keep")
    assert list(data.targets) == list(data.labels) == ["ferplus"]
    assert [BASIC[k] for k in data.targets["ferplus"].argmax(1)] == ["anger", "happiness", "contempt"]
    assert (data.targets["ferplus"].max(1) == 1).all()


def test_fer2013plus_fer2013_has_every_face(fer: Path) -> None:
    data = open_data(f"fer2013plus:{fer}?labels=fer2013&split=PrivateTest")
    assert list(data.targets) == ["fer2013"]
    assert [FER2013_LABELS[k] for k in data.targets["fer2013"].argmax(1)] == ["disgust", "happiness"]


def test_fer2013plus_blends(fer: Path) -> None:
    only = open_data(f"fer2013plus:{fer}?split=all&blends=only")
    assert only.ids.tolist() == ["Training/102", "PrivateTest/106", "PrivateTest/107"]
    dropped = open_data(f"fer2013plus:{fer}?split=all&blends=drop")
    assert len(only) + len(dropped) == len(open_data(f"fer2013plus:{fer}?split=all")) == 7
    assert len(only.votes["ferplus"]) == 3


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("split=Privatetest", "split='Privatetest' must be one of .*; did you mean 'PrivateTest'"),
        ("split=", "split='' must be one of"),
        ("labels=fer+", "labels='fer ' must be one of both, ferplus, fer2013"),
        ("leaks=yes", "leaks='yes' must be one of drop, keep"),
        ("blend=only", r"'blend' is not an option of fer2013plus \(known: .*\); did you mean 'blends'"),
        ("split=all&blend=only", "'blend' is not an option of fer2013plus"),
    ],
)
def test_fer2013plus_refuses_wrong_options(fer: Path, query: str, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        open_data(f"fer2013plus:{fer}?{query}")


def damage_nothing(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def damage_archive(folder: Path) -> None:
    (folder / "train.npz").unlink()


def cut_archive(folder: Path) -> None:
    data = (folder / "train.npz").read_bytes()
    (folder / "train.npz").write_bytes(data[: len(data) // 2])


def foreign_archive(folder: Path) -> None:
    np.savez(folder / "train.npz", images=np.zeros(3))


def short_archive(folder: Path) -> None:
    np.savez(folder / "train.npz", delta=np.zeros((1, 48, 48), np.uint8), row=np.array([100]))


def foreign_table(folder: Path) -> None:
    (folder / "labels.csv").write_text("file,label\na.jpg,fear\n")


def empty_table(folder: Path) -> None:
    (folder / "labels.csv").write_text("")


def binary_table(folder: Path) -> None:
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00row")


def odd_votes(folder: Path) -> None:
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace(",10,", ",ten,"))


def odd_row(folder: Path) -> None:
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("100,Training", "first,Training"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_nothing, "labels.csv is missing; it lists the faces"),
        (damage_archive, "train.npz is missing; the pictures"),
        (cut_archive, "train.npz is damaged or not of this data set"),
        (foreign_archive, "train.npz is damaged or not of this data set"),
        (short_archive, "train.npz has no picture for row .*of labels.csv"),
        (foreign_table, "labels.csv lacks row, split, fer2013_label"),
        (empty_table, "labels.csv lacks rows"),
        (binary_table, "labels.csv is not a table in UTF-8"),
        (odd_votes, "labels.csv holds votes that are not numbers"),
        (odd_row, "train.npz has no picture for row .*first"),
    ],
)
def test_a_damaged_fer2013plus_is_an_error_that_names_the_file(fer: Path, damage: Any, message: str) -> None:
    damage(fer)
    with pytest.raises(DataError, match=message):
        open_data(f"fer2013plus:{fer}?leaks=keep")


# --- votes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"fear": 10}, {"fear": 1}),
        ({"fear": 8, "anger": 1, "sadness": 1}, {"fear": 1}),
        ({"fear": 6, "anger": 2, "unknown": 2}, {"fear": 0.75, "anger": 0.25}),
        ({"fear": 4, "anger": 1, "unknown": 4, "not_face": 1}, {}),  # 4 of 8: half
        ({"fear": 5, "unknown": 4, "not_face": 1}, {"fear": 1}),
        ({"not_face": 6, "fear": 4}, {}),
        (dict.fromkeys(VOTES, 1), {}),  # nobody agrees with anybody
        ({}, {}),
    ],
)
def test_votes_become_targets(counts: dict[str, int], expected: dict[str, float]) -> None:
    target = ferplus_targets(votes(**counts))[0]
    np.testing.assert_allclose(target, [expected.get(name, 0) for name in BASIC], atol=1e-6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(arrays(np.float32, (4, 10), elements=st.integers(0, 10).map(float)))
def test_targets_are_distributions_or_nothing(counts: NDArray[np.float32]) -> None:
    target = ferplus_targets(counts)
    total = target.sum(1)
    assert (np.isclose(total, 1, atol=1e-5) | (total == 0)).all()
    assert (target[counts[:, :8] <= 1] == 0).all()


@pytest.mark.parametrize(
    ("counts", "pair"),
    [
        ({"fear": 5, "surprise": 5}, {"fear", "surprise"}),
        ({"fear": 3, "surprise": 4, "neutral": 1, "anger": 1, "sadness": 1}, {"fear", "surprise"}),
        ({"fear": 3, "surprise": 2, "anger": 5}, set()),  # a third with more than one vote
        ({"fear": 5, "surprise": 2}, set()),  # too few
        ({"fear": 5, "neutral": 5}, set()),  # neutral is no part
        ({"fear": 4, "surprise": 4, "neutral": 2}, set()),
        ({"fear": 3, "surprise": 3, "anger": 3}, set()),
        ({"fear": 3, "surprise": 3, "not_face": 4}, {"fear", "surprise"}),
        ({"fear": 3, "surprise": 3, "not_face": 6}, set()),
        ({"fear": 3, "surprise": 3, "unknown": 4}, {"fear", "surprise"}),
        ({"fear": 10}, set()),
    ],
)
def test_the_definition_of_a_blend(counts: dict[str, int], pair: set[str]) -> None:
    mask = blend_pairs(votes(**counts))[0]
    assert {name for name, yes in zip(BASIC, mask, strict=True) if yes} == pair


@pytest.mark.parametrize(
    ("counts", "most"),
    [
        ({"fear": 5, "surprise": 3}, 3),
        ({"fear": 4, "surprise": 4}, 4),
        ({"fear": 5, "surprise": 5}, 5),
        ({"fear": 6, "surprise": 2}, 2),
        ({"fear": 4, "surprise": 4, "neutral": 1}, 4),
    ],
)
def test_a_stricter_blend_has_more_votes_on_both_sides(counts: dict[str, int], most: int) -> None:
    found = [least for least in range(2, 7) if blend_pairs(votes(**counts), least).any()]
    assert found == list(range(2, most + 1))


def test_a_third_emotion_spoils_a_stricter_blend_too() -> None:
    """With three votes it is too weak to be one of the pair, and too strong to be noise."""
    assert not blend_pairs(votes(fear=4, surprise=4, anger=3), 4).any()
    with pytest.raises(ArgumentError, match="least=1 must be 2 or more"):
        blend_pairs(votes(fear=5, surprise=5), 1)


# --- CK+ --------------------------------------------------------------------------------------------------


@pytest.fixture
def ck(tmp_path: Path) -> Path:
    folder = tmp_path / "ckplus"
    folder.mkdir()
    faces = [("S005", "disgust", 0), ("S010", "contempt", 0), ("S010", "neutral", 1), ("S011", "fear", 0)]
    write_table(
        folder / "labels.csv",
        [
            {
                "clip_id": f"{who}_{k:03}",
                "subject": who,
                "take": k,
                "label": label,
                "composed_neutral": composed,
            }
            for k, (who, label, composed) in enumerate(faces)
        ],
    )
    frames = np.stack([np.stack([picture(10 * k + j) for j in range(4)]) for k in range(4)])
    np.savez(folder / "sequences.npz", frames=frames, present=np.ones((4, 4), bool))
    return folder


def test_ckplus_gives_the_apex_frames_with_their_subjects(ck: Path) -> None:
    data = open_data(f"ckplus:{ck}")
    assert data.labels == {"ckplus": CKPLUS_LABELS}
    assert [CKPLUS_LABELS[k] for k in data.targets["ckplus"].argmax(1)] == ["disgust", "contempt", "fear"]
    assert data.subjects is not None
    assert data.subjects.tolist() == ["S005", "S010", "S011"]
    np.testing.assert_array_equal(data.images, [picture(3), picture(13), picture(33)])


def test_ckplus_with_the_composed_neutral_clips(ck: Path) -> None:
    data = open_data(f"ckplus:{ck}?neutral=1")
    assert data.labels == {"ckplus": BASIC}
    expected = ["disgust", "contempt", "neutral", "fear"]
    assert [BASIC[k] for k in data.targets["ckplus"].argmax(1)] == expected


def test_ckplus_refuses_wrong_options_and_damage(ck: Path) -> None:
    with pytest.raises(ArgumentError, match="neutral='yes' must be one of 0, 1"):
        open_data(f"ckplus:{ck}?neutral=yes")
    with pytest.raises(ArgumentError, match=r"'neutrals' is not an option of ckplus.*did you mean 'neutral'"):
        open_data(f"ckplus:{ck}?neutrals=1")
    np.savez(ck / "sequences.npz", frames=np.zeros((2, 4, 48, 48), np.uint8))
    with pytest.raises(DataError, match="has 4 rows for 2 images"):
        open_data(f"ckplus:{ck}")
    (ck / "sequences.npz").unlink()
    with pytest.raises(DataError, match=r"sequences.npz is missing"):
        open_data(f"ckplus:{ck}")


# --- cartoon ----------------------------------------------------------------------------------------------


def test_cartoon_has_every_emotion_equally_often_and_is_seeded() -> None:
    data = open_data("cartoon:?n=16&seed=5&size=32")
    assert data.images.shape == (16, 32, 32)
    assert data.targets["ferplus"].sum(0).tolist() == [2] * 8
    assert data.targets["fer2013"].sum() == 14  # contempt is none of the seven
    again = open_data("cartoon:?n=16&seed=5&size=32")
    np.testing.assert_array_equal(data.images, again.images)
    assert (open_data("cartoon:?n=16&seed=6&size=32").images != data.images).any()


def test_the_bare_name_of_a_reader_is_enough() -> None:
    assert len(open_data("cartoon")) == 400


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("cartoon:?n=ten", ArgumentError, "n='ten' must be a whole number, 0 or more"),
        ("cartoon:?n=-1", ArgumentError, "n='-1' must be a whole number"),
        ("cartoon:?size=4", ArgumentError, "size=4"),
        ("cartoon:?sise=48", ArgumentError, "'sise' is not an option of cartoon.*did you mean 'size'"),
        ("cartoon:?n=0", DataError, r"data='cartoon:\?n=0' selects no faces"),
    ],
)
def test_cartoon_refuses_wrong_options(spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        open_data(spec)


# --- any data set -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["", "cartoons:", "fer2014:/x", "/data/fer2013plus", ":x"])
def test_an_unknown_reader_is_an_error_that_lists_the_known(spec: str) -> None:
    message = "must be READER:PATH.*one of affectnet, cartoon, ckplus, .*fer2013plus"
    with pytest.raises(ArgumentError, match=message) as caught:
        open_data(spec)
    if spec in ("cartoons:", "fer2014:/x"):
        assert "did you mean" in str(caught.value)


def test_a_reader_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_READERS", dict(registry._READERS))
    monkeypatch.setattr(registry, "EXAMPLES", dict(registry.EXAMPLES))
    asked: list[Any] = []

    def mine(path: Path, options: dict[str, str]) -> FaceData:
        asked.append((path, options))
        return tiny()

    register("mine", mine, "mine:FOLDER?colour=red")
    assert "mine" in readers()
    assert len(open_data("mine:some/where?colour=red&n=3")) == 3
    assert asked == [(Path("some/where"), {"colour": "red", "n": "3"})]


def tiny(n: int = 3, **changes: Any) -> FaceData:
    columns: dict[str, Any] = {
        "images": np.zeros((n, 8, 8), np.uint8),
        "targets": {"a": one_hot(np.arange(n) % 2, 2)},
        "labels": {"a": ("fear", "anger")},
        "ids": np.array([str(k) for k in range(n)]),
    }
    return FaceData(**{**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((3, 8, 8))}, r"images=float64\(3, 8, 8\) must be uint8"),
        ({"images": np.zeros((3, 64), np.uint8)}, r"images=uint8\(3, 64\) must be uint8"),
        ({"ids": np.array(["a"])}, "ids has 1 rows for 3 images"),
        ({"subjects": np.array(["a"])}, "subjects has 1 rows for 3 images"),
        ({"votes": {"a": np.zeros((2, 10))}}, "votes of a has 2 rows for 3 images"),
        ({"targets": {"a": np.zeros((2, 2))}}, "a has 2 rows for 3 images"),
        ({"targets": {"a": np.zeros((3, 5))}}, r"targets\['a'\] has 5 columns, labels \('fear', 'anger'\)"),
        ({"targets": {"b": np.zeros((3, 2))}}, r"targets\['b'\] has 2 columns, labels None"),
        ({"targets": {"a": np.full((3, 2), 0.7)}}, r"targets\['a'\] must have rows of shares"),
        ({"targets": {"a": np.array([[-1.0, 2]] * 3)}}, r"targets\['a'\] must have rows of shares"),
        ({"targets": {"a": np.full((3, 2), 0.2)}}, r"targets\['a'\] must have rows of shares"),
    ],
)
def test_face_data_that_does_not_agree_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tiny(**changes)


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([1, 2]), np.array([False, True, True])], ids=repr)
def test_every_way_to_choose_faces(rows: Any) -> None:
    data = tiny(subjects=np.array(["x", "y", "z"]), votes={"a": np.arange(6.0).reshape(3, 2)})
    part = data[rows]
    assert part.ids.tolist() == ["1", "2"]
    assert part.subjects is not None
    assert part.subjects.tolist() == ["y", "z"]
    assert part.votes["a"].tolist() == [[2, 3], [4, 5]]
    assert part.targets["a"].tolist() == [[0, 1], [1, 0]]


def test_labelled_leaves_out_what_has_no_label() -> None:
    data = tiny(targets={"a": one_hot(np.array([0, -1, 1]), 2)})
    assert data.labelled("a").ids.tolist() == ["0", "2"]
    with pytest.raises(ArgumentError, match="labels='b' is not a head of this data set; it has a"):
        data.labelled("b")


def test_one_hot_of_a_negative_index_is_no_label() -> None:
    assert one_hot(np.array([1, -1, 0]), 2).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_concatenate_fills_missing_heads_with_no_label() -> None:
    other = tiny(2, targets={"b": one_hot(np.array([0, 1]), 3)}, labels={"b": ("x", "y", "z")})
    both = concatenate([tiny(), other])
    assert len(both) == 5
    assert both.targets["a"].sum(1).tolist() == [1, 1, 1, 0, 0]
    assert both.targets["b"].sum(1).tolist() == [0, 0, 0, 1, 1]


def test_concatenate_keeps_votes_and_subjects_that_all_parts_have() -> None:
    first = tiny(votes={"a": np.ones((3, 10)), "b": np.ones((3, 4))}, subjects=np.array(["x", "y", "z"]))
    second = tiny(2, votes={"c": np.ones((2, 5)), "a": np.zeros((2, 10))}, subjects=np.array(["x", "long"]))
    both = concatenate([first, second])
    assert list(both.votes) == ["a"]
    assert both.votes["a"].sum(1).tolist() == [10, 10, 10, 0, 0]
    assert both.subjects is not None
    assert both.subjects.tolist() == ["x", "y", "z", "x", "long"]
    for parts in ([first, tiny()], [tiny(), first]):  # unknown for some: nothing says so in a column
        assert concatenate(parts).votes == {}
        assert concatenate(parts).subjects is None


def test_concatenate_refuses_what_does_not_fit() -> None:
    with pytest.raises(DataError, match=r"votes of 'a' have different widths \[\(8,\), \(10,\)\]"):
        concatenate([tiny(votes={"a": np.zeros((3, 10))}), tiny(votes={"a": np.zeros((3, 8))})])
    with pytest.raises(DataError, match=r"head 'a' has labels .* in one data set, .* in another"):
        concatenate([tiny(), replace(tiny(), labels={"a": ("anger", "fear")})])
    with pytest.raises(DataError, match="pictures have different shapes"):
        concatenate([tiny(), replace(tiny(), images=np.zeros((3, 9, 9), np.uint8))])


# --- the real ones, where they are ------------------------------------------------------------------------


def real(name: str) -> Path:
    if not (DATA / name / "labels.csv").is_file():
        pytest.skip(f"the data set {name} is not at {DATA}")
    return DATA / name


def test_counts_of_the_real_private_test() -> None:
    """The protocols of FER+ (3,153 faces with a majority) and FER2013, as the data set's notes state them."""
    path = real("fer2013plus")
    data = open_data(f"fer2013plus:{path}?split=PrivateTest&labels=ferplus")
    assert len(data) == 3153
    assert 100 < data.images.mean() < 160  # differences summed up along the right axis are a face
    steps = np.abs(np.diff(data.images.astype(int), axis=2)).mean()
    assert steps < 16  # noise has 85
    assert len(open_data(f"fer2013plus:{path}?split=PrivateTest&labels=fer2013")) == 3574


def test_counts_of_the_real_blends() -> None:
    path = real("fer2013plus")
    assert len(open_data(f"fer2013plus:{path}?split=all&blends=only&leaks=keep")) == 2021
    assert len(open_data(f"fer2013plus:{path}?split=PrivateTest&blends=only")) == 223


def test_counts_of_the_real_ckplus() -> None:
    path = real("ckplus")
    data = open_data(f"ckplus:{path}")
    assert len(data) == 287
    assert data.subjects is not None
    assert len(set(data.subjects.tolist())) == 108
    assert len(open_data(f"ckplus:{path}?neutral=1")) == 287 + 91


def test_of_classes_keeps_the_faces_whose_label_is_one_of_them() -> None:
    share = np.array([[0.6, 0.4, 0], [0.2, 0.3, 0.5], [0, 0, 0], [0.5, 0, 0.5]], np.float32)
    faces = FaceData(
        np.zeros((4, 8, 8), np.uint8),
        {"a": share, "b": one_hot(np.array([0, 1, 1, 0]), 2)},
        {"a": ("neutral", "anger", "fear"), "b": ("sadness", "surprise")},
        np.array(list("wxyz")),
        groups={"age": np.array(["old", "young", "", "old"])},
    )
    some = faces.of_classes(["angry", "neutral"])
    assert list(some.ids) == ["w", "z"]
    assert list(some.groups["age"]) == ["old", "old"]
    assert some.labels == {"a": ("neutral", "anger")}
    assert np.allclose(some.targets["a"], [[0.6, 0.4], [1, 0]])
    with pytest.raises(ArgumentError, match="a has neutral, anger, fear; b has sadness, surprise"):
        faces.of_classes(["anger", "sadness"])


def test_joined_data_sets_keep_what_is_known_of_the_persons() -> None:
    old, young = tiny(2), tiny(1)
    joint = concatenate([replace(old, groups={"age": np.array(["old", "old"])}), young])
    assert list(joint.groups["age"]) == ["old", "old", ""]
