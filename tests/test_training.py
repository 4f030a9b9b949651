"""Training: settings, augmentation, the loop with its resume, export. Cartoon faces, tiny networks."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from conftest import describe, write_network

from pyfer import datasets
from pyfer.emotions import BASIC, Emotion
from pyfer.errors import ArgumentError, DataError, ModelError, TrainingError
from pyfer.evidence import composition, grid, votes_posterior
from pyfer.files import sha256
from pyfer.models import Model
from pyfer.posterior import Posterior
from pyfer.vocabulary import Vocabulary

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from pyfer.datasets import FaceData, open_data  # noqa: E402
from pyfer.training import augment as augmentation  # noqa: E402
from pyfer.training import evidence as fitting  # noqa: E402
from pyfer.training import export as exporting  # noqa: E402
from pyfer.training import loop, stills  # noqa: E402
from pyfer.training.data import opened  # noqa: E402
from pyfer.training.settings import (  # noqa: E402
    AugmentSettings,
    DataSettings,
    ExportSettings,
    LossSettings,
    NetworkSettings,
    ScheduleSettings,
    Settings,
    load_settings,
    settings_from_dict,
    to_dict,
)

STILL = AugmentSettings(**dict.fromkeys(AugmentSettings.__dataclass_fields__, 0.0))


def tiny(**changes):
    """Return settings of a run of a few seconds."""
    settings = Settings(
        name="tiny",
        data=DataSettings(("cartoon:?n=320&seed=1&size=24",), "cartoon:?n=96&seed=2&size=24"),
        seed=5,
        network=NetworkSettings((8, 16, 32), (1, 1, 1), 0.1),
        schedule=ScheduleSettings(
            epochs=3, batch=32, rate=0.05, warmup=1, sizes=((0.0, 24),), average=0.9, validate_every=1
        ),
        augment=replace(STILL, flip=0.5, rotation=5.0, noise=0.02, compression=0.1, mixup=0.2),
        export=ExportSettings(eight_bit=False),
    )
    return replace(settings, **changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return (settings, folder, history) of a run that learned something."""
    torch.set_num_threads(1)
    base = tiny()
    settings = tiny(
        schedule=replace(base.schedule, epochs=24, validate_every=8), augment=replace(STILL, flip=0.5)
    )
    folder = tmp_path_factory.mktemp("run")
    return settings, folder, loop.train(settings, folder)


# --- settings --------------------------------------------------------------------------------------------


def test_settings_survive_a_round_trip_through_plain_values():
    settings = tiny()
    assert settings_from_dict(json.loads(json.dumps(to_dict(settings)))) == settings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('nam = "x"', "did you mean 'name'"),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[schedule]\nepoch = 3', "'epochs'"),
        (
            'name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[schedule]\nepochs = "3"',
            "schedule.epochs",
        ),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[schedule]\nepochs = 0', "1 or more"),
        (
            'name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[schedule]\nsizes = [[0, 30]]',
            "multiples of 8",
        ),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[network]\nwidths = [8]', "network.blocks"),
        ('name = "x"\nkind = "tree"\n[data]\ntrain = ["a:"]\nvalidation = "b:"', "kind"),
        ('name = "my run"\n[data]\ntrain = ["a:"]\nvalidation = "b:"', "letters"),
        ('name = "x"\n[data]\ntrain = []\nvalidation = "b:"', "data.train"),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[schedule]\nsizes = [[0, 8]]', "16..1024"),
        (
            'name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[schedule]\nsizes = [[0.5, 48]]',
            "start at",
        ),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[augment]\nflip = -3', "augment.flip"),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[loss]\nsmoothing = 7', "loss.smoothing"),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[network]\ndropout = 2', "dropout"),
        ('name = "x"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[export]\ntilt = 2', "export.tilt"),
        ('name = "x"', "settings lack data"),
        ("name = ", "not TOML"),
    ],
)
def test_wrong_settings_are_named(tmp_path, text, message):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        load_settings(path)


