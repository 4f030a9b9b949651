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
from pyfer.emotions import BASIC, NONE, UNCERTAIN, Emotion
from pyfer.errors import ArgumentError, ModelError, SourceError
from pyfer.evidence import of_any_model
from pyfer.faces import Faces, Mtcnn, align, crop_box, crop_whole
from pyfer.models import BATCH, Model, Output
from pyfer.pipeline import Pipeline, Reading
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary
from pyfer.vocabulary import load as vocabulary_of

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


# --- new emotions -----------------------------------------------------------------------------------------


def read_with(model: Any, emotions: Any, faces: int = 3, **reading: Any) -> Any:
    """Return the `Result` of so many faces, read with new emotions."""
    chosen = Reading(emotions=emotions, **reading)
    return Pipeline(model, grid, reading=chosen).predict(picture(faces))


def test_new_emotions_are_read_from_the_models_probabilities(tiny_model: Model) -> None:
    plain = read_with(tiny_model, None)
    result = read_with(tiny_model, "du2014")
    assert result.labels == BASIC
    np.testing.assert_array_equal(result.basic, plain.basic)
    vocabulary = vocabulary_of("du2014")
    assert result.answers == (*vocabulary.names, NONE)
    mine = Posterior(vocabulary, of_any_model(), BASIC)
    e = mine.coefficients(plain.basic, None)
    np.testing.assert_allclose(result.evidence, e, atol=1e-4)
    np.testing.assert_allclose(result.posterior, mine(e, plain.basic), atol=1e-5)
    np.testing.assert_allclose(result.mixture, mine.mixtures(e), atol=1e-5)
    assert (plain.posterior, plain.mixture, plain.evidence, plain.answers) == (None, None, None, ())


def test_every_way_to_name_new_emotions(tiny: Path, tmp_path: Path) -> None:
    awe = Emotion("awe", "fear + surprise")
    (tmp_path / "mine.toml").write_text('[[emotion]]\nname = "awe"\nformula = "fear + surprise"\n')
    ways: list[Any] = [
        "awe = fear + surprise",
        str(tmp_path / "mine.toml"),
        tmp_path / "mine.toml",
        awe,
        [awe],
        (one for one in [awe]),
        Vocabulary([awe]),
    ]
    for emotions in ways:
        result = pyfer.predict(picture(1), model=tiny, crops=True, emotions=emotions)
        assert result.answers == (*BASIC, "awe", NONE)
        assert result.posterior is not None
        np.testing.assert_allclose(result.posterior.sum(1), 1, atol=1e-5)
    both = pyfer.predict(picture(1), model=tiny, crops=True, emotions="du2014, bitter = joy + sadness")
    assert {"fearfully surprised", "awed", "bitter", NONE} < set(both.answers)
    only = pyfer.predict(picture(1), model=tiny, crops=True, emotions=Vocabulary([awe], basics=False))
    assert only.answers == ("awe", NONE)


