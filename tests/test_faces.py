from __future__ import annotations

import csv
import importlib.metadata
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pyfer import mtcnn
from pyfer.errors import ArgumentError, MissingExtraError, ModelError
from pyfer.faces import TEMPLATE, Faces, Mtcnn, YuNet, align, crop_box, crop_whole, similarity

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT.parent / "shared" / "samples"
YUNET = SAMPLES / "models" / "yunet_n_640_640.onnx"
MIRRORED = [1, 0, 2, 4, 3]
# read off the astronaut's photograph by eye
ASTRONAUT = np.array([[203, 102], [246.5, 103], [223, 128], [203, 140], [244, 140]])


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return data.astronaut()


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return Mtcnn()


def two_faces() -> Faces:
    box = np.array([[0, 0, 10, 10], [5, 5, 25, 30]])
    return Faces(box, np.array([0.9, 0.8]), np.arange(20.0).reshape(2, 5, 2))


# --- Faces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "scores"),
    [
        ([True, False], [0.9]),
        (np.array([False, False]), []),
        ([1, 0], [0.8, 0.9]),
        (np.array([1]), [0.8]),
        (slice(1, None), [0.8]),
        (-1, [0.8]),
        ([], []),
    ],
)
def test_faces_are_chosen_by_mask_and_index(index, scores):
    chosen = two_faces()[index]
    assert isinstance(chosen, Faces)
    assert len(chosen) == len(scores)
    np.testing.assert_allclose(chosen.score, scores)
    assert chosen.landmarks.shape == (len(scores), 5, 2)


def test_faces_columns_are_float32():
    faces = two_faces()
    assert {column.dtype for column in (faces.box, faces.score, faces.landmarks)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(faces.area, [100, 500])


def test_largest_face():
    np.testing.assert_array_equal(two_faces().largest().box, [[5, 5, 25, 30]])
    assert len(Faces.empty().largest()) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": np.zeros((2, 3))}, r"box has shape \(2, 3\)"),
        ({"box": np.ones((1, 4))}, "for 2 faces"),
        ({"landmarks": np.zeros((2, 10))}, "landmarks has shape"),
        ({"score": np.array([0.5, 1.5])}, r"must lie in \[0, 1\]"),
        ({"score": np.array([0.5, np.nan])}, "score holds a value that is not finite"),
        ({"landmarks": np.full((2, 5, 2), np.inf)}, "landmarks holds a value that is not finite"),
        ({"box": np.array([[0, 0, 1, 1], [5, 5, 5, 9]])}, "x0 < x1"),
    ],
)
def test_faces_refuse_wrong_columns(change, message):
    faces = two_faces()
    columns = {"box": faces.box, "score": faces.score, "landmarks": faces.landmarks}
    with pytest.raises(ArgumentError, match=message):
        Faces(**{**columns, **change})


def test_landmarks_may_be_unknown():
    faces = Faces(np.array([[0, 0, 9, 9]]), np.ones(1), np.full((1, 5, 2), np.nan))
    assert np.isnan(faces.largest().landmarks).all()


# --- Mtcnn ------------------------------------------------------------------------------------------------


def test_the_astronaut_is_found(detector, astronaut):
    faces = detector(astronaut)
    assert len(faces) == 1
    assert faces.score[0] > 0.99
    np.testing.assert_allclose(faces.landmarks[0], ASTRONAUT, atol=3)
    np.testing.assert_allclose(faces.box[0], [180, 60, 270, 175], atol=8)


def test_the_mirrored_picture_gives_mirrored_landmarks(detector, astronaut):
    width = astronaut.shape[1]
    landmarks = detector(astronaut[:, ::-1]).landmarks[0]
    assert landmarks[0, 0] < landmarks[1, 0], "the left eye is left in the picture, whoever's eye it is"
    np.testing.assert_allclose(landmarks[MIRRORED] * [-1, 1] + [width, 0], ASTRONAUT, atol=3)


