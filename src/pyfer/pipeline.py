"""From pictures to faces with emotions: read, detect, align, recognise, in batches across pictures."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pyfer.baseline import Baseline, logs_of
from pyfer.emotions import BASIC, Emotion, canonical
from pyfer.errors import ArgumentError, SourceError
from pyfer.evidence import of_any_model
from pyfer.faces import Detector, Faces, Mtcnn, align, crop_box, crop_whole
from pyfer.models import (
    BATCH,
    Head,
    Memory,
    Model,
    OnDone,
    Output,
    Recogniser,
    cores,
    find,
    shares,
    stepped,
)
from pyfer.posterior import Posterior
from pyfer.results import Input, Result
from pyfer.sources import Picture, Source, read
from pyfer.successions import Succession
from pyfer.vocabulary import Vocabulary, load

Emotions = str | Path | Vocabulary | Iterable[Emotion | Succession]
"""What names a vocabulary."""


@dataclass(frozen=True)
class Reading:
    """How a face's probabilities are read; the defaults are the model's own."""

    head: str | None = None
    """Which of the model's heads speaks; None is its default."""
    classes: tuple[str, ...] | None = None
    """Only these emotions are possible: the others' share is taken away and the rest sums to 1 again."""
    prior: str | dict[str, float] | None = None
    """How often each emotion is to be expected: None, the model's; ``"uniform"``, all alike; or weights by
    name (names left out get 1). Bayes' rule: p is multiplied by wanted / model's prior, then normalised."""
    emotions: Emotions | None = None
    """New emotions that compete with the basic ones: whatever `pyfer.vocabulary.load` takes, such as
    ``"du2014"``, ``"mine.toml"``, ``"awe = fear + surprise"``, or emotions. None: the basic ones alone."""
    threshold: float = 0.0
    """A face whose best answer is less probable than this is ``"uncertain"``; 0..1."""

    def __post_init__(self) -> None:
        if not isinstance(self.threshold, (int, float, np.number)) or not 0 <= self.threshold <= 1:
            raise ArgumentError(f"threshold={self.threshold!r} must lie in 0..1, a probability")

    def columns(self, head: Head) -> list[int]:
        """Return which columns of the head's output stay."""
        if self.classes is None:
            return list(range(len(head.labels)))
        wanted = {canonical(name, head.labels) for name in self.classes}
        if len(wanted) < 2:
            raise ArgumentError(f"classes={self.classes!r} must name two or more different emotions")
        return [k for k, label in enumerate(head.labels) if label in wanted]

    def factor(self, head: Head) -> NDArray[np.float64]:
        """Return (c,) factors that turn the model's prior into the wanted one; their scale means nothing."""
        c = len(head.labels)
        wanted = self.wanted(head)
        return np.ones(c) if wanted is None else wanted / np.asarray(head.prior or [1 / c] * c, np.float64)

    def wanted(self, head: Head) -> NDArray[np.float64] | None:
        """Return (c,) weights of the wanted prior, or None where it is the model's own."""
        c = len(head.labels)
        if self.prior is None:
            return None
        if self.prior == "uniform":
            return np.ones(c)
        if not isinstance(self.prior, dict):
            raise ArgumentError(f"prior={self.prior!r} must be 'uniform' or weights by name")
        wanted = np.ones(c)
        for name, weight in self.prior.items():
            if not isinstance(weight, (int, float)) or not 0 < weight < np.inf:
                raise ArgumentError(f"prior[{name!r}]={weight!r} must be a finite number above 0")
            wanted[head.labels.index(canonical(name, head.labels))] = weight
        return np.asarray(wanted / wanted.max(), np.float64)


@dataclass
class _Columns:
    """Faces gathered so far."""

    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    basic: list[NDArray[np.float32]] = field(default_factory=list)
    embedding: list[NDArray[np.float32]] = field(default_factory=list)
    evidence: list[NDArray[np.float32]] = field(default_factory=list)
    faces: list[Faces] = field(default_factory=list)
    source: list[int] = field(default_factory=list)


