"""From a finished run to a model folder: ONNX, eight-bit weights, calibration, card. Checked at each step.

Export refuses unless ONNX and torch agree on a sample, and unless the eight-bit network says the same as
the float one nearly always. Temperatures are fitted on the validation data with the network that ships.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pyfer.crops import Preprocessing
from pyfer.datasets import FaceData
from pyfer.errors import TrainingError
from pyfer.evaluation import fit_temperature
from pyfer.files import replace_file, replace_folder, sha256
from pyfer.models import Model
from pyfer.training.card import about, plain_card
from pyfer.training.data import TrainingData, opened
from pyfer.training.loop import load_network
from pyfer.training.settings import Settings
from pyfer.training.stills import sampling_weights

AGREEMENT = 1e-3
"""Largest difference between torch's and ONNX's log-probabilities; rounding gives about 1e-5."""
SAME_ANSWER = 0.97
"""Least share of validation faces on which the eight-bit network names the same emotion as the float one."""
_SAMPLE = 512  # training faces that show the eight-bit network the range of each layer


@dataclass(frozen=True)
class Exported:
    """What export made and how well the steps agree."""

    folder: Path
    difference: float
    """Largest difference between torch's and ONNX's log-probabilities (and embeddings) on a sample."""
    same_answer: float
    """Share of validation faces with the same answer after rounding to eight bits (1 without rounding)."""


class Outputs(nn.Module):
    """The network with a tuple of outputs, as ONNX wants it."""

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *x: Tensor) -> tuple[Tensor, ...]:
        """Return the named outputs in order."""
        output = self.network(*x)
        return tuple(output[name] for name in self.names)


def export(
    run: Path,
    folder: Path,
    *,
    settings: Settings | None = None,
    card: str = "",
    data: TrainingData | None = None,
) -> Exported:
    """Write the best network of the run in `run` as a model folder.

    Parameters
    ----------
    run
        Folder of a finished (or stopped) training run.
    folder
        Where the model folder is to be; replaced whole if it exists, and only when all checks passed.
    settings
        Their name and ``export`` section count instead of those the run began with.
    card
        Text of the model card (README.md); empty makes a plain one.
    data
        What `opened` gave for the settings of the run; None opens it here.

    Raises
    ------
    TrainingError
        The run has no network, or the exported network does not agree with the trained one.
    """
    network, trained, labels = load_network(run)
    settings = trained if settings is None else replace(trained, name=settings.name, export=settings.export)
    data = data or opened(settings)
    train, validation = data.train, data.held
    with replace_folder(folder) as work:
        names = [*labels, "embedding"]
        target = work / "model.onnx"
        side = settings.schedule.sizes[-1][1]
        write_onnx(Outputs(network, names), {"input": torch.zeros(2, 1, side, side)}, names, target)
        _describe(target, settings, labels)
        float_model = Model(work)
        difference = _difference(network, float_model, validation)
        same = 1.0
        if settings.export.eight_bit:
            before = float_model(validation.images)
            _round_to_eight_bits(target, train, float_model.spec.input, settings.seed)
            _describe(target, settings, labels)
            after = Model(work)(validation.images)
            same = min(_same_answer(before.probabilities[h], after.probabilities[h]) for h in labels)
        found = _calibrate(Model(work), settings, train, validation)
        _describe(target, settings, labels, found, data.left_out)
        replace_file(work / "README.md", (card or plain_card(Model(work), settings, data)).encode())
    return Exported(folder, difference, same)


def write_onnx(module: nn.Module, samples: dict[str, Tensor], names: list[str], path: Path) -> None:
    """Write a module that takes `samples`, first axis any number of faces, and returns a tuple of `names`."""
    batch = torch.export.Dim("batch", min=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecated internals
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # and of torchvision, which is not needed
        torch.onnx.export(
            module.eval(),
            tuple(samples.values()),
            str(path),
            dynamo=True,
            dynamic_shapes=(tuple({0: batch} for _ in samples),),
            input_names=list(samples),
            output_names=names,
            external_data=False,
            verbose=False,
        )
    _strip(path)


def _strip(path: Path) -> None:
    """Take out what the exporter notes for debugging: stack traces, with the paths of this machine."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    del model.metadata_props[:]
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
    path.write_bytes(model.SerializeToString())


