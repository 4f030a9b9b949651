"""Results: columns that agree, rows that are faces, and nothing lost on the way to JSON, CSV and tables."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pyfer.emotions import NONE, UNCERTAIN
from pyfer.errors import ArgumentError, MissingExtraError
from pyfer.results import Face, Input, Result

LABELS = ("neutral", "happiness", "fear")


def make(**changes: Any) -> Result:
    """Three faces of four inputs: two in the first, none in the second, third unreadable, one in the last."""
    landmarks = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
    landmarks[2] = np.nan
    columns: dict[str, Any] = {
        "labels": LABELS,
        "basic": np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25], [0.1, 0.1, 0.8]], np.float32),
        "box": np.array([[10.25, 20, 50, 60], [100, 20, 140.75, 61], [0, 0, 48, 48]], np.float32),
        "score": np.array([0.99, 0.8, 1], np.float32),
        "landmarks": landmarks,
        "source": np.array([0, 0, 3]),
        "inputs": (
            Input("a.jpg"),
            Input("b, with comma.jpg"),
            Input("c.jpg", "missing", "c.jpg: there is no such file"),
            Input("d.jpg"),
        ),
        "embedding": np.eye(3, 2, dtype=np.float32),
    }
    return Result(**{**columns, **changes})


def none(count: int = 0) -> Result:
    """No face in `count` inputs."""
    kind = np.float32
    return make(
        basic=np.zeros((0, 3), kind),
        box=np.zeros((0, 4), kind),
        score=np.zeros(0, kind),
        landmarks=np.zeros((0, 5, 2), kind),
        source=np.zeros(0, np.int64),
        inputs=tuple(Input(f"{k}.jpg") for k in range(count)),
        embedding=None,
    )


# --- rows -------------------------------------------------------------------------------------------------


def test_a_row_is_a_face() -> None:
    face = make()[0]
    assert isinstance(face, Face)
    assert face.emotion == "happiness"
    assert face.box == (10.25, 20, 50, 60)
    assert face.basic == pytest.approx({"neutral": 0.2, "happiness": 0.7, "fear": 0.1})
    assert list(face.emotions) == ["happiness", "neutral", "fear"]  # best first
    assert face.landmarks[1] == (2, 3)
    assert face.source == 0
    assert all(type(v) is float for v in (*face.box, face.score, *face.basic.values()))


def test_a_face_given_as_a_crop_has_no_landmarks() -> None:
    assert make()[2].landmarks == ()


def test_faces_in_order_and_from_the_end() -> None:
    result = make()
    assert [face.emotion for face in result] == ["happiness", "neutral", "fear"]
    assert result.emotion == ("happiness", "neutral", "fear")
    assert result[-1] == result[2] == result[np.int64(2)]
    with pytest.raises(IndexError):
        result[3]


def test_among_equals_the_first_label_wins_everywhere() -> None:
    result = make(basic=np.full((3, 3), 1 / 3, np.float32))
    assert result.emotion[0] == result[0].emotion == next(iter(result[0].emotions)) == "neutral"


@pytest.mark.parametrize(
    "rows",
    [
        slice(1, None),
        [1, 2],
        [False, True, True],
        np.array([1, 2]),
        np.array([False, True, True]),
    ],
    ids=repr,
)
def test_every_way_to_choose_rows(rows: Any) -> None:
    result = make()
    part = result[rows]
    assert isinstance(part, Result)
    assert [face for face in part] == [result[1], result[2]]  # noqa: C416  (iteration is what is tested)
    assert part.inputs == result.inputs
    assert part.embedding is not None
    np.testing.assert_array_equal(part.embedding, [[0, 1], [0, 0]])


@pytest.mark.parametrize("rows", [[], slice(0, 0), np.zeros(3, bool), [False] * 3], ids=repr)
def test_choosing_no_row_is_an_empty_result(rows: Any) -> None:
    part = make()[rows]
    assert len(part) == 0
    assert part.emotion == ()
    assert len(part.inputs) == 4


def test_failed_names_the_inputs_that_could_not_be_read() -> None:
    assert [entry.name for entry in make().failed] == ["c.jpg"]


def test_results_are_compared_by_identity() -> None:
    """Columns are arrays: == of two results would have no single answer."""
    result = make()
    assert result == result
    assert result != make()
    assert len({result, make()}) == 2


# --- validation -------------------------------------------------------------------------------------------


def test_lists_become_columns_of_the_right_kind() -> None:
    result = make(score=[1, 1, 1], source=[0, 1, 3], box=[[0, 0, 1, 1]] * 3)
    assert (result.score.dtype, result.source.dtype, result.box.dtype) == (np.float32, np.int64, np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"basic": np.full((3, 2), 0.5)}, r"basic has shape \(3, 2\); 3 faces need \(3, 3\)"),
        ({"basic": np.full((2, 3), 1 / 3)}, r"basic has shape \(2, 3\)"),
        ({"box": np.zeros((3, 5))}, r"box has shape \(3, 5\); 3 faces need \(3, 4\)"),
        ({"score": np.zeros((3, 1))}, r"score has shape"),
        ({"landmarks": np.zeros((3, 10))}, r"landmarks has shape \(3, 10\); 3 faces need \(3, 5, 2\)"),
        ({"source": np.zeros((3, 1), int)}, r"source has shape"),
        ({"source": [0, 1, 4]}, r"source=\[0 1 4\] must lie in 0..3"),
        ({"source": [-1, 0, 1]}, r"source=\[-1  0  1\] must lie in 0..3"),
        ({"embedding": np.zeros((2, 4))}, "embedding has 2 rows for 3 faces"),
        ({"basic": np.full((3, 3), 0.5)}, "basic must have rows of probabilities"),
        ({"basic": [[-0.5, 1, 0.5]] * 3}, "basic must have rows of probabilities"),
        ({"basic": np.full((3, 3), np.nan)}, "basic must have rows of probabilities"),
    ],
)
def test_columns_that_do_not_agree_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make(**changes)


# --- new emotions -----------------------------------------------------------------------------------------

ANSWERS = (*LABELS, "awe", NONE)


def with_new(**changes: Any) -> Result:
    """The three faces of `make`, read with one more emotion: awe, none of these, fear."""
    columns: dict[str, Any] = {
        "answers": ANSWERS,
        "posterior": [[0.1, 0.2, 0.2, 0.4, 0.1], [0.1, 0.1, 0.1, 0.3, 0.4], [0, 0, 0.7, 0.2, 0.1]],
        "mixture": [[0.25, 0.25, 0.5], [0, 0.5, 0.5], [0, 0, 1]],
        "evidence": np.arange(18, dtype=np.float32).reshape(3, 6),
    }
    return make(**{**columns, **changes})


def test_new_emotions_answer_and_what_none_explains_is_uncertain() -> None:
    result = with_new()
    assert result.emotion == ("awe", UNCERTAIN, "fear")
    assert result.choices[0] == ANSWERS
    face = result[0]
    assert face.emotion == "awe"
    assert face.basic == pytest.approx({"neutral": 0.2, "happiness": 0.7, "fear": 0.1})
    assert list(face.emotions) == ["awe", "happiness", "fear", "neutral", NONE]  # best first
    assert sum(face.emotions.values()) == pytest.approx(1)
    assert face.mixture == pytest.approx({"neutral": 0.25, "happiness": 0.25, "fear": 0.5})
    assert next(iter(result[1].emotions)) == NONE
    assert [face.emotion for face in result] == list(result.emotion)


def test_without_new_emotions_the_basic_ones_are_the_choices() -> None:
    result = make()
    assert result.choices[0] == LABELS
    assert result.choices[1] is result.basic
    assert result[0].mixture is None


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.4, 0.41, 0.7, 0.71, 1.0])
def test_below_the_threshold_an_answer_is_uncertain(threshold: float) -> None:
    """A probability of 0.7 passes a threshold of 0.7, though as float32 it is a little less."""
    result = with_new(threshold=threshold)
    expected = [UNCERTAIN if p < threshold else name for name, p in (("awe", 0.4), ("fear", 0.7))]
    assert result.emotion == (expected[0], UNCERTAIN, expected[1])
    assert [face.emotion for face in result] == list(result.emotion)
    plain = make(threshold=threshold)
    expected = [
        UNCERTAIN if p < threshold else name
        for name, p in (("happiness", 0.7), ("neutral", 0.5), ("fear", 0.8))
    ]
    assert list(plain.emotion) == [face.emotion for face in plain] == expected


@pytest.mark.parametrize("rows", [slice(1, None), [1, 2], np.array([False, True, True])], ids=repr)
def test_what_new_emotions_bring_survives_every_way_to_choose_rows(rows: Any) -> None:
    result = with_new(threshold=0.3)
    part = result[rows]
    assert part.answers == ANSWERS
    assert part.threshold == 0.3
    for name in ("posterior", "mixture", "evidence"):
        np.testing.assert_array_equal(getattr(part, name), getattr(result, name)[1:])
    assert [face for face in part] == [result[1], result[2]]  # noqa: C416
    nobody = result[[]]
    assert nobody.emotion == ()
    assert nobody.posterior is not None
    assert nobody.posterior.shape == (0, 5)


def test_dictionaries_and_json_have_the_mixture_only_with_new_emotions() -> None:
    first = json.loads(with_new().to_json())[0]["faces"]
    assert [face["emotion"] for face in first] == ["awe", UNCERTAIN]
    assert first[0]["mixture"] == {"neutral": 0.25, "happiness": 0.25, "fear": 0.5}
    assert first[0]["emotions"]["awe"] == pytest.approx(0.4)
    assert set(first[1]["emotions"]) == set(ANSWERS)
    assert with_new().to_dicts()[2]["mixture"]["fear"] == 1
    assert "mixture" not in make().to_json()
    assert "mixture" not in make().to_dicts()[0]


def test_the_table_has_a_column_for_each_new_emotion_and_none_of_these() -> None:
    columns = with_new(threshold=0.5).to_columns()
    assert list(columns)[7:] == ["emotion", *LABELS, "awe", NONE]
    assert columns["emotion"] == [UNCERTAIN, UNCERTAIN, None, None, "fear"]
    assert columns["happiness"] == make().to_columns()["happiness"]  # the model's own probability
    assert columns["awe"] == pytest.approx([0.4, 0.3, None, None, 0.2])
    assert columns[NONE] == pytest.approx([0.1, 0.4, None, None, 0.1])
    rows = list(csv.DictReader(io.StringIO(with_new().to_csv())))
    assert [row["awe"] for row in rows] == ["0.4", "0.3", "", "", "0.2"]
    assert [row["emotion"] for row in rows] == ["awe", UNCERTAIN, "", "", "fear"]


def test_an_emotion_that_is_called_like_a_column_takes_none_away() -> None:
    columns = with_new(answers=(*LABELS, "score", NONE)).to_columns()
    assert columns["score"] == make().to_columns()["score"]
    assert columns["score (emotion)"] == pytest.approx([0.4, 0.3, None, None, 0.2])
    assert {len(column) for column in columns.values()} == {5}


def test_one_line_counts_the_uncertain_ones() -> None:
    assert repr(with_new()) == "<Result: 3 faces in 4 inputs: awe 1, uncertain 1, fear 1; 1 failed>"
    assert "uncertain 3" in repr(make(threshold=0.9))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"posterior": np.full((3, 4), 0.25)}, r"posterior has shape \(3, 4\); 3 faces need \(3, 5\)"),
        ({"posterior": np.full((2, 5), 0.2)}, r"posterior has shape \(2, 5\)"),
        ({"posterior": np.full((3, 5), 0.3)}, "posterior must have rows of probabilities"),
        ({"posterior": np.full((3, 5), np.nan)}, "posterior must have rows of probabilities"),
        ({"posterior": None}, r"answers=.* need a posterior"),
        ({"answers": ()}, r"posterior has shape \(3, 5\); 3 faces need \(3, 0\)"),
        ({"mixture": np.full((3, 2), 0.5)}, r"mixture has shape \(3, 2\); 3 faces need \(3, 3\)"),
        ({"mixture": np.full((3, 3), 0.5)}, "mixture must have rows of probabilities"),
        ({"evidence": np.zeros((2, 6))}, "evidence has 2 rows for 3 faces"),
    ],
)
def test_columns_of_new_emotions_that_do_not_agree_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        with_new(**changes)


# --- dictionaries, JSON, CSV, tables ----------------------------------------------------------------------


def test_to_dicts_has_a_plain_dictionary_a_face() -> None:
    first, _, last = make().to_dicts()
    assert first["source"] == "a.jpg"
    assert first["box"] == [10.2, 20.0, 50.0, 60.0]
    assert first["emotion"] == "happiness"
    assert sum(first["basic"].values()) == pytest.approx(1, abs=1e-5)
    assert last["landmarks"] == []
    json.dumps(first)


def test_to_json_has_an_object_an_input_in_the_order_given() -> None:
    tree = json.loads(make().to_json())
    assert [(entry["source"], entry["status"], len(entry["faces"])) for entry in tree] == [
        ("a.jpg", "ok", 2),
        ("b, with comma.jpg", "ok", 0),
        ("c.jpg", "missing", 0),
        ("d.jpg", "ok", 1),
    ]
    assert tree[2]["message"] == "c.jpg: there is no such file"
    assert set(tree[0]["faces"][0]) == {"box", "score", "landmarks", "emotion", "basic", "emotions"}


def test_json_of_nothing_is_an_empty_array() -> None:
    assert json.loads(none().to_json()) == []
    assert none(2).to_columns()["status"] == ["no face", "no face"]


def test_names_in_any_writing_survive(tmp_path: Any) -> None:
    name = 'Zoë "北京"\n.jpg'
    result = none(1)
    result = replace(result, inputs=(Input(name),))
    assert "Zoë" in result.to_json()
    assert json.loads(result.to_json())[0]["source"] == name
    assert next(csv.DictReader(io.StringIO(result.to_csv(), newline="")))["source"] == name


def test_a_file_name_that_is_not_utf8_can_be_written() -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")  # as os.fsdecode gives it
    result = replace(none(1), inputs=(Input(name),))
    result.to_csv().encode()
    text = result.to_json().encode()
    assert json.loads(text)[0]["source"] == name


def test_to_columns_loses_no_input() -> None:
    columns = make().to_columns()
    assert list(columns) == ["source", "status", "x0", "y0", "x1", "y1", "score", "emotion", *LABELS]
    assert columns["source"] == ["a.jpg", "a.jpg", "b, with comma.jpg", "c.jpg", "d.jpg"]
    assert columns["status"] == ["ok", "ok", "no face", "missing", "ok"]
    assert columns["emotion"] == ["happiness", "neutral", None, None, "fear"]
    assert columns["x0"] == [10.25, 100, None, None, 0]
    assert columns["fear"] == pytest.approx([0.1, 0.25, None, None, 0.8])


def test_rows_of_the_table_follow_the_inputs_even_when_the_faces_do_not() -> None:
    assert make()[[2, 0]].to_columns()["source"] == ["a.jpg", "b, with comma.jpg", "c.jpg", "d.jpg"]


def test_to_csv_is_read_back() -> None:
    rows = list(csv.DictReader(io.StringIO(make().to_csv())))
    assert [row["status"] for row in rows] == ["ok", "ok", "no face", "missing", "ok"]
    assert float(rows[0]["happiness"]) == pytest.approx(0.7)
    assert float(rows[1]["x1"]) == 140.75
    assert rows[2]["emotion"] == rows[2]["x0"] == ""
    assert none().to_csv().splitlines() == [make().to_csv().splitlines()[0]]


def test_to_table_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"pandas is not installed: pip install 'io-pyfer\[pandas\]'"):
        make().to_table()


def test_to_table_gives_the_columns_to_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda columns: columns))
    assert make().to_table() == make().to_columns()


def test_to_table_of_pandas() -> None:
    pytest.importorskip("pandas")
    table = make().to_table()
    assert table.shape == (5, 8 + len(LABELS))
    assert table["fear"].isna().sum() == 2


def test_a_result_says_in_one_line_what_was_found() -> None:
    first, second, third = (LABELS[k] for k in (1, 0, 2))
    line = f"<Result: 3 faces in 4 inputs: {first} 1, {second} 1, {third} 1; 1 failed>"
    assert repr(make()) == line
    assert repr(none(2)) == "<Result: 0 faces in 2 inputs: no faces>"
