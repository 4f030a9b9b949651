"""Training a support vector machine: data in, a model folder out, that says what scikit-learn says."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import MakeModel, Run
from numpy.typing import NDArray
from PIL import Image

from pyfer.cartoon import cartoon_faces
from pyfer.crops import Crops
from pyfer.datasets import open_data
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, BadDataError, MissingExtraError, ModelError, TrainingError
from pyfer.features import Bank, Feature, register
from pyfer.features import base as kinds
from pyfer.models import Embedding, Model, add
from pyfer.training.data import TrainingData, opened
from pyfer.training.settings import (
    DataSettings,
    FeatureSettings,
    Settings,
    SvmSettings,
    load_settings,
    settings_from_dict,
    to_dict,
)

for library in ("sklearn", "skimage", "cv2", "onnx"):
    pytest.importorskip(library)

from pyfer.training import svm  # noqa: E402

PIXELS = {"name": "pixels", "size": 12}
QUICK = SvmSettings(components=24, basis=120, c=(1.0,), folds=2, search=300)
TRAIN, OTHER = "cartoon:?n=200&seed=1&size=32", "cartoon:?n=120&seed=2&size=32"


def quick(train: str | Sequence[str] = TRAIN, validation: str = OTHER, **changes: Any) -> Settings:
    """Return settings of a run of half a second."""
    specs = (train,) if isinstance(train, str) else tuple(train)
    data = DataSettings(specs, validation, **changes.pop("data", {}))
    bank = changes.pop("bank", (PIXELS, {"name": "edges", "cells": 4}))
    features = FeatureSettings(bank=bank, registered=False, **changes.pop("features", {}))
    return Settings(
        **{"name": "small", "kind": "svm", "data": data, "features": features, "svm": QUICK} | changes
    )


Trained = tuple[Settings, TrainingData, svm.Exported]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A machine on cartoon faces. Not to be changed."""
    folder = tmp_path_factory.mktemp("svm")
    settings = quick(bank=({"name": "hog", "size": 32}, PIXELS))
    data = opened(settings)
    return settings, data, svm.train(settings, folder / "run", folder / "model", data=data)


@pytest.fixture(scope="module")
def model(trained: Trained) -> Model:
    return Model(trained[2].folder, threads=1)


# --- the model folder -------------------------------------------------------------------------------------


def test_the_folder_says_what_scikit_learn_says(trained: Trained, model: Model) -> None:
    settings, data, exported = trained
    assert exported.difference < 0.01
    assert exported.same_answer == 1
    images = open_data("cartoon:?n=40&seed=7&size=32").images
    bank = Bank(list(settings.features.bank))
    expected = exported.fitted.machine.margins(bank(images))
    seen = exported.fitted.machine.margins(bank(data.held.images))
    output = model(images)
    assert [head.name for head in model.spec.heads] == ["ferplus", "fer2013"]
    assert output.embedding is None
    for head in model.spec.heads:
        calibration = svm.calibrate(seen[head.name], data.held.targets[head.name])
        np.testing.assert_allclose(
            output.probabilities[head.name], calibration(expected[head.name]), atol=0.01
        )
        assert head.labels == data.train.labels[head.name]
        known = data.held.targets[head.name]
        shares = known.sum(axis=0) / known.sum()
        np.testing.assert_allclose(head.prior, shares, atol=1e-4)
        own = model(data.held.images[known.any(axis=1)]).probabilities[head.name]
        np.testing.assert_allclose(own.mean(axis=0), shares, atol=2e-3)
    truth = open_data("cartoon:?n=40&seed=7&size=32").targets["ferplus"].argmax(axis=1)
    assert (output.probabilities["ferplus"].argmax(axis=1) == truth).mean() > 0.35  # chance is 0.125


def test_the_folder_is_complete(trained: Trained, model: Model) -> None:
    settings, _, exported = trained
    assert {path.name for path in exported.folder.iterdir()} == {
        *("model.onnx", "model.json", "features.npz", "README.md")
    }
    spec = model.spec
    assert (spec.kind, spec.name, spec.input.size, spec.input.color) == ("svm", "small", 32, "gray")
    assert settings_from_dict(spec.about["training"]) == settings
    assert [each["name"] for each in spec.about["features"]] == ["hog", "pixels"]
    assert "left_out" not in spec.about
    card = (exported.folder / "README.md").read_text()
    assert OTHER in card
    assert "| ferplus | 120 |" in card
    graph = onnx.load(exported.folder / "model.onnx").graph
    assert [each.name for each in graph.output] == ["ferplus", "fer2013"]