class Pipeline:
    """The reusable object behind `predict`: networks are loaded once.

    Parameters
    ----------
    model
        Name of an installed model, a model folder, or a loaded `Model`; None is the one that ships.
    detector
        Any ``image -> Faces``; None is MTCNN. Not loaded until a picture needs it.
    reading
        Head, classes and prior, see `Reading`.
    largest
        Keep only the largest face of each picture.
    threads
        Threads of each network; 0 means one for each core that this process may use.
    """

    def __init__(
        self,
        model: str | Path | Recogniser | None = None,
        detector: Detector | None = None,
        *,
        reading: Reading | None = None,
        largest: bool = False,
        threads: int = 0,
    ) -> None:
        if model is None or isinstance(model, (str, Path)):
            model = Model(model, threads=threads)
        self.model: Recogniser = model
        self.reading = reading or Reading()
        self.largest = largest
        self._threads = threads
        self._detector = detector
        self._head = self.model.spec.head(self.reading.head)
        self._kept = self.reading.columns(self._head)
        self._factor = self.reading.factor(self._head)
        self.labels = tuple(self._head.labels[k] for k in self._kept)
        self.posterior = self._new_emotions()
        used = None if self.posterior is None else self.posterior.vocabulary
        self._over_time = used is not None and bool(used.successions) and set(used.names) <= set(BASIC)

    def _new_emotions(self) -> Posterior | None:
        """Return what reads new emotions, if there are any to be read."""
        if self.reading.emotions is None:
            return None
        prior = self.reading.wanted(self._head)
        evidence = getattr(self.model, "evidence", None) or of_any_model()
        vocabulary = load(self.reading.emotions)
        return Posterior(vocabulary, evidence, self.labels, None if prior is None else prior[self._kept])

    @property
    def film_answers(self) -> tuple[str, ...]:
        """The answers that a face of a film can get.

        Where emotions over time are all that is new, they are the labels: those are read off segments, so
        the faces themselves are read as without them.
        """
        return self.labels if self.posterior is None or self._over_time else self.posterior.names

    @property
    def detector(self) -> Detector:
        """The face detector."""
        if self._detector is None:
            self._detector = Mtcnn(threads=self._threads or cores())
        return self._detector

    def predict(
        self, sources: Source | Sequence[Source], *, crops: bool = False, on_done: OnDone | None = None
    ) -> Result:
        """Recognise the faces of one picture or of a list of pictures.

        Parameters
        ----------
        sources
            Path, bytes, PIL image, RGB array (h, w, 3) or gray (h, w); or a list of them.
        crops
            Every picture is one face already: nothing is detected.
        on_done
            Called after each picture with (done, in all).

        Raises
        ------
        SourceError
            A single picture cannot be read. In a list it becomes an input with a status instead.
        ArgumentError
            A single array breaks a rule.
        """
        if not isinstance(sources, (list, tuple)):
            return self._predict([cast("Source", sources)], crops, on_done, strict=True)
        return self._predict(sources, crops, on_done, strict=False)

    def recognise(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return probabilities (n, b) and embeddings (n, e) of aligned crops (n, s, s[, 3])."""
        output = self.model(crops)
        return self._basic(output), output.embedding

    def _basic(self, output: Output, without: Baseline | None = None) -> NDArray[np.float32]:
        p = output.probabilities[self._head.name]
        if without is not None:
            p = without(p)
        return shares((p * self._factor)[:, self._kept])

    def step(
        self,
        crops: NDArray[np.uint8],
        memories: Sequence[Memory | None],
        interval: Sequence[float],
    ) -> tuple[Output, list[Memory | None]]:
        """Recognise one frame of each of n persons; see `pyfer.models.Model.step`."""
        return stepped(self.model, crops, memories, interval)

    def told(
        self,
        output: Output,
        faces: Faces,
        track: NDArray[np.int64],
        name: str,
        without: Baseline | None = None,
    ) -> Result:
        """Return what a model says of the faces of one frame as a result.

        Parameters
        ----------
        output
            Of the model, a row a face.
        faces, track
            The faces and the numbers of their persons.
        name
            Of the film.
        without
            The neutral faces of these persons, a row each, see `Baseline`; None takes nothing off.
        """
        columns = _Columns(faces=[faces], source=[0] * len(faces))
        posterior = None if self._over_time else self.posterior
        self._add(columns, output, posterior, without)
        return replace(self._result(columns, [Input(name)], posterior), track=track)

    def neutral(self, output: Output) -> NDArray[np.float32]:
        """Return (n, c): log-probabilities of the head in use, as a `Baseline` takes them."""
        return logs_of(output.probabilities[self._head.name])

    def _predict(
        self, sources: Sequence[Source], crops: bool, on_done: OnDone | None, *, strict: bool
    ) -> Result:
        inputs: list[Input] = []
        columns = _Columns()
        for index, source in enumerate(sources):
            name = _name(source)
            try:
                found, cut = self._faces(read(source), crops)
            except (SourceError, ArgumentError) as error:
                if strict:
                    raise
                kind = error.kind if isinstance(error, SourceError) else "unsupported"
                inputs.append(Input(name, kind, str(error)))
            else:
                inputs.append(Input(name))
                columns.faces.append(found)
                columns.crops.extend(cut)
                columns.source.extend([index] * len(found))
                if len(columns.crops) >= BATCH:
                    self._flush(columns)
            if on_done is not None:
                on_done(index + 1, len(sources))
        self._flush(columns)
        return self._result(columns, inputs, self.posterior)

    def _faces(self, picture: Picture, crops: bool) -> tuple[Faces, NDArray[np.uint8]]:
        """Return the faces of a picture and their crops (n, s, s, 3)."""
        size = self.model.spec.input.size
        if crops:
            height, width = picture.shape[:2]
            box = np.array([[0, 0, width, height]], np.float32)
            whole = Faces(box, np.ones(1, np.float32), np.full((1, 5, 2), np.nan, np.float32))
            return whole, crop_whole(picture, size)[None]
        found = self.detector(picture)
        if self.largest:
            found = found.largest()
        return found, self.crops(picture, found)

    def crops(self, picture: Picture, faces: Faces) -> NDArray[np.uint8]:
        """Return the crops (n, s, s, 3) of faces in a picture as the model wants them."""
        spec = self.model.spec
        if spec.align:
            return align(picture, faces.landmarks, spec.input.size)
        return crop_box(picture, faces.box, spec.input.size, margin=spec.margin)

    def _flush(self, columns: _Columns) -> None:
        size = self.model.spec.input.size
        self._add(
            columns, self.model(np.array(columns.crops, np.uint8).reshape(-1, size, size, 3)), self.posterior
        )
        columns.crops.clear()

    def _add(
        self,
        columns: _Columns,
        output: Output,
        posterior: Posterior | None,
        without: Baseline | None = None,
    ) -> None:
        columns.basic.append(self._basic(output, without))
        if output.embedding is not None:
            columns.embedding.append(output.embedding)
        if posterior is not None:
            raw = shares(output.probabilities[self._head.name][:, self._kept])
            found = posterior.coefficients(raw, output.embedding)
            if without is not None:  # an embedding knows nothing of it
                found = posterior.lifted(found, without.taken[:, self._kept])
            columns.evidence.append(found)

    def _result(self, columns: _Columns, inputs: list[Input], posterior: Posterior | None) -> Result:
        faces = columns.faces or [Faces.empty()]
        basic = np.concatenate(columns.basic)
        return Result(
            self.labels,
            basic,
            np.concatenate([f.box for f in faces]),
            np.concatenate([f.score for f in faces]),
            np.concatenate([f.landmarks for f in faces]),
            np.array(columns.source, np.int64),
            tuple(inputs),
            np.concatenate(columns.embedding) if columns.embedding else None,
            threshold=self.reading.threshold,
            **self._read(basic, columns, posterior),
        )

    def _read(
        self, basic: NDArray[np.float32], columns: _Columns, posterior: Posterior | None
    ) -> dict[str, Any]:
        """Return the columns of a result that new emotions bring."""
        if posterior is None:
            return {}
        evidence = np.concatenate(columns.evidence)
        mixture = np.zeros_like(basic)
        mixture[:, [self.labels.index(name) for name in posterior.basics]] = posterior.mixtures(evidence)
        return {
            "answers": posterior.names,
            "posterior": posterior(evidence, basic),
            "mixture": mixture,
            "evidence": evidence,
        }


def predict(
    source: Source | Sequence[Source],
    *,
    model: str | Path | Recogniser | None = None,
    crops: bool = False,
    emotions: Emotions | None = None,
    classes: Iterable[str] | None = None,
) -> Result:
    """Recognise the emotions of the faces in a picture, or in a list of pictures.

    Parameters
    ----------
    source
        Path, bytes, PIL image, RGB array (h, w, 3) or gray (h, w); or a list of them.
    model
        Name of an installed model or a model folder; None is the one that ships.
    crops
        Every picture is one face already: nothing is detected.
    emotions
        New emotions that compete with the basic ones: the name of a catalogue (``"du2014"``), a definition
        file (``"mine.toml"``), a formula (``"awe = fear + surprise"``), several of these with commas; or
        emotions, or a `Vocabulary`.
    classes
        Only these basic emotions are possible, for example ``["anger", "happiness", "neutral"]``.

    Returns
    -------
    `Result`, one row a face. No face is an empty result.

    Raises
    ------
    SourceError
        A single picture cannot be read. In a list it becomes an input with a status instead.
    ArgumentError, ModelError
        A parameter or the model is wrong.

    Examples
    --------
    >>> result = pyfer.predict("party.jpg")                      # doctest: +SKIP
    >>> for face in result: print(face.emotion, face.basic)      # doctest: +SKIP
    """
    if classes is not None:
        classes = (classes,) if isinstance(classes, str) else tuple(classes)  # not the letters of a name
    reading = Reading(classes=classes, emotions=emotions)
    loaded = _loaded(find(model).resolve()) if model is None or isinstance(model, (str, Path)) else model
    pipeline = Pipeline(loaded, None if crops else _detector(), reading=reading)
    return pipeline.predict(source, crops=crops)


def _loaded(folder: Path) -> Model:
    path = folder / "model.json"
    return _load(folder, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=4)
def _load(folder: Path, written: int) -> Model:
    """Keep the last models, so that calls in a loop do not load the networks again until they change."""
    return Model(folder)


@lru_cache(maxsize=1)
def _detector() -> Detector:
    return Mtcnn(threads=cores())


def _name(source: Source) -> str:
    """Return what an input is called in results and messages."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, np.ndarray):
        return f"<array {'x'.join(map(str, source.shape))}>"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"<{len(source)} bytes>"
    return f"<{type(source).__name__}>"
