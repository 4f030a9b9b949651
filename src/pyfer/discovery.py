"""Discovery: mixtures of basic emotions that recur in unlabelled faces and that no known emotion explains.

What n faces are mixed of is a distribution over the simplex of basic emotions. Its estimate of maximum
likelihood lies on points (Kiefer & Wolfowitz 1956; Laird 1978), so it is looked for among candidates: their
shares q are those that maximise ``sum_i log sum_w q_w exp(composition(w) . (e_i - base))``, the evidence e_i
of each face i without the base rate (`pyfer.evidence`), found by expectation-maximisation (Dempster, Laird &
Rubin 1977). Always in the model are the known emotions, each basic emotion, and each with neutral beside it:
a mixture with neutral is a weak expression, not a new emotion. Candidates are the even mixtures of two
others, and then of three. They are taken out one by one, the worst first, until each that is left

1. has faces: `least` of them, and `LEAST_SHARE` of all;
2. is believed: where mixtures are as rare as among the faces that the evidence was fitted to, its faces show
   these emotions mixed with a mean probability of `LEAST_STRENGTH`;
3. is needed: without it the deviance (twice the log-likelihood) falls by more than the extended Bayesian
   information criterion asks for, ``log(n) + 2 log(candidates)`` (Chen & Chen 2008);
4. is the best answer for as many faces as in 1: more probable than all that is known together.

Uneven mixtures are no candidates, as they take in what is only a little unlike a single emotion: with 70:30
beside 50:50, a tenth of the FER+ faces with 8 or more of 10 votes for one emotion seemed to be mixtures.
The weights of what is found are read from its faces afterwards, and drawn towards even ones where faces are
unclear. Nothing is sampled: the same faces give the same answer, in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pyfer.emotions import BASIC, TOLERANCE, Emotion, formula_of, name_key
from pyfer.errors import ArgumentError
from pyfer.evidence import SHARES, composition, grid, size
from pyfer.posterior import NEAR, Posterior
from pyfer.vocabulary import Vocabulary

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_SHARE = 0.005
"""Share of the faces that a mixture must have; what is rarer drowns in the evidence's own errors. Of FER+
PublicTest faces with 8 or more of 10 votes for one emotion, drawn with replacement to 50,000, mostly less
than 0.5 % look like one and the same mixture, 0.8 % at worst."""
LEAST_STRENGTH = 0.25
"""Least `Mixture.strength`. In FER+ PublicTest it is about the share of a mixture's faces with two or more
votes for each of its emotions: 0.4 to 0.7 in all six that one network found. Another found anger with fear in
58 faces, of which 17 % had such votes; their strength was 0.16."""
EVEN = 0.55
"""Up to this weight of the larger of two emotions a name mentions both alike. A convention, with regard to
weights that are drawn towards even ones."""
SOURCE = "pyfer emotions discover"
"""What the definitions give as their source."""
_STEPS = 400
_TOLERANCE = 0.02  # nats of all faces together: small beside the deviances that decide
_ALIVE = 0.1  # faces; points with fewer go all at once, as the likelihood hardly depends on them
_LEAST_LIKELIHOOD = 1e-100  # beside the face's largest, so that every logarithm is finite


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture that recurs."""

    name: str
    """A suggestion, such as "fear and surprise" or "mostly anger with some surprise"."""
    formula: str
    """Such as "0.57 surprise + 0.43 fear", which is `point`."""
    point: tuple[float, ...]
    """8 weights by `BASIC`, sum 1: of its emotions, in those of its faces that show them mixed."""
    count: int
    """Faces that it explains better than all that is known together."""
    rows: Integers
    """(count,) which faces these are, the most typical first."""
    share: float
    """Estimated share of all the faces, 0..1. Doubtful ones count in part, so it may exceed count / n."""
    strength: float
    """Mean probability that its faces show its emotions mixed, in whatever shares, 0..1. Here mixtures count
    as rare as they were among the faces of the fit; what recurs in these faces is more probable in them."""
    deviance: float
    """Twice the log-likelihood in nats that is lost without it."""