def test_faces_alone_and_in_batches_are_the_same(model: Model) -> None:
    many = open_data("cartoon:?n=70&seed=9&size=32").images  # more than one batch
    whole = model(many).probabilities["ferplus"]
    alone = np.concatenate([model(many[k : k + 1]).probabilities["ferplus"] for k in (0, 5, 63, 64, 69)])
    np.testing.assert_allclose(whole[[0, 5, 63, 64, 69]], alone, atol=1e-4)
    assert model(many[:0]).probabilities["ferplus"].shape == (0, 8)


def test_training_twice_gives_the_same_file(trained: Trained, tmp_path: Path) -> None:
    again = svm.train(trained[0], tmp_path / "run", tmp_path / "model")
    for name in ("model.onnx", "model.json", "features.npz"):
        assert (again.folder / name).read_bytes() == (trained[2].folder / name).read_bytes()


def test_an_export_that_differs_is_refused(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, data, exported = trained
    run = exported.folder.parent / "run"
    monkeypatch.setattr(svm, "AGREEMENT", -1.0)
    with pytest.raises(TrainingError, match=r"differs from scikit-learn by .*; not exported"):
        svm.train(settings, run, tmp_path / "model", data=data)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kept", "eight_bit", "agreement"), [("INT8", True, 0.2), ("FLOAT16", False, 0.2), ("FLOAT", True, 1e-5)]
)
def test_the_least_precision_is_kept_that_will_do(
    kept: str,
    eight_bit: bool,
    agreement: float,
    trained: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings, data, exported = trained
    settings = replace(settings, export=replace(settings.export, eight_bit=eight_bit))
    monkeypatch.setattr(svm, "_LARGE", 100)
    monkeypatch.setattr(svm, "AGREEMENT", agreement)
    monkeypatch.setattr(svm, "SAME_ANSWER", 0.9)
    found = svm.train(settings, exported.folder.parent / "run", tmp_path / "model", data=data)
    large = {each.data_type for each in onnx.load(found.folder / "model.onnx").graph.initializer
             if each.name in ("axes.0", "basis")}  # fmt: skip
    assert large == {getattr(onnx.TensorProto, kept)}
    assert (found.difference < 1e-5) == (kept == "FLOAT")


@pytest.mark.parametrize("axis", [0, 1])
def test_eight_bits_have_a_step_a_column_or_a_row(axis: int) -> None:
    """A column, or a row, of small numbers keeps them beside one of large numbers."""
    graph = svm._Graph(np.int8)
    array = np.random.default_rng(0).normal(size=(20_000, 2)) * [1.0, 1e-3]
    array = array.T if axis else array
    kept = graph.kept(array, axis)
    error = np.abs(kept - array).max(axis=axis)
    assert 0 < error[0] < 0.5 / 127 * 6
    assert error[1] < 0.5 / 127 * 6e-3
    np.testing.assert_allclose(graph.kept(kept, axis), kept, rtol=1e-6)


def test_a_linear_machine_keeps_numbers_as_they_are(trained: Trained, tmp_path: Path) -> None:
    settings = replace(trained[0], svm=replace(QUICK, kernel="linear", components=0))
    run = trained[2].folder.parent / "run"
    found = svm.train(settings, run, tmp_path / "model", data=trained[1])
    assert {node.op_type for node in onnx.load(found.folder / "model.onnx").graph.node} >= {"Mul", "Gemm"}
    assert "Exp" not in {node.op_type for node in onnx.load(found.folder / "model.onnx").graph.node}
    assert found.difference < 0.01


# --- crops of other kinds ---------------------------------------------------------------------------------


def picture_table(folder: Path, name: str, faces: Crops, labels: Sequence[str], **columns: Any) -> str:
    """Write pictures and a table of them; return the spec."""
    folder.mkdir(exist_ok=True)
    rows = []
    for k, (face, label) in enumerate(zip(faces, labels, strict=True)):
        Image.fromarray(face).save(folder / f"{name}{k}.png")
        rows.append({"path": f"{name}{k}.png", "label": label} | {key: v[k] for key, v in columns.items()})
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return f"manifest:{folder}/{name}.csv"


def drawn(n: int, seed: int, classes: Sequence[int] = range(8)) -> tuple[Crops, list[str]]:
    index = np.array(classes)[np.arange(n) % len(classes)]
    return cartoon_faces(np.eye(8)[index], size=24, seed=seed), [BASIC[k] for k in index]


def test_a_machine_may_see_colours_and_other_sizes(tmp_path: Path) -> None:
    """The emotion is in the hue alone; training faces have 24 pixels a side, those to validate with 40."""
    rng = np.random.default_rng(0)
    specs = []
    for name, n, side in (("train", 60, 24), ("valid", 30, 40)):
        faces = rng.integers(0, 60, (n, side, side, 3), np.uint8)
        faces[np.arange(n) % 2 == 0, ..., 0] += 150
        faces[np.arange(n) % 2 == 1, ..., 2] += 150
        labels = [("anger", "fear")[k % 2] for k in range(n)]
        specs.append(picture_table(tmp_path / "d", name, faces, labels) + f"?color=rgb&size={side}")
    settings = quick(*specs, bank=({"name": "color", "cells": 2}, PIXELS))
    found = Model(svm.train(settings, tmp_path / "run", tmp_path / "model").folder)
    assert (found.spec.input.size, found.spec.input.color) == (24, "rgb")
    red = np.full((1, 90, 90, 3), (190, 30, 30), np.uint8)
    answers = found(np.concatenate([red, red[..., ::-1]])).probabilities["manifest"]
    assert answers.argmax(axis=1).tolist() == [0, 1]


def test_crops_are_registered_in_training_and_in_use(tmp_path: Path) -> None:
    options = {"bank": (PIXELS,), "registration": {"size": 32, "windows": 1}}
    settings = quick("cartoon:?n=64&seed=1", "", data={"classes": ("anger", "happiness")})
    settings = replace(settings, features=FeatureSettings(**options), svm=replace(QUICK, basis=20))
    exported = svm.train(settings, tmp_path / "run", tmp_path / "model")
    assert exported.difference < 0.01
    bank = Bank.load(exported.folder / "features.npz")
    assert bank.registration is not None
    assert bank.registration.size == 32


# --- features that are kept -------------------------------------------------------------------------------


def test_features_are_computed_once(trained: Trained, tmp_path: Path) -> None:
    def stages(settings: Settings) -> set[str]:
        told: list[tuple[str, int, int]] = []
        svm.train(settings, tmp_path / "run", tmp_path / "model", lambda *each: told.append(each), trained[1])
        assert all(0 < done <= total for _, done, total in told)
        return {what for what, _, _ in told if what.startswith("features")}

    both = {"features of training faces", "features of validation faces"}
    assert stages(trained[0]) == both
    assert stages(replace(trained[0], svm=replace(QUICK, c=(0.1,)))) == set()
    other = FeatureSettings(bank=({"name": "pixels", "size": 8},), registered=False)
    assert stages(replace(trained[0], features=other)) == both


def test_wrong_features_are_named_before_data_are_read(tmp_path: Path) -> None:
    for changes, message in (
        ({"bank": ({"name": "hogg"},)}, r"did you mean 'hog'\?"),
        ({"features": {"registration": {"zom": 1}}}, r"did you mean 'zoom'\?"),
    ):
        with pytest.raises(ArgumentError, match=message):
            svm.train(quick("cartoon:?n=none", **changes), tmp_path / "run", tmp_path / "model")


# --- the embedding of a network ---------------------------------------------------------------------------


def test_a_machine_on_the_embedding_of_a_network(make_model: MakeModel, tmp_path: Path, tiny: Path) -> None:
    place = make_model("eyes")
    options = {"name": "embedding", "model": str(place)}
    settings = quick(bank=(options,), svm=replace(QUICK, components=0))
    exported = svm.train(settings, tmp_path / "run", tmp_path / "model")
    images = open_data(OTHER).images
    np.testing.assert_array_equal(
        Bank.load(exported.folder / "features.npz")(images), Model(tiny)(images).embedding
    )
    stored = json.loads((exported.folder / "model.json").read_text())["about"]["features"][0]
    assert stored["sha256"] == Model(place).spec.sha256
    with pytest.raises(ModelError, match=r"has sha256 .*, but was trained with 0000.*; install that version"):
        Bank([options | {"sha256": "0" * 64}])(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "no"}, "neither an installed model"),
        ({"model": ""}, "model='' must be the name of a model"),
        ({"sha256": "ff"}, "sha256='ff' must be 64 hexadecimal digits"),
    ],
)
def test_wrong_embeddings_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ArgumentError, ModelError), match=message):
        Bank([{"name": "embedding"} | options])(np.zeros((1, 48, 48), np.uint8))


