"""CK+ and a person's own neutral face: whether it helps to take it off."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyfer.baseline import SHARE, Baseline, logs_of
from pyfer.datasets import Clips, folds, open_clips
from pyfer.evaluation import mcnemar
from pyfer.maps.plots import bar_chart
from pyfer.models import Model
from pyfer.studies.bench import cached, digest
from pyfer.studies.common import Check, Outcome, Row, Setup, Study, ends, mean

MODEL, HEAD = "base", "ferplus"
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Candidates; each fold's is chosen on the persons of the others."""
VIEWS = 8
"""Neutral faces a little moved and lit, that have to be found neutral after another view was taken off."""
DEAL = 600
PLACE = "in the lab"
SERIES = ("apexes right, 7 classes", "apexes right, 8 with neutral", "neutral faces found neutral")
Columns = NDArray[np.float32]


def run(setup: Setup) -> Outcome:
    """Compare answers at the apex with nothing, one's own, and others' neutral faces taken off."""
    clips = open_clips(setup.lab)
    model = Model(MODEL, threads=1)
    labels = model.spec.head(HEAD).labels
    p = _said(setup, clips, model)  # (n, views, 2, c)
    kept = clips.present[:, 0]
    p, subjects = p[kept], clips.subjects[kept]
    truth = np.array([labels.index(clips.labels[k]) for k in clips.truth[kept]])
    fold = folds(subjects, truth, 10, DEAL + setup.seed)
    neutral, apex = logs_of(p[:, 0, 0]), p[:, 0, 1]
    others = np.stack([neutral[subjects != who].mean(axis=0) for who in subjects])
    stranger = neutral[_strangers(subjects, setup.seed)]
    taken = {"nothing": np.zeros_like(neutral), "one's own": neutral, "a stranger's": stranger,
             "the mean of the others": others}  # fmt: skip
    found = {name: _chosen(apex, logs, truth, fold) for name, logs in taken.items()}
    found[f"one's own, share {SHARE:g}"] = Baseline(neutral, SHARE)(apex), SHARE
    rows, right = [], {}
    for name, (answers, share) in found.items():
        seven = answers[:, 1:].argmax(axis=1) + 1 == truth
        eight = answers.argmax(axis=1) == truth
        rest = _resting(p, taken.get(name, neutral), share, own="own" in name).mean(axis=1)
        right[name] = seven, eight, rest
        rows.append(Row("at the apex", name, {
            "7 classes": mean(seven, subjects, setup.seed),
            "8 with neutral": mean(eight, subjects, setup.seed),
            "neutral faces found neutral": mean(rest, subjects, setup.seed),
            "share taken off": f"{share:.2f}"}))  # fmt: skip
    chart = bar_chart(
        list(right),
        {name: [ends(mean(each[k], subjects, setup.seed)) for each in right.values()]
         for k, name in enumerate(SERIES)},
        title="CK+: what it does to take a neutral face off, and whose",
        unit="per cent",
    )  # fmt: skip
    return Outcome(tuple(rows), _sentences(right), chart, _settings(setup, clips, kept),
                   _checks(setup, right, subjects))  # fmt: skip


def _said(setup: Setup, clips: Clips, model: Model) -> Columns:
    """Return (n, views + 1, 2, c): what the model says of neutral frame and apex; view 0 is plain."""
    from pyfer.streams import disturbed
    from pyfer.training.clips import MILD

    count = _views(setup)

    def compute() -> Columns:
        rng = np.random.default_rng(setup.seed)
        rows = []
        for k, frames in enumerate(clips.frames):
            pair = frames[[0, -1]]
            views = [pair]
            for _ in range(count):
                times = np.arange(2, dtype=np.float32)
                views.append(disturbed(pair / np.float32(255), times, pair, MILD, rng))
            rows.append(model(np.concatenate(views)).probabilities[HEAD].reshape(count + 1, 2, -1))
            setup.say("faces", k + 1, len(clips))
        return np.stack(rows)

    key = {"what": "baseline", "clips": digest(clips.frames), "sha256": model.spec.sha256, "views": count,
           "seed": setup.seed}  # fmt: skip
    return np.asarray(cached(setup, key, compute), np.float32)