def _difference(network: nn.Module, model: Model, data: FaceData) -> float:
    """Return the largest difference of log-probabilities between torch and ONNX on 64 faces."""
    crops = data.images[:64]
    x = torch.from_numpy(np.asarray(model.spec.input(crops)))
    with torch.no_grad():
        theirs = network(x)
    mine = model(crops)
    difference = 0.0
    for head, p in mine.probabilities.items():
        expected = torch.log_softmax(theirs[head], 1).numpy()
        difference = max(difference, float(np.abs(np.log(np.maximum(p, 1e-20)) - expected).max()))
    if mine.embedding is not None:
        difference = max(difference, float(np.abs(mine.embedding - theirs["embedding"].numpy()).max()))
    if difference > AGREEMENT:
        raise TrainingError(
            f"the ONNX network differs from the trained one by {difference:.2g} (at most {AGREEMENT});"
            " not exported"
        )
    return difference


def _same_answer(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    same = float((before.argmax(1) == after.argmax(1)).mean())
    if same < SAME_ANSWER:
        raise TrainingError(
            f"with eight-bit weights only {same:.1%} of the answers stay (at least {SAME_ANSWER:.0%}); "
            "set export.eight_bit = false"
        )
    return same


def _round_to_eight_bits(path: Path, train: FaceData, prepare: Preprocessing, seed: int) -> None:
    """Replace the ONNX file by one with eight-bit convolutions (QDQ, per channel; Jacob et al. 2018)."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    rows = np.random.default_rng(seed).choice(len(train), min(_SAMPLE, len(train)), replace=False)
    crops = train.images[rows]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[dict[str, Any]] = iter(
                [{"input": prepare(crops[k : k + 32])} for k in range(0, len(crops), 32)]
            )

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(path),
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        # Seven-bit weights: processors without VNNI add pairs of products in 16 bits, which would overflow.
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv"],  # the small dense layers cost nothing and decide the answer
    )
    prepared.unlink()


def _calibrate(
    model: Model, settings: Settings, train: FaceData, validation: FaceData
) -> dict[str, dict[str, Any]]:
    """Return head -> temperature, bias and prior, for a model that was described without them.

    The temperature is fitted on the validation faces with a clear label, the bias being there already.
    """
    output = model(validation.images)
    weights = sampling_weights(train.targets[model.spec.heads[0].name], settings.data.rare_power).numpy()
    found: dict[str, dict[str, Any]] = {}
    for head, p in output.probabilities.items():
        seen = (train.targets[head] * weights[:, None]).sum(0)
        prior = np.maximum(seen / seen.sum(), 1e-4)
        bias = -settings.export.tilt * np.log(prior)
        bias -= bias.mean()
        target = validation.targets[head]
        clear = target.max(1) > 0.5
        truth = (target[clear] == target[clear].max(1, keepdims=True)).astype(np.float32)
        temperature = fit_temperature(np.log(np.maximum(p[clear], 1e-20)), truth, bias)
        prior = prior ** (1 - settings.export.tilt)
        found[head] = {
            "temperature": round(temperature, 4),
            "bias": [round(float(b), 5) for b in bias],
            "prior": [round(float(q), 5) for q in prior / prior.sum()],
        }
    return found


def _describe(
    path: Path,
    settings: Settings,
    labels: dict[str, tuple[str, ...]],
    calibration: dict[str, dict[str, Any]] | None = None,
    left_out: dict[str, dict[str, int]] | None = None,
) -> None:
    """Write ``model.json`` beside the ONNX file."""
    size = settings.schedule.sizes[-1][1]
    heads = [
        {"name": head, "output": head, "labels": list(names), **(calibration or {}).get(head, {})}
        for head, names in labels.items()
    ]
    tree = {
        "format": 1,
        "name": settings.name,
        "kind": settings.kind,
        "file": path.name,
        "sha256": sha256(path),
        "window": 1,
        "input": Preprocessing(size=size, color="gray", standard=True).to_dict(),
        "crop": {"align": True},
        "heads": heads,
        "embedding": "embedding",
        "about": about(settings, left_out),
    }
    replace_file(path.with_name("model.json"), (json.dumps(tree, indent=2) + "\n").encode())
