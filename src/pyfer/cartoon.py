"""Synthetic cartoon faces with known emotions, for tests, demonstrations and toy trainings.

**Nothing here is a photograph or a person.** A model that tells these drawings apart has shown that its
code works, not that it knows faces.

A face is a point in the space of `FEATURES`, what the muscles do. Each basic emotion is a prototype in that
space, so a mixture of emotions is a mixture of prototypes::

    weights (n, 8) --blend--> features (n, k) --draw_faces--> uint8 (n, size, size, 3)

The rest (head, skin, hair, place, tilt, light, noise) is the identity, drawn from the seed: the same seed and
row give the same person in any batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError

Points = NDArray[np.float64]
"""(m, 2) x to the right, y down, in half face heights from the middle of the face."""
Colour = tuple[int, int, int]
Place = tuple[float, float]
Face = dict[str, float]
"""Feature -> value."""

FEATURES: tuple[str, ...] = (
    "smile",
    "open",
    "wide",
    "sneer",
    "brow",
    "slant",
    "lids",
    "squint",
    "wrinkle",
    "smirk",
)
"""The k features of an expression, with their range and the action units (FACS; Ekman & Friesen 1978):

smile -1..1 mouth corners down (AU 15) or up (12); open 0..1 jaw drop (26, 27); wide -1..1 mouth narrow (18,
23) or stretched (20); sneer 0..1 upper lip raised (10); brow -1..1 brows down (4) or up (1, 2); slant -1..1
inner brow ends up (1 with 4) or down (4); lids -1..1 upper lids drooping or raised (5); squint 0..1 lower
lids raised (6, 7); wrinkle 0..1 nose (9); smirk 0..1 one mouth corner up and in (14, one-sided)."""

#                smile  open  wide sneer  brow slant  lids squint wrinkle smirk
_PROTOTYPES = {
    "neutral": (0.00, 0.00, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "happiness": (1.00, 0.45, 0.6, 0.0, 0.1, 0.0, -0.1, 0.8, 0.0, 0.0),
    "surprise": (0.00, 1.00, -0.6, 0.0, 1.0, 0.0, 0.9, 0.0, 0.0, 0.0),
    "sadness": (-1.00, 0.00, -0.2, 0.0, 0.2, -1.0, -0.6, 0.1, 0.0, 0.0),
    "anger": (-0.55, 0.00, -0.1, 0.0, -1.0, 1.0, 0.3, 0.5, 0.2, 0.0),
    "disgust": (-0.50, 0.15, 0.1, 1.0, -0.5, 0.35, -0.5, 0.8, 1.0, 0.0),
    "fear": (-0.45, 0.45, 0.7, 0.0, 0.7, -0.8, 1.0, 0.0, 0.0, 0.0),
    "contempt": (0.00, 0.00, 0.0, 0.0, 0.0, 0.1, -0.5, 0.1, 0.0, 1.0),
}
PROTOTYPES: NDArray[np.float64] = np.array([_PROTOTYPES[name] for name in BASIC])
"""(8, k) the features of each basic emotion, rows in the order of `pyfer.emotions.BASIC`.

