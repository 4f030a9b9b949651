"""Two ways to learn emotions from crops, alike to use: a support vector machine and a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyfer
from pyfer.features import Bank
from pyfer.files import replace_file
from pyfer.models import Model, shares, softmax
from pyfer.studies.bench import Columns, Crops, digest, registered, svm
from pyfer.studies.common import Setup
from pyfer.studies.faces import Faces, with_option

FEATURE: dict[str, Any] = {
    **{"name": "sift", "size": 64, "patch": [21.0], "step": 6},
    **{"blur": 0.5, "root": True, "mirror": True},
}
"""What the machine is told: SIFT descriptors of registered crops, 12,800 numbers."""
WIDTHS = (16, 32, 64)
"""Channels of the small network, a residual block each."""
EPOCHS, QUICK_EPOCHS = 80, 20
"""Of its training: enough for a few hundred faces; of a quick run, which tells little of networks."""
Answer = Callable[[NDArray[Any]], Columns]
"""What a learner sees of n faces -> probabilities (n, c)."""


@dataclass(frozen=True)
class Learner:
    """A way to learn; `see` comes first, so that what is costly is done once for many folds."""

    name: str
    see: Callable[[Setup, Crops], NDArray[Any]]
    """Crops -> what it works on, a row a face."""
    learn: Callable[[Setup, Faces, NDArray[Any]], Answer]
    """Faces, and what it sees of them -> what answers."""


# --- a machine --------------------------------------------------------------------------------------------


def _described(setup: Setup, crops: Crops) -> NDArray[Any]:
    """Return float32 (n, 12800): features of registered crops."""
    bank = Bank(FEATURE)
    return bank(registered(setup, crops), lambda done, total: setup.say("features", done, total))


def _machine(setup: Setup, faces: Faces, seen: NDArray[Any]) -> Answer:
    """Fit an RBF machine on 400 main components; C by inner folds, which calibrate it too."""
    from pyfer.training.machine import calibrate, fit

    basis = setup.sized(2000, 400)
    settings = replace(svm(setup, "rbf", (1.0, 3.0)), components=400, basis=basis)
    fitted = fit(
        seen,
        {"answer": faces.data.targets[faces.head]},
        settings,
        subjects=faces.subjects,
        seed=setup.seed,
        on_done=lambda done, total: setup.say("machine", done, total),
    )
    calibration = calibrate(*fitted.unseen["answer"])
    return lambda rows: calibration(fitted.machine.margins(rows)["answer"])


SVM = Learner("SVM", _described, _machine)


# --- a small network --------------------------------------------------------------------------------------


def _plain(setup: Setup, crops: Crops) -> NDArray[Any]:
    return crops


def _network(setup: Setup, faces: Faces, seen: NDArray[Any]) -> Answer:
    """Train a small network from noise on the faces; an earlier run goes on, or is taken as it is."""
    from pyfer.training.loop import load_network, train
    from pyfer.training.stills import predict_logits

    text = f"{pyfer.__version__} {faces.spec} {setup.seed} {setup.quick} {WIDTHS} {' '.join(faces.data.ids)}"
    folder = setup.cache / f"network-{digest(np.frombuffer(text.encode(), np.uint8), seen)[:24]}"
    folder.mkdir(parents=True, exist_ok=True)
    ids = folder / "ids.csv"
    replace_file(ids, ("id\n" + "".join(f"{name}\n" for name in faces.data.ids)).encode())
    spec = with_option(faces.spec, f"only={ids}")
    settings = _settings(setup, faces, spec)
    train(settings, folder / "run", lambda done, total, _: setup.say("small network", done, total))
    network = load_network(folder / "run")[0]
    size = settings.schedule.sizes[-1][1]
    like = faces.data[:1]

    def answer(crops: NDArray[Any]) -> Columns:
        data = like[np.zeros(len(crops), np.int64)]
        return softmax(predict_logits(network, replace(data, images=crops), size=size)[faces.head])

    return answer


def _settings(setup: Setup, faces: Faces, spec: str) -> Any:
    """Return settings of the training; the faces themselves stand in for a validation that nothing uses."""
    from pyfer.training.settings import (
        AugmentSettings,
        DataSettings,
        LossSettings,
        NetworkSettings,
        ScheduleSettings,
        Settings,
    )

    epochs = setup.sized(EPOCHS, QUICK_EPOCHS)
    return Settings(
        name="small",
        data=DataSettings((spec,), spec),
        seed=setup.seed,
        network=NetworkSettings(WIDTHS, (1, 1, 1)),
        schedule=ScheduleSettings(
            epochs=epochs,
            batch=min(32, len(faces)),
            sizes=((0.0, 32),) if setup.quick else ((0.0, 32), (0.7, 48)),
            validate_every=epochs,
            average=0.99,
            precision="float32",
        ),
        loss=LossSettings(heads={faces.head: 1.0}),
        augment=AugmentSettings(rotation=12, noise=0.02, blur=0.1, erasing=0.1, mixup=0, cutmix=0),
    )


SMALL = Learner("small CNN", _plain, _network)


# --- a network that has learned already -------------------------------------------------------------------


def shipped(faces: Faces) -> Answer:
    """Return what the shipped network says of crops, for the classes of the faces; it learns nothing here.

    The head that is named as that of the faces speaks, or the default one.
    """
    model = Model()
    names = [head.name for head in model.spec.heads]
    head = model.spec.head(faces.head if faces.head in names else None)
    columns = [head.labels.index(label) for label in faces.labels]
    return lambda crops: shares(model(crops).probabilities[head.name][:, columns])
