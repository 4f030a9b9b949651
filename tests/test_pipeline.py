"""From pictures to faces with emotions: order, failures, batches, and how the answers are read."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, describe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import pyfer
from pyfer.cartoon import cartoon_faces
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, ModelError, SourceError
from pyfer.faces import Faces, Mtcnn, align, crop_box, crop_whole
from pyfer.models import BATCH, Model, Output
from pyfer.pipeline import Pipeline, Reading

QUICK = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
LANDMARKS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)


def grid(image: NDArray[np.uint8]) -> Faces:
    """A detector that needs no network: every square of 60 pixels that is not plain holds a face."""
    boxes = [
        [x, y, x + 60, y + 60]
        for y in range(0, image.shape[0] - 59, 60)
        for x in range(0, image.shape[1] - 59, 60)
        if image[y : y + 60, x : x + 60].std() > 1
    ]
    box = np.array(boxes, np.float32).reshape(-1, 4)
    return Faces(box, np.full(len(box), 0.9), box[:, None, :2] + 60 * LANDMARKS)


def picture(faces: int, *, columns: int = 1, seed: int = 0) -> NDArray[np.uint8]:
    """So many drawn faces of 60 pixels, in columns, with plain squares where there is no face."""
    index = np.arange(faces) % 8
    crops = cartoon_faces(np.eye(8)[index], size=60, seed=seed) if faces else np.empty((0, 60, 60, 3))
    sheet = np.full((60 * max(1, -(-faces // columns)), 60 * columns, 3), 128, np.uint8)
    for k, crop in enumerate(crops):
        y, x = 60 * (k // columns), 60 * (k % columns)
        sheet[y : y + 60, x : x + 60] = crop
    return sheet


@pytest.fixture
def pipeline(tiny_model: Model) -> Pipeline:
    return Pipeline(tiny_model, grid)


# --- one picture, real detector ---------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_face(
    photo: Path, astronaut: NDArray[np.uint8], tiny: Path
) -> None:
    data = photo.read_bytes()
    sources: list[Any] = [photo, str(photo), data, bytearray(data), Image.open(io.BytesIO(data)), astronaut]
    result = pyfer.predict(sources, model=tiny)
    assert result.source.tolist() == list(range(6))
    assert np.ptp(result.box, axis=0).max() == np.ptp(result.basic, axis=0).max() == 0
    x0, y0, x1, y1 = result[0].box
    assert x0 < 223 < x1  # the nose, read off by eye
    assert y0 < 128 < y1
    assert result[0].score > 0.9
    assert len(result[0].landmarks) == 5
    assert result.embedding is not None
    assert result.embedding.shape == (6, 4)


def test_a_path_and_an_array_are_named_in_the_inputs(portrait: Path, tiny: Path) -> None:
    array = pyfer.read(portrait)
    result = pyfer.predict([str(portrait), array, portrait.read_bytes(), Image.fromarray(array)], model=tiny)
    names = [entry.name for entry in result.inputs]
    assert names == [str(portrait), "<array 160x160x3>", f"<{portrait.stat().st_size} bytes>", "<Image>"]


def test_a_gray_picture_has_the_same_face(portrait: Path, tiny: Path) -> None:
    gray = np.asarray(Image.open(portrait).convert("L"))
    assert len(pyfer.predict(gray, model=tiny)) == 1


def test_a_picture_without_a_face_is_an_empty_result(tiny: Path) -> None:
    result = pyfer.predict(np.full((120, 160, 3), 200, np.uint8), model=tiny)
    assert len(result) == 0
    assert result.labels == BASIC
    assert result.basic.shape == (0, 8)
    assert result.embedding is not None
    assert result.embedding.shape == (0, 4)
    assert result.inputs[0].status == "ok"


# --- lists ------------------------------------------------------------------------------------------------


def test_a_bad_file_among_many_is_a_row_with_a_status(tmp_path: Path, pipeline: Pipeline) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(picture(2)).save(good)
    bad.write_bytes(good.read_bytes()[:200])
    result = pipeline.predict([good, bad, tmp_path / "gone.png", np.zeros((2, 2), np.int8), good])
    assert [entry.status for entry in result.inputs] == ["ok", "truncated", "missing", "unsupported", "ok"]
    assert [entry.name for entry in result.failed] == [str(bad), str(tmp_path / "gone.png"), "<array 2x2>"]
    assert "there is no such file" in result.inputs[2].message
    assert result.source.tolist() == [0, 0, 4, 4]
    alone = pipeline.predict(good)
    np.testing.assert_array_equal(result.basic[:2], alone.basic)
    np.testing.assert_array_equal(result.basic[2:], alone.basic)


def test_a_single_bad_picture_raises(tmp_path: Path, pipeline: Pipeline) -> None:
    with pytest.raises(SourceError, match="there is no such file") as caught:
        pipeline.predict(tmp_path / "gone.png")
    assert caught.value.kind == "missing"
    with pytest.raises(ArgumentError, match=r"source of shape \(3, 4, 5\)"):
        pipeline.predict(np.zeros((3, 4, 5), np.uint8))


def test_a_list_of_one_bad_picture_does_not_raise(tmp_path: Path, pipeline: Pipeline) -> None:
    result = pipeline.predict([tmp_path / "gone.png"])
    assert len(result) == 0
    assert [entry.status for entry in result.inputs] == ["missing"]


def test_an_empty_list_is_an_empty_result(pipeline: Pipeline) -> None:
    result = pipeline.predict([])
    assert len(result) == len(result.inputs) == 0
    assert result.to_json() == "[]"


def test_many_pictures_with_many_faces_are_as_one_by_one(pipeline: Pipeline) -> None:
    counts = [3, 0, 1, 40, 0, 30, 2] + [1] * 10
    pictures = [picture(n, columns=5, seed=k) for k, n in enumerate(counts)]
    assert sum(counts) > BATCH
    done: list[tuple[int, int]] = []
    result = pipeline.predict(pictures, on_done=lambda k, n: done.append((k, n)))
    assert np.bincount(result.source, minlength=len(counts)).tolist() == counts
    assert done == [(k + 1, len(counts)) for k in range(len(counts))]
    one_by_one = [pipeline.predict(each) for each in pictures]
    np.testing.assert_allclose(result.basic, np.concatenate([r.basic for r in one_by_one]), atol=1e-6)
    np.testing.assert_array_equal(result.box, np.concatenate([r.box for r in one_by_one]))
    assert result.embedding is not None
    np.testing.assert_allclose(
        result.embedding,
        np.concatenate([r.embedding for r in one_by_one if r.embedding is not None]),
        atol=1e-4,
    )
    assert len(np.unique(result.basic.round(4), axis=0)) > 0.9 * len(result)


def test_the_same_twice_is_the_same(pipeline: Pipeline) -> None:
    np.testing.assert_array_equal(pipeline.predict(picture(3)).basic, pipeline.predict(picture(3)).basic)


def test_a_tuple_is_a_list_and_a_generator_is_refused(pipeline: Pipeline) -> None:
    assert len(pipeline.predict((picture(1), picture(2)))) == 3
    with pytest.raises(ArgumentError, match="source=generator must be a path"):
        pipeline.predict(each for each in [picture(1)])  # type: ignore[arg-type]


# --- from a picture to the network ------------------------------------------------------------------------


def test_the_network_sees_the_aligned_face(pipeline: Pipeline, tiny_model: Model) -> None:
    image = picture(2)
    crops = align(image, grid(image).landmarks, 48)
    np.testing.assert_allclose(
        pipeline.predict(image).basic, tiny_model(crops).probabilities["ferplus"], atol=1e-6
    )


def test_a_model_without_alignment_sees_the_box_and_its_margin(make_model: MakeModel) -> None:
    model = Model(make_model(crop={"align": False, "margin": 0.25}))
    image = picture(2)
    crops = crop_box(image, grid(image).box, 48, margin=0.25)
    result = Pipeline(model, grid).predict(image)
    np.testing.assert_allclose(result.basic, model(crops).probabilities["ferplus"], atol=1e-6)


def test_crops_are_not_searched_for_faces(tiny_model: Model) -> None:
    def never(image: NDArray[np.uint8]) -> Faces:
        raise AssertionError("crops need no detector")

    image = picture(1)[:, :40]
    result = Pipeline(tiny_model, never).predict([image, picture(1)], crops=True)
    assert result.box.tolist() == [[0, 0, 40, 60], [0, 0, 60, 60]]
    assert result.score.tolist() == [1, 1]
    assert result[0].landmarks == ()
    expected = tiny_model(crop_whole(image, 48)[None]).probabilities["ferplus"]
    np.testing.assert_allclose(result.basic[:1], expected, atol=1e-6)


def test_largest_keeps_one_face_a_picture(tiny_model: Model) -> None:
    def two(image: NDArray[np.uint8]) -> Faces:
        box = np.array([[0, 0, 20, 20], [10, 10, 60, 60]], np.float32)
        return Faces(box, np.array([0.99, 0.8]), np.stack([20 * LANDMARKS, 10 + 50 * LANDMARKS]))

    result = Pipeline(tiny_model, two, largest=True).predict([picture(1)] * 2)
    assert result.box.tolist() == [[10, 10, 60, 60]] * 2
    assert len(Pipeline(tiny_model, grid, largest=True).predict(picture(0))) == 0


def test_the_detector_is_made_when_a_picture_needs_it(tiny_model: Model) -> None:
    lazy = Pipeline(tiny_model, threads=1)
    lazy.predict(picture(1), crops=True)
    assert lazy._detector is None
    assert isinstance(lazy.detector, Mtcnn)
    assert lazy.detector is lazy.detector


# --- models -----------------------------------------------------------------------------------------------


def test_a_model_by_path_by_name_and_loaded(tiny: Path, tiny_model: Model, portrait: Path) -> None:
    pyfer.models.add(tiny)
    models: list[Any] = [tiny, str(tiny), "tiny", tiny_model]
    answers = [pyfer.predict(portrait, model=model).basic for model in models]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_an_unknown_model_is_an_error_before_anything_is_read() -> None:
    with pytest.raises(ModelError, match="model='nosuch' is neither"):
        pyfer.predict("gone.png", model="nosuch")


def test_a_model_that_changed_on_disk_is_loaded_again(make_model: MakeModel) -> None:
    folder = make_model()
    before = pyfer.predict(picture(1), model=folder, crops=True)
    describe(folder, heads=[{"name": "a", "output": "ferplus", "labels": list(BASIC), "temperature": 4.0}])
    os.utime(folder / "model.json", ns=(1, 1))  # however coarse the clock of the file system is
    after = pyfer.predict(picture(1), model=folder, crops=True)
    assert np.abs(before.basic - after.basic).max() > 0.01


def test_the_same_relative_name_in_another_folder_is_another_model(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hot = [{"name": "a", "output": "ferplus", "labels": list(BASIC), "temperature": 9.0}]
    for folder in (make_model("one/mine"), make_model("two/mine", heads=hot)):
        os.utime(folder / "model.json", ns=(1, 1))
    answers = []
    for place in ("one", "two"):
        monkeypatch.chdir(tmp_path / place)
        answers.append(pyfer.predict(picture(1), model="mine", crops=True).basic)
    assert np.abs(answers[0] - answers[1]).max() > 0.01


# --- heads, classes, priors -------------------------------------------------------------------------------


def test_the_chosen_head_speaks(tiny_model: Model) -> None:
    image = picture(2)
    result = Pipeline(tiny_model, grid, reading=Reading(head="fer2013")).predict(image)
    assert result.labels == BASIC[:7]
    crops = align(image, grid(image).landmarks, 48)
    np.testing.assert_allclose(result.basic, tiny_model(crops).probabilities["fer2013"], atol=1e-6)
    with pytest.raises(ArgumentError, match="did you mean 'fer2013'"):
        Pipeline(tiny_model, reading=Reading(head="fer213"))


def test_classes_leave_the_others_out_and_sum_to_one_again(pipeline: Pipeline, tiny_model: Model) -> None:
    image = picture(3)
    every = pipeline.predict(image).basic
    reading = Reading(classes=("joy", "Angry", "neutral"))
    some = Pipeline(tiny_model, grid, reading=reading).predict(image)
    assert some.labels == ("neutral", "happiness", "anger")  # the model's order
    kept = every[:, [0, 1, 4]]
    np.testing.assert_allclose(some.basic, kept / kept.sum(1, keepdims=True), atol=1e-6)
    assert all(face.emotion in some.labels for face in some)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["angr", "fear"], "'angr' is not known; did you mean 'anger'"),
        (["anger"], r"classes=\('anger',\) must name two or more different"),
        (["joy", "happiness"], "must name two or more different"),
        ([], r"classes=\(\) must name two or more"),
        ("anger", r"classes=\('anger',\) must name two or more"),
        ([1, 2], "emotion=1 must be a name"),
    ],
)
def test_classes_that_make_no_sense_are_refused(tiny: Path, classes: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        pyfer.predict(picture(1), model=tiny, classes=classes)


def test_predict_takes_classes(tiny: Path) -> None:
    result = pyfer.predict(picture(1), model=tiny, crops=True, classes=iter(["fear", "anger"]))
    assert result.labels == ("anger", "fear")


def test_classes_of_which_the_model_is_certain_that_it_is_none(make_model: MakeModel) -> None:
    heads = [{"name": "a", "output": "ferplus", "labels": list(BASIC), "temperature": 1e-4}]
    model = Model(make_model(heads=heads))
    answer = Pipeline(model).recognise(picture(1)[None, :48, :48])[0][0]
    assert np.sort(answer)[:-1].max() == 0
    others = tuple(name for name, p in zip(BASIC, answer, strict=True) if p == 0)
    p = Pipeline(model, reading=Reading(classes=others)).recognise(picture(1)[None, :48, :48])[0]
    np.testing.assert_allclose(p, 1 / 7, atol=1e-6)


weights = st.floats(1e-3, 1e3)


@QUICK
@given(
    st.lists(weights, min_size=8, max_size=8),
    st.dictionaries(st.sampled_from(BASIC), weights, min_size=1),
    st.integers(0, 1000),
)
def test_a_prior_is_bayes_rule(
    tiny_model: Model, mine: list[float], wanted: dict[str, float], seed: int
) -> None:
    """p(emotion | face) under another prior is p * wanted / mine, normalised."""
    crops = np.random.default_rng(seed).integers(0, 256, (3, 48, 48), np.uint8)
    p = tiny_model(crops).probabilities["ferplus"].astype(np.float64)
    head = replace(tiny_model.spec.heads[0], prior=tuple(mine))
    factor = Reading(prior=wanted).factor(head)
    want = np.array([wanted.get(name, 1.0) for name in BASIC])
    expected = p * want / mine
    expected /= expected.sum(1, keepdims=True)
    got = p * factor
    np.testing.assert_allclose(got / got.sum(1, keepdims=True), expected, rtol=1e-9)


def test_priors_in_the_pipeline(make_model: MakeModel) -> None:
    prior = [0.4, 0.3, 0.1, 0.05, 0.05, 0.04, 0.03, 0.03]
    heads = [{"name": "a", "output": "ferplus", "labels": list(BASIC), "prior": prior}]
    model = Model(make_model(heads=heads))
    crops = picture(3).reshape(3, 60, 60, 3)[:, :48, :48]
    p = Pipeline(model).recognise(crops)[0]

    def changed(factor: Any) -> NDArray[np.float64]:
        q = p * np.asarray(factor, np.float64)
        return np.asarray(q / q.sum(1, keepdims=True))

    def read(prior: Any, classes: Any = None) -> NDArray[np.float32]:
        return Pipeline(model, reading=Reading(prior=prior, classes=classes)).recognise(crops)[0]

    np.testing.assert_allclose(p, model(crops).probabilities["a"], atol=1e-7)  # None: the model's own
    np.testing.assert_allclose(read("uniform"), changed(1 / np.array(prior)), atol=1e-6)
    np.testing.assert_allclose(read({}), read("uniform"), atol=1e-7)
    same = dict(zip(BASIC, prior, strict=True))
    np.testing.assert_allclose(read(same), p, atol=1e-6)
    np.testing.assert_allclose(
        read({name: 7 * w for name, w in same.items()}), p, atol=1e-6
    )  # only ratios count
    twice = [3.0 if name == "fear" else 1.0 for name in BASIC] / np.array(prior)
    np.testing.assert_allclose(read({"scared": 3}), changed(twice), atol=1e-6)
    pair = changed(twice)[:, [4, 6]]
    np.testing.assert_allclose(
        read({"fear": 3}, ("anger", "fear")), pair / pair.sum(1, keepdims=True), atol=1e-6
    )


def test_extreme_weights_overflow_nothing(tiny_model: Model) -> None:
    crops = picture(1)[None, :48, :48]
    for weight in (1e-308, 1e308):
        p = Pipeline(tiny_model, reading=Reading(prior={"fear": weight})).recognise(crops)[0]
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
        assert p[0, 6] == pytest.approx(float(weight > 1), abs=1e-6)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("flat", "prior='flat' must be 'uniform' or weights by name"),
        (3, "prior=3 must be"),
        ({"fear": 0}, r"prior\['fear'\]=0 must be a finite number above 0"),
        ({"fear": float("nan")}, r"prior\['fear'\]=nan must be"),
        ({"fear": float("inf")}, r"prior\['fear'\]=inf must be"),
        ({"fear": "3"}, r"prior\['fear'\]='3' must be"),
        ({"feer": 3}, "'feer' is not known; did you mean 'fear'"),
    ],
)
def test_priors_that_make_no_sense_are_refused(tiny_model: Model, prior: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        Pipeline(tiny_model, reading=Reading(prior=prior))


def test_any_object_of_the_right_shape_can_recognise(tiny_model: Model, astronaut: NDArray[np.uint8]) -> None:
    class Mine:
        spec = tiny_model.spec

        def __call__(self, crops: NDArray[np.uint8]) -> Output:
            sure = np.zeros((len(crops), 8), np.float32)
            sure[:, 3] = 1
            return Output({"ferplus": sure, "fer2013": sure[:, :7]}, None)

    assert Pipeline(Mine()).predict(astronaut).emotion == ("sadness",)