@dataclass(frozen=True)
class Discovery:
    """What was found in a set of faces."""

    found: tuple[Mixture, ...]
    """The one with most faces first."""
    faces: int
    """How many faces there were."""
    unexplained: float
    """Expected share of the faces that show a mixture which no known emotion explains, found or not, 0..1."""
    reason: str = ""
    """Why nothing was found; empty if something was."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Mixtures that had enough faces but were not taken -> why."""

    def vocabulary(self) -> Vocabulary:
        """Return definitions of what was found, to be written to a file; the basic emotions are not in it."""
        note = "found in {} of {} faces, not validated"
        emotions = [
            Emotion(one.name, one.formula, source=SOURCE, note=note.format(one.count, self.faces))
            for one in self.found
        ]
        return Vocabulary(emotions, basics=False, name="discovered", source=SOURCE)


def discover(posterior: Posterior, coefficients: NDArray[np.float32], *, least: int = 12) -> Discovery:
    """Find mixtures of basic emotions that recur in faces and that no known emotion explains.

    Parameters
    ----------
    posterior
        Of the known emotions. What their formulas subtract is disregarded.
    coefficients
        (n, m) evidence of n faces, as ``posterior.coefficients`` returns it.
    least
        Fewest faces that make a mixture, 1 or more; see `LEAST_SHARE` too.

    Raises
    ------
    ArgumentError
        `coefficients` do not fit the posterior or are not finite, or `least` is outside its range.

    Notes
    -----
    The method is described in the module. With eight basic emotions 5,000 faces take less than a second,
    50,000 some seconds; memory grows by about 3 kB a face.
    """
    raw = _checked(posterior, coefficients, least)
    n = len(raw)
    if n < least:
        return Discovery((), n, 0.0, f"{n} faces are too few; one mixture needs {least} (least={least})")
    order = np.lexsort(raw.T)  # rounding is then the same for the same faces in any order
    search = _Search(posterior, raw[order], least)
    if search.known == len(search.points):
        return Discovery((), n, 0.0, "the known emotions leave no mixture of two or three to be found")
    model, unexplained = search.run()
    found = _described(search, model, order)
    reason = "" if found else "no mixture recurs that the known emotions do not explain"
    left_out = {search.names[column]: why for column, why in search.left_out.items()}
    return Discovery(found, n, unexplained, reason, left_out)


def _checked(posterior: Posterior, coefficients: NDArray[np.float32], least: int) -> Floats:
    """Return the evidence as it was before any prior took the place of the base rates."""
    if not isinstance(least, int | np.integer) or isinstance(least, bool) or least < 1:
        raise ArgumentError(f"least={least!r} must be a whole number of faces, 1 or more")
    m = size(len(posterior.basics))
    if np.ndim(coefficients) != 2 or np.shape(coefficients)[1] != m:
        raise ArgumentError(
            f"coefficients has shape {np.shape(coefficients)}; it must be (n, {m}) for "
            f"{', '.join(posterior.basics)}; take it from posterior.coefficients"
        )
    raw = np.asarray(coefficients, np.float64)
    bad = np.flatnonzero(~np.isfinite(raw).all(1))
    if len(bad):
        raise ArgumentError(f"coefficients has NaN or infinity in row {bad[0]}; leave such faces out")
    return raw


# --- the candidates --------------------------------------------------------------------------------------


def _known(posterior: Posterior) -> tuple[Floats, list[str]]:
    """Return the points (k, b) that explain a face without anything new, and their names."""
    basics, points = posterior.basics, list(posterior.points)
    names = list(posterior.vocabulary.names)
    corners = dict(zip(basics, np.eye(len(basics)), strict=True))
    for name, corner in corners.items():
        if np.abs(posterior.points - corner).sum(1).min() > TOLERANCE:
            points.append(corner)
            names.append(name)
        if "neutral" in corners and name != "neutral":
            points += [share * corners["neutral"] + (1 - share) * corner for share in SHARES]
            names += [f"weak {name}"] * len(SHARES)
    return np.array(points), names


def _even(posterior: Posterior, members: int) -> Floats:
    """Return the even mixtures (c, b) of so many emotions without neutral that no known one is near to."""
    b = len(posterior.basics)
    strong = [k for k, name in enumerate(posterior.basics) if name != "neutral"]
    points = [np.eye(b)[list(some)].mean(0) for some in combinations(strong, members)]
    apart = [w for w in points if np.abs(posterior.points - w).sum(1).min() > NEAR + 1e-9]
    return np.array(apart).reshape(-1, b)


def _likelihood(posterior: Posterior, raw: Floats, points: Floats) -> Floats:
    """Return (n, c) the likelihood of each face under each point, beside the face's largest."""
    compositions = composition(points)
    z = raw @ compositions.T - compositions @ posterior.evidence.base
    z -= z.max(1, keepdims=True)
    return np.maximum(np.exp(z, out=z), _LEAST_LIKELIHOOD)