After the combinations of action units in EMFACS (Friesen & Ekman 1983): happiness 6+12, surprise 1+2+5+26,
sadness 1+4+15, anger 4+5+7+23, disgust 9+10+15, fear 1+2+4+5+20+26, contempt 14 on one side."""

_OVERSAMPLE = 4  # drawn so many times larger and averaged: smooth edges
_SKINS = ((255, 224, 196), (241, 194, 150), (224, 172, 105), (198, 134, 80), (141, 85, 50), (92, 58, 38))
_HAIRS = ((35, 25, 20), (70, 45, 25), (120, 75, 35), (200, 160, 90), (150, 60, 30), (150, 150, 150))
_IRISES = ((90, 60, 35), (60, 90, 60), (60, 95, 140), (50, 40, 35))
_BALD, _SHORT, _FRINGE, _LONG = range(4)
_DARK: Colour = (45, 25, 30)
_WHITE: Colour = (248, 246, 242)
_LEAST_CELL = 48  # pixels a face gets in a scene: below, the expression is lost


def blend(weights: ArrayLike) -> NDArray[np.float64]:
    """Return the features (n, k) of mixtures of the basic emotions.

    Parameters
    ----------
    weights
        (n, 8), not negative, a column for each of `pyfer.emotions.BASIC`; each row is divided by its sum.

    Raises
    ------
    ArgumentError
        `weights` has another shape, a negative or missing value, or a row of zeros.
    """
    rows = np.asarray(weights, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(BASIC):
        raise ArgumentError(f"weights of shape {rows.shape} must be (n, {len(BASIC)}): {', '.join(BASIC)}")
    total = rows.sum(axis=1, keepdims=True)
    if not (np.isfinite(rows).all() and (rows >= 0).all() and (total > 0).all()):
        raise ArgumentError("weights must be finite, not negative, and more than 0 in sum for each row")
    return np.asarray(rows / total @ PROTOTYPES)


def cartoon_faces(
    weights: ArrayLike, *, size: int = 48, seed: int = 0, variation: float = 0.12
) -> NDArray[np.uint8]:
    """Draw a face for each mixture of emotions: synthetic crops with a known answer.

    Parameters
    ----------
    weights
        (n, 8) as in `blend`.
    size
        Side of the crops in pixels, 8..1024.
    seed
        Decides identities and variations, 0 or more.
    variation
        Standard deviation of what is added to each feature: no two happy faces are alike.

    Returns
    -------
    array
        uint8 (n, size, size, 3) RGB.
    """
    _check(size, seed)
    return draw_faces(_varied(blend(weights), variation, seed), size=size, seed=seed)


def draw_faces(features: ArrayLike, *, size: int = 48, seed: int = 0) -> NDArray[np.uint8]:
    """Draw a face for each row of `features` (n, k), see `FEATURES`; values out of range are clipped.

    Row i is the person i of the `seed`, whatever the other rows are.

    Returns
    -------
    array
        uint8 (n, size, size, 3) RGB.
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(FEATURES) or not np.isfinite(rows).all():
        raise ArgumentError(f"features of shape {rows.shape} must be finite numbers (n, {len(FEATURES)})")
    _check(size, seed)
    crops = np.empty((len(rows), size, size, 3), np.uint8)
    side = size * _OVERSAMPLE
    for k, row in enumerate(rows):
        rng = np.random.default_rng([seed, k])
        person = _Person.drawn(rng)
        sheet = Image.new("RGB", (side, side), person.backdrop)
        shift = rng.uniform(-0.03, 0.03, 2) * side
        half_height = rng.uniform(0.42, 0.46) * side
        _draw_face(sheet, (side / 2 + shift[0], side / 2 + shift[1]), half_height, person, row)
        crops[k] = _lit(np.asarray(sheet.reduce(_OVERSAMPLE)), rng)
    return crops


@dataclass(frozen=True)
class Scene:
    """A synthetic picture with cartoon faces and where they are."""

    image: NDArray[np.uint8]
    """(h, w, 3) RGB."""
    boxes: NDArray[np.float32]
    """(k, 4) ``x0 y0 x1 y1`` of the faces, chin to hairline, in pixels; they do not overlap."""
    landmarks: NDArray[np.float32]
    """(k, 5, 2) x, y in pixels: left eye in the picture, right eye, nose tip, left and right mouth corner."""