@pytest.mark.parametrize("factor", [0.4, 1.7, 4])
def test_the_scaled_picture_gives_scaled_faces(detector, astronaut, factor):
    side = round(512 * factor)
    scaled = np.asarray(Image.fromarray(astronaut).resize((side, side), Image.Resampling.BICUBIC))
    before, after = detector(astronaut), detector(scaled)
    assert len(after) == 1
    np.testing.assert_allclose(after.box / factor, before.box, atol=7)
    np.testing.assert_allclose(after.landmarks[0] / factor, ASTRONAUT, atol=4)


def test_faces_of_different_size_come_largest_first_and_clipped(detector, astronaut):
    face = astronaut[:256, 100:356]
    half = np.asarray(Image.fromarray(face).resize((128, 128), Image.Resampling.BOX))
    scene = np.full((300, 500, 3), 128, np.uint8)
    scene[20:148, 20:148] = half
    scene[:, 244:] = np.pad(face, ((0, 44), (0, 0), (0, 0)), mode="edge")
    scene = scene[:, :400]  # cuts the large face at its ear
    faces = detector(scene)
    assert len(faces) == 2
    assert faces.area[0] > faces.area[1]
    assert (faces.box[:, 2:] <= [400, 300]).all()
    assert (faces.box >= 0).all()
    np.testing.assert_allclose(faces.landmarks[1], (ASTRONAUT - [100, 0]) / 2 + 20, atol=2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (11, 40), (40, 3000), (97, 131), (320, 240)])
@pytest.mark.parametrize("kind", ["noise", "black"])
def test_no_face_is_an_empty_result(detector, shape, kind):
    image = np.zeros((*shape, 3), np.uint8)
    if kind == "noise":
        image[:] = np.random.default_rng(7).integers(0, 256, image.shape)
    faces = detector(image)
    assert isinstance(faces, Faces)
    assert len(faces) == 0
    assert faces.box.shape == (0, 4)
    assert faces.landmarks.shape == (0, 5, 2)


def test_detectors_go_to_other_processes():
    detector = Mtcnn(score=0.9, cascade=mtcnn.Cascade(factor=0.6))
    assert pickle.loads(pickle.dumps(detector)) == detector


def test_least_size_in_pixels(astronaut):
    assert len(Mtcnn(smallest=60)(astronaut)) == 1
    assert len(Mtcnn(smallest=220)(astronaut)) == 0


def test_pnet_sees_a_bounded_picture(monkeypatch):
    networks, areas = mtcnn.load(1), []

    class Counting:
        def run(self, names, feeds):
            areas.append(feeds["image"].shape[1] * feeds["image"].shape[2])
            return networks.pnet.run(names, feeds)

    counting = mtcnn.Networks(Counting(), networks.rnet, networks.onet)
    monkeypatch.setattr(mtcnn, "load", lambda threads: counting)
    large = np.zeros((3000, 4000, 3), np.uint8)
    Mtcnn()(large)
    assert max(areas) < 80_000
    Mtcnn(smallest=12)(large)
    assert max(areas) <= 1_001_000


# --- following --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [(0, 0), (0.3, 0), (0, -0.3), (-0.2, 0.2)])
@pytest.mark.parametrize("growth", [0.75, 1, 1.4])
def test_a_face_is_followed_from_near_by(detector, astronaut, shift, growth):
    found = detector(astronaut)
    x0, y0, x1, y1 = found.box[0]
    side, x, y = np.sqrt(found.area[0]), (x0 + x1) / 2, (y0 + y1) / 2
    x, y, w, h = x + shift[0] * side, y + shift[1] * side, growth * (x1 - x0) / 2, growth * (y1 - y0) / 2
    box = np.array([[10, 10, 50, 50], [x - w, y - h, x + w, y + h], [-99, -99, -9, -9], [600, 9, 900, 200]])
    faces, kept = detector.follow(astronaut, box)
    assert kept.tolist() == [1]
    np.testing.assert_allclose(faces.landmarks[0], ASTRONAUT, atol=4)
    np.testing.assert_allclose(faces.box, found.box, atol=14)
    assert faces.score[0] > 0.9