# --- the search ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Model:
    """A mixing distribution over some of the points, fitted."""

    columns: Integers
    """(c,) which points, ascending."""
    shares: Floats
    """(c,) of the faces, sum 1."""
    log_likelihood: float
    """Of all faces, in nats, up to a constant."""


class _Search:
    """The points that a model may have: known ones, then the even mixtures of two, then those of three."""

    def __init__(self, posterior: Posterior, raw: Floats, least: int) -> None:
        known, names = _known(posterior)
        pairs, triples = _even(posterior, 2), _even(posterior, 3)
        self.basics = posterior.basics
        self.known, self.simple = len(known), len(known) + len(pairs)
        self.points: Floats = np.concatenate([known, pairs, triples])
        self.names = (*names, *[_name(self.weights(w)) for w in (*pairs, *triples)])
        self.wanted, self.least = least, max(least, int(np.ceil(LEAST_SHARE * len(raw))))
        self.likelihood = _likelihood(posterior, raw, self.points)
        self.raw = raw
        grid_points, prior = grid(len(self.basics))
        self.total = np.logaddexp.reduce(raw @ composition(grid_points).T + np.log(prior), axis=1)
        self.left_out: dict[int, str] = {}
        self.taken = {name_key(name) for name in (*BASIC, *posterior.left_out, *posterior.vocabulary.known)}

    def weights(self, w: Floats) -> dict[str, float]:
        """Return a point by names, without those of weight 0."""
        return {name: float(share) for name, share in zip(self.basics, w, strict=True) if share > 0}

    def run(self) -> tuple[_Model, float]:
        """Return the model in the end, and the share of all the candidates at first.

        Three emotions are tried beside all mixtures of two, also those that were taken out: evidence knows
        pairs only, so a mixture of three is as good as any of its pairs, and must explain more.
        """
        columns = np.arange(len(self.points))
        everything = self.fit(columns)
        model = self.reduced(self.fit(columns[: self.simple]), self.known)
        triples = self.reduced(everything, self.simple).columns
        triples = triples[triples >= self.simple]
        if len(triples):
            model = self.reduced(self.fit(np.concatenate([model.columns, triples])), self.known)
        return model, min(float(everything.shares[self.known :].sum()), 1.0)

    def fit(self, columns: Integers, start: Floats | None = None) -> _Model:
        """Fit the shares of some points."""
        likelihood = self.likelihood[:, columns]
        shares = np.ones(len(columns)) if start is None else start
        shares, before, now = shares / shares.sum(), -np.inf, 0.0
        for _ in range(_STEPS):
            total = likelihood @ shares
            now = float(np.log(total).sum())
            if now - before < _TOLERANCE:
                break
            before, shares = now, shares * (likelihood.T @ (1 / total)) / len(total)
        return _Model(columns, shares, now)

    def without(self, model: _Model, column: int) -> _Model:
        """Fit again without a point; what had died out gets another chance."""
        rest = model.columns != column
        return self.fit(model.columns[rest], model.shares[rest] + 1e-6)

    def reduced(self, model: _Model, first: int) -> _Model:
        """Take out points from column `first` on, one after the other, until each has passed the tests."""
        alive = (model.columns < first) | (model.shares * len(self.likelihood) >= _ALIVE)
        model = self.fit(model.columns[alive], model.shares[alive])
        while len(columns := model.columns[model.columns >= first]):
            own = self.belonging(model, first)[1]
            worst = (
                self._rare(model, columns)
                or self._familiar(columns, own)
                or self._needless(model, columns)
                or self._second_best(columns, own)
            )
            if worst is None:
                break
            column, why = worst
            if why:
                self.left_out[column] = why
            model = self.without(model, column)
        return model

    def belonging(self, model: _Model, first: int) -> tuple[Floats, Flags]:
        """Return (n, c) the probabilities of the points from column `first` on, and whose each face is."""
        p = self.likelihood[:, model.columns] * model.shares
        p /= p.sum(1, keepdims=True)
        new = model.columns >= first
        best = p[:, new].argmax(1)[:, None] == np.arange(new.sum())
        return p[:, new], best & (p[:, new] > p[:, ~new].sum(1, keepdims=True))

    def usual(self, column: int, own: Flags) -> tuple[float, Floats]:
        """Return how probably faces (n,) show a candidate's emotions mixed, and the weights (b,) if they do.

        Probable is what would be so if all mixtures were as frequent as among the faces of the fit: the
        evidence's own posterior over its grid. As the grid has no mixture of three, one is put beside it.
        """
        points, prior = grid(len(self.basics))
        w, total = self.points[column], self.total[own]
        same = ((points > 0) == (w > 0)).all(1)
        among = points[same] if same.any() else w[None]
        z = self.raw[own] @ composition(among).T + np.log(prior[-1])
        if not same.any():
            total = np.logaddexp(total, z[:, 0])
        p = np.exp(z - total[:, None])
        return min(float(p.sum(1).mean()), 1.0), p.sum(0) @ among / max(p.sum(), 1e-300)

    def deviance(self, model: _Model, column: int) -> float:
        """Return twice the log-likelihood that is lost without a point."""
        return max(0.0, 2 * (model.log_likelihood - self.without(model, column).log_likelihood))

    # The tests. Each gives the point that fails most clearly and why (empty: not worth a word), or None.

    def _rare(self, model: _Model, columns: Integers) -> tuple[int, str] | None:
        faces = len(self.likelihood) * model.shares[-len(columns) :]
        k = int(faces.argmin())
        if faces[k] >= self.least:
            return None
        why = f"about {faces[k]:.0f} faces show it, and {self.least} are needed"
        return int(columns[k]), why if faces[k] >= self.wanted else ""

    def _familiar(self, columns: Integers, own: Flags) -> tuple[int, str] | None:
        strength = np.ones(len(columns))
        for column in np.flatnonzero(own.any(0)):
            strength[column] = self.usual(int(columns[column]), own[:, column])[0]
        k = int(strength.argmin())
        if strength[k] >= LEAST_STRENGTH:
            return None
        return int(columns[k]), f"its faces look too much like what is known (strength {strength[k]:.2f})"

    def _needless(self, model: _Model, columns: Integers) -> tuple[int, str] | None:
        n, triples = len(self.likelihood), len(self.points) - self.simple
        tried = np.where(columns < self.simple, self.simple - self.known, triples)
        asked = np.log(n) + 2 * np.log(tried)
        lost = np.array([self.deviance(model, int(column)) for column in columns])
        k = int((lost - asked).argmin())
        if lost[k] >= asked[k]:
            return None
        why = f"what is known explains its faces about as well (deviance {lost[k]:.1f}, asked {asked[k]:.1f})"
        return int(columns[k]), why

    def _second_best(self, columns: Integers, own: Flags) -> tuple[int, str] | None:
        counts = own.sum(0)
        k = int(counts.argmin())
        if counts[k] >= self.least:
            return None
        return int(columns[k]), f"it is the best answer for {counts[k]} faces, and {self.least} are needed"