def test_a_machine_has_no_embedding_for_another(trained: Trained, make_model: MakeModel) -> None:
    for folder in (trained[2].folder, make_model("blind", embedding=None)):
        with pytest.raises(ArgumentError, match="must be a network that gives an embedding, such as 'base'"):
            _ = Embedding(model=str(folder)).width


# --- data -------------------------------------------------------------------------------------------------


def test_without_validation_faces_of_other_folds_calibrate(trained: Trained, tmp_path: Path) -> None:
    settings = quick(validation="")
    exported = svm.train(settings, tmp_path / "run", tmp_path / "model")
    margins, targets = exported.fitted.unseen["ferplus"]
    head = Model(exported.folder).spec.heads[0]
    assert head.temperature == pytest.approx(svm.calibrate(margins, targets).temperature, rel=1e-3)
    assert "calibrated on training faces of other folds" in (exported.folder / "README.md").read_text()


def test_a_cnn_needs_validation() -> None:
    with pytest.raises(ArgumentError, match=r"data.validation='' must name a data set for kind = 'cnn'"):
        Settings("x", DataSettings(("cartoon:",)))


def test_some_classes_alone_are_learned(tmp_path: Path) -> None:
    settings = quick(data={"classes": ("happy", "anger", "fear")})
    exported = svm.train(settings, tmp_path / "run", tmp_path / "model")
    found = Model(exported.folder)
    assert [head.labels for head in found.spec.heads] == [("happiness", "anger", "fear")] * 2
    card = (exported.folder / "README.md").read_text()
    assert "It knows these classes alone: happy, anger, fear." in card
    assert "| ferplus | 45 |" in card  # three of eight
    with pytest.raises(ArgumentError, match="two or more of the labels"):
        opened(quick(data={"classes": ("anger",)}))


