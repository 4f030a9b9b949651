"""Augmentation of training crops, batched in torch: what pictures in the wild do to a face.

Everything random is drawn from one generator on the CPU, so that a run is the same on any device up to
rounding. What changes the light comes before the per-image standardisation that the pipeline applies too;
erasing and mixing come after it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Generator, Tensor
from torch.nn import functional as F

from pyfer.crops import STANDARD_FLOOR, luma
from pyfer.training.settings import AugmentSettings

Targets = Mapping[str, Tensor]


def standard(x: Tensor) -> Tensor:
    """Give each crop of (b, 1, h, w) zero mean and unit deviation; flat crops become zeros."""
    mean = x.mean((1, 2, 3), keepdim=True)
    deviation = x.std((1, 2, 3), keepdim=True, correction=0)
    return (x - mean) / deviation.clamp(min=STANDARD_FLOOR)


def plain(images: Tensor, size: int) -> Tensor:
    """Return crops (b, h, w) uint8 as the network sees them, (b, 1, size, size), with nothing changed."""
    x = images[:, None].float() / 255
    if x.shape[-1] != size:
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return standard(x)


def augment(
    images: Tensor, targets: Targets, size: int, settings: AugmentSettings, generator: Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return changed crops and their (possibly mixed) targets.

    Parameters
    ----------
    images
        (b, h, w) uint8.
    targets
        head -> (b, c) float32.
    size
        Side of the crops that come out.
    settings
        How far a face may be changed.
    generator
        Source of everything random (on the CPU).

    Returns
    -------
    (b, 1, size, size) float32, standardised, and head -> (b, c).
    """
    x = _compress(images, settings.compression, generator)[:, None].float() / 255
    x = _move(x, size, settings, generator)
    x = _light(x, settings, generator)
    x = _lose_resolution(x, settings.blur, generator)
    deviation = settings.noise * _uniform(len(x), generator, 0, 1) ** 2
    x = x + deviation.to(x.device) * _normal(x, generator)
    x = standard(x.clamp(0, 1))
    x = _erase(x, settings.erasing, generator)
    return _mix(x, dict(targets), settings, generator)


def preview(images: NDArray[np.uint8], settings: AugmentSettings, seed: int) -> NDArray[np.uint8]:
    """Return gray crops (n, s, s) as training sees them, brought back to 0..255 for the eye.

    Faces that are mixed with another are mixed within these n.
    """
    generator = Generator().manual_seed(seed)
    crops = torch.from_numpy(luma(images) if images.ndim == 4 else images)
    parts = [augment(part, {}, crops.shape[-1], settings, generator)[0] for part in torch.split(crops, 8)]
    x = torch.cat(parts)[:, 0]
    low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return np.asarray(((x - low) / (high - low).clamp(min=1e-6) * 255).to(torch.uint8))


def _uniform(n: int, generator: Generator, low: float, high: float) -> Tensor:
    return torch.rand((n, 1, 1, 1), generator=generator) * (high - low) + low


def _normal(like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator).to(like.device)


def _compress(images: Tensor, probability: float, generator: Generator) -> Tensor:
    chosen = (torch.rand(len(images), generator=generator) < probability).nonzero()[:, 0].tolist()
    qualities = torch.randint(15, 76, (len(images),), generator=generator).tolist()
    if not chosen:
        return images
    images = images.clone()
    for k in chosen:
        stored = io.BytesIO()
        Image.fromarray(images[k].cpu().numpy()).save(stored, "JPEG", quality=qualities[k])
        pixels = torch.frombuffer(bytearray(Image.open(stored).tobytes()), dtype=torch.uint8)
        images[k] = pixels.view(images.shape[1:]).to(images.device)
    return images