# --- what is said about it -------------------------------------------------------------------------------


def _described(search: _Search, model: _Model, order: Integers) -> tuple[Mixture, ...]:
    """Return what a model has found; its faces are in this order of the rows given."""
    new = np.flatnonzero(model.columns >= search.known)
    if not len(new):
        return ()
    p, own = search.belonging(model, search.known)
    found = []
    for k, place in enumerate(new):
        column = int(model.columns[place])
        strength, weights = search.usual(column, own[:, k])
        point = np.zeros(len(BASIC))
        point[[BASIC.index(basic) for basic in search.basics]] = weights
        formula = formula_of(point.tolist())
        name = _unused(_name(Emotion("new", formula).weights), search.taken)
        rows = np.flatnonzero(own[:, k])
        rows = rows[np.argsort(-p[rows, k], kind="stable")]
        found.append(
            Mixture(
                name=name,
                formula=formula,
                point=Emotion(name, formula).point,
                count=len(rows),
                rows=order[rows],
                share=min(float(model.shares[place]), 1.0),
                strength=strength,
                deviance=search.deviance(model, column),
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.count, one.name)))


def _name(weights: dict[str, float]) -> str:
    """Return a name for a mixture of two or three emotions."""
    first, *others = sorted(weights, key=lambda name: (-weights[name], name))
    if weights[first] <= (EVEN if len(others) == 1 else EVEN * 2 / 3):
        return " and ".join(sorted(weights))
    return f"mostly {first} with some {' and '.join(others)}"


def _unused(name: str, taken: set[str]) -> str:
    """Return a name, with a number if it is taken."""
    numbered = name
    while name_key(numbered) in taken:
        number = int(numbered.removeprefix(name) or 1) + 1
        numbered = f"{name} {number}"
    return numbered