def _views(setup: Setup) -> int:
    return setup.sized(VIEWS, 2)


def _strangers(subjects: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """Return for each clip the row of a clip of somebody else."""
    rng = np.random.default_rng(seed)
    return np.array([rng.choice(np.flatnonzero(subjects != who)) for who in subjects])


def _chosen(
    apex: Columns, logs: Columns, truth: NDArray[np.int64], fold: NDArray[np.int64]
) -> tuple[Columns, float]:
    """Return answers (n, c) with the share that was best on the other folds, and the mean share."""
    if not logs.any():
        return apex, 0.0
    answers = {share: Baseline(logs, share)(apex) for share in SHARES}
    right = {share: p[:, 1:].argmax(axis=1) + 1 == truth for share, p in answers.items()}
    out, shares = np.zeros_like(apex), []
    for k in range(10):
        best = max(SHARES, key=lambda share: right[share][fold != k].mean())
        out[fold == k] = answers[best][fold == k]
        shares.append(best)
    return out, float(np.mean(shares))


def _resting(p: Columns, logs: Columns, share: float, *, own: bool) -> NDArray[np.bool_]:
    """Return (n, views): whether views of the neutral face are found neutral after the baseline."""
    views = p[:, 1:, 0]
    n, count, c = views.shape
    off = np.repeat(logs_of(np.roll(views, 1, axis=1)) if own else logs[:, None], 1 if own else count, axis=1)
    said = Baseline(off.reshape(-1, c), share)(views.reshape(-1, c))
    return np.asarray((said.argmax(axis=1) == 0).reshape(n, count))


def _checks(setup: Setup, right: dict[str, Any], subjects: NDArray[np.str_]) -> tuple[Check, ...]:
    def check(claim: str, one: str, other: str, which: int) -> Check:
        difference = right[one][which].astype(float) - right[other][which]
        return Check(claim, PLACE, mean(difference, subjects, setup.seed))

    return (
        check("Taking off one's own neutral face helps among 7 classes", "one's own", "nothing", 0),
        check("Taking off one's own neutral face helps among 8 classes", "one's own", "nothing", 1),
        check("One's own is better than that of others on average, 7 classes", "one's own",
              "the mean of the others", 0),
        check("One's own is better than a stranger's, 7 classes", "one's own", "a stranger's", 0),
        check("More neutral faces are found neutral when one's own is taken off", "one's own", "nothing", 2),
    )  # fmt: skip


def _sentences(right: dict[str, Any]) -> tuple[str, ...]:
    with_, without = right["one's own"][0], right["nothing"][0]
    test = mcnemar(int((with_ & ~without).sum()), int((without & ~with_).sum()))
    resting = "; ".join(f"{name}, {100 * each[2].mean():.1f} %" for name, each in right.items())
    return (
        f"McNemar's test, one's own against nothing, 7 classes: {test.only_first} right with it alone, "
        f"{test.only_second} without it alone, p = {test.p:.4f}.",
        f"Neutral faces that are still found neutral, by what is taken off: {resting}.",
        "The mean of the others is no personal baseline: what it brings, it brings by moving all answers "
        "away from what the model says too often of such pictures.",
    )


def _settings(setup: Setup, clips: Clips, kept: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "data": clips.spec,
        "clips": f"{int(kept.sum())} of {len(clips)}, those with their neutral first frame",
        "model": f"{MODEL!r}, head {HEAD!r}, which never saw these faces",
        "share": "chosen among "
        + ", ".join(f"{share:g}" for share in SHARES)
        + " by ten folds of persons, for 7 classes",
        "fixed share": f"{SHARE:g} is the default of pyfer; it was chosen on these clips, so its row "
        "flatters it",
        "neutral faces": f"{_views(setup)} views of each neutral frame with motion, light and noise made up; "
        "another view is the baseline",
    }


STUDY = Study(
    "baseline",
    "Resting faces can look sad or angry and are not; to take a person's neutral face off helps (Ekman & "
    "Friesen 1978 code what has changed from the neutral face).",
    run,
)
