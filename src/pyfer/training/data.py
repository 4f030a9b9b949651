"""The data of a training run: opened once for all that need it, checked, restricted to the wanted classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pyfer.datasets import FaceData, Problem, concatenate, open_data, parsed
from pyfer.errors import BadDataError, TrainingError
from pyfer.training.settings import Settings

TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The faces of a run."""

    train: FaceData
    """Faces to learn from."""
    validation: FaceData | None
    """Faces for every choice; None where the settings name none."""
    heads: tuple[str, ...]
    """Heads to learn, the model's default first; train and validation have them, with the same labels."""
    warnings: tuple[Problem, ...] = ()
    """What does not stop a training, but makes its result worse, or its figures too good: classes without a
    face, persons and pictures that are in training and validation."""

    @property
    def held(self) -> FaceData:
        """The validation faces, where there must be some."""
        if self.validation is None:
            raise TrainingError("data.validation='' must name a data set for this kind of model")
        return self.validation

    @property
    def left_out(self) -> dict[str, dict[str, int]]:
        """``training`` or ``validation`` -> kind of problem -> faces that could not be read."""
        parts = {TRAINING: self.train.left_out, VALIDATION: self.validation and self.validation.left_out}
        counts = {
            name: dict(Counter(problem.kind for problem in found or () if problem.is_bad))
            for name, found in parts.items()
        }
        return {name: kinds for name, kinds in counts.items() if kinds}


def opened(settings: Settings, on_done: Callable[[int, int], None] | None = None) -> TrainingData:
    """Open what the settings name: each data set once, all checks before anything is learned.

    Parameters
    ----------
    settings
        Their section ``data``, and the heads that are to be learned.
    on_done
        Called after each picture of a data set with (done, in all), by the readers of picture files.

    Raises
    ------
    BadDataError
        Faces cannot be read and ``data.skip_bad`` is not set; it lists those of all data sets.
    TrainingError
        A head to learn is missing in a part, or has other labels there.
    """
    chosen = settings.data
    parts, bad = [], []
    for spec in (*chosen.train, *([chosen.validation] if chosen.validation else [])):
        try:
            data = open_data(spec, skip_bad=chosen.skip_bad, on_done=on_done)
        except BadDataError as error:
            bad.append(error)
        else:
            parts.append(_with_persons(spec, data))
    if bad:
        problems = [problem for error in bad for problem in error.problems]
        raise BadDataError("\n".join(map(str, bad)), problems)
    train = _restricted(concatenate(parts[: len(chosen.train)]), chosen.classes)
    held = _restricted(parts[-1], chosen.classes) if chosen.validation else None
    heads = settings.svm.heads if settings.kind == "svm" else tuple(settings.loss.heads)
    heads = heads or tuple(train.targets)
    _check_heads(heads, "svm.heads" if settings.kind == "svm" else "loss.heads", train, held)
    return TrainingData(train, held, heads, _warnings(heads, train, held))


def _with_persons(spec: str, data: FaceData) -> FaceData:
    """Return the faces with persons named after their data set too: two data sets may both have an S01."""
    name, path, _ = parsed(spec)
    home = f"{name}:{(path.parent if path.is_file() else path).resolve()}"
    subjects = [""] * len(data) if data.subjects is None else data.subjects.tolist()
    return replace(data, subjects=np.array([who and f"{who} of {home}" for who in subjects], np.str_))


def _restricted(data: FaceData, classes: tuple[str, ...]) -> FaceData:
    """Return the faces of some classes; where nobody is known, there is no column of persons."""
    if classes:
        data = data.of_classes(classes)
    known = data.subjects is not None and bool((data.subjects != "").any())
    return data if known else replace(data, subjects=None)


def _check_heads(heads: tuple[str, ...], key: str, train: FaceData, held: FaceData | None) -> None:
    for head in heads:
        for name, part in ((TRAINING, train), (VALIDATION, held)):
            if part is not None and head not in part.targets:
                raise TrainingError(
                    f"head {head!r} is to be learned, but the {name} data has only "
                    f"{', '.join(part.targets)}; name the heads in {key}"
                )
            if part is not None and not part.targets[head].any():
                raise TrainingError(f"head {head!r} has no label in the {name} data; name others in {key}")
        if held is not None and train.labels[head] != held.labels[head]:
            raise TrainingError(f"head {head!r} has other labels in the validation data")


def _warnings(heads: tuple[str, ...], train: FaceData, held: FaceData | None) -> tuple[Problem, ...]:
    both = [(TRAINING, train)] if held is None else [(TRAINING, train), (VALIDATION, held)]
    found = [
        Problem("empty class", f"{name} data", f"no face of {label!r} (head {head!r})")
        for name, part in both
        for head in heads
        for label in empty_classes(part, head)
    ]
    if held is None:
        return tuple(found)
    if train.subjects is not None and held.subjects is not None:
        there, here = Counter(train.subjects.tolist()), Counter(held.subjects.tolist())
        found += [
            Problem("subject in two splits", who, f"{there[who]} training faces, {n} validation faces")
            for who, n in sorted(here.items())
            if who and who in there
        ]
    if train.images.shape[1:] == held.images.shape[1:]:
        pictures = {image.tobytes(): name for name, image in zip(train.ids, train.images, strict=True)}
        found += [
            Problem("duplicate file", str(name), f"same pixels as {pictures[image.tobytes()]} of training")
            for name, image in zip(held.ids, held.images, strict=True)
            if image.tobytes() in pictures
        ]
    return tuple(found)


def empty_classes(data: FaceData, head: str) -> tuple[str, ...]:
    """Return the labels of a head that are the largest share of no face."""
    target = data.targets[head]
    counts = np.bincount(target.argmax(1)[target.any(1)], minlength=target.shape[1])
    return tuple(name for name, n in zip(data.labels[head], counts.tolist(), strict=True) if not n)