def test_faces_that_are_followed_keep_their_order(detector, astronaut):
    small = np.asarray(Image.fromarray(astronaut[:256, 100:356]).resize((128, 128), Image.Resampling.BOX))
    scene = np.full((300, 500, 3), 128, np.uint8)
    scene[20:148, 20:148], scene[:256, 244:] = small, astronaut[:256, 100:356]
    found = detector(scene)
    faces, kept = detector.follow(scene, np.stack([found.box[1], [150, 200, 200, 250], found.box[0]]))
    assert kept.tolist() == [0, 2]
    np.testing.assert_allclose(faces.box, found.box[::-1], atol=6)


def test_no_face_is_followed_to_none(detector, astronaut):
    faces, kept = detector.follow(astronaut, np.zeros((0, 4)))
    assert (len(faces), kept.shape) == (0, (0,))
    for wrong in (np.zeros((1, 4)), np.array([9, 9, 20, 20]), np.array([[0, 0, np.inf, 9]])):
        with pytest.raises(ArgumentError, match="box of shape"):
            detector.follow(astronaut, wrong)


@given(x=st.floats(-60, 630), y=st.floats(-60, 350), side=st.floats(14, 190))
@settings(max_examples=60, deadline=None)
@example(x=620, y=1, side=48)  # little of it in the picture
def test_the_surroundings_of_a_face_show_what_the_whole_picture_shows(x, y, side):
    image = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    box = np.array([[x, y, x + side, y + side]], np.float32)
    places = [mtcnn.surroundings(image, box[0])]
    levels = mtcnn.halvings(Image.fromarray(image))
    for size in (mtcnn.RNET, mtcnn.ONET):
        part = mtcnn.close_ups(places, box, size).astype(int)
        assert np.abs(part - mtcnn.windows(levels, box, size)).max() <= 1


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((9, 9), np.uint8),
        np.zeros((9, 9, 4), np.uint8),
        np.zeros((9, 9, 3), np.float32),
        np.zeros((0, 9, 3), np.uint8),
        [[0]],
    ],
    ids=["gray", "rgba", "float", "no rows", "list"],
)
def test_wrong_pictures_are_refused(detector, image):
    with pytest.raises(ArgumentError, match=r"image (is|has)"):
        detector(image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"smallest": 5}, "smallest=5 must be"),
        ({"smallest": float("nan")}, "smallest=nan must"),
        ({"score": 1.5}, r"score=1\.5"),
        ({"threads": 0}, "threads=0"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Mtcnn(**settings)
    with pytest.raises(ArgumentError, match="factor=1"):
        mtcnn.Cascade(factor=1)


@pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
def test_tampered_weights_are_refused(tmp_path, name):
    folder = shutil.copytree(mtcnn.FOLDER, tmp_path / "mtcnn")
    assert mtcnn.load(1, folder).pnet is not None
    mtcnn.load.cache_clear()
    path = folder / f"{name}.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=rf"{name}\.onnx is damaged"):
        mtcnn.load(1, folder)
    path.unlink()
    with pytest.raises(ModelError, match=rf"{name}\.onnx cannot be read"):
        mtcnn.load(1, folder)


def test_the_worse_of_two_boxes_goes():
    box = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [2, 2, 6, 6]], np.float32)
    score = np.array([0.8, 0.9, 0.7, 0.6], np.float32)
    assert mtcnn.distinct(box, score, 0.5).tolist() == [1, 2, 3]
    assert mtcnn.distinct(box, score, 0.9).tolist() == [1, 0, 2, 3]
    assert mtcnn.distinct(box, score, 0.5, of_smaller=True).tolist() == [1, 2]
    chain = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    falling = np.array([0.9, 0.8, 0.7], np.float32)
    assert mtcnn.distinct(chain, falling, 0.3).tolist() == [0, 2], "a box that went takes none with it"


def test_the_build_script_gives_the_shipped_bytes(tmp_path):
    for module in ("joblib", "lz4", "onnx"):
        pytest.importorskip(module)
    try:
        version = importlib.metadata.version("mtcnn")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the mtcnn wheel is not installed")
    if version != "1.0.0":
        pytest.skip(f"mtcnn {version} is installed, not 1.0.0")
    script = ROOT / "scripts" / "build_mtcnn.py"
    subprocess.run([sys.executable, script, "--out", tmp_path], check=True, capture_output=True)
    for name in ("pnet.onnx", "rnet.onnx", "onet.onnx", "SOURCE", "LICENSE"):
        assert (tmp_path / name).read_bytes() == (mtcnn.FOLDER / name).read_bytes(), name