def _move(x: Tensor, size: int, s: AugmentSettings, generator: Generator) -> Tensor:
    """Flip, rotate, scale, stretch and shift, sampled straight at the wanted size."""
    n = len(x)
    draw = torch.rand((6, n), generator=generator)
    signed = 2 * draw - 1
    angle = signed[0] * math.radians(s.rotation)
    zoom = torch.exp(signed[1] * s.scale)
    stretch = torch.exp(signed[2] * s.aspect)
    flip = 1 - 2 * (draw[5] < s.flip).float()
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    row_x = torch.stack([flip * cos * stretch, -sin, 2 * s.shift * signed[3]], 1)
    row_y = torch.stack([flip * sin * stretch, cos, 2 * s.shift * signed[4]], 1)
    theta = torch.stack([row_x, row_y], 1).to(x.device)  # (n, 2, 3)
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _light(x: Tensor, s: AugmentSettings, generator: Generator) -> Tensor:
    n, side = len(x), x.shape[-1]
    gamma = torch.exp(_uniform(n, generator, -s.gamma, s.gamma)).to(x.device)
    contrast = torch.exp(_uniform(n, generator, -s.contrast, s.contrast)).to(x.device)
    brightness = _uniform(n, generator, -s.brightness, s.brightness).to(x.device)
    angle = _uniform(n, generator, 0, 2 * math.pi).to(x.device)
    strength = _uniform(n, generator, 0, s.light).to(x.device)
    line = torch.linspace(-1, 1, side, device=x.device)
    ramp = torch.cos(angle) * line.view(1, 1, 1, -1) + torch.sin(angle) * line.view(1, 1, -1, 1)
    x = x.clamp(1e-4, 1).pow(gamma) * (1 + strength * ramp)
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * contrast + mean + brightness).clamp(0, 1)


def _lose_resolution(x: Tensor, probability: float, generator: Generator) -> Tensor:
    draw = torch.rand(2, generator=generator).tolist()
    if draw[0] >= probability:
        return x
    side = x.shape[-1]
    low = max(8, round(side * (0.5 + 0.4 * draw[1])))
    small = F.interpolate(x, (low, low), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, (side, side), mode="bilinear", align_corners=False)


def _erase(x: Tensor, probability: float, generator: Generator) -> Tensor:
    """Set a rectangle of 2 to 20 % of the area to the mean (which is 0 after standardisation)."""
    n, side = len(x), x.shape[-1]
    draw = torch.rand((5, n), generator=generator)
    area = (0.02 + 0.18 * draw[0]) * side * side
    ratio = torch.exp((2 * draw[1] - 1) * math.log(3))
    height, width = (area * ratio).sqrt().clamp(max=side), (area / ratio).sqrt().clamp(max=side)
    top, left = draw[2] * (side - height), draw[3] * (side - width)
    line = torch.arange(side)
    rows = (line >= top[:, None]) & (line < (top + height)[:, None])  # (n, side)
    columns = (line >= left[:, None]) & (line < (left + width)[:, None])
    hole = rows[:, :, None] & columns[:, None, :] & (draw[4] < probability)[:, None, None]
    return x.masked_fill(hole[:, None].to(x.device), 0.0)


def _mix(
    x: Tensor, targets: dict[str, Tensor], s: AugmentSettings, generator: Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mix or cut-and-paste the batch with itself in another order (one share for the whole batch)."""
    draw = torch.rand(5, generator=generator).tolist()
    order = torch.randperm(len(x), generator=generator).to(x.device)
    if draw[0] < s.mixup:
        share = 0.5 + 0.5 * draw[1] ** 0.5  # the larger part; near 1 more often, like Beta(0.4, 0.4)
        x = share * x + (1 - share) * x[order]
    elif draw[0] < s.mixup + s.cutmix:
        side = x.shape[-1]
        cut = max(1, round(side * (0.2 + 0.35 * draw[2])))
        top, left = int(draw[3] * (side - cut)), int(draw[4] * (side - cut))
        x = x.clone()
        x[:, :, top : top + cut, left : left + cut] = x[order, :, top : top + cut, left : left + cut]
        share = 1 - cut * cut / (side * side)
    else:
        return x, targets
    return x, {head: _mix_targets(t, t[order], share) for head, t in targets.items()}


def _mix_targets(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Mix two batches of label rows; a mixture with an unlabelled (all-zero) face is unlabelled."""
    both = (a.sum(1, keepdim=True) > 0) & (b.sum(1, keepdim=True) > 0)
    return (share * a + (1 - share) * b) * both
