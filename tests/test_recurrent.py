"""Recurrent networks: what a step does, and training on streams of cartoon faces up to the model folder."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, describe, write_graph
from onnx import helper

from pyfer.datasets import FaceData, open_data
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, TrainingError
from pyfer.evaluation import timing_scores
from pyfer.files import sha256
from pyfer.models import Model, add
from pyfer.streams import Streams, StreamSettings, make_streams

torch = pytest.importorskip("torch", reason="the extra [train] is not installed")

from pyfer.training import loop, recurrence, recurrent, sequences  # noqa: E402
from pyfer.training.data import TrainingData, opened  # noqa: E402
from pyfer.training.export import Exported  # noqa: E402
from pyfer.training.recurrent import ConvLstm, Filter, Recurrent  # noqa: E402
from pyfer.training.settings import (  # noqa: E402
    DataSettings,
    LossSettings,
    RecurrentSettings,
    ScheduleSettings,
    Settings,
    load_settings,
)

HEADS = {"a": 3, "b": 2}
SIZE = 6  # numbers of the embedding
KINDS = [
    RecurrentSettings(cell="gru", width=8, inner=16),
    RecurrentSettings(cell="lstm", width=8, inner=16),
    RecurrentSettings(cell="gru", width=8, inner=16, direct=True, inertia=0.0),
]


def made(settings: RecurrentSettings, seed: int = 0) -> Filter:
    """Return a `Filter` with nothing left at zero, so that all it has counts."""
    torch.manual_seed(seed)
    network = Filter(settings, SIZE, HEADS)
    with torch.no_grad():
        for part in (network.change, *(each.gate for each in network.passes)):
            part.weight.normal_(0, 0.5)
            part.bias.normal_(0, 0.5)
    return network.eval()


def film(b: int = 3, t: int = 7, seed: int = 1) -> tuple[Any, Any, Any]:
    """Return embedding (b, t, 6), probabilities (b, t, 5), interval (b, t, 1)."""
    g = torch.Generator().manual_seed(seed)
    said = [torch.softmax(2 * torch.randn(b, t, k, generator=g), -1) for k in HEADS.values()]
    interval = 0.03 + 0.3 * torch.rand(b, t, 1, generator=g)
    interval[:, 0] = 0
    return torch.randn(b, t, SIZE, generator=g), torch.cat(said, -1), interval


def stepped(network: Recurrent, values: tuple[Any, ...]) -> dict[str, Any]:
    """Return what single steps say, side by side."""
    memory = torch.zeros(len(values[0]), *network.memory)
    said = []
    for k in range(values[0].shape[1]):
        outputs, memory = network.step(tuple(value[:, k] for value in values), memory)
        said.append(outputs)
    return {name: torch.stack([each[name] for each in said], 1) for name in said[0]}


def assert_same(one: dict[str, Any], other: dict[str, Any], tolerance: float = 1e-5) -> None:
    assert set(one) == set(other)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], atol=tolerance, rtol=tolerance)


def differ(one: dict[str, Any], other: dict[str, Any]) -> float:
    return max(float((value - other[name]).abs().max()) for name, value in one.items())


# --- what a filter does -----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", KINDS)
@torch.no_grad()
def test_a_film_is_its_steps(settings: RecurrentSettings) -> None:
    network, values = made(settings), film()
    network.temperature["a"] = 1.7
    assert_same(network(*values), stepped(network, values))


@pytest.mark.parametrize("settings", [*KINDS, replace(KINDS[0], two_way=True)])
@torch.no_grad()
def test_a_still_is_what_the_encoder_says(settings: RecurrentSettings) -> None:
    """And so is the first frame of a film, when nothing that comes later is looked at."""
    network, values = made(settings), film()
    network.temperature |= {"a": 1.7, "b": 0.6}
    if settings.two_way:
        mask = torch.zeros(3, 7)
        mask[:, 0] = 1
        outputs = network(*values, mask)
    else:
        outputs = network(*values)
    torch.testing.assert_close(outputs["embedding"][:, 0], values[0][:, 0])
    said = torch.cat([torch.softmax(outputs[head][:, 0], -1) for head in HEADS], -1)
    assert (values[1][:, 0] > recurrent.LEAST).all()
    torch.testing.assert_close(said, values[1][:, 0])


@torch.no_grad()
def test_the_second_frame_is_read_in_the_light_of_the_first() -> None:
    network, values, other = made(KINDS[0]), film(), film(seed=2)
    changed = tuple(torch.cat([a[:, :1], b[:, 1:]], 1) for a, b in zip(other, values, strict=True))
    one, two = network(*values), network(*changed)
    assert differ({k: v[:, 1:2] for k, v in one.items()}, {k: v[:, 1:2] for k, v in two.items()}) > 0.1


@torch.no_grad()
def test_what_comes_later_changes_nothing_unless_it_looks_both_ways() -> None:
    values = film()
    cut = tuple(value[:, :4] for value in values)
    network = made(KINDS[0])
    assert_same({name: value[:, :4] for name, value in network(*values).items()}, network(*cut))
    both = made(replace(KINDS[0], two_way=True))
    whole = both(*values, torch.ones(3, 7))
    assert differ({name: value[:, :4] for name, value in whole.items()}, both(*cut, torch.ones(3, 4))) > 0.1


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@torch.no_grad()
def test_what_fills_up_a_film_changes_nothing(cell: str) -> None:
    network = made(replace(KINDS[0], cell=cell, two_way=True, direct=True))
    values, junk = film(t=5), film(t=5, seed=3)
    padded = tuple(torch.cat([a, 9 * b], 1) for a, b in zip(values, junk, strict=True))
    mask = torch.tensor([[1.0] * 5 + [0.0] * 5]).expand(3, -1)
    outputs = network(*padded, mask)
    assert_same({name: value[:, :5] for name, value in outputs.items()}, network(*values, torch.ones(3, 5)))


@torch.no_grad()
def test_a_film_that_runs_backwards_is_read_backwards() -> None:
    """With the same weights for both ways, and no inertia, which has a direction."""
    network = made(replace(KINDS[0], two_way=True, inertia=0.0))
    network.passes[1].load_state_dict(network.passes[0].state_dict())
    network.change.weight[:, 8:] = network.change.weight[:, :8]
    embedding, probabilities, interval = film()
    passed = torch.cat([torch.zeros(3, 1, 1), interval[:, 1:].flip(1)], 1)
    back = network(embedding.flip(1), probabilities.flip(1), passed, torch.ones(3, 7))
    there = network(embedding, probabilities, interval, torch.ones(3, 7))
    assert_same({name: value.flip(1) for name, value in back.items()}, there)
    lame = network(embedding.flip(1), probabilities.flip(1), interval, torch.ones(3, 7))  # wrong intervals
    assert differ({name: value.flip(1) for name, value in lame.items()}, there) > 1e-3


@pytest.mark.parametrize("two_way", [False, True])
@torch.no_grad()
def test_the_interval_counts(two_way: bool) -> None:
    network, (embedding, probabilities, interval) = made(replace(KINDS[0], two_way=two_way)), film()
    mask = [torch.ones(3, 7)] if two_way else []
    slow = network(embedding, probabilities, 4 * interval, *mask)
    assert differ(slow, network(embedding, probabilities, interval, *mask)) > 1e-2


@torch.no_grad()
def test_inertia_adds_the_answer_before_and_not_in_training() -> None:
    settings = replace(KINDS[0], dropout=0.0, inertia=0.0)
    free, values = made(settings), film(t=2)
    held = made(replace(settings, inertia=1.5))
    plain, steady = free(*values), held(*values)
    for head in HEADS:
        torch.testing.assert_close(steady[head][:, 0], plain[head][:, 0])
        before = torch.softmax(plain[head][:, 0], -1)
        torch.testing.assert_close(steady[head][:, 1], plain[head][:, 1] + 1.5 * before)
    for network in (free, held):
        for part in network.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        network.train()
    assert_same(free(*values), held(*values))


@torch.no_grad()
def test_before_it_has_learned_it_smooths() -> None:
    """``s <- s + g (x - s)`` with g = sigmoid(-1), of the embedding and of log-probabilities."""
    network, values = Filter(replace(KINDS[0], inertia=0.0), SIZE, HEADS).eval(), film()
    outputs = network(*values)
    frames = torch.cat([values[0], torch.log(values[1].clamp(min=recurrent.LEAST))], -1).numpy()
    smooth, g = frames[:, 0], 1 / (1 + np.exp(1.0))
    for k in range(1, 7):
        smooth = smooth + g * (frames[:, k] - smooth)
        found = torch.cat([outputs[name][:, k] for name in ("embedding", *HEADS)], -1).numpy()
        np.testing.assert_allclose(found, smooth, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        *KINDS,
        replace(KINDS[0], two_way=True, direct=True),
        replace(KINDS[1], two_way=True),
    ],
)
def test_every_weight_is_learned(settings: RecurrentSettings) -> None:
    network = made(settings).train()
    outputs = network(*film(), *([torch.ones(3, 7)] if settings.two_way else []))
    sum((value * torch.randn_like(value)).sum() for value in outputs.values()).backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


@torch.no_grad()
def test_probabilities_of_nought_stay_finite() -> None:
    network, (embedding, probabilities, interval) = made(KINDS[0]), film()
    probabilities[..., 0] = 0
    outputs = network(torch.zeros_like(embedding), probabilities, interval)
    assert all(torch.isfinite(value).all() for value in outputs.values())


# --- the convolutional one --------------------------------------------------------------------------------


@pytest.fixture
def seeing() -> ConvLstm:
    torch.manual_seed(0)
    network = ConvLstm(RecurrentSettings(cell="convlstm", width=8, inner=16), HEADS, 16)
    with torch.no_grad():
        network.gates.bias.normal_()
    return network


@torch.no_grad()
def test_a_film_is_its_steps_where_frames_are_seen(seeing: ConvLstm) -> None:
    frames = torch.randn(2, 5, 1, 16, 16)
    seeing.eval()
    outputs = seeing(frames)
    assert outputs["a"].shape == (2, 5, 3)
    assert_same(outputs, stepped(seeing, (frames,)))
    later = frames.clone()
    later[:, 3:] = 0
    assert_same(
        {name: value[:, :3] for name, value in seeing(later).items()},
        {name: value[:, :3] for name, value in outputs.items()},
    )
    first = torch.cat([torch.zeros(2, 1, 1, 16, 16), frames[:, 1:]], 1)
    assert (
        differ({k: v[:, 2] for k, v in seeing(first).items()}, {k: v[:, 2] for k, v in outputs.items()}) > 0
    )


def test_every_weight_of_the_one_that_sees_is_learned(seeing: ConvLstm) -> None:
    outputs = seeing.train()(torch.randn(3, 4, 1, 16, 16))
    sum((outputs[head] * torch.randn_like(outputs[head])).sum() for head in HEADS).backward()
    for name, weight in seeing.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


@torch.no_grad()
def test_it_remembers_at_first() -> None:
    """The gate that keeps begins open: sigmoid(1) of the cell is kept (Jozefowicz et al. 2015)."""
    network = ConvLstm(RecurrentSettings(cell="convlstm", width=8, inner=16), HEADS, 16)
    np.testing.assert_array_equal(network.gates.bias[8:16], 1.0)
    network.gates.weight.zero_()
    network.gates.bias[:8] = network.gates.bias[16:] = 0
    memory = torch.cat([torch.zeros(1, 8, 4, 4), torch.full((1, 8, 4, 4), 2.0)], 1)
    after = network.eval().step((torch.zeros(1, 1, 16, 16),), memory)[1]
    torch.testing.assert_close(after[:, 8:], torch.sigmoid(torch.ones(1, 8, 4, 4)) * 2.0)


# --- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('cell = "rnn"', "rnn.cell='rnn' must be one of gru, lstm, convlstm"),
        ("width = 6", "rnn.width=6 must be a multiple of 4"),
        ("inner = 24", "rnn.inner=24 must be a multiple of 16"),
        ("dropout = 1.0", "rnn.dropout"),
        ("inertia = 9", "rnn.inertia"),
        ("steady = -1", "rnn.steady"),
        ('cell = "convlstm"\ntwo_way = true', "rnn.two_way"),
        ('encoder = ""', "rnn.encoder='' must name a model"),
        ("twoway = true", "did you mean 'two_way'"),
        ("two_way = 1", "must be true or false"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(f'name = "x"\nkind = "rnn"\n[data]\ntrain = ["a:"]\nvalidation = "b:"\n[rnn]\n{text}\n')
    with pytest.raises(ArgumentError, match=message):
        load_settings(path)


def test_the_page_shows_settings_that_are_valid_and_names_every_one(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "training.md").read_text()
    section = page.split("## Recurrent networks")[1]
    path = tmp_path / "film.toml"
    path.write_text(section.split("```toml")[1].split("```")[0])
    assert load_settings(path).kind == "rnn"
    for kind, heading in ((RecurrentSettings, "### `[rnn]`"), (StreamSettings, "### `[streams]`")):
        lines = section.split(heading)[1].split("\n### ")[0].splitlines()
        told = {
            line.split("`")[1]: line.split("|")[2].strip(" `") for line in lines if line.startswith("| `")
        }
        values = {f.name: f.default for f in fields(kind)}
        shown = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
        assert {key: json.loads(value) for key, value in told.items()} == shown


# --- streams as a network takes them ----------------------------------------------------------------------

TRAIN, VALIDATION = "cartoon:?n=160&seed=1&size=24", "cartoon:?n=80&seed=2&size=24"


@pytest.fixture(scope="module")
def stills() -> FaceData:
    return open_data("cartoon:?n=320&seed=5&size=24")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory, stills: FaceData) -> Path:
    """A model that knows something of cartoon faces: linear in 12 x 12 means; two heads, an embedding of 8.

    Its answers are never below `recurrent.LEAST`.
    """
    folder = tmp_path_factory.mktemp("models") / "linear"
    folder.mkdir()
    both = np.concatenate([stills.images, stills.images[:, :, ::-1]])
    tiles = both.reshape(640, 12, 2, 12, 2).mean(axis=(2, 4)).reshape(640, -1)
    x = (tiles - tiles.mean(axis=1, keepdims=True)) / tiles.std(axis=1, keepdims=True)
    targets = [stills.targets[head] for head in ("ferplus", "fer2013")]
    y = np.tile(np.concatenate(targets, axis=1), (2, 1))
    fit = np.linalg.solve(x.T @ x + 30 * np.eye(144), x.T @ y)
    main = np.linalg.svd(x, full_matrices=False)[2][:8].T
    node = helper.make_node
    write_graph(
        folder / "model.onnx",
        [
            node("AveragePool", ["input"], ["tiles"], kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", ["tiles"], ["flat"]),
            node("MatMul", ["flat", "fit"], ["said"]),
            node("Slice", ["said", "zero", "eight", "one"], ["ferplus"]),
            node("Slice", ["said", "eight", "fifteen", "one"], ["fer2013"]),
            node("MatMul", ["flat", "main"], ["embedding"]),
        ],
        {"input": ["n", 1, 24, 24]},
        {"ferplus": ["n", 8], "fer2013": ["n", 7], "embedding": ["n", 8]},
        {
            "fit": (4 * fit).astype(np.float32),
            "main": (0.3 * main).astype(np.float32),
            "zero": np.array([0]),
            "one": np.array([1]),
            "eight": np.array([8]),
            "fifteen": np.array([15]),
        },
    )
    describe(folder, input={"size": 24, "color": "gray", "standard": True})
    return folder


def settings_of(encoder: Path, **changes: Any) -> Settings:
    """Return settings of a run of a second."""
    rnn = RecurrentSettings(encoder=str(encoder), width=8, inner=16)
    schedule = ScheduleSettings(
        epochs=3, batch=16, rate=1e-2, warmup=1, sizes=((0.0, 24),), average=0.9, validate_every=1
    )
    settings = Settings(
        name="film",
        data=DataSettings((TRAIN,), VALIDATION),
        kind="rnn",
        seed=5,
        schedule=schedule,
        rnn=rnn,
        streams=StreamSettings(count=40, frames=(4, 6), hold=(0.2, 0.4), passage=(0.0, 0.2)),
    )
    return replace(settings, **changes)


@pytest.fixture(scope="module")
def streams(stills: FaceData) -> Streams:
    return make_streams(stills, "ferplus", StreamSettings(count=40, frames=(3, 9)), seed=1)


def test_streams_are_seen_through_the_encoder(encoder: Path, streams: Streams) -> None:
    model, told = Model(encoder, threads=1), []
    frames = sequences.encoded(streams, model, np.float32, lambda *done: told.append(done))
    assert told == [(32, 40), (40, 40)]
    embedding, probabilities = frames.values
    for i in (0, 39):
        n = int(streams.mask[i].sum())
        output = model(streams.frames[i, :n])
        np.testing.assert_allclose(embedding[i, :n], output.embedding, atol=1e-5)
        said = np.concatenate([output.probabilities["ferplus"], output.probabilities["fer2013"]], axis=1)
        np.testing.assert_allclose(probabilities[i, :n], said, atol=1e-6)
        assert not embedding[i, n:].any()
    assert sequences.encoded(streams, model).values[0].dtype == np.float16


def test_a_batch_is_as_long_as_its_longest_stream(encoder: Path, streams: Streams) -> None:
    frames = sequences.encoded(streams, Model(encoder, threads=1))
    lengths, cpu = streams.mask.sum(axis=1), torch.device("cpu")
    rows = np.argsort(lengths)[:6]
    longest = int(lengths[rows].max())
    assert longest < 9
    embedding, probabilities, interval, mask = frames.batch(rows, cpu, two_way=True)
    assert embedding.shape == (6, longest, 8)
    assert probabilities.shape == (6, longest, 15)
    np.testing.assert_array_equal(interval[..., 0], streams.interval[rows, :longest])
    np.testing.assert_array_equal(mask, streams.mask[rows, :longest])
    assert len(frames.batch(rows, cpu, two_way=False)) == 3
    targets = frames.taught(rows, cpu, ["fer2013"])
    np.testing.assert_array_equal(targets["fer2013"], streams.targets["fer2013"][rows, :longest])
    (crops,) = sequences.encoded(streams, None).batch(rows, cpu, two_way=False)
    assert crops.shape == (6, longest, 1, 24, 24)
    np.testing.assert_allclose(crops[0, 0].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(crops[0, 0].std(correction=0), 1, atol=1e-4)


@pytest.fixture
def task(encoder: Path, tmp_path: Path) -> sequences.Sequences:
    settings = settings_of(encoder)
    return sequences.Sequences(settings, opened(settings), tmp_path, torch.device("cpu"))


def test_an_epoch_has_every_stream_once(task: sequences.Sequences) -> None:
    def batches(seed: int) -> list[Any]:
        return list(task.batches(0, torch.Generator().manual_seed(seed)))

    found = batches(0)
    assert len(found) == task.steps == 40 // 16
    firsts = np.concatenate([x[0][:, 0] for x, _ in found])
    assert len(np.unique(firsts, axis=0)) == 32  # as 8 do not fill a batch
    assert set(found[0][1]) == {"ferplus", "fer2013"}
    assert all(torch.equal(a[0][0], b[0][0]) for a, b in zip(found, batches(0), strict=True))
    assert not torch.equal(found[0][0][0], batches(1)[0][0][0])


def test_changing_answers_cost_where_there_is_a_frame(task: sequences.Sequences) -> None:
    task.settings = replace(
        task.settings,
        loss=LossSettings({"ferplus": 1.0}, smoothing=0.0),
        rnn=replace(task.settings.rnn, steady=0.0),
    )
    z = torch.log_softmax(torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)) * 3, -1)
    targets = torch.zeros(2, 4, 8)
    targets[0, :, 2] = 1
    targets[1, :2, 3] = 1  # the second stream has two frames
    z[1, 2:] = 50 * torch.randn(2, 8)  # what is said beyond its end must not count
    plain = task.loss({"ferplus": z}, {"ferplus": targets})
    wanted = -(z[0, :, 2].sum() + z[1, :2, 3].sum()) / 6
    torch.testing.assert_close(plain, wanted)
    task.settings = replace(task.settings, rnn=replace(task.settings.rnn, steady=0.5))
    change = torch.cat([z[0, 1:] - z[0, :-1], z[1, 1:2] - z[1, :1]]).abs()
    assert (change > sequences.FURTHEST).any()  # beyond which more costs no more
    added = (change.clamp(max=sequences.FURTHEST) ** 2).mean(-1).sum() / 4
    torch.testing.assert_close(task.loss({"ferplus": z}, {"ferplus": targets}), plain + 0.5 * added)


def test_validation_is_of_frames_and_segments(task: sequences.Sequences) -> None:
    """A network that says the truth has all right; one that says one label only has no segment."""

    class Known(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.at, self.right = 0, True

        def forward(self, *values: Any) -> dict[str, Any]:
            n, t = values[0].shape[:2]
            rows = task.held.targets["ferplus"][self.at : self.at + n, :t]
            self.at += n
            return {"ferplus": torch.from_numpy(rows) if self.right else torch.eye(8)[0].expand(n, t, -1)}

    network = Known()
    found = task.validate(network)
    assert found["score"] == found["ferplus.accuracy"] == found["ferplus.segment_f1"] == 1
    assert found["ferplus.flicker"] > 0
    network.at, network.right = 0, False
    found = task.validate(network)
    assert found["ferplus.segment_f1"] == found["ferplus.flicker"] == 0
    assert 0 < found["ferplus.accuracy"] < 1


# --- streams are made once --------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the seed of each making of streams."""
    seeds: list[int] = []

    def make(data: FaceData, head: str, wanted: StreamSettings, seed: int, on_done: Any) -> Streams:
        seeds.append(seed)
        return make_streams(data, head, wanted, seed, on_done)

    monkeypatch.setattr(sequences, "make_streams", make)
    return seeds