# --- the sample photographs, and YuNet --------------------------------------------------------------------


def listed(kinds: dict[str, int]) -> list[tuple[str, np.ndarray]]:
    """The first photographs of each kind with their listed boxes."""
    if not (SAMPLES / "faces.csv").is_file():
        pytest.skip(f"no sample photographs at {SAMPLES}")
    boxes: dict[str, list[list[float]]] = {}
    with (SAMPLES / "faces.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            if row["photo"] not in boxes:
                if kinds.get(row["kind"], 0) == 0:
                    continue
                kinds[row["kind"]] -= 1
            box = [float(row[key]) for key in ("x0", "y0", "x1", "y1")] if row["x0"] else []
            boxes.setdefault(row["photo"], []).append(box)
    return [(name, np.array(rows).reshape(-1, 4)) for name, rows in boxes.items()]


def hits(listed_boxes: np.ndarray, faces: Faces) -> int:
    """Listed boxes that hold the centre of a found box of similar size."""
    centre = (faces.box[:, :2] + faces.box[:, 2:]) / 2
    side = np.sqrt(faces.area)
    count = 0
    for x0, y0, x1, y1 in listed_boxes:
        inside = ((centre > [x0, y0]) & (centre < [x1, y1])).all(axis=1)
        ratio = side / np.sqrt((x1 - x0) * (y1 - y0))
        count += bool((inside & (ratio > 0.4) & (ratio < 2.5)).any())
    return count


def photograph(name: str) -> np.ndarray:
    return np.asarray(Image.open(SAMPLES / "photos" / name).convert("RGB"))


def test_recall_on_sample_photographs(detector):
    found = total = 0
    for name, boxes in listed({"portrait": 15, "group": 8}):
        found += hits(boxes, detector(photograph(name)))
        total += len(boxes)
    assert total > 50
    assert found >= 0.96 * total


def test_no_face_in_sample_photographs_without_one(detector):
    for name, _ in listed({"no face": 8}):
        assert len(detector(photograph(name))) == 0, name


def test_yunet_finds_the_astronaut(astronaut):
    cv2 = pytest.importorskip("cv2")
    if not YUNET.is_file():
        pytest.skip(f"no YuNet model at {YUNET}")
    yunet = YuNet(YUNET)
    faces = yunet(astronaut)
    np.testing.assert_allclose(faces.landmarks[0], ASTRONAUT, atol=5)
    bgr = np.ascontiguousarray(astronaut[..., ::-1])
    _, rows = cv2.FaceDetectorYN.create(str(YUNET), "", (512, 512)).detect(bgr)
    x, y, width, height, *marks, score = rows[0]
    np.testing.assert_allclose(faces.box[0], [x, y, x + width, y + height], rtol=1e-6)
    np.testing.assert_allclose(faces.landmarks[0].reshape(-1), marks, rtol=1e-6)
    np.testing.assert_allclose(faces.score[0], score, rtol=1e-6)
    large = yunet(np.asarray(Image.fromarray(astronaut).resize((1500, 1500))))
    np.testing.assert_allclose(large.landmarks[0] * 512 / 1500, ASTRONAUT, atol=8)
    np.testing.assert_allclose(large.box[0] * 512 / 1500, faces.box[0], atol=14)
    assert len(yunet(np.zeros((1, 700, 3), np.uint8))) == 0


def test_yunet_refuses_what_is_not_a_model(tmp_path):
    pytest.importorskip("cv2")
    with pytest.raises(ModelError, match="is not a file"):
        YuNet(tmp_path / "missing.onnx")
    (tmp_path / "wrong.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="is not a YuNet model"):
        YuNet(tmp_path / "wrong.onnx")
    with pytest.raises(ArgumentError, match="score=2"):
        YuNet(tmp_path / "wrong.onnx", score=2)


def test_yunet_without_opencv_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtraError, match=r"io-pyfer\[yunet\]"):
        YuNet(YUNET)


# --- alignment --------------------------------------------------------------------------------------------

TURNS = st.tuples(
    st.floats(-np.pi, np.pi), st.floats(0.05, 20), st.floats(-500, 500), st.floats(-500, 500)
).map(lambda t: (t[1] * np.exp(1j * t[0]), t[2] + 1j * t[3]))


@given(TURNS)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_similarity_inverts_any_similarity(turn):
    factor, shift = turn
    moved = factor * (TEMPLATE @ [1, 1j]) + shift
    matrix = similarity(np.stack([moved.real, moved.imag], axis=1)[None], TEMPLATE)[0]
    np.testing.assert_allclose(matrix[:, 0] @ [1, 1j], 1 / factor, rtol=1e-6, atol=1e-9)
    back = np.stack([moved.real, moved.imag], axis=1) @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE, atol=1e-6)