def test_missing_settings_file_is_named(tmp_path):
    with pytest.raises(ArgumentError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")


def test_settings_in_the_repository_are_valid():
    from pathlib import Path

    root = Path(__file__).parent.parent
    files = [*root.glob("examples/*.toml"), *root.glob("experiments/**/*.toml")]
    assert files
    for path in files:
        load_settings(path)


# --- augmentation ----------------------------------------------------------------------------------------


@pytest.fixture
def crops():
    data = open_data("cartoon:?n=32&seed=9")
    return torch.from_numpy(data.images), {h: torch.from_numpy(t) for h, t in data.targets.items()}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_no_augmentation_is_what_the_pipeline_does(crops):
    from pyfer.crops import Preprocessing

    x, y = augmentation.augment(*crops, 48, STILL, seeded())
    expected = Preprocessing(size=48, standard=True)(crops[0].numpy())
    np.testing.assert_allclose(x.numpy(), expected, atol=2e-3)
    assert all(torch.equal(y[h], crops[1][h]) for h in y)


def test_augmentation_repeats_under_a_seed_and_differs_between_seeds(crops):
    one, two, other = (augmentation.augment(*crops, 40, AugmentSettings(), seeded(s))[0] for s in (3, 3, 4))
    assert one.shape == (32, 1, 40, 40)
    assert torch.equal(one, two)
    assert not torch.allclose(one, other)


def test_flip_mirrors(crops):
    x, _ = augmentation.augment(*crops, 48, replace(STILL, flip=1.0), seeded())
    plain = augmentation.plain(crops[0], 48)
    torch.testing.assert_close(x, plain.flip(3), atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", [n for n in AugmentSettings.__dataclass_fields__ if n != "flip"])
def test_each_change_changes_something_and_keeps_values_finite(crops, name):
    strong = {"rotation": 20.0}.get(name, 0.9 if name in ("blur", "compression", "erasing") else 0.4)
    settings = replace(STILL, **{name: 1.0 if name in ("mixup", "cutmix", "blur") else strong})
    x, _ = augmentation.augment(*crops, 48, settings, seeded())
    assert torch.isfinite(x).all()
    if name not in ("brightness", "contrast"):  # standardisation undoes these two but for clipping
        assert (x - augmentation.plain(crops[0], 48)).abs().mean() > 0.01


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_mixed_targets_stay_distributions_and_unlabelled_faces_stay_so(crops, name):
    images, targets = crops
    targets["fer2013"][::2] = 0
    _, y = augmentation.augment(images, targets, 48, replace(STILL, **{name: 1.0}), seeded(1))
    sums = y["ferplus"].sum(1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    assert (y["ferplus"].max(1).values < 0.999).any()
    partial = y["fer2013"].sum(1)
    assert ((partial < 1e-6) | ((partial - 1).abs() < 1e-5)).all()


def test_augmentation_can_be_looked_at(crops):
    seen = augmentation.preview(crops[0].numpy(), AugmentSettings(), 0)
    assert seen.shape == (32, 48, 48)
    assert seen.dtype == np.uint8
    assert seen.std() > 20


# --- the loop --------------------------------------------------------------------------------------------


def test_training_learns(finished):
    _, _, history = finished
    assert history[-1]["ferplus.accuracy"] > 0.5  # chance is 0.125
    assert history[-1]["fer2013.accuracy"] > 0.5
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]


CHILD = """
import json, sys, torch
from pathlib import Path
from pyfer.training.loop import train
from pyfer.training.settings import settings_from_dict
torch.set_num_threads(1)
train(settings_from_dict(json.loads(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_run_ends_with_the_same_numbers(tmp_path):
    torch.set_num_threads(1)
    settings = tiny()
    whole = loop.train(settings, tmp_path / "whole")
    folder = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, json.dumps(to_dict(settings)), str(folder)])
    metrics = folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.is_file() and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = len(metrics.read_text().splitlines())
    assert done < settings.schedule.epochs, "the run was over before it could be killed"
    resumed = loop.train(settings, folder)
    drop = {"seconds"}
    assert [{k: v for k, v in m.items() if k not in drop} for m in resumed] == [
        {k: v for k, v in m.items() if k not in drop} for m in whole
    ]
    a, b = (torch.load(tmp_path / k / "best.pt", weights_only=True)["network"] for k in ("whole", "killed"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_student_learns_from_a_teacher_alone(finished, tmp_path):
    """The labels are wrong on purpose: what is learned can only come from the teacher."""
    settings, folder, _ = finished
    pupil = replace(
        settings,
        network=replace(settings.network, widths=(8, 16, 24)),
        loss=LossSettings(teachers=(str(folder),), teaching=1.0, smoothing=0.0),
    )
    data = opened(pupil)
    order = np.random.default_rng(0).permutation(len(data.train))
    shuffled = {head: target[order] for head, target in data.train.targets.items()}
    data = replace(data, train=replace(data.train, targets=shuffled))
    history = loop.train(pupil, tmp_path, data=data)
    assert history[-1]["ferplus.accuracy"] > 0.4


def test_a_run_can_start_from_another(finished, tmp_path):
    settings, folder, history = finished
    schedule = replace(settings.schedule, epochs=1, rate=1e-6, average=0.0)
    again = replace(settings, network=replace(settings.network, start=str(folder)), schedule=schedule)
    first = loop.train(again, tmp_path / "a")[0]
    assert first["ferplus.accuracy"] == pytest.approx(
        max(m.get("ferplus.accuracy", 0) for m in history), abs=0.1
    )
    wider = replace(again, network=replace(again.network, widths=(16, 16, 32)))
    with pytest.raises(TrainingError, match="another shape"):
        loop.train(wider, tmp_path / "b")


def test_a_finished_run_is_not_trained_again(finished):
    settings, folder, history = finished
    steps = []
    assert loop.train(settings, folder, lambda *args: steps.append(args)) == history
    assert not steps


def test_a_damaged_run_is_named(finished, tmp_path):
    settings, _, _ = finished
    for name in ("checkpoint.pt", "best.pt"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(TrainingError, match="damaged"):
        loop.train(settings, tmp_path)
    with pytest.raises(TrainingError, match="damaged"):
        loop.load_network(tmp_path)


def test_a_folder_with_another_run_is_refused(finished):
    settings, folder, _ = finished
    with pytest.raises(TrainingError, match="other settings"):
        loop.train(replace(settings, seed=6), folder)


def test_another_run_is_refused_before_its_data_are_looked_at(finished):
    """What is made of the data lies in the run's folder: a run that is refused must not replace it."""
    settings, folder, _ = finished
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    wrong = replace(settings, loss=LossSettings({"none": 1.0}))
    with pytest.raises(TrainingError, match="other settings"):
        loop.train(wrong, folder, data=opened(settings))
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Counting:
    """A task without data: the network is one number, and the loss its distance from 1."""

    steps = 4

    def __init__(self, scores):
        self.labels = {"h": ("yes", "no")}
        self.scores, self.drawn = list(scores), []

    def network(self):
        network = torch.nn.Module()
        network.value = torch.nn.Parameter(torch.zeros(1))
        network.forward = lambda x: {"h": network.value * x}
        return network

    def optimizer(self, network):
        return torch.optim.SGD(network.parameters(), lr=1.0)

    def batches(self, epoch, generator):
        for _ in range(self.steps):
            self.drawn.append((epoch, float(torch.rand(1, generator=generator))))
            yield (torch.ones(1),), {"h": torch.ones(1)}

    def loss(self, output, targets):
        return (output["h"] - targets["h"]).square().sum()

    def validate(self, network):
        return {"score": self.scores.pop(0), "value": float(network.value)}


@pytest.fixture
def counting(monkeypatch):
    """Return a function that trains a `Counting` with these scores of its validations."""

    def run(scores, folder, **changes):
        task = Counting(scores)
        monkeypatch.setattr(loop, "_task", lambda *_: task)
        schedule = replace(tiny().schedule, **{"epochs": len(scores), "average": 0.0, **changes})
        settings = tiny(schedule=replace(schedule, rate=0.1, warmup=0))
        return task, loop.train(settings, folder, data=object())

    return run


def test_the_loop_knows_nothing_of_what_is_learned(counting, tmp_path):
    task, history = counting([0.1, 0.4, 0.2], tmp_path)
    assert [m["epoch"] for m in history] == [1, 2, 3]
    assert history[0]["loss"] > history[1]["loss"] > history[2]["loss"]
    assert [epoch for epoch, _ in task.drawn] == [0] * 4 + [1] * 4 + [2] * 4
    assert len({value for _, value in task.drawn}) == 12  # each epoch draws anew
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert float(best["network"]["value"]) == pytest.approx(history[1]["value"])  # the best, not the last
    assert json.loads(best["labels"]) == {"h": ["yes", "no"]}


def test_an_epoch_that_is_repeated_draws_the_same(counting, tmp_path):
    whole, _ = counting([0.1, 0.2, 0.3], tmp_path / "whole")
    again, _ = counting([0.1, 0.2, 0.3], tmp_path / "again")
    assert whole.drawn == again.drawn


def test_the_loop_stops_when_nothing_gets_better(counting, tmp_path):
    _, history = counting([0.5, 0.4, 0.3, 0.2], tmp_path, patience=2)
    assert len(history) == 3


def test_name_and_export_may_change_after_training(finished, tmp_path):
    settings, folder, history = finished
    renamed = replace(settings, name="other", export=ExportSettings(eight_bit=False, tilt=0.1))
    assert loop.train(renamed, folder) == history
    assert Model(exporting.export(folder, tmp_path / "m", settings=renamed).folder).name == "other"


def test_a_loss_that_explodes_is_reported(tmp_path):
    base = tiny()
    with pytest.raises(TrainingError, match="the loss is"):
        loop.train(replace(base, schedule=replace(base.schedule, rate=1e30, warmup=0.0)), tmp_path)


def test_early_stop(tmp_path):
    base = tiny()
    schedule = replace(base.schedule, rate=1e-9, epochs=20, patience=2)
    assert len(loop.train(replace(base, schedule=schedule), tmp_path)) < 20


def test_unknown_heads_and_too_few_faces_are_refused(tmp_path):
    base = tiny()
    with pytest.raises(TrainingError, match="valence"):
        loop.train(replace(base, loss=LossSettings({"valence": 1.0})), tmp_path / "a")
    with pytest.raises(TrainingError, match="batch"):
        loop.train(replace(base, schedule=replace(base.schedule, batch=999)), tmp_path / "b")


def test_crop_sizes_follow_the_schedule():
    schedule = ScheduleSettings(epochs=8, sizes=((0.0, 32), (0.5, 40), (0.75, 48)))
    assert [stills.crop_size(schedule, e) for e in range(8)] == [32, 32, 32, 32, 40, 40, 48, 48]


def test_rare_classes_come_oftener_but_every_face_keeps_its_share():
    targets = np.zeros((1000, 2), np.float32)
    targets[:950, 0] = targets[950:, 1] = 1
    weights = stills.sampling_weights(targets, 0.5)
    assert weights[-1] / weights[0] == pytest.approx(np.sqrt(950 / 50), rel=1e-3)
    rows = torch.cat(list(stills._batches(weights, 10, 100, seeded())))
    visits = torch.bincount(rows, minlength=1000)
    assert ((visits >= torch.floor(weights)) & (visits <= torch.ceil(weights))).all()


def test_soft_cross_entropy_leaves_unlabelled_rows_out():
    logits = torch.tensor([[2.0, 0.0], [5.0, -5.0]])
    one = loop.soft_cross_entropy(logits[:1], torch.tensor([[1.0, 0.0]]), 0.0)
    two = loop.soft_cross_entropy(logits, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), 0.0)
    assert float(one) == pytest.approx(float(np.log1p(np.exp(-2))), abs=1e-6)
    assert float(two) == pytest.approx(float(one))


# --- export ----------------------------------------------------------------------------------------------


def test_export_makes_a_model_that_says_what_the_network_says(finished, tmp_path):
    _, run, _ = finished
    exported = exporting.export(run, tmp_path / "model")
    assert exported.difference < 1e-3
    model = Model(exported.folder)
    assert [h.name for h in model.spec.heads] == ["ferplus", "fer2013"]
    data = open_data("cartoon:?n=16&seed=11&size=24")
    network, _, _ = loop.load_network(run)
    logits = stills.predict_logits(network, data, size=24)
    output = model(data.images)
    for head in model.spec.heads:
        z = torch.from_numpy(logits[head.name]) / head.temperature + torch.tensor(head.bias)
        np.testing.assert_allclose(output.probabilities[head.name], torch.softmax(z, 1).numpy(), atol=1e-4)
        assert sum(head.prior) == pytest.approx(1, abs=1e-3)
    assert output.embedding is not None
    assert output.embedding.shape == (16, 32)
    assert "cartoon" in (exported.folder / "README.md").read_text()
    stored = (exported.folder / "model.onnx").read_bytes()
    assert str(loop.__file__).encode() not in stored  # no stack traces with paths of this machine
    assert b"training/network.py" not in stored


def test_eight_bit_export_is_smaller_and_answers_alike(finished, tmp_path, monkeypatch):
    settings, run, _ = finished
    plain = exporting.export(run, tmp_path / "plain").folder
    state = torch.load(run / "best.pt", weights_only=True)
    eight = replace(settings, export=ExportSettings(eight_bit=True), network=settings.network)
    state["settings"] = json.dumps(to_dict(eight))
    other = tmp_path / "run"
    other.mkdir()
    torch.save(state, other / "best.pt")
    monkeypatch.setattr(exporting, "SAME_ANSWER", 0.85)  # a network this small is near ties more often
    exported = exporting.export(other, tmp_path / "eight")
    assert 0.85 <= exported.same_answer < 1
    data = open_data("cartoon:?n=64&seed=12&size=24")
    a, b = (Model(f)(data.images).probabilities["ferplus"] for f in (plain, exported.folder))
    assert np.abs(a - b).mean() < 0.05
    monkeypatch.setattr(exporting, "SAME_ANSWER", 1.01)
    with pytest.raises(TrainingError, match="eight_bit"):
        exporting.export(other, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_tilt_moves_bias_and_prior_by_the_same_share(finished, tmp_path):
    settings, run, _ = finished

    def few_happy(faces):
        happy = faces.targets["fer2013"][:, 1] > 0
        return faces[~happy | (np.arange(len(faces)) % 64 == 1)]

    data = opened(settings)
    data = replace(data, train=few_happy(data.train), validation=few_happy(data.held))
    state = torch.load(run / "best.pt", weights_only=True)
    folders = []
    for tilt in (0.0, 0.5):
        tilted = replace(settings, export=ExportSettings(eight_bit=False, tilt=tilt))
        state["settings"] = json.dumps(to_dict(tilted))
        other = tmp_path / f"run{tilt}"
        other.mkdir()
        torch.save(state, other / "best.pt")
        folders.append(exporting.export(other, tmp_path / f"model{tilt}", data=data).folder)
    plain, moved = (Model(folder) for folder in folders)
    a, b = plain.spec.heads[1], moved.spec.heads[1]
    assert a.prior[1] < 0.7 * a.prior[0]  # rare, though drawn more often than it occurs
    np.testing.assert_allclose(np.diff(np.log(b.prior)), 0.5 * np.diff(np.log(a.prior)), atol=1e-2)
    np.testing.assert_allclose(np.diff(b.bias), -0.5 * np.diff(np.log(a.prior)), atol=1e-3)
    assert not any(a.bias)


def test_export_refuses_when_onnx_and_torch_differ(finished, tmp_path, monkeypatch):
    _, run, _ = finished
    monkeypatch.setattr(exporting, "AGREEMENT", -1.0)
    with pytest.raises(TrainingError, match="differs"):
        exporting.export(run, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_export_needs_a_trained_run(tmp_path):
    with pytest.raises(TrainingError, match="train first"):
        exporting.export(tmp_path, tmp_path / "model")


# --- which faces are learned from ------------------------------------------------------------------------


def test_some_classes_alone_are_learned_and_exported(tmp_path):
    settings = tiny(data=replace(tiny().data, classes=("happiness", "sadness", "anger")))
    history = loop.train(settings, tmp_path / "run")
    assert history[-1]["ferplus.accuracy"] >= 0.2
    model = Model(exporting.export(tmp_path / "run", tmp_path / "model").folder)
    assert [head.labels for head in model.spec.heads] == [("happiness", "sadness", "anger")] * 2
    assert sum(model.spec.heads[0].prior) == pytest.approx(1, abs=1e-3)
    assert model(open_data("cartoon:?n=8&seed=3").images).probabilities["ferplus"].shape == (8, 3)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "these classes alone: happiness, sadness, anger" in card
    assert "| ferplus | 36 |" in card  # three of the eight of 96
    with pytest.raises(
        TrainingError, match="'fer2013' is to be learned, but the training data has only ferplus"
    ):
        loop.train(tiny(data=replace(settings.data, classes=("anger", "contempt"))), tmp_path / "other")


def test_a_teacher_must_speak_the_same_labels(finished, tmp_path):
    settings, folder, _ = finished
    pupil = replace(
        settings,
        data=replace(settings.data, classes=("happiness", "sadness")),
        loss=LossSettings(teachers=(str(folder),)),
    )
    with pytest.raises(
        TrainingError, match=r"loss.teachers=.* must have the labels \('happiness', 'sadness'\)"
    ):
        loop.train(pupil, tmp_path)


def test_a_run_goes_on_with_or_without_leaving_bad_faces_out(finished):
    settings, folder, history = finished
    again = replace(settings, data=replace(settings.data, skip_bad=True))
    assert loop.train(again, folder) == history


def test_what_was_left_out_is_written_down(finished, tmp_path):
    settings, run, _ = finished
    data = opened(settings)
    lost = datasets.Problem("missing file", "a.png", "it is not there")
    named = datasets.Problem("no emotion", "b.png")
    data = replace(data, train=replace(data.train, left_out=(lost, lost, named)))
    folder = exporting.export(run, tmp_path / "model", data=data).folder
    assert Model(folder).spec.about["left_out"] == {"training": {"missing file": 2}}
    assert (
        "Left out of the training data, as they could not be read: 2 missing file."
        in (folder / "README.md").read_text()
    )


# --- evidence ---------------------------------------------------------------------------------------------


def voted(path, options):
    """Return faces of 16 tiles, of which 8 say how much of each emotion there is, with ten votes each."""
    rng = np.random.default_rng(int(options["seed"]))
    n = int(options.get("n", 300))
    points, prior = grid(8)
    shown = points[rng.choice(len(points), n, p=prior)]
    tiles = np.zeros((n, 16))
    tiles[:, 2:10] = 40 + 170 * shown
    images = np.kron(tiles.reshape(n, 4, 4), np.ones((12, 12))) + rng.uniform(0, 20, (n, 48, 48))
    votes = np.zeros((n, 10), np.float32)  # the last two: unknown, no face
    votes[:, :8] = [rng.multinomial(10, w) for w in shown]
    votes[n // 2 :: 10] = [*[0] * 8, 4, 6]
    share = votes[:, :8] / np.maximum(votes[:, :8].sum(1, keepdims=True), 1)
    kept = {} if "blind" in options else {"ferplus": votes}
    ids = np.array([str(k) for k in range(n)])
    return FaceData(images.astype(np.uint8), {"ferplus": share}, {"ferplus": BASIC}, ids, votes=kept)


TRAIN, OTHER = "voted:?seed=1&n=500", "voted:?seed=2&n=300"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return a model with an embedding of 24, while the reader `voted` is known."""
    folder = tmp_path_factory.mktemp("models") / "seer"
    folder.mkdir()
    write_network(folder / "model.onnx", {"ferplus": 8, "fer2013": 7, "embedding": 24}, seed=3)
    describe(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets._READERS, "voted", voted)
        yield folder


@pytest.fixture(scope="module")
def fitted(reader):
    torch.set_num_threads(1)
    return fitting.fit(Model(reader), TRAIN, OTHER)


def test_evidence_that_is_fitted_predicts_the_votes(fitted):
    assert fitted.faces == 475  # those without votes for an emotion are left out
    assert fitted.evidence.labels == BASIC
    assert fitted.evidence.weight.shape == (24, 36)
    assert len(fitted.evidence.reference) == 285
    votes = voted(None, {"seed": "2", "n": "300"}).votes["ferplus"][:, :8]
    target = votes_posterior(votes[votes.sum(1) >= fitting.LEAST_VOTES])
    blind = -(target * np.log(target.mean(0))).sum(1).mean()  # who knows only how often each is the answer
    assert fitted.entropy < fitted.loss < fitted.entropy + 0.7 * (blind - fitted.entropy)


def test_fitted_evidence_recognises_blends_in_new_faces(reader, fitted):
    pairs = list(combinations(range(8), 2))
    vocabulary = Vocabulary(
        [Emotion(f"{BASIC[i]} with {BASIC[j]}", f"{BASIC[i]} + {BASIC[j]}") for i, j in pairs]
    )
    posterior = Posterior(vocabulary, fitted.evidence, BASIC)
    data = voted(None, {"seed": "7", "n": "400"})
    rng, shown = np.random.default_rng(7), grid(8)
    truth = shown[0][rng.choice(len(shown[0]), 400, p=shown[1])]  # as the reader draws them
    output = Model(reader)(data.images)
    p = posterior(
        posterior.coefficients(output.probabilities["ferplus"], output.embedding),
        output.probabilities["ferplus"],
    )
    found = posterior.points[p[:, :-1].argmax(1)] > 0
    right = (found == (truth > 0)).all(1)
    for rows in ((truth > 0).sum(1) == 1, (truth > 0).sum(1) == 2):
        assert rows.sum() > 50
        assert right[rows].mean() > 0.6  # chance is 1 in 36


def test_base_and_reference_are_of_the_faces_that_were_not_fitted_on(reader, fitted):
    faces = voted(None, {"seed": "2", "n": "300"})
    faces = faces[faces.votes["ferplus"][:, :8].sum(1) >= fitting.LEAST_VOTES]
    output = Model(reader)(faces.images)
    coefficients = fitted.evidence(output.probabilities["ferplus"], output.embedding)
    np.testing.assert_allclose(fitted.evidence.reference, coefficients, atol=1e-3)  # fewer than are kept
    points, prior = grid(8)
    p = prior * np.exp(coefficients @ composition(points).T)
    rate = (p / p.sum(1, keepdims=True)).mean(0) / prior
    base = np.linalg.pinv(composition(points)) @ np.log(rate)
    np.testing.assert_allclose(fitted.evidence.base, base, atol=1e-2)


def test_fitting_twice_gives_the_same(reader, fitted):
    again = fitting.fit(Model(reader, threads=1), TRAIN, OTHER)
    np.testing.assert_allclose(again.evidence.weight, fitted.evidence.weight, rtol=1e-3, atol=1e-3)
    assert again.loss == pytest.approx(fitted.loss, abs=1e-5)


def test_fitting_says_how_far_it_is(reader):
    done = []
    fitting.fit(
        Model(reader), "voted:?seed=1&n=60", "voted:?seed=2&n=40", on_done=lambda k, n: done.append((k, n))
    )
    assert done == [(57, 95), (95, 95)]


def test_a_model_without_an_embedding_is_fitted_on_probabilities(tmp_path, reader):
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((reader / "model.onnx").read_bytes())
    describe(folder, embedding=None)
    found = fitting.fit(Model(folder), TRAIN, OTHER, kind="probabilities")
    assert found.evidence.kind == "probabilities"
    assert found.evidence.weight.shape == (8, 36)
    assert found.loss > found.entropy
    with pytest.raises(ModelError, match="it reads the embedding, but the model gives none"):
        fitting.fit(Model(folder), TRAIN, OTHER)


def test_a_model_without_contempt_is_fitted_on_its_embedding_alone(tmp_path, reader):
    folder = tmp_path / "seven"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((reader / "model.onnx").read_bytes())
    describe(folder, heads=[{"name": "fer2013", "output": "fer2013", "labels": list(BASIC[:7])}])
    assert fitting.fit(Model(folder), TRAIN, OTHER).evidence.labels == BASIC
    with pytest.raises(ModelError, match="'seven' does not tell contempt; evidence on probabilities needs"):
        fitting.fit(Model(folder), TRAIN, OTHER, kind="probabilities")


def test_data_without_votes_cannot_be_fitted_on(reader):
    for specs in (("voted:?seed=1&blind=1", OTHER), (TRAIN, "cartoon:?n=8")):
        with pytest.raises(DataError, match="has no votes of annotators"):
            fitting.fit(Model(reader), *specs)


def test_evidence_is_attached_to_a_copy_of_the_model(reader, fitted, tmp_path):
    before = {path.name: path.read_bytes() for path in reader.iterdir()}
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "old.txt").write_text("gone when it is replaced")
    folder = fitting.attach(reader, fitted.evidence, tmp_path / "new")
    assert folder == tmp_path / "new"
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "model.json", "evidence.npz"}
    assert {path.name: path.read_bytes() for path in reader.iterdir()} == before
    model = Model(folder)
    assert model.spec.evidence == sha256(folder / "evidence.npz")
    np.testing.assert_array_equal(model.evidence.weight, fitted.evidence.weight)
    described = json.loads((folder / "model.json").read_text())
    assert described.pop("evidence")
    assert described == json.loads(before["model.json"])
    again = fitting.attach(folder, replace(fitted.evidence, kind="embedding"), folder)  # onto itself
    np.testing.assert_array_equal(Model(again).evidence.base, fitted.evidence.base)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "settings lack name, data; see docs/training.md"),
        ('name = "a"\n[data]\nvalidation = ""', "settings lack data.train"),
        ('name = "a"\n[data]\ntrain = "cartoon:"', r"data.train='cartoon:' must be a list, such as \[1, 2\]"),
        ('name = "a"\n[features]\nbank = ["hog"]', r"features.bank='hog' must be a table, such as \{name = "),
        ('name = "a"\n[svm]\ngamma = [1e308]', "svm.gamma=.* must be one or more numbers of 1e-6..1e6"),
    ],
)
def test_wrong_settings_are_explained_in_the_words_of_toml(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(ArgumentError, match=message):
        load_settings(path)