def cartoon_scene(
    weights: ArrayLike, *, width: int = 640, height: int = 480, seed: int = 0, variation: float = 0.12
) -> Scene:
    """Draw a whole picture with a cartoon face for each row of `weights` (k, 8); k = 0 is an empty room.

    Faces come in rows from left to right and top to bottom, in the order of `weights`, in different sizes.

    Raises
    ------
    ArgumentError
        `weights` breaks the rules of `blend`, or there is no room for the faces (48 x 48 pixels each).
    """
    features = blend(weights) if np.size(weights) else np.empty((0, len(FEATURES)))
    _check(16, seed)
    columns = max(1, math.ceil(math.sqrt(len(features) * width / max(height, 1))))
    rows = max(1, -(-len(features) // columns))
    cell = np.array([width / columns, height / rows])
    if cell.min() < _LEAST_CELL:
        raise ArgumentError(f"a scene of {width} x {height} pixels is too small for {len(features)} faces")
    rng = np.random.default_rng([seed, 0, 2])
    sheet = _room(width * 2, height * 2, rng)
    boxes = np.empty((len(features), 4), np.float32)
    landmarks = np.empty((len(features), 5, 2), np.float32)
    for k, row in enumerate(_varied(features, variation, seed)):
        half_height = rng.uniform(0.26, 0.36) * cell.min()
        spare = cell - 2.4 * half_height  # a tilted face with an open mouth is that high
        x, y = cell * (k % columns + 0.5, k // columns + 0.5) + rng.uniform(-0.5, 0.5, 2) * spare
        person = _Person.drawn(np.random.default_rng([seed, k]))
        outline, points = _draw_face(sheet, (2 * x, 2 * y), 2 * half_height, person, row)
        boxes[k] = np.concatenate([outline.min(axis=0), outline.max(axis=0)]) / 2
        landmarks[k] = points / 2
    return Scene(_lit(np.asarray(sheet.reduce(2)), rng), boxes, landmarks)


# --- identity ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Person:
    """What a face keeps whatever it feels; lengths in half face heights."""

    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    backdrop: Colour
    style: int
    """One of `_BALD`, `_SHORT`, `_FRINGE`, `_LONG`."""
    width: float
    jaw: float
    eye_gap: float
    eye_size: float
    nose: float
    brow: float
    mouth_y: float
    side: int
    """-1 or 1: the side of the mouth that smirks."""
    tilt: float
    """Rotation in the picture in radians."""

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> _Person:
        one, two = rng.integers(len(_SKINS), size=2)
        skin = _mix(_SKINS[one], _SKINS[two], 0.3 * rng.random())
        shirt, backdrop = rng.integers(40, 220, (2, 3))
        return cls(
            skin=skin,
            hair=_HAIRS[rng.integers(len(_HAIRS))],
            iris=_IRISES[rng.integers(len(_IRISES))],
            shirt=(int(shirt[0]), int(shirt[1]), int(shirt[2])),
            backdrop=_mix((int(backdrop[0]), int(backdrop[1]), int(backdrop[2])), (150, 150, 150), 0.5),
            style=int(rng.integers(4)),
            width=rng.uniform(0.70, 0.82),
            jaw=rng.uniform(0.05, 0.30),
            eye_gap=rng.uniform(0.31, 0.37),
            eye_size=rng.uniform(0.9, 1.15),
            nose=rng.uniform(0.8, 1.2),
            brow=rng.uniform(0.055, 0.085),
            mouth_y=rng.uniform(0.50, 0.55),
            side=int(rng.choice((-1, 1))),
            tilt=float(np.clip(rng.normal(0, 0.05), -0.15, 0.15)),
        )


def _mix(one: Colour, two: Colour, share: float) -> Colour:
    """Return colour `one` with a `share` of colour `two`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, two, strict=True))
    return red, green, blue


# --- pen --------------------------------------------------------------------------------------------------


class _Pen:
    """Draws points of the face's own coordinates on a sheet."""

    def __init__(self, sheet: Image.Image, centre: Place, half_height: float, tilt: float) -> None:
        self._draw = ImageDraw.Draw(sheet)
        self._centre = np.array(centre)
        self._unit = half_height
        cos, sin = math.cos(tilt) * half_height, math.sin(tilt) * half_height
        self._turn = np.array([[cos, sin], [-sin, cos]])

    def placed(self, points: Points) -> Points:
        """Return points of the face in pixels of the sheet."""
        return np.asarray(points @ self._turn + self._centre)

    def fill(self, points: Points, colour: Colour) -> None:
        self._draw.polygon(self.placed(points).ravel().tolist(), fill=colour)

    def line(self, points: Points, colour: Colour, thickness: float) -> None:
        pixels = max(1, round(thickness * self._unit))
        self._draw.line(self.placed(points).ravel().tolist(), fill=colour, width=pixels, joint="curve")


_TURN = np.linspace(0, 2 * math.pi, 33)[:-1]
_CIRCLE: Points = np.stack([np.sin(_TURN), -np.cos(_TURN)], axis=1)
_T = np.linspace(-1, 1, 17)  # along a lid or a lip


def _oval(x: float, y: float, half_width: float, half_height: float) -> Points:
    return _CIRCLE * (half_width, half_height) + (x, y)


def _curve(*points: tuple[float, float]) -> Points:
    """Return the quadratic Bezier curve of three points."""
    start, middle, end = np.array(points)
    t = np.linspace(0, 1, 9)[:, None]
    curve: Points = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    return curve


def _between(upper: Points, lower: Points) -> Points:
    """Return the outline of the region between two curves that run the same way."""
    return np.concatenate([upper, lower[::-1]])


# --- face -------------------------------------------------------------------------------------------------


def _draw_face(
    sheet: Image.Image, centre: Place, half_height: float, person: _Person, features: Points
) -> tuple[Points, Points]:
    """Draw one face; return its outline (m, 2) and five landmarks (5, 2) in pixels of the sheet."""
    pen = _Pen(sheet, centre, half_height, person.tilt)
    face = dict(zip(FEATURES, np.clip(features, _LEAST, 1).tolist(), strict=True))
    outline = _draw_head(pen, person, face["open"])
    _draw_nose(pen, person, face)
    for side in (-1, 1):
        _draw_eye(pen, person, face, side)
        _draw_brow(pen, person, face, side)
    corners = _draw_mouth(pen, person, face)
    eyes_and_nose = np.array([(-person.eye_gap, _EYE_Y), (person.eye_gap, _EYE_Y), (0, _NOSE_Y)])
    return pen.placed(outline), pen.placed(np.concatenate([eyes_and_nose, corners]))


_EYE_Y, _NOSE_Y = -0.10, 0.22
_ONE_SIDED = {"open", "sneer", "squint", "wrinkle", "smirk"}
_LEAST = np.array([0.0 if name in _ONE_SIDED else -1.0 for name in FEATURES])


def _draw_head(pen: _Pen, person: _Person, jaw_drop: float) -> Points:
    """Draw everything behind the expression; return the outline of the face."""
    shade = _mix(person.skin, _DARK, 0.25)
    x, y = _CIRCLE.T
    low = np.maximum(y, 0)
    cheeks = person.width * x * (1 - person.jaw * low**2)
    outline = np.stack([cheeks, y * (1 + 0.10 * jaw_drop * low)], axis=1)
    pen.fill(_oval(0, 1.75, 1.15, 0.55), person.shirt)
    pen.fill(np.array([(-1.15, 1.75), (1.15, 1.75), (1.2, 9), (-1.2, 9)]), person.shirt)
    if person.style == _LONG:
        pen.fill(_oval(0, 0.05, person.width + 0.22, 1.12), person.hair)
    pen.fill(np.array([(-0.32, 0.6), (0.32, 0.6), (0.36, 1.35), (-0.36, 1.35)]), shade)
    for side in (-1, 1):
        pen.fill(_oval(side * person.width, 0.05, 0.11, 0.19), shade)
    pen.fill(outline, person.skin)
    if person.style != _BALD:
        crown = np.roll(_CIRCLE, 16, axis=0)[7:26] * (person.width + 0.05, 1.07)  # ear to ear
        hairline = crown * (0.93, 0)
        fringe = 0.60 if person.style == _FRINGE else 0.74
        hairline[:, 1] = -fringe + (fringe - 0.25) * (crown[:, 0] / person.width) ** 4
        pen.fill(_between(crown, hairline), person.hair)
    return outline


def _draw_eye(pen: _Pen, person: _Person, face: Face, side: int) -> None:
    """Draw an eye between two lids; the iris is what the lids leave of it."""
    half = 0.19 * person.eye_size
    arch = 1 - _T**2
    inward = -side * _T  # 1 at the nose
    up = 0.13 * (1 + 0.95 * face["lids"]) * (1 - 0.35 * face["slant"] * inward)
    down = 0.10 * (1 - 1.25 * face["squint"] + 0.25 * max(face["lids"], 0))
    x = side * person.eye_gap + half * _T
    upper = _EYE_Y - np.maximum(up, 0.03 - down) * arch * person.eye_size
    lower = _EYE_Y + down * arch * person.eye_size
    top, bottom = np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)
    pen.fill(_between(top, bottom), _WHITE)
    for radius, colour in ((0.105, person.iris), (0.055, _DARK)):
        disc = _oval(side * person.eye_gap, _EYE_Y - 0.01, radius, radius)
        disc[:, 1] = np.clip(disc[:, 1], np.interp(disc[:, 0], x, upper), np.interp(disc[:, 0], x, lower))
        pen.fill(disc, colour)
    pen.line(top, _DARK, 0.045)
    pen.line(bottom, _mix(person.skin, _DARK, 0.45), 0.022)
    if face["squint"] > 0.4:  # the cheek pushes up a fold
        fold = bottom[2:-2] + np.array([0, 0.09])
        pen.line(fold, _mix(person.skin, _DARK, 0.3), 0.02)


def _draw_brow(pen: _Pen, person: _Person, face: Face, side: int) -> None:
    y = -0.40 - 0.15 * face["brow"] - (0.10 * face["smirk"] if side == person.side else 0)
    inner = (side * (person.eye_gap - 0.20 - 0.04 * max(face["slant"], 0)), y + 0.13 * face["slant"])
    outer = (side * (person.eye_gap + 0.22), y - 0.07 * face["slant"] + 0.03)
    middle = (side * person.eye_gap, y - 0.10 - 0.02 * abs(face["slant"]) + 0.04 * max(face["slant"], 0))
    pen.line(_curve(inner, middle, outer), _mix(person.hair, _DARK, 0.5), person.brow)
    crease = _mix(person.skin, _DARK, 0.4)
    if face["slant"] > 0.3:
        pen.line(np.array([(side * 0.05, -0.42), (side * 0.06, -0.28)]), crease, 0.025)
    if face["brow"] > 0.4 and person.style == _BALD:  # hair would hide it
        pen.line(np.array([(0, y - 0.20), (side * 0.32, y - 0.18)]), crease, 0.02)


def _draw_nose(pen: _Pen, person: _Person, face: Face) -> None:
    crease = _mix(person.skin, _DARK, 0.4)
    y = _NOSE_Y - 0.04 * face["wrinkle"]
    wing = (0.10 + 0.05 * face["wrinkle"]) * person.nose
    fold = max(face["smile"], face["sneer"], face["wrinkle"])
    pen.line(_curve((-wing, y), (0, y + 0.08), (wing, y)), crease, 0.035)
    for side in (-1, 1):
        pen.line(_curve((side * wing, y), (side * (wing + 0.04), 0.15), (side * wing, 0.12)), crease, 0.03)
        if face["wrinkle"] > 0.3:
            for high in (-0.16, -0.08, 0.0):
                pen.line(np.array([(side * 0.02, high), (side * 0.11, high - 0.05)]), crease, 0.025)
        if fold > 0.4:  # from the nose around the mouth
            start, end = (side * (wing + 0.04), y - 0.06), (side * 0.42, 0.48)
            pen.line(_curve(start, (side * 0.36, 0.22), end), crease, 0.022)


def _draw_mouth(pen: _Pen, person: _Person, face: Face) -> Points:
    """Draw the mouth; return its corners (2, 2), left in the picture first."""
    half = 0.30 * (1 + 0.28 * face["wide"])
    gap = 0.36 * max(face["open"] - 0.08, 0)
    middle = person.mouth_y - 0.25 * gap + 0.05 * face["smile"]
    corner = person.mouth_y - 0.12 * face["smile"]
    ends = np.array([corner - 0.15 * face["smirk"] * (side == person.side) for side in (-1, 1)])
    base = ends[0] + (ends[1] - ends[0]) * (_T + 1) / 2
    arch = (1 - _T**2) ** (1 - 0.45 * face["open"])
    x = half * _T + 0.05 * person.side * face["smirk"]
    upper = base + (middle - 0.07 * face["sneer"] - corner) * arch
    lower = base + (middle + gap - corner) * arch
    lip = _mix(_mix(person.skin, (170, 50, 60), 0.55), _DARK, 0.1)
    over, under = upper - 0.045 * arch, lower + 0.065 * arch
    pen.fill(_between(np.stack([x, over], axis=1), np.stack([x, under], axis=1)), lip)
    inside = np.stack([x, upper], axis=1), np.stack([x, lower], axis=1)
    pen.fill(_between(*inside), (70, 15, 25))
    bare = 0.4 + 0.6 * max(face["smile"], face["wide"], face["sneer"])
    teeth = np.minimum(upper + 0.11 * bare * arch, lower)
    pen.fill(_between(inside[0], np.stack([x, teeth], axis=1)), _WHITE)
    pen.line(inside[0], _DARK, 0.03)
    pen.line(inside[1], _DARK, 0.02)
    if face["smirk"] > 0.3:
        at = person.side * half + 0.05 * person.side
        y = float(ends.min())
        pen.line(_curve((at, y - 0.09), (at + 0.07 * person.side, y), (at, y + 0.09)), _DARK, 0.03)
    return np.array([(x[0], ends[0]), (x[-1], ends[1])])


# --- light and room ---------------------------------------------------------------------------------------


def _lit(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a picture (h, w, 3) in light from one side, brighter or darker, with the noise of a camera."""
    height, width = picture.shape[:2]
    angle, strength, gain = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3), rng.uniform(0.75, 1.1)
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    light = gain * (1 + strength * (math.cos(angle) * x + math.sin(angle) * y))
    noise = rng.standard_normal((height, width, 1), dtype=np.float32) * rng.uniform(1, 5)
    return np.clip(picture * light[..., None] + noise, 0, 255).astype(np.uint8)


def _room(width: int, height: int, rng: np.random.Generator) -> Image.Image:
    """Return a wall with a floor and some pictures on it, faceless."""
    wall, floor = (_mix((150, 150, 150), _SKINS[0], 0.3), (95, 80, 70))
    sheet = Image.new("RGB", (width, height), wall)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, height * 0.85, width, height), fill=floor)
    for _ in range(6):
        x, y = rng.uniform(0, width), rng.uniform(0, height * 0.7)
        w, h = rng.uniform(0.03, 0.15, 2) * width
        red, green, blue = (int(v) for v in rng.integers(60, 200, 3))
        draw.rectangle((x, y, x + w, y + h), fill=(red, green, blue), outline=(60, 50, 45), width=4)
    return sheet


def _varied(features: Points, variation: float, seed: int) -> Points:
    """Return features (n, k) with normal noise of deviation `variation`, its own for each row."""
    noise = [np.random.default_rng([seed, k, 1]).standard_normal(len(FEATURES)) for k in range(len(features))]
    return features + variation * np.reshape(noise, features.shape)


def _check(size: int, seed: int) -> None:
    if not isinstance(size, int) or not 8 <= size <= 1024:
        raise ArgumentError(f"size={size!r} must be a whole number of 8..1024 pixels")
    if not isinstance(seed, int) or seed < 0:
        raise ArgumentError(f"seed={seed!r} must be a whole number of 0 or more")