def test_similarity_is_the_best_of_its_kind():
    generator = np.random.default_rng(3)
    source = generator.normal(size=(1, 5, 2))
    matrix = similarity(source, TEMPLATE)[0]

    def error(m: np.ndarray) -> float:
        return float(((source[0] @ m[:, :2].T + m[:, 2] - TEMPLATE) ** 2).sum())

    for real, imaginary, x, y in generator.normal(scale=1e-3, size=(50, 4)):
        nudge = np.array([[real, -imaginary, x], [imaginary, real, y]])
        assert error(matrix + nudge) > error(matrix)


def spots(points: np.ndarray, shape: tuple[int, int], radius: float) -> np.ndarray:
    """Black picture with a white disc at each point (k, 2)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    distance = [np.hypot(columns - x, rows - y) for x, y in points]
    return np.repeat(255 * (np.min(distance, axis=0) < radius)[..., None], 3, axis=2).astype(np.uint8)


@given(angle=st.floats(-np.pi, np.pi), side=st.floats(40, 380), x=st.floats(250, 350), y=st.floats(250, 350))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_align_puts_landmarks_on_the_template(angle, side, x, y):
    moved = side * np.exp(1j * angle) * ((TEMPLATE - 0.5) @ [1, 1j]) + x + 1j * y
    landmarks = np.stack([moved.real, moved.imag], axis=1)
    image = spots(landmarks, (600, 600), side / 24)
    crop = align(image, landmarks[None], 48)[0, ..., 0] > 127
    expected = spots(TEMPLATE * 48, (48, 48), 2)[..., 0] > 0
    assert (crop != expected).mean() < 0.02
    for px, py in TEMPLATE * 48:
        assert crop[int(py), int(px)]


def test_align_leaves_an_aligned_picture_alone():
    image = np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align(image, TEMPLATE[None] * 48, 48)[0], image)


@pytest.mark.parametrize("side", [70, 96, 150, 250, 411, 1536])
def test_align_does_not_alias(side):
    ticks = np.arange(side + 200)
    board = (np.add.outer(ticks, ticks) % 2 * 255).astype(np.uint8)
    image = np.repeat(board[..., None], 3, axis=2)
    crop = align(image, (TEMPLATE * side + 90.5)[None], 48)[0].astype(float)
    assert abs(crop.mean() - 127.5) < 2
    assert crop.std() < 25, "a checkerboard of single pixels has 127"


def test_align_shrinks_like_an_area_average(astronaut):
    small = np.asarray(Image.fromarray(astronaut).resize((64, 64), Image.Resampling.BOX)).astype(float)
    crop = align(astronaut, TEMPLATE[None] * 512, 64)[0].astype(float)
    assert np.abs(crop - small).mean() < 2


def test_align_repeats_the_edge():
    image = np.zeros((60, 60, 3), np.uint8)
    image[:, :30] = [200, 100, 50]
    image[:, 30:] = [10, 20, 30]
    crop = align(image, (TEMPLATE * 120 - 30)[None], 48)[0]
    assert (crop[:, :20] == [200, 100, 50]).all()
    assert (crop[:, 28:] == [10, 20, 30]).all()


def test_align_takes_many_faces_and_none():
    image = np.random.default_rng(2).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    landmarks = np.stack([TEMPLATE * 30, TEMPLATE * 150 + 20])
    crops = align(image, landmarks, 40)
    assert crops.shape == (2, 40, 40, 3)
    assert crops.dtype == np.uint8
    np.testing.assert_array_equal(crops[1], align(image, landmarks[1:], 40)[0])
    assert align(image, Faces.empty().landmarks, 40).shape == (0, 40, 40, 3)


def test_align_survives_absurd_landmarks():
    image = np.full((50, 50, 3), 9, np.uint8)
    crops = align(image, np.stack([TEMPLATE * 1e7, TEMPLATE * 1e-4, TEMPLATE * 10 + 1e6]), 48)
    assert (crops == 9).all()


@pytest.mark.parametrize(
    ("landmarks", "size", "message"),
    [
        (np.zeros((1, 5, 2)), 48, "must not all coincide"),
        (np.full((1, 5, 2), np.nan), 48, "must be finite"),
        (np.zeros((1, 68, 2)), 48, "landmarks have shape"),
        (TEMPLATE[None], 0, "size=0"),
    ],
)
def test_align_refuses_wrong_arguments(landmarks, size, message):
    with pytest.raises(ArgumentError, match=message):
        align(np.zeros((9, 9, 3), np.uint8), landmarks, size)


def test_template_is_symmetric():
    np.testing.assert_allclose(TEMPLATE[MIRRORED] * [-1, 1] + [1, 0], TEMPLATE)
    assert not TEMPLATE.flags.writeable


# --- crops without landmarks ------------------------------------------------------------------------------


def test_crop_box_is_the_square_around_the_box():
    image = np.random.default_rng(4).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    crops = crop_box(image, np.array([[20, 10, 40, 50], [0, 0, 40, 40]]), 40)
    np.testing.assert_array_equal(crops[0], image[10:50, 10:50])
    np.testing.assert_array_equal(crops[1], image[:40, :40])
    wide = crop_box(image, np.array([[20, 20, 40, 40]]), 40, margin=0.5)
    np.testing.assert_array_equal(wide[0], image[10:50, 10:50])
    assert crop_box(image, np.zeros((0, 4)), 8).shape == (0, 8, 8, 3)


@pytest.mark.parametrize(("box", "margin"), [([[5, 5, 5, 9]], 0), ([5, 5, 9, 9], 0), ([[5, 5, 9, 9]], -0.5)])
def test_crop_box_refuses_wrong_arguments(box, margin):
    with pytest.raises(ArgumentError):
        crop_box(np.zeros((9, 9, 3), np.uint8), np.array(box), 8, margin=margin)


@pytest.mark.parametrize("shape", [(48, 48), (100, 60), (31, 77), (1, 1), (1, 400), (400, 1)])
def test_crop_whole_keeps_the_aspect_ratio(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[:, : (shape[1] + 1) // 2] = 200
    crop = crop_whole(image, 48)
    assert crop.shape == (48, 48, 3)
    assert crop.dtype == np.uint8
    assert (crop[:, 0] == 200).all(), "the edge is repeated to the left, in every row"
    if shape[1] > 1:
        assert (crop[:, -1] == 0).all()


def test_crop_whole_fills_up_both_sides():
    image = np.zeros((100, 60, 3), np.uint8)
    image[:, :15] = 200  # 0.48 * 15 = 7 columns after (48 - 29) // 2 = 9 repeated ones
    bright = (crop_whole(image, 48)[..., 0] > 100).sum(axis=1)
    assert set(bright) == {16}


def test_crop_whole_leaves_a_fitting_picture_alone():
    image = np.random.default_rng(5).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop_whole(image, 48), image)


def test_no_face_is_smaller_than_the_smallest_asked_for(astronaut: np.ndarray) -> None:
    """The first network proposes windows of all sizes from there; the later ones may shrink them."""
    side = float((lambda b: (b[2] - b[0] + b[3] - b[1]) / 2)(Mtcnn()(astronaut).box[0]))
    assert len(Mtcnn(smallest=side * 0.95)(astronaut)) == 1
    assert len(Mtcnn(smallest=side * 1.05)(astronaut)) == 0