def test_the_first_head_named_is_the_default(tmp_path: Path) -> None:
    settings = quick(svm=replace(QUICK, heads=("fer2013",)))
    found = Model(svm.train(settings, tmp_path / "run", tmp_path / "model").folder)
    assert [head.name for head in found.spec.heads] == ["fer2013"]
    with pytest.raises(TrainingError, match=r"head 'rafdb' .* only ferplus, fer2013; name the heads in svm"):
        opened(quick(svm=replace(QUICK, heads=("rafdb",))))


def test_what_does_not_fit_is_named_before_training(tmp_path: Path) -> None:
    faces, labels = drawn(16, 3, range(4))
    some = picture_table(tmp_path / "d", "some", faces, labels) + "?size=24&labels=basic"
    with pytest.raises(
        TrainingError, match=r"no training face shows anger, disgust, fear, contempt .*data.cl"
    ):
        svm.train(quick(some, ""), tmp_path / "run", tmp_path / "model")
    present = some.replace("&labels=basic", "")
    with pytest.raises(TrainingError, match="'manifest' has other labels in the validation data"):
        opened(quick(present, some))
    with pytest.raises(TrainingError, match="'ferplus' is to be learned, but the validation data has only"):
        opened(quick(TRAIN, some))


def test_persons_pictures_and_empty_classes_are_warned_of(tmp_path: Path) -> None:
    faces, labels = drawn(16, 3)
    people = {"subject": [f"p{k % 3}" for k in range(16)]}
    one = picture_table(tmp_path / "d", "one", faces, labels, **people) + "?size=24"
    few = {"subject": ["p1", "p1", "q", ""]}
    two = picture_table(
        tmp_path / "d", "two", faces[[4, 9, 10, 11]], [labels[k] for k in (4, 9, 10, 11)], **few
    )
    two += "?size=24&labels=basic"
    found = opened(quick(one + "&labels=basic", two)).warnings
    kinds_of = [problem.kind for problem in found]
    assert kinds_of.count("empty class") == 4
    assert kinds_of.count("duplicate file") == 4
    crossing = [problem for problem in found if problem.kind == "subject in two splits"]
    assert [problem.where.split(" of ")[0] for problem in crossing] == ["p1"]
    assert crossing[0].detail == "5 training faces, 2 validation faces"
    elsewhere = picture_table(tmp_path / "e", "one", faces[8:], labels[8:], subject=["p1"] * 8)
    others = opened(quick(one + "&labels=basic", elsewhere + "?size=24&labels=basic")).warnings
    assert "subject in two splits" not in [problem.kind for problem in others]  # another data set's p1