@pytest.mark.parametrize(
    ("emotions", "message"),
    [
        ("du2015", "did you mean 'du2014'"),
        ("awe = fear + surprize", "did you mean 'surprise'"),
        ([Emotion("awe", "fear + surprise"), "awe"], "holds 'awe', must hold pyfer.Emotion objects"),
        ("a = fear + joy, b = joy + fear", "are two names for one point"),
    ],
)
def test_emotions_that_make_no_sense_are_refused_before_anything_is_read(
    tiny: Path, emotions: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        pyfer.predict("gone.png", model=tiny, emotions=emotions)


def test_no_faces_with_new_emotions_are_an_empty_result(tiny_model: Model) -> None:
    result = read_with(tiny_model, "du2014", faces=0)
    assert len(result) == 0
    assert result.posterior.shape == (0, len(result.answers))
    assert result.mixture.shape == (0, 8)
    assert result.evidence.shape == (0, 36)
    assert result.emotion == ()
    assert Pipeline(tiny_model, grid, reading=Reading(emotions="du2014")).predict([]).to_json() == "[]"


def test_new_emotions_of_many_pictures_are_as_one_by_one(tiny_model: Model, tmp_path: Path) -> None:
    pipeline = Pipeline(tiny_model, grid, reading=Reading(emotions="du2014", threshold=0.3))
    pictures: list[Any] = [picture(n, columns=5, seed=n) for n in (3, 0, 40, 30, 1)]
    result = pipeline.predict([*pictures, tmp_path / "gone.png"])
    assert len(result) == 74 > BATCH
    one_by_one = [pipeline.predict(each) for each in pictures]
    assert result.emotion == tuple(name for each in one_by_one for name in each.emotion)
    assert result.posterior is not None
    rows = np.concatenate([each.posterior for each in one_by_one if each.posterior is not None])
    np.testing.assert_allclose(result.posterior, rows, atol=1e-4)
    assert len(set(result.emotion)) > 1


def test_below_the_threshold_a_face_is_uncertain(tiny_model: Model) -> None:
    free = read_with(tiny_model, "du2014", faces=8)
    assert free.posterior is not None
    top = np.sort(free.posterior.max(1))
    result = read_with(tiny_model, "du2014", faces=8, threshold=float(top[3:5].mean()))
    assert result.threshold == pytest.approx(top[3:5].mean())
    kept = free.posterior.max(1) >= result.threshold
    for before, after, sure in zip(free.emotion, result.emotion, kept, strict=True):
        assert after == (before if sure else UNCERTAIN)
    assert 4 <= result.emotion.count(UNCERTAIN) < 8
    sure_of_nothing = Pipeline(tiny_model, grid, reading=Reading(threshold=1.0)).predict(picture(2))
    assert sure_of_nothing.emotion == (UNCERTAIN, UNCERTAIN)  # the basic emotions by themselves too


def test_a_face_that_no_emotion_explains_is_uncertain(tiny_model: Model) -> None:
    """A recogniser that is torn between two emotions which no emotion of the vocabulary unites."""

    class Torn:
        spec = tiny_model.spec

        def __call__(self, crops: NDArray[np.uint8]) -> Output:
            p = np.tile(
                np.array([0.02, 0.46, 0.46, 0.01, 0.01, 0.01, 0.02, 0.01], np.float32), (len(crops), 1)
            )
            return Output({"ferplus": p, "fer2013": p[:, :7] / p[:, :7].sum(1, keepdims=True)}, None)

    without = read_with(Torn(), "cross = sadness + anger", faces=1)
    assert without.emotion == (UNCERTAIN,)
    assert next(iter(without[0].emotions)) == NONE
    with_it = read_with(Torn(), "cheered = happiness + surprise", faces=1)
    assert with_it.emotion == ("cheered",)
    assert with_it[0].mixture == pytest.approx(without[0].mixture)


def test_classes_leave_out_what_they_cannot_express(tiny_model: Model) -> None:
    result = read_with(tiny_model, "du2014", classes=("happy", "surprise", "anger"))
    assert result.labels == ("happiness", "surprise", "anger")
    assert set(result.answers) == {*result.labels, "happily surprised", "angrily surprised", NONE}
    assert result.mixture.shape == (3, 3)
    mine = Posterior(vocabulary_of("du2014"), of_any_model(), result.labels, np.array([1.0, 1.0, 9.0]))
    weighted = read_with(tiny_model, "du2014", classes=("happy", "surprise", "anger"), prior={"anger": 9})
    np.testing.assert_allclose(
        result.evidence, of_any_model().restricted(result.labels)(result.basic, None), atol=1e-3
    )
    expected = mine(mine.coefficients(result.basic, None), weighted.basic)
    np.testing.assert_allclose(weighted.posterior, expected, atol=1e-3)
    with pytest.raises(ArgumentError, match="none of awe can be made of neutral, anger"):
        read_with(
            tiny_model, Vocabulary([Emotion("awe", "fear + joy")], basics=False), classes=("neutral", "anger")
        )


def test_a_head_without_contempt_reads_what_needs_none(tiny_model: Model) -> None:
    result = read_with(tiny_model, "du2014, sneer = contempt + disgust", head="fer2013")
    assert result.labels == BASIC[:7]
    assert "sneer" not in result.answers
    assert "contempt" not in result.answers
    assert "awed" in result.answers
    assert result.evidence.shape == (3, 28)


def test_a_prior_moves_new_emotions_with_the_basic_ones(tiny_model: Model) -> None:
    p = [
        dict(zip(result.answers, result.posterior[0], strict=True))
        for weight in (1.0, 50.0)
        for result in [read_with(tiny_model, "du2014", prior={"fear": weight})]
    ]
    for name, factor in (("fear", 50), ("sadly fearful", 50**0.5), ("sadly angry", 1)):
        odds = [float(each[name] / each["neutral"]) for each in p]
        assert odds[1] / odds[0] == pytest.approx(factor, rel=0.05)
    one, other = (read_with(tiny_model, "du2014", prior=prior) for prior in ("uniform", {}))
    np.testing.assert_allclose(one.posterior, other.posterior, atol=1e-6)
    assert np.abs(one.posterior - read_with(tiny_model, "du2014").posterior).max() > 0.01


def test_what_is_subtracted_counts_against_by_the_faces_own_probability(tiny_model: Model) -> None:
    result = read_with(tiny_model, "odd = surprise + neutral - 2 happiness, even = surprise + neutral")
    p = dict(zip(result.answers, result.posterior.T, strict=True))
    np.testing.assert_allclose(p["odd"] / p["even"], 1 - result.basic[:, 1], rtol=1e-3)


def test_labels_that_are_no_basic_emotions_take_no_part_in_mixtures(make_model: MakeModel) -> None:
    labels = ["bored", *BASIC[1:8]]
    model = Model(make_model(heads=[{"name": "a", "output": "ferplus", "labels": labels}]))
    result = read_with(model, "awe = fear + surprise")
    assert result.labels == tuple(labels)
    assert result.answers == (*BASIC[1:], "awe", NONE)
    assert (result.mixture[:, 0] == 0).all()
    np.testing.assert_allclose(result.mixture.sum(1), 1, atol=1e-5)
    odd = Model(make_model("odd", heads=[{"name": "a", "output": "fer2013", "labels": list("abcdefg")}]))
    with pytest.raises(ArgumentError, match="the model tells a, b, c, d, e, f, g; two or more of neutral"):
        read_with(odd, "du2014")


def test_a_recogniser_without_evidence_is_read_through_its_probabilities(tiny_model: Model) -> None:
    class Mine:
        spec = tiny_model.spec

        def __call__(self, crops: NDArray[np.uint8]) -> Output:
            return Output(tiny_model(crops).probabilities, None)

    expected = read_with(tiny_model, "du2014")
    np.testing.assert_allclose(read_with(Mine(), "du2014").posterior, expected.posterior, atol=1e-6)


def test_the_same_with_new_emotions_twice_is_the_same(tiny_model: Model) -> None:
    one, other = (read_with(tiny_model, "du2014") for _ in range(2))
    for name in ("posterior", "mixture", "evidence"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), "0.5", None, [0.5]])
def test_thresholds_that_are_no_probabilities_are_refused(threshold: Any) -> None:
    with pytest.raises(ArgumentError, match=r"threshold=.* must lie in 0\.\.1, a probability"):
        Reading(threshold=threshold)


@pytest.mark.parametrize("threshold", [0, 1, 0.5, np.float32(0.5), np.float64(1)])
def test_thresholds_of_every_kind_of_number(threshold: Any) -> None:
    assert Reading(threshold=threshold).threshold == threshold


def test_the_shipped_model_finds_what_the_astronaut_shows(astronaut: NDArray[np.uint8]) -> None:
    result = pyfer.predict(astronaut, emotions="du2014")
    assert result.emotion == ("happiness",)
    assert result[0].emotions["happiness"] > 0.8
    assert result[0].mixture is not None
    assert result[0].mixture["happiness"] > 0.8