def test_streams_are_made_once_for_the_same_settings(
    encoder: Path, tmp_path: Path, counted: list[int]
) -> None:
    settings, cpu = settings_of(encoder), torch.device("cpu")
    data = opened(settings)

    def prepared(settings: Settings) -> sequences.Sequences:
        return sequences.Sequences(settings, data, tmp_path, cpu)

    first = prepared(settings)
    both = [5, 5 + sequences.VALIDATION_SEED]
    assert counted == both
    again = prepared(replace(settings, schedule=replace(settings.schedule, epochs=9)))
    assert counted == both  # taken from the run's folder
    for one, other in zip(first.train.values, again.train.values, strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(again.train.targets) == {"ferplus", "fer2013"}
    np.testing.assert_array_equal(first.train.targets["fer2013"], again.train.targets["fer2013"])
    np.testing.assert_array_equal(first.train.times, again.train.times)
    other = prepared(replace(settings, seed=6))
    assert len(counted) == 4
    assert not np.array_equal(other.train.times, first.train.times)
    prepared(replace(settings, seed=6, streams=replace(settings.streams, noise=0.1)))
    assert len(counted) == 6


@pytest.mark.parametrize("damage", [b"", b"not a zip", "half"])
def test_damaged_streams_are_made_anew(
    encoder: Path, tmp_path: Path, counted: list[int], damage: bytes | str
) -> None:
    settings = settings_of(encoder)
    data = opened(settings)
    first = sequences.Sequences(settings, data, tmp_path, torch.device("cpu"))
    path = tmp_path / "training.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if isinstance(damage, str) else damage)
    again = sequences.Sequences(settings, data, tmp_path, torch.device("cpu"))
    assert counted == [5, 5 + sequences.VALIDATION_SEED, 5]
    np.testing.assert_array_equal(first.train.values[0], again.train.values[0])


def test_the_stages_are_told(encoder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    settings = settings_of(encoder, schedule=replace(settings_of(encoder).schedule, epochs=1))
    loop.train(settings, tmp_path, on_stage=lambda what, done, total: told.append(f"{what} {done}/{total}"))
    assert "making training streams 40/40" in told
    assert "encoding training streams 32/40" in told
    assert told[-1] == "encoding validation streams 40/40"


# --- what cannot be trained -------------------------------------------------------------------------------


def refused(settings: Settings, folder: Path, data: TrainingData | None = None) -> str:
    with pytest.raises(TrainingError) as caught:
        loop.train(settings, folder, data=data)
    assert not list(folder.glob("*.npz"))  # before streams are made
    return str(caught.value)


def test_settings_and_data_that_do_not_fit(encoder: Path, tmp_path: Path, make_model: MakeModel) -> None:
    base = settings_of(encoder)
    data = opened(base)
    assert "schedule.batch=64 is larger than streams.count=40" in refused(
        replace(base, schedule=replace(base.schedule, batch=64)), tmp_path, data
    )
    told = refused(replace(base, loss=LossSettings({"ferplu": 1.0})), tmp_path, data)
    assert "must be a head of the training and the validation data" in told
    assert "did you mean 'ferplus'" in told
    one = make_model("one", heads=[{"name": "ferplus", "output": "ferplus", "labels": list(BASIC)}])
    told = refused(replace(base, rnn=replace(base.rnn, encoder=str(one))), tmp_path, data)
    assert "loss.heads='fer2013' must be a head of the encoder" in told
    swapped = [
        {"name": "ferplus", "output": "ferplus", "labels": list(BASIC)},
        {"name": "fer2013", "output": "fer2013", "labels": list(reversed(BASIC[:7]))},
    ]
    other = make_model("other", heads=swapped)
    told = refused(replace(base, rnn=replace(base.rnn, encoder=str(other))), tmp_path, data)
    assert "loss.heads='fer2013' has the labels" in told
    blind = make_model("blind", embedding=None)
    told = refused(replace(base, rnn=replace(base.rnn, encoder=str(blind))), tmp_path, data)
    assert "must be a model of stills with an embedding" in told
    large = replace(base.schedule, sizes=((0.0, 48),))
    told = refused(replace(base, rnn=replace(base.rnn, cell="convlstm"), schedule=large), tmp_path, data)
    assert "crops of 48 x 48 pixels, but the data have crops of 24 x 24" in told


def test_another_run_is_refused_before_its_streams_are_replaced(encoder: Path, tmp_path: Path) -> None:
    settings = settings_of(encoder)
    settings = replace(settings, schedule=replace(settings.schedule, epochs=1))
    loop.train(settings, tmp_path)
    before = (tmp_path / "training.npz").read_bytes()
    with pytest.raises(TrainingError, match="other settings"):
        loop.train(replace(settings, streams=replace(settings.streams, noise=0.1)), tmp_path)
    assert (tmp_path / "training.npz").read_bytes() == before


def test_heads_of_another_encoder_are_refused(encoder: Path) -> None:
    with pytest.raises(TrainingError, match="must be those of the encoder"):
        recurrent.built(settings_of(encoder), {"ferplus": 8})


# --- training ---------------------------------------------------------------------------------------------

CELLS = {
    "gru": {},
    "lstm": {"cell": "lstm", "steady": 0.1},
    "both ways": {"two_way": True},
    "convlstm": {"cell": "convlstm"},
}


@pytest.mark.parametrize("cell", CELLS)
def test_a_broken_run_ends_with_the_same_numbers(encoder: Path, tmp_path: Path, cell: str) -> None:
    torch.set_num_threads(1)
    base = settings_of(encoder)
    settings = replace(base, rnn=replace(base.rnn, **CELLS[cell]))
    data = opened(settings)
    whole = loop.train(settings, tmp_path / "whole", data=data)

    def stop(done: int, total: int, _: loop.Metrics) -> None:
        assert total == 6
        if done == 4:  # at the end of the second epoch, which is not yet saved
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, tmp_path / "broken", stop, data)
    resumed = loop.train(settings, tmp_path / "broken", data=data)
    assert len(resumed) == 3
    assert [{**m, "seconds": 0} for m in resumed] == [{**m, "seconds": 0} for m in whole]
    best = [torch.load(tmp_path / k / "best.pt", weights_only=True)["network"] for k in ("whole", "broken")]
    assert all(torch.equal(value, best[1][name]) for name, value in best[0].items())


def test_it_learns_to_tell_expressions_from_disturbances(encoder: Path, tmp_path: Path) -> None:
    """On new streams of new faces it has more segments right, and changes its mind less, than its encoder."""
    torch.set_num_threads(1)
    base = settings_of(encoder)
    wild = StreamSettings(
        count=96, frames=(16, 32), motion=0.1, jitter=0.5, light=0.2, noise=0.3, false=0.6, occlusion=0.5
    )
    settings = replace(
        base,
        data=DataSettings((TRAIN.replace("160", "400"),), VALIDATION.replace("80", "240")),
        streams=wild,
        schedule=replace(base.schedule, epochs=12),
        loss=LossSettings({"ferplus": 1.0}, smoothing=0.0),
        rnn=replace(base.rnn, width=16, inner=32),
    )
    data = opened(settings)
    history = loop.train(settings, tmp_path, data=data)
    assert history[-1]["loss"] < history[0]["loss"]
    network = loop.load_network(tmp_path)[0]
    fresh = make_streams(data.held, "ferplus", wild, seed=77)
    frames = sequences.encoded(fresh, Model(encoder, threads=1), np.float32)
    with torch.no_grad():
        steadied = network(*frames.batch(np.arange(96), torch.device("cpu"), False))["ferplus"].argmax(-1)
    alone = frames.values[1][..., :8].argmax(-1)
    lengths = fresh.mask.sum(axis=1)
    times = [fresh.times[i, :n] for i, n in enumerate(lengths)]
    truth = [fresh.truth("ferplus")[i, :n] for i, n in enumerate(lengths)]
    before, after = (
        timing_scores(times, truth, [answers[i, :n] for i, n in enumerate(lengths)], background=0)
        for answers in (alone, steadied.numpy())
    )
    assert after.f1 > before.f1 + 0.1
    assert after.accuracy > before.accuracy
    assert after.flicker < 0.5 * before.flicker


# --- export -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=CELLS)
def exported(
    request: pytest.FixtureRequest, encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, Exported]:
    """Return settings and what was exported, once for each cell: an export takes seconds."""
    torch.set_num_threads(1)
    base, place = settings_of(encoder), tmp_path_factory.mktemp("run")
    settings = replace(base, rnn=replace(base.rnn, **CELLS[request.param]))
    if settings.rnn.two_way:  # a long window takes longer to export
        settings = replace(settings, streams=replace(base.streams, frames=(3, 4)))
    data = opened(settings)
    loop.train(settings, place, data=data)
    return settings, recurrence.export(place, place / "model", settings=settings, data=data)


def test_the_model_is_the_network(exported: tuple[Settings, Exported], encoder: Path) -> None:
    settings, done = exported
    assert done.difference < 1e-4
    model, crops = Model(done.folder, threads=1), open_data(VALIDATION).images[:6]
    tree = json.loads((done.folder / "model.json").read_text())
    assert tree["kind"] == "rnn"
    assert tree["window"] == settings.streams.frames[1]
    assert set(model.labels) == set(BASIC)
    network = loop.load_network(done.folder.parent)[0]
    if settings.rnn.cell == "convlstm":
        assert "encoder" not in tree
        assert tree["state"] == [{"name": "memory", "shape": [16, 6, 6]}]
        assert tree["input"]["size"] == 24
        assert tree["heads"][0]["temperature"] > 0
    else:
        assert tree["encoder"]["sha256"] == sha256(encoder / "model.onnx")
        place = Path(tree["encoder"]["model"])
        assert not place.is_absolute()
        assert (done.folder / place).resolve() == encoder.resolve()
        assert tree["heads"][0]["temperature"] == 1  # built in: a still is what the encoder says
        said, alone = model(crops), Model(encoder, threads=1)(crops)
        for head, p in alone.probabilities.items():
            np.testing.assert_allclose(said.probabilities[head], p, atol=1e-5)
        np.testing.assert_allclose(said.embedding, alone.embedding, atol=1e-5)
    if settings.rnn.two_way:
        assert "state" not in tree
        with pytest.raises(ArgumentError, match="looks both ways"):
            model.step(crops[:1], [None], [0.0])
    else:
        assert tree["state"][0]["shape"] == list(network.memory)
        stepping = model.step(crops[:1], [None], [0.0])[1]
        second = model.step(crops[1:2], stepping, [0.1])[0]
        film = model.film(crops[:2], [0.0, 0.1])
        np.testing.assert_allclose(second.probabilities["ferplus"][0], film.probabilities["ferplus"][1])
        alone = model(crops[1:2])
        assert np.abs(second.probabilities["ferplus"] - alone.probabilities["ferplus"]).max() > 1e-6


def test_the_model_knows_what_it_was_made_from(exported: tuple[Settings, Exported]) -> None:
    settings, done = exported
    tree = json.loads((done.folder / "model.json").read_text())
    streams = recurrence.validation_streams(settings, opened(settings))
    seen = streams.targets["ferplus"].sum(axis=(0, 1))
    np.testing.assert_allclose(tree["heads"][0]["prior"], seen / seen.sum(), atol=2e-4)
    assert tree["about"]["training"]["streams"]["count"] == 40
    card = (done.folder / "README.md").read_text()
    assert "40 synthetic streams" in card
    assert TRAIN in card
    assert settings.rnn.cell in card
    assert ("both ways" in card) == settings.rnn.two_way


def test_an_installed_encoder_is_named(encoder: Path, tmp_path: Path) -> None:
    add(encoder)
    settings = settings_of(Path("linear"))
    data = opened(settings)
    network = recurrent.built(settings, {"ferplus": 8, "fer2013": 7})
    (tmp_path / "model.onnx").write_bytes(b"anything")
    recurrence._describe(tmp_path / "model.onnx", settings, network, [], data)
    assert json.loads((tmp_path / "model.json").read_text())["encoder"]["model"] == "linear"


def test_temperatures_make_the_truth_likeliest_from_the_second_frame_on(
    encoder: Path, tmp_path: Path
) -> None:
    settings = settings_of(encoder)
    data = opened(settings)
    network = recurrent.built(settings, {"ferplus": 8, "fer2013": 7}).eval()
    streams = recurrence.validation_streams(settings, data)
    told = recurrence._temperatures(network, settings, streams)
    assert told == {"ferplus": 1.0, "fer2013": 1.0}
    frames = sequences.encoded(streams, Model(encoder, threads=1))
    target = streams.targets["ferplus"]
    clear = streams.mask & (target.max(axis=2) > 0.5)
    clear[:, 0] = False

    def cost(factor: float) -> float:
        network.temperature["ferplus"] = fitted * factor
        logs = torch.log_softmax(torch.from_numpy(recurrence._logits(network, frames)["ferplus"]), -1).numpy()
        truth = target.argmax(axis=2)
        return float(-np.take_along_axis(logs, truth[..., None], 2)[..., 0][clear].mean())

    fitted = network.temperature["ferplus"]
    assert fitted != 1
    assert cost(1.0) < min(cost(0.8), cost(1.25))


def test_export_refuses_when_onnx_and_torch_differ(
    exported: tuple[Settings, Exported],
) -> None:
    settings, done = exported
    streams = recurrence.validation_streams(settings, opened(settings))
    network = loop.load_network(done.folder.parent)[0]
    model = Model(done.folder, threads=1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3)
    with pytest.raises(TrainingError, match="differs from the trained one"):
        recurrence._difference(network, model, streams)


# --- the command ------------------------------------------------------------------------------------------

TOML = """
name = "film"
kind = "rnn"
[data]
train = ["cartoon:?n=64&seed=1&size=24"]
validation = "cartoon:?n=64&seed=2&size=24"
[schedule]
epochs = 1
batch = 8
rate = 3e-3
[rnn]
encoder = "tiny"
width = 8
inner = 16
[streams]
count = 16
frames = [3, 5]
"""


def test_the_command_trains_a_recurrent_network(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("film.toml").write_text(TOML)
    asked: list[Any] = []

    def export(folder: Path, target: Path, *, settings: Settings, data: TrainingData) -> Exported:
        asked.append((folder, target, settings.rnn.encoder))
        return Exported(target, 1e-6, 1.0)

    monkeypatch.setattr(recurrence, "export", export)
    done = run("train", "film.toml", "--run", "runs/film")
    assert done.status == 0, done.err
    assert asked == [(Path("runs/film"), Path("runs/film/model"), "tiny")]
    assert "segment_f1" in done.out
    assert "torch and ONNX differ by 1e-06" in done.out
    assert "eight bits" not in done.out + done.err
    assert Path("runs/film/best.pt").is_file()


def test_the_command_names_what_is_missing(run: Any) -> None:
    Path("film.toml").write_text(TOML.replace('"tiny"', '"tinny"'))
    done = run("train", "film.toml")
    assert done.status != 0
    assert "did you mean 'tiny'" in done.err