def test_persons_of_two_data_sets_are_different_and_unknown_ones_are_nobody(tmp_path: Path) -> None:
    faces, labels = drawn(16, 3)
    known = picture_table(tmp_path / "a", "x", faces, labels, subject=["p"] * 16) + "?size=24"
    same = picture_table(tmp_path / "b", "x", faces, labels, subject=["p"] * 16) + "?size=24"
    nobody = picture_table(tmp_path / "c", "x", faces, labels) + "?size=24"
    subjects = opened(quick((known, same, nobody), "")).train.subjects
    assert subjects is not None
    assert [len(set(part.tolist())) for part in np.split(subjects, 3)] == [1, 1, 1]
    assert len(set(subjects.tolist())) == 3
    assert set(subjects[32:].tolist()) == {""}
    assert opened(quick(nobody, "")).train.subjects is None


# --- the command ------------------------------------------------------------------------------------------

TOML = """name = "mine"
kind = "svm"
[data]
train = ["{train}"]
validation = "{validation}"
{more}
[features]
registered = false
bank = [{{ name = "pixels", size = 12 }}]
[svm]
components = 20
basis = 60
folds = 2
c = [1.0]
"""


@pytest.fixture
def two_tables(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes settings for two tables of pictures, some of them damaged."""

    def write(damaged: int = 0, more: str = "") -> Path:
        specs = []
        for name, n, seed in (("train", 64, 1), ("valid", 32, 2)):
            specs.append(picture_table(tmp_path / "faces", name, *drawn(n, seed)) + "?size=24")
        for k in range(damaged):
            (tmp_path / "faces" / f"train{k}.png").write_bytes(b"no picture")
        if damaged:
            (tmp_path / "faces" / "valid5.png").unlink()
        path = tmp_path / "mine.toml"
        path.write_text(TOML.format(train=specs[0], validation=specs[1], more=more))
        return path

    return write


def test_train_makes_a_model_that_all_commands_take(run: Run, two_tables: Callable[..., Path]) -> None:
    done = run("train", two_tables())
    assert done.status == 0
    assert done.err == ""
    assert "accuracy on other folds" in done.out
    assert "chosen" in done.out
    assert "model: runs/mine/model (scikit-learn and ONNX differ by " in done.out
    folder = Path("runs/mine/model")
    before = (folder / "features.npz").read_bytes()
    assert run("models", "add", folder).status == 0
    shown = run("models", "show", "mine").out
    assert '"kind": "svm"' in shown
    assert "Trained by" in shown
    listed = run("models", "list").out
    assert "svm, 24x24 gray" in listed
    done = run("models", "verify", "mine")
    assert (done.status, done.out.split(",")[0]) == (0, "mine: ok")
    installed = Model("mine").folder
    assert (installed / "features.npz").read_bytes() == before
    Image.fromarray(cartoon_faces(np.eye(8)[1:2], size=80)[0]).save("face.png")
    (entry,) = run("predict", "face.png", "--crops", "-m", "mine", "--json").tree
    assert (entry["status"], len(entry["faces"])) == ("ok", 1)
    (installed / "features.npz").write_bytes(before[:-40])
    done = run("models", "verify", "mine")
    assert done.status == 1
    assert "features.npz has sha256" in done.err


def test_bad_data_stop_a_training_before_it_starts(run: Run, two_tables: Callable[..., Path]) -> None:
    done = run("train", two_tables(damaged=5))
    assert done.status == 2
    lines = done.err.splitlines()
    assert "5 faces cannot be read (5 corrupt picture); 59 can" in lines[0]
    assert "train0.png" in done.err
    assert "... and 2 more" in done.err
    assert "1 faces cannot be read (1 missing file); 31 can" in done.err  # of the other data set, too
    assert "valid5.png" in done.err
    assert "--skip-bad" in done.err
    assert "pyfer data check" in done.err
    assert not Path("runs").exists()


def test_bad_data_can_be_left_out_and_that_is_written_down(run: Run, two_tables: Callable[..., Path]) -> None:
    done = run("train", two_tables(damaged=5), "--skip-bad", "--run", "here", "--export", "there")
    assert done.status == 0
    assert "left out of the training data: 5 corrupt picture" in done.err
    assert "left out of the validation data: 1 missing file" in done.err
    about = json.loads(Path("there/model.json").read_text())["about"]
    assert about["left_out"] == {"training": {"corrupt picture": 5}, "validation": {"missing file": 1}}
    assert about["training"]["data"]["skip_bad"] is True
    card = Path("there/README.md").read_text()
    assert "Left out of the training data, as they could not be read: 5 corrupt picture." in card
    settings = load_settings(two_tables(damaged=1))
    with pytest.raises(BadDataError) as caught:
        opened(settings)
    assert len(caught.value.problems) == 2


def test_warnings_come_before_training(run: Run, two_tables: Callable[..., Path]) -> None:
    path = two_tables()
    path.write_text(path.read_text().replace("valid.csv", "train.csv"))
    done = run("train", path)
    assert done.status == 0
    assert "warning: duplicate file: 64" in done.err
    assert "same pixels as" in done.err
    assert "... and 59 more" in done.err
    assert "Mind: 64 duplicate file." in Path("runs/mine/model/README.md").read_text()


def test_classes_of_the_settings_are_those_of_the_model(run: Run, two_tables: Callable[..., Path]) -> None:
    assert run("train", two_tables(more='classes = ["neutral", "surprise"]')).status == 0
    assert Model(Path("runs/mine/model")).labels == ("neutral", "surprise")
    done = run("evaluate", "./runs/mine/model", "cartoon:?n=32&seed=4", "--classes", "neutral,surprise")
    assert done.status == 0


def test_the_example_is_learned(run: Run) -> None:
    toml = (Path(__file__).parent.parent / "examples" / "toy-svm.toml").read_text()
    toml = toml.replace("n=800", "n=160").replace("n=240", "n=80").replace("basis = 400", "basis = 60")
    toml = toml.replace('{name="hog"},', "")
    Path("toy.toml").write_text(toml)
    assert run("train", "toy.toml").status == 0
    assert Model(Path("runs/toy-svm/model")).spec.kind == "svm"


# --- what is missing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "kind"), [("skimage", "hog"), ("cv2", "edges")])
def test_a_missing_extra_is_named_when_the_model_is_loaded(
    missing: str, kind: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick("cartoon:?n=64&seed=1&size=32", "", bank=({"name": kind},), svm=replace(QUICK, basis=20))
    folder = add(svm.train(settings, tmp_path / "run", tmp_path / "model").folder)
    for name in list(sys.modules):
        if name.split(".")[0] == missing:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        MissingExtraError, match=rf"^{missing} is not installed: pip install 'io-pyfer\[classic\]'"
    ):
        Model(folder)
    done = run("models", "verify", "small")
    assert done.status == 1
    assert "pip install 'io-pyfer[classic]'" in done.err


@pytest.mark.parametrize("missing", ["sklearn", "onnx"])
def test_a_missing_extra_is_named_before_training(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=rf"^{missing} is not installed: .*\[classic\]"):
        svm.train(quick(), tmp_path / "run", tmp_path / "model")


def test_a_features_file_for_another_network_is_refused(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained[2].folder, folder)
    Bank("pixels?size=9").save(folder / "features.npz")
    described = json.loads((folder / "model.json").read_text())
    described["features"] = svm.sha256(folder / "features.npz")
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=r"does not take the input of model\.json"):
        Model(folder)


def test_settings_survive_plain_values() -> None:
    settings = quick(data={"classes": ("anger", "fear"), "skip_bad": True})
    assert settings_from_dict(json.loads(json.dumps(to_dict(settings)))) == settings


def test_a_kind_of_ones_own_can_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_KINDS", dict(kinds._KINDS))
    monkeypatch.setattr(kinds, "KINDS", kinds._KINDS)

    class Rows(Feature):
        kind, sees, paper, width = "rows", "rows", "none", 32

        def describe(self, crops: Crops, codebook: object) -> NDArray[np.float32]:
            return crops.mean(axis=2, dtype=np.float32)

    register(Rows)
    exported = svm.train(quick(bank=({"name": "rows"},)), tmp_path / "run", tmp_path / "model")
    assert exported.difference < 0.01


def test_calibration_looks_at_faces_with_a_clear_label() -> None:
    shares = np.array([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.1, 0.0, 0.9]], np.float32)
    assert svm.clear(shares).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 1]]
