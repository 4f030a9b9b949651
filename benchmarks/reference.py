"""EfficientNet-B0 at 224x224 with random weights: the shape of the best small peer, to measure against.

Tan & Le 2019, table 1. The weights are random because only the speed is of interest; batch normalisation
is folded away by the export, as it is in any deployed network.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

# expansion, output channels, repeats, stride of the first, kernel
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def _unit(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.SiLU()]


class _Squeeze(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.SiLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.gate(x)
        return gated


class _Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers = _unit(inputs, wide) if expansion > 1 else []
        layers += _unit(wide, wide, kernel, stride, groups=wide)
        layers += [_Squeeze(wide, max(1, inputs // 4)), *_unit(wide, outputs)[:2]]
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


def efficientnet_b0(classes: int = 8) -> nn.Module:
    """Return EfficientNet-B0 for (n, 3, 224, 224), in evaluation mode."""
    layers = _unit(3, 32, 3, 2)
    inputs = 32
    for expansion, outputs, repeats, first_stride, kernel in STAGES:
        for k in range(repeats):
            layers.append(_Inverted(inputs, outputs, expansion, kernel, first_stride if k == 0 else 1))
            inputs = outputs
    layers += [*_unit(320, 1280), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes)]
    return nn.Sequential(*layers).eval()


def write_reference(path: Path) -> None:
    """Write the reference network as ONNX with a free batch size."""
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=1)
    torch.onnx.export(
        efficientnet_b0(),
        (torch.zeros(2, 3, 224, 224),),
        str(path),
        dynamo=True,
        dynamic_shapes=({0: batch},),
        input_names=["input"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )
