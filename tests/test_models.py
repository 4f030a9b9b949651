"""Model folders: what fits runs, all else is refused with the reason; where added and shipped ones lie."""

from __future__ import annotations

import json
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, Run, describe, write_adder, write_graph, write_network
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save

import pyfer
from pyfer import evidence, models
from pyfer.emotions import BASIC
from pyfer.errors import ArgumentError, ModelError
from pyfer.evidence import Evidence
from pyfer.features import Bank
from pyfer.files import sha256
from pyfer.models import (
    BATCH,
    FEATURES,
    Head,
    Memory,
    Model,
    Output,
    add,
    find,
    installed,
    read_spec,
    shares,
    softmax,
    stepped,
)
from pyfer.models.sequences import cuts

QUICK = settings(max_examples=60, deadline=None, derandomize=True)


def crops(n: int, side: int = 48, *, colour: bool = False, seed: int = 0) -> NDArray[np.uint8]:
    shape = (n, side, side, 3) if colour else (n, side, side)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


# --- running ----------------------------------------------------------------------------------------------


def test_output_has_a_distribution_a_head_and_an_embedding(tiny_model: Model) -> None:
    output = tiny_model(crops(5))
    assert {head: p.shape for head, p in output.probabilities.items()} == {
        "ferplus": (5, 8),
        "fer2013": (5, 7),
    }
    for p in output.probabilities.values():
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert output.embedding is not None
    assert output.embedding.shape == (5, 4)
    assert tiny_model.labels == BASIC
    assert tiny_model.name == "tiny"


def test_batches_change_nothing(tiny_model: Model) -> None:
    many = crops(2 * BATCH + 7)
    whole = tiny_model(many).probabilities["ferplus"]
    each = np.concatenate([tiny_model(many[k : k + 1]).probabilities["ferplus"] for k in range(len(many))])
    np.testing.assert_allclose(whole, each, atol=1e-6)
    assert len(np.unique(whole.round(4), axis=0)) == len(many)


def test_no_crops_give_empty_columns(tiny_model: Model) -> None:
    output = tiny_model(crops(0))
    assert output.probabilities["fer2013"].shape == (0, 7)
    assert output.embedding is not None
    assert output.embedding.shape == (0, 4)


def test_colour_crops_are_made_gray_for_a_gray_network(tiny_model: Model) -> None:
    gray = crops(3)
    colour = np.repeat(gray[..., None], 3, axis=3)
    np.testing.assert_allclose(
        tiny_model(colour).probabilities["ferplus"], tiny_model(gray).probabilities["ferplus"], atol=1e-6
    )


def test_temperature_bias_and_activation_are_applied(make_model: MakeModel) -> None:
    def p(**head: Any) -> NDArray[np.float32]:
        heads = [{"name": "a", "output": "ferplus", "labels": list(BASIC), **head}]
        return Model(make_model(heads=heads))(crops(4)).probabilities["a"]

    logits = np.log(p())
    np.testing.assert_allclose(p(temperature=2.5), softmax(logits / 2.5), atol=1e-5)
    bias = np.linspace(-1, 1, 8)
    np.testing.assert_allclose(p(temperature=2.0, bias=bias.tolist()), softmax(logits / 2 + bias), atol=1e-5)
    raw = p(activation="probabilities")  # the network's logits, taken for scores of any scale
    np.testing.assert_allclose(raw.sum(1), 1, atol=1e-6)
    assert (raw >= 0).all()
    assert not np.allclose(raw, p())


@QUICK
@given(
    arrays(np.float32, (3, 5), elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(-1e3, 1e3),
)
def test_softmax_is_a_distribution_and_ignores_shifts(logits: NDArray[np.float32], shift: float) -> None:
    p = softmax(logits)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(softmax(logits.astype(np.float64) + shift), p, atol=1e-4)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1, 1, 2], [0.25, 0.25, 0.5]),
        ([0, 0, 5e-20], [0, 0, 1]),
        ([-1, 0, 4], [0, 0, 1]),
        ([0, 0, 0], [1 / 3] * 3),
        ([-2, -1, -3], [1 / 3] * 3),
    ],
)
def test_shares(row: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(shares(np.array([row], np.float32)), [expected], atol=1e-7)


def test_networks_made_for_one_crop_or_for_a_fixed_number_of_them(tiny: Path, tmp_path: Path) -> None:
    expected = Model(tiny)(crops(7)).probabilities["ferplus"]
    for batch in (1, 3, 16):
        folder = tmp_path / f"fixed{batch}"
        folder.mkdir()
        write_network(folder / "model.onnx", {"ferplus": 8, "fer2013": 7, "embedding": 4}, batch=batch)
        describe(folder)
        output = Model(folder)(crops(7))
        np.testing.assert_allclose(output.probabilities["ferplus"], expected, atol=1e-6)
        assert output.embedding is not None
        assert output.embedding.shape == (7, 4)


def test_values_that_are_no_numbers_are_an_error_not_an_answer(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Log", ["flat"], ["log"]),  # of negative means: NaN
        helper.make_node("Concat", ["log", "flat"], ["scores"], axis=1),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "log",
        [value("input", TensorProto.FLOAT, ["n", 1, 48, 48])],
        [value("scores", TensorProto.FLOAT, ["n", 2])],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        str(tmp_path / "model.onnx"),
    )
    heads = [{"name": "a", "output": "scores", "labels": ["anger", "fear"]}]
    describe(tmp_path, name="log", heads=heads, embedding=None, input={"size": 48, "mean": [0.5]})
    model = Model(tmp_path)
    with pytest.raises(ModelError, match=r"output 'scores' holds values that are not finite"):
        model(np.zeros((1, 48, 48), np.uint8))


# --- a foreign model by its json alone --------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A colour network for 224 x 224 with ImageNet normalisation and labels of its own, as on the web."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    write_network(folder / "model.onnx", {"output": 8}, side=224, channels=3, batch=1)
    words = ["Angry", "Contempt", "Disgusted", "Fearful", "Happy", "Neutral", "Sad", "Surprised"]
    describe(
        folder,
        kind="foreign",
        input={
            "size": 224,
            "color": "rgb",
            "layout": "nchw",
            "scale": 1 / 255,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        },
        crop={"align": False, "margin": 0.1},
        heads=[{"name": "affectnet", "output": "output", "labels": words}],
        embedding=None,
    )
    return folder


def test_a_foreign_model_runs_from_its_json_alone(foreign: Path, photo: Path) -> None:
    result = pyfer.predict(photo, model=foreign)
    expected = "anger contempt disgust fear happiness neutral sadness surprise"
    assert " ".join(result.labels) == expected
    assert len(result) == 1
    assert result.embedding is None


def test_a_foreign_model_gets_exactly_the_pixels_its_json_asks_for(foreign: Path) -> None:
    crop = crops(2, 224, colour=True)
    x = (crop / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    tiles = x.transpose(0, 3, 1, 2).reshape(2, 3, 4, 56, 4, 56).mean((3, 5)).reshape(2, 48)
    rng = np.random.default_rng(0)  # the weights, drawn as write_network draws them
    logits = tiles @ (4.0 * rng.normal(size=(48, 8)) / np.sqrt(48)) + rng.normal(size=8)
    np.testing.assert_allclose(Model(foreign)(crop).probabilities["affectnet"], softmax(logits), atol=1e-4)


def test_a_foreign_model_can_be_installed_under_its_name(foreign: Path, photo: Path) -> None:
    before = pyfer.predict(photo, model=foreign)
    add(foreign)
    shutil.rmtree(foreign)
    np.testing.assert_array_equal(pyfer.predict(photo, model="theirs").basic, before.basic)


# --- what is refused --------------------------------------------------------------------------------------


def test_a_changed_network_is_refused(make_model: MakeModel) -> None:
    folder = make_model()
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"is damaged: model.onnx has sha256 [0-9a-f]{12}.*install it again"):
        Model(folder)


def test_a_missing_network_is_refused(make_model: MakeModel) -> None:
    folder = make_model()
    (folder / "model.onnx").unlink()
    with pytest.raises(ModelError, match=r"lacks 'model.onnx'"):
        Model(folder)


def test_a_network_that_cannot_be_read_is_refused(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(models.folders, "sha256", closed)
    with pytest.raises(ModelError, match=r"model.onnx' cannot be read: Permission denied"):
        Model(make_model())


@pytest.mark.parametrize("content", [b"", b"this is no network", b"\x08\x08" + b"\xff" * 300])
def test_what_is_no_onnx_is_refused(make_model: MakeModel, content: bytes) -> None:
    folder = make_model()
    (folder / "model.onnx").write_bytes(content)
    describe(folder)
    with pytest.raises(ModelError, match=r"is not an ONNX file|has 0 inputs"):
        Model(folder)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"format": 2}'], ids=repr
)
def test_what_is_no_description_is_refused(make_model: MakeModel, text: bytes) -> None:
    folder = make_model()
    (folder / "model.json").write_bytes(text)
    with pytest.raises(ModelError, match=r"model.json.* (is not JSON|format must be 1)"):
        read_spec(folder)


def test_a_folder_without_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is not a model folder: model.json cannot be read"):
        Model(tmp_path)


HEAD = {"name": "a", "output": "ferplus", "labels": list(BASIC)}


def head(**changes: Any) -> dict[str, Any]:
    return {"heads": [{**HEAD, **changes}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ...}, "key 'name' is missing"),
        ({"heads": ...}, "key 'heads' is missing"),
        ({"widow": 1}, "key 'widow' is not known; did you mean 'window'"),
        ({"name": "../up"}, "name='../up' must be letters"),
        ({"name": ""}, "name='' must be letters"),
        ({"name": 7}, "name=7 must be a text"),
        ({"kind": None}, "kind=None must be a text"),
        ({"file": "../model.onnx"}, "file='../model.onnx' must be a file in the model folder itself"),
        ({"file": "/etc/passwd"}, "file='/etc/passwd' must be a file in the model folder itself"),
        ({"file": ".."}, "file='..' must be a file in the model folder itself"),
        ({"file": ""}, "file='' must be a file in the model folder itself"),
        ({"sha256": "abc"}, "sha256='abc' must be 64 hexadecimal digits"),
        ({"sha256": 0}, "sha256=0 must be a text"),
        ({"window": 0}, "window=0 must be 1 "),
        ({"window": "1"}, "window='1' must be a whole number"),
        ({"input": ...}, "key 'input' is missing"),
        ({"input": {"sise": 48}}, "input key 'sise' is not known; did you mean 'size'"),
        ({"input": {"size": 0}}, "size=0 must be a whole number"),
        ({"crop": {"algin": False}}, "crop key 'algin' is not known; did you mean 'align'"),
        ({"crop": {"align": "no"}}, "align='no' must be true or false"),
        ({"crop": {"align": False, "margin": -0.5}}, "margin=-0.5 must lie in -0.5..2"),
        ({"crop": {"align": False, "margin": float("nan")}}, "margin=nan must lie in"),
        ({"crop": [1]}, r"crop=\[1\] must be an object"),
        ({"heads": []}, "heads must be a list of one or more, with different names"),
        ({"heads": [HEAD, HEAD]}, "heads must be a list of one or more, with different names"),
        ({"heads": ["ferplus"]}, "heads holds 'ferplus', must be objects"),
        (head(temprature=1), "head key 'temprature' is not known; did you mean 'temperature'"),
        (head(output=None), "output=None must be a text"),
        ({"heads": [{"name": "a", "labels": list(BASIC)}]}, "key 'output' is missing"),
        (head(labels="neutral"), "labels='neutral' must be a list"),
        (head(labels=[1, 2]), r"labels=\[1, 2\] must be names"),
        (head(labels=["joy", "Happy"]), "labels=.* must be two or more different names"),
        (head(labels=["fear"]), "labels=.* must be two or more different names"),
        (head(activation="softmax"), "activation='softmax' must be logits or probabilities"),
        (head(temperature=0), "temperature=0.0 must be finite and above 0"),
        (head(temperature=float("nan")), "temperature=nan must be finite and above 0"),
        (head(temperature=float("inf")), "temperature=inf must be finite and above 0"),
        (head(temperature="1"), "temperature='1' must be a number"),
        (
            head(activation="probabilities", temperature=2),
            "temperature=2.0 is for logits; leave it out",
        ),
        (head(prior=[0.5, 0.5]), "prior=.* one finite value above 0 for each label"),
        (head(prior=[1, 1, 1, 1, 1, 1, 1, 0]), "prior=.* above 0 for each label"),
        (head(prior=[float("nan")] * 8), "prior=.* above 0 for each label"),
        (head(prior={"fear": 1}), "prior=.* must be a list"),
        (head(bias=[1, 2]), "bias=.* must have one finite value for each label"),
        ({"embedding": 4}, "embedding=4 must be a text"),
        ({"about": "mine"}, "about='mine' must be an object"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_wrong_key_is_named_with_its_rule(
    make_model: MakeModel, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_spec(make_model(**changes))
    assert "model.json" in str(caught.value)  # which file to mend


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (head(labels=list(BASIC[:7])), "'ferplus' has 8 values, model.json gives 7 labels"),
        (head(output="logits"), "no output 'logits', only ferplus, fer2013, embedding"),
        ({"embedding": "features"}, "no output 'features'"),
        ({"input": {"size": 64}}, "does not take the input of model.json"),
        ({"input": {"size": 48, "color": "rgb"}}, "does not take the input of model.json"),
        ({"input": {"size": 48, "layout": "nhwc"}}, "does not take the input of model.json"),
        ({"input": {"size": 48, "scale": 1, "dtype": "uint8"}}, "does not take the input of model.json"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_network_that_does_not_fit_its_json_is_refused(
    make_model: MakeModel, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Model(make_model(**changes))


def test_two_inputs_are_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["ferplus"])],
        "sum",
        [value(name, TensorProto.FLOAT, ["n", 8]) for name in "ab"],
        [value("ferplus", TensorProto.FLOAT, ["n", 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, str(tmp_path / "model.onnx"))
    describe(tmp_path, name="two", heads=[HEAD], embedding=None)
    with pytest.raises(ModelError, match="has 2 inputs, must have one"):
        Model(tmp_path)


def test_threads_below_zero_are_refused(tiny: Path) -> None:
    with pytest.raises(ArgumentError, match="threads=-1 must be 0"):
        Model(tiny, threads=-1)


def test_no_more_threads_than_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3}, raising=False)
    assert models.cores() == 1
    monkeypatch.delattr("os.sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert models.cores() == 1


def test_a_head_is_found_by_name(tiny_model: Model) -> None:
    assert tiny_model.spec.head().name == "ferplus"
    assert tiny_model.spec.head("fer2013").labels == BASIC[:7]
    with pytest.raises(
        ArgumentError, match=r"head='fer2012' .*\(it has ferplus, fer2013\); did you mean 'fer2013'"
    ):
        tiny_model.spec.head("fer2012")


def test_a_head_checks_itself_without_a_file() -> None:
    with pytest.raises(ModelError, match="temperature=-1"):
        Head("a", "a", ("fear", "anger"), temperature=-1)
    assert Head("a", "a", ("fear", "anger")).prior == ()


# --- evidence ---------------------------------------------------------------------------------------------


def with_evidence(folder: Path, *, rows: int = 4, seed: int = 0) -> Evidence:
    """Write evidence for the embedding of `tiny` into a model folder."""
    rng = np.random.default_rng(seed)
    shapes = ((rows, 36), (36,), (36,), (9, 36))
    found = Evidence(BASIC, "embedding", *(rng.normal(size=shape).astype(np.float32) for shape in shapes))
    evidence.save(found, folder / evidence.FILE)
    make_again(folder, evidence=sha256(folder / evidence.FILE))
    return found


def test_a_model_without_an_evidence_file_uses_that_of_any_model(tiny_model: Model) -> None:
    assert tiny_model.spec.evidence is None
    assert tiny_model.evidence is evidence.of_any_model()


def test_a_model_reads_its_own_evidence_file_once(make_model: MakeModel) -> None:
    folder = make_model()
    written = with_evidence(folder)
    model = Model(folder)
    assert model.spec.evidence == sha256(folder / evidence.FILE)
    assert model.evidence is model.evidence
    np.testing.assert_array_equal(model.evidence.weight, written.weight)
    output = model(crops(3))
    assert model.evidence(output.probabilities["ferplus"], output.embedding).shape == (3, 36)


def test_an_evidence_file_that_changed_is_refused(make_model: MakeModel) -> None:
    folder = make_model()
    with_evidence(folder)
    stamp = sha256(folder / evidence.FILE)
    with_evidence(folder, seed=1)
    describe(folder, evidence=stamp)
    with pytest.raises(ModelError, match=r"is damaged: evidence\.npz has sha256 .* install it again"):
        Model(folder)
    with pytest.raises(ModelError, match=r"evidence\.npz has sha256"):
        pyfer.predict(crops(1)[0], model=folder, crops=True, emotions="du2014")


def test_an_evidence_file_that_is_named_must_be_there(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match=r"lacks 'evidence\.npz', which its model\.json names"):
        Model(make_model(evidence="0" * 64))
    with pytest.raises(ModelError, match=r"evidence='12' must be 64 hexadecimal digits; 'sha256sum evidence"):
        Model(make_model(evidence="12"))
    assert Model(make_model(evidence=None)).spec.evidence is None


def test_an_evidence_file_that_is_none_is_an_error_of_ours(make_model: MakeModel) -> None:
    folder = make_model()
    (folder / evidence.FILE).write_bytes(b"no evidence")
    describe(folder, evidence=sha256(folder / evidence.FILE))
    with pytest.raises(ModelError, match="is no evidence file, or is damaged"):
        pyfer.predict(crops(1)[0], model=folder, crops=True, emotions="du2014")


def test_evidence_of_another_network_is_an_error_of_ours(make_model: MakeModel) -> None:
    folder = make_model()
    with_evidence(folder, rows=7)
    with pytest.raises(ModelError, match="reads 7 values of the embedding, the model gives 4"):
        pyfer.predict(crops(1)[0], model=folder, crops=True, emotions="du2014")


def test_add_installs_the_evidence_too(make_model: MakeModel) -> None:
    folder = make_model()
    written = with_evidence(folder)
    add(folder)
    np.testing.assert_array_equal(Model("mine").evidence.weight, written.weight)


# --- features ---------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A model that takes what a bank says of crops of 24 x 24: gray levels of 8 x 8."""
    pytest.importorskip("cv2")
    folder = tmp_path / "machine"
    folder.mkdir()
    weight = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["input", "w"], ["answer"])]
    shapes = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", k])
        for n, k in (("input", 64), ("answer", 8))
    ]
    graph = helper.make_graph(
        nodes, "machine", shapes[:1], shapes[1:], [numpy_helper.from_array(weight, "w")]
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "model.onnx",
    )
    Bank("pixels?size=8").save(folder / FEATURES)
    describe(
        folder,
        kind="svm",
        input={"size": 24, "color": "gray", "layout": "nhwc", "scale": 1.0, "dtype": "uint8"},
        heads=[{"name": "answer", "output": "answer", "labels": list(BASIC)}],
        embedding=...,
        features=sha256(folder / FEATURES),
    )
    return folder


def test_a_model_may_take_features(machine: Path) -> None:
    model = Model(machine)
    seen = crops(BATCH + 3, 24)
    weight = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    wanted = softmax(Bank("pixels?size=8")(seen) @ weight)
    np.testing.assert_allclose(model(seen).probabilities["answer"], wanted, atol=1e-5)
    large = crops(2, 80, colour=True)
    np.testing.assert_allclose(
        model(large).probabilities["answer"],
        model(model.spec.input(large)[..., 0]).probabilities["answer"],
        atol=1e-6,
    )
    assert model(seen[:0]).probabilities["answer"].shape == (0, 8)


def test_add_installs_the_features_too(machine: Path) -> None:
    installed_to = add(machine)
    assert (installed_to / FEATURES).read_bytes() == (machine / FEATURES).read_bytes()
    assert Model("machine").spec.features == sha256(machine / FEATURES)


def test_features_that_changed_or_are_missing_are_refused(machine: Path) -> None:
    Bank("pixels?size=9").save(machine / FEATURES)
    with pytest.raises(ModelError, match=r"is damaged: features\.npz has sha256"):
        Model(machine)
    (machine / FEATURES).unlink()
    with pytest.raises(ModelError, match=r"lacks 'features\.npz'"):
        Model(machine)


def test_features_take_gray_levels(make_model: MakeModel) -> None:
    with pytest.raises(ModelError, match="features need input dtype 'uint8'"):
        read_spec(make_model(features="0" * 64))


def test_an_embedding_is_a_feature(tiny: Path) -> None:
    one = models.Embedding(model=str(tiny))
    seen = crops(70)
    embedding = Model(tiny)(seen).embedding
    assert embedding is not None
    assert one.width == 4
    np.testing.assert_allclose(one(seen), embedding, atol=1e-6)
    bank = Bank.fit(one, seen)
    assert bank.to_dicts()[0]["sha256"] == sha256(tiny / "model.onnx")
    assert bank.fingerprint() != Bank(one).fingerprint()  # another network of that name is another bank


# --- films: models with a memory --------------------------------------------------------------------------


def logits_of(output: Output, head: str = "ferplus") -> NDArray[np.float64]:
    """Return log-probabilities, from which each row's mean is taken: logits up to what softmax ignores."""
    logs = np.log(output.probabilities[head].astype(np.float64))
    return np.asarray(logs - logs.mean(1, keepdims=True))


def summed(encoder: Model, film: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what `write_adder` says: the logits are the sums of the encoder's probabilities so far."""
    sums = encoder(film).probabilities["ferplus"].cumsum(0, dtype=np.float64)
    return np.asarray(sums - sums.mean(1, keepdims=True))


def test_a_memory_is_kept_and_a_new_person_has_none(make_rnn: MakeModel, tiny_model: Model) -> None:
    model, film = Model(make_rnn()), crops(5)
    wanted = summed(tiny_model, film)
    memory: Memory | None = None
    for k in range(5):
        output, (memory,) = model.step(film[k : k + 1], [memory], [0.1])
        np.testing.assert_allclose(logits_of(output)[0], wanted[k], atol=1e-5)
        assert memory is not None
        assert {name: value.shape for name, value in memory.items()} == {"memory": (8,)}
    fresh, _ = model.step(film[4:], [None], [0.0])
    np.testing.assert_allclose(logits_of(fresh), summed(tiny_model, film[4:]), atol=1e-5)


def test_persons_keep_apart_in_any_order(make_rnn: MakeModel, tiny_model: Model) -> None:
    model = Model(make_rnn())
    films = [crops(6, seed=k) for k in range(3)]
    wanted = [summed(tiny_model, film) for film in films]
    memories: dict[int, Memory | None] = {}
    begun = dict.fromkeys(range(3), 0)
    for there in ([0], [1, 0], [2, 0, 1], [1], [0, 2], [2, 1, 0], [1, 2]):  # they come, go and change places
        now = np.stack([films[i][begun[i]] for i in there])
        output, after = model.step(now, [memories.get(i) for i in there], np.full(len(there), 0.04))
        said = logits_of(output)
        for row, i in enumerate(there):
            np.testing.assert_allclose(said[row], wanted[i][begun[i]], atol=1e-5)
            memories[i] = after[row]
            begun[i] += 1
    assert begun == {0: 5, 1: 5, 2: 4}


def test_a_step_leaves_the_memory_it_was_given_alone(make_rnn: MakeModel) -> None:
    model, film = Model(make_rnn()), crops(2)
    _, (memory,) = model.step(film[:1], [None], [0])
    assert memory is not None
    before = memory["memory"].copy()
    first, _ = model.step(film[1:], [memory], [0.1])
    again, _ = model.step(film[1:], [memory], [0.1])
    np.testing.assert_array_equal(memory["memory"], before)
    np.testing.assert_array_equal(first.probabilities["ferplus"], again.probabilities["ferplus"])


def test_the_interval_is_given_but_not_for_a_new_person(make_rnn: MakeModel, tiny_model: Model) -> None:
    model, film = Model(make_rnn()), crops(2)
    plain = tiny_model(film).embedding
    assert plain is not None
    _, memories = model.step(film, [None, None], [0, 0])
    output, _ = model.step(film, [None, memories[1]], [7.0, 0.25])
    assert output.embedding is not None
    np.testing.assert_allclose(output.embedding - plain, [[0.0] * 4, [0.25] * 4], atol=1e-5)


def test_a_network_may_leave_the_interval_out(make_rnn: MakeModel) -> None:
    folder = make_rnn(embedding=None)
    node = helper.make_node
    write_graph(
        folder / "model.onnx",
        [
            node("Add", ["memory", "embedding"], ["next_memory"]),
            node("MatMul", ["next_memory", "w"], ["answer"]),
        ],
        {"embedding": ["n", 4], "memory": ["n", 4]},
        {"answer": ["n", 8], "next_memory": ["n", 4]},
        {"w": np.eye(4, 8, dtype=np.float32)},
    )
    changes = {"state": [{"name": "memory", "shape": [4]}], "embedding": None}
    model = Model(make_again(folder, **changes))
    film = model.film(crops(3), [0, 1, 2])
    seen = model.encoder(crops(3)).embedding if model.encoder else None
    assert seen is not None
    np.testing.assert_allclose(logits_of(film)[:, :4] - logits_of(film)[:, 4:], seen.cumsum(0), atol=1e-4)
    np.testing.assert_array_equal(film.embedding, seen)  # it has none of its own: the encoder's


def make_again(folder: Path, **changes: Any) -> Path:
    """Write the sha256 of a folder's changed network, and other changes, into its ``model.json``."""
    tree = json.loads((folder / "model.json").read_text())
    tree |= {"sha256": sha256(folder / "model.onnx")} | changes
    (folder / "model.json").write_text(json.dumps(tree))
    return folder


def test_a_still_is_the_first_frame_of_a_film(make_rnn: MakeModel, photo: Path) -> None:
    model, many = Model(make_rnn()), crops(BATCH + 6)
    still = model(many)
    steps, memories = model.step(many, [None] * len(many), np.zeros(len(many)))
    np.testing.assert_allclose(still.probabilities["ferplus"], steps.probabilities["ferplus"], atol=1e-6)
    assert still.embedding is not None
    assert still.embedding.shape == (BATCH + 6, 4)
    assert len(memories) == BATCH + 6
    assert len(pyfer.predict(photo, model=model)) == 1
    assert model(many[:0]).probabilities["ferplus"].shape == (0, 8)
    nobody, none = model.step(many[:0], [], [])
    assert none == []
    assert nobody.embedding is not None
    assert nobody.embedding.shape == (0, 4)


def test_a_film_is_its_steps(make_rnn: MakeModel, tiny_model: Model) -> None:
    model, film = Model(make_rnn()), crops(BATCH + 9)
    times = np.random.default_rng(3).uniform(0, 0.1, len(film)).cumsum() + 5
    output = model.film(film, times)
    np.testing.assert_allclose(logits_of(output), summed(tiny_model, film), atol=1e-3)
    plain = tiny_model(film).embedding
    assert output.embedding is not None
    np.testing.assert_allclose((output.embedding - plain)[:, 0], np.diff(times, prepend=times[0]), atol=1e-5)


def test_films_side_by_side_are_films_one_by_one(make_rnn: MakeModel, tiny_model: Model) -> None:
    lengths = [3, 0, 7, 1, 7, 5, *[2] * BATCH]
    films = [crops(n, seed=k) for k, n in enumerate(lengths)]
    times = [np.arange(n) / (k + 1) for k, n in enumerate(lengths)]
    model = Model(make_rnn())
    for one, film, each in zip(model.films(films, times), films, times, strict=True):
        alone = model.film(film, each)
        np.testing.assert_allclose(one.probabilities["ferplus"], alone.probabilities["ferplus"], atol=1e-6)
        np.testing.assert_allclose(one.embedding, alone.embedding, atol=1e-5)
        np.testing.assert_allclose(logits_of(one), summed(tiny_model, film), atol=1e-5)
    assert model.films([], []) == []


def test_networks_for_a_fixed_number_of_persons(make_rnn: MakeModel) -> None:
    free = Model(make_rnn())
    film, more = crops(4), [crops(4, seed=k) for k in range(4)]
    for batch in (1, 3):
        folder = make_rnn(f"fixed{batch}")
        write_adder(folder / "model.onnx", batch=batch)
        model = Model(make_again(folder))
        for one, other in zip(
            model.films([film, *more], [range(4)] * 5), free.films([film, *more], [range(4)] * 5), strict=True
        ):
            np.testing.assert_allclose(
                one.probabilities["ferplus"], other.probabilities["ferplus"], atol=1e-6
            )


def test_models_for_stills_take_films_and_steps_too(tiny_model: Model) -> None:
    film = crops(4)
    wanted = tiny_model(film).probabilities["fer2013"]
    output, memories = tiny_model.step(film, [None] * 4, np.zeros(4))
    assert memories == [None] * 4
    for found in (output, tiny_model.film(film, range(4)), tiny_model.films([film, film], [range(4)] * 2)[1]):
        np.testing.assert_array_equal(found.probabilities["fer2013"], wanted)
    assert tiny_model.spec.causal


def test_steps_with_any_recogniser(make_rnn: MakeModel, tiny_model: Model) -> None:
    class Foreign:
        """What a pipeline needs, and no more."""

        spec = tiny_model.spec

        def __call__(self, seen: NDArray[np.uint8]) -> Output:
            return tiny_model(seen)

    film, model = crops(3), Model(make_rnn())
    output, memories = stepped(Foreign(), film, [None] * 3, np.zeros(3))
    assert memories == [None] * 3
    np.testing.assert_array_equal(output.probabilities["ferplus"], tiny_model(film).probabilities["ferplus"])
    _, kept = stepped(model, film, [None] * 3, np.zeros(3))
    later, _ = stepped(model, film, kept, np.ones(3))
    wanted, _ = model.step(film, kept, np.ones(3))
    np.testing.assert_array_equal(later.probabilities["ferplus"], wanted.probabilities["ferplus"])
    assert not np.array_equal(later.probabilities["ferplus"], model(film).probabilities["ferplus"])


@pytest.mark.parametrize(
    ("memories", "interval", "message"),
    [
        ([None], [0, 0], "memories has 1 persons and interval shape .2,.; .* each of the 2 crops"),
        ([None, None], 0.0, r"interval shape \(\)"),
        ([None, {}], [0, 0], r"memories\[1\] holds nothing, must be what an earlier step"),
        ([{"memory": np.zeros(7, np.float32)}, None], [0, 0], r"memories\[0\] holds memory \(7,\)"),
        ([None, {"hidden": np.zeros(8, np.float32)}], [0, 0], r"memories\[1\] holds hidden \(8,\)"),
        ([None, {"memory": np.zeros(8, np.float32)}], [0, -0.1], r"interval=\[0.0, -0.1\] must be finite"),
        ([None, {"memory": np.zeros(8, np.float32)}], [0, np.nan], "must be finite seconds of 0 or more"),
    ],
)
def test_a_wrong_step_is_an_error_of_ours(
    make_rnn: MakeModel, memories: list[Memory | None], interval: Any, message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        Model(make_rnn()).step(crops(2), memories, interval)


@pytest.mark.parametrize(
    ("films", "times", "message"),
    [
        ([crops(2)], [], "times has 0 films, must have 1"),
        ([crops(2)], [[0.0]], r"times has shape \(1,\), must be \(2,\)"),
        ([crops(3)], [[0.0, 0.2, 0.1]], r"times\[2\]=0.1 must be finite seconds, not before the frame"),
        ([crops(2)], [[0.0, np.inf]], r"times\[1\]=inf must be finite"),
        ([crops(2), crops(2, 64)], [[0, 1], [0, 1]], "crops of all films must have the same size"),
    ],
)
def test_wrong_films_are_an_error_of_ours(
    make_rnn: MakeModel, films: list[NDArray[np.uint8]], times: list[list[float]], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        Model(make_rnn()).films(films, times)


def test_a_memory_that_is_no_number_is_an_error_not_an_answer(make_rnn: MakeModel) -> None:
    folder = make_rnn(embedding=None)
    node = helper.make_node
    write_graph(
        folder / "model.onnx",
        [
            node("Sub", ["memory", "interval"], ["less"]),  # (n, 8), negative from the second frame on
            node("Sqrt", ["less"], ["next_memory"]),
            node("Add", ["memory", "embedding"], ["answer"]),
        ],
        {"embedding": ["n", 4], "interval": ["n", 1], "memory": ["n", 4]},
        {"answer": ["n", 4], "next_memory": ["n", 4]},
    )
    changes = {
        "state": [{"name": "memory", "shape": [4]}],
        "heads": [{"name": "a", "output": "answer", "labels": list(BASIC[:4])}],
    }
    model = Model(make_again(folder, **changes))
    with pytest.raises(ModelError, match="output 'next_memory' holds values that are not finite"):
        model.film(crops(2), [0, 1])


# --- films: networks that see the frames themselves -------------------------------------------------------


def example_of_the_manual() -> dict[str, Any]:
    """Return the ``model.json`` of a recurrent network in docs/models.md."""
    text = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    return next(
        tree for tree in map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL)) if "state" in tree
    )


@pytest.fixture
def seeing(tmp_path: Path) -> Path:
    """The recurrent network of docs/models.md, which sees frames of 64 x 64: hidden and cell are maps 8 x 8.

    The cell adds up the means of tiles (8 x 8), the hidden map is half of the frame before; the answer is
    linear in the cell.
    """
    folder = tmp_path / "theirs"
    folder.mkdir()
    node, batch = helper.make_node, "n"
    weight = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32) / 8
    write_graph(
        folder / "model.onnx",
        [
            node("AveragePool", ["frame"], ["tiles"], kernel_shape=[8, 8], strides=[8, 8]),
            node("Add", ["cell", "tiles"], ["next_cell"]),
            node("Mul", ["tiles", "half"], ["next_hidden"]),
            node("Flatten", ["next_cell"], ["flat"]),
            node("MatMul", ["flat", "w"], ["scores"]),
        ],
        {"frame": [batch, 1, 64, 64], "hidden": [batch, 1, 8, 8], "cell": [batch, 1, 8, 8]},
        {"scores": [batch, 8], "next_hidden": [batch, 1, 8, 8], "next_cell": [batch, 1, 8, 8]},
        {"w": weight, "half": np.array(0.5, np.float32)},
    )
    tree = example_of_the_manual() | {"sha256": sha256(folder / "model.onnx")}
    (folder / "model.json").write_text(json.dumps(tree))
    return folder


def test_a_foreign_recurrent_network_runs_from_its_json_alone(seeing: Path, photo: Path) -> None:
    model = Model(seeing)
    assert model.spec.window > 1
    assert model.spec.causal
    films = [crops(5, 64), crops(2, 64, seed=1)]
    weight = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32) / 8
    for film, output in zip(films, model.films(films, [np.arange(5), np.arange(2)]), strict=True):
        tiles = (film / 255).reshape(-1, 8, 8, 8, 8).mean((2, 4)).reshape(-1, 64)
        scores = tiles.cumsum(0) @ weight
        np.testing.assert_allclose(
            logits_of(output, "affectnet"), scores - scores.mean(1, keepdims=True), atol=1e-3
        )
    _, (memory,) = model.step(films[0][:1], [None], [0])
    assert memory is not None
    assert {name: value.shape for name, value in memory.items()} == {"hidden": (1, 8, 8), "cell": (1, 8, 8)}
    np.testing.assert_allclose(memory["hidden"][0] * 2, memory["cell"][0], atol=1e-6)
    assert len(pyfer.predict(photo, model=seeing)) == 1


# --- films: networks that look both ways ------------------------------------------------------------------

WINDOW = 32
REACH = WINDOW // 4
"""Frames before and after that a network can see however its windows are cut."""


def smoothed(values: NDArray[np.floating], reach: int = REACH) -> NDArray[np.float64]:
    """Return sums (t, c) over the frames from `reach` before to `reach` after, nearer ones counting more.

    Each column has its offset, so that a frame counts even if it is all zero.
    """
    values = values + offsets(values.shape[1])
    weight = 1 + reach - np.abs(np.arange(-reach, reach + 1.0))
    columns = [np.convolve(column, weight)[reach : reach + len(column)] for column in values.T.astype(float)]
    return np.array(columns).T


def offsets(width: int) -> NDArray[np.float32]:
    return np.arange(width, dtype=np.float32) / (5 * width)


def smoother(seen: str, width: int) -> list[Any]:
    """Return nodes that give ``answer`` (n, w, width): `smoothed` of `seen` (n, w, width) where mask is 1."""
    node = helper.make_node
    return [
        node("Unsqueeze", ["mask", "last"], ["wide"]),
        node("Add", [seen, "offsets"], ["moved"]),
        node("Mul", ["moved", "wide"], ["there"]),
        node("Transpose", ["there"], ["turned"], perm=[0, 2, 1]),
        node("Conv", ["turned", "kernel"], ["blurred"], group=width, pads=[REACH, REACH]),
        node("Transpose", ["blurred"], ["answer"], perm=[0, 2, 1]),
    ]


def smoother_constants(width: int) -> dict[str, NDArray[Any]]:
    weight = 1 + REACH - np.abs(np.arange(-REACH, REACH + 1))
    return {
        "kernel": np.tile(weight.astype(np.float32), (width, 1, 1)),
        "last": np.array([-1]),
        "offsets": offsets(width),
    }


@pytest.fixture
def both_ways(make_rnn: MakeModel) -> Path:
    """A network on the encoder `tiny` that looks both ways; the embedding is `tiny`'s plus the interval."""
    folder = make_rnn("smoother")
    write_graph(
        folder / "model.onnx",
        [
            *smoother("probabilities", 15),
            helper.make_node("Add", ["embedding", "interval"], ["seen"]),
        ],
        {
            "embedding": ["n", WINDOW, 4],
            "probabilities": ["n", WINDOW, 15],
            "interval": ["n", WINDOW, 1],
            "mask": ["n", WINDOW],
        },
        {"answer": ["n", WINDOW, 15], "seen": ["n", WINDOW, 4]},
        smoother_constants(15),
    )
    names = [*BASIC, *(f"other {k}" for k in range(7))]
    heads = [{"name": "all", "output": "answer", "labels": names}]
    return make_again(folder, window=WINDOW, state=None, heads=heads)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100])
def test_windows_are_as_good_as_the_whole_film(both_ways: Path, tiny_model: Model, length: int) -> None:
    model, film = Model(both_ways), crops(length)
    assert not model.spec.causal
    plain = tiny_model(film)
    times = np.random.default_rng(1).uniform(0, 0.2, length).cumsum()
    output = model.film(film, times)
    sums = smoothed(np.concatenate(list(plain.probabilities.values()), axis=1))
    np.testing.assert_allclose(logits_of(output, "all"), sums - sums.mean(1, keepdims=True), atol=1e-4)
    assert output.embedding is not None
    waited = np.diff(times, prepend=times[0])
    np.testing.assert_allclose((output.embedding - plain.embedding)[:, 2], waited, atol=1e-5)


def test_films_of_any_length_side_by_side_look_both_ways(both_ways: Path) -> None:
    model = Model(both_ways)
    films = [crops(n, seed=n) for n in (40, 0, 1, 65)]
    times = [np.arange(len(film)) / 25 for film in films]
    for one, film, each in zip(model.films(films, times), films, times, strict=True):
        alone = model.film(film, each)
        np.testing.assert_allclose(one.probabilities["all"], alone.probabilities["all"], atol=1e-5)
        assert len(one.probabilities["all"]) == len(film)


def test_a_still_for_a_network_that_looks_both_ways(both_ways: Path) -> None:
    model, many = Model(both_ways), crops(BATCH + 5)
    still = model(many)
    for k in (0, BATCH + 4):
        alone = model.film(many[k : k + 1], [3.0])
        np.testing.assert_allclose(still.probabilities["all"][k], alone.probabilities["all"][0], atol=1e-6)
    assert model(many[:0]).probabilities["all"].shape == (0, 15)


def test_a_network_that_looks_both_ways_takes_no_step(both_ways: Path) -> None:
    with pytest.raises(ArgumentError, match=r"takes 32 frames at once and looks both ways.* use film"):
        Model(both_ways).step(crops(1), [None], [0])


def test_a_network_that_sees_the_frames_of_a_window(tmp_path: Path) -> None:
    node = helper.make_node
    write_graph(
        tmp_path / "model.onnx",
        [
            node("ReduceMean", ["film"], ["row"], axes=[2, 4], keepdims=0),  # (n, w, 1, 48, 48) -> (n, w, 48)
            *smoother("row", 48),
        ],
        {"film": ["n", WINDOW, 1, 48, 48], "mask": ["n", WINDOW]},
        {"answer": ["n", WINDOW, 48]},
        smoother_constants(48),
    )
    heads = [{"name": "rows", "output": "answer", "labels": [f"row {k}" for k in range(48)]}]
    describe(tmp_path, name="rows", window=WINDOW, heads=heads, embedding=None, input={"size": 48})
    model, film = Model(tmp_path), crops(70)
    wanted = smoothed((film / 255).mean(2))
    wanted -= wanted.mean(1, keepdims=True)
    np.testing.assert_allclose(logits_of(model.film(film, np.arange(70)), "rows"), wanted, atol=1e-3)
    still = logits_of(model(film[:3]), "rows")
    alone = (1 + REACH) * (
        (film[:3] / 255).mean(2) + offsets(48)
    )  # the frame itself counts so much, and there is no other
    np.testing.assert_allclose(still, alone - alone.mean(1, keepdims=True), atol=1e-3)


@QUICK
@given(st.integers(0, 300), st.integers(2, 40))
def test_windows_cover_a_film_once(length: int, size: int) -> None:
    found = cuts(length, size)
    kept = [t for _, first, stop in found for t in range(first, stop)]
    assert kept == list(range(length))
    margin = (size - max(1, size // 2)) // 2
    for start, first, stop in found:
        assert 0 <= start <= first < stop <= start + size
        assert first == 0 or first - start >= margin
        assert stop == length or start + size - stop >= margin


# --- films: what is refused -------------------------------------------------------------------------------

STATE = {"name": "memory", "shape": [8]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": STATE}, "state=.* must be a list"),
        ({"state": ["memory"]}, "state holds 'memory', must be objects with name and shape"),
        ({"state": [{"name": "memory"}]}, "key 'shape' is missing"),
        ({"state": [{**STATE, "shap": [8]}]}, "state key 'shap' is not known; did you mean 'shape'"),
        ({"state": [{**STATE, "shape": []}]}, "state 'memory': shape=.* must be whole numbers of 1 or more"),
        ({"state": [{**STATE, "shape": [0]}]}, "state 'memory': shape=.* must be whole numbers"),
        ({"state": [{**STATE, "shape": [8.0]}]}, "state 'memory': shape=.* must be whole numbers"),
        ({"state": [{**STATE, "shape": [True]}]}, "state 'memory': shape=.* must be whole numbers"),
        ({"state": [{**STATE, "name": "mask"}]}, "state name='mask' must be a name other than"),
        ({"state": [{**STATE, "name": ""}]}, "state name='' must be a name"),
        ({"state": [STATE, STATE]}, "state must be a list with different names"),
        ({"window": 1}, "window=1 is for stills; with a state it must be the length"),
        ({"encoder": "tiny"}, "encoder='tiny' must be an object"),
        ({"encoder": {"model": "tiny"}}, "key 'sha256' is missing"),
        ({"encoder": {"model": "tiny", "sha256": "12"}}, "sha256='12' must be 64 hexadecimal digits"),
        ({"encoder": {"model": "", "sha256": "0" * 64}}, "encoder model='' must be the name of an installed"),
        ({"encoder": {"model": "tiny", "sha256": "0" * 64}}, "encoder model='tiny' has sha256 .* with 0000"),
        ({"encoder": {"model": "tny", "sha256": "0" * 64}}, "encoder model='tny' is neither .* mean 'tiny'"),
        ({"encoder": {"model": "a\0b", "sha256": "0" * 64}}, "is neither an installed model"),
        ({"encoder": {"model": "tiny", "sha": ""}}, "encoder key 'sha' is not known"),
        ({"input": {"size": 48, "color": "rgb"}}, "input must be that of the encoder; leave it out"),
        ({"crop": {"align": False}}, "crop must be that of the encoder; leave it out"),
        ({"features": "0" * 64}, "features and encoder exclude each other"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_wrong_key_of_a_recurrent_model_is_named(
    make_rnn: MakeModel, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        read_spec(make_rnn(**changes))


def test_the_encoder_says_what_is_done_to_crops(
    make_rnn: MakeModel, tiny: Path, make_model: MakeModel
) -> None:
    spec, encoder = read_spec(make_rnn()), read_spec(tiny)
    assert (spec.input, spec.align, spec.margin) == (encoder.input, encoder.align, encoder.margin)
    said = {"input": encoder.input.to_dict(), "crop": {"align": True}}
    assert read_spec(make_rnn("said", **said)).input == encoder.input
    add(make_model("wide", crop={"align": False, "margin": 0.3}))
    wide = {"encoder": {"model": "wide", "sha256": encoder.sha256}}
    assert (read_spec(make_rnn("on-wide", **wide)).align, read_spec(make_rnn("on-wide", **wide)).margin) == (
        False,
        0.3,
    )


def test_an_encoder_must_see_pictures_one_by_one(make_rnn: MakeModel, make_model: MakeModel) -> None:
    first = make_rnn()
    add(first)
    on = {"encoder": {"model": "adder", "sha256": sha256(first / "model.onnx")}}
    with pytest.raises(
        ModelError, match="encoder model='adder' has 'encoder'; it must be a network that sees"
    ):
        read_spec(make_rnn("second", **on))
    itself = make_rnn("itself", encoder={"model": "../itself", "sha256": "0" * 64})
    with pytest.raises(ModelError, match=r"encoder model='\.\./itself' has 'encoder'"):
        read_spec(itself)
    window = make_model("window", window=4)
    with pytest.raises(ModelError, match="has window=4, must be 1: stills"):
        read_spec(make_rnn("third", encoder={"model": str(window), "sha256": "0" * 64}))


@pytest.mark.parametrize(
    ("inputs", "outputs", "changes", "message"),
    [
        ("embedding interval", "answer next_memory", {}, "no input 'memory', only embedding, interval"),
        ("embedding memory", "answer", {}, "no output 'next_memory', only answer"),
        ("memory", "answer next_memory", {}, "has neither the input embedding nor probabilities"),
        ("embedding memory face", "answer next_memory", {}, "the input 'face', must have embedding, prob"),
        (
            "embedding memory",
            "answer next_memory",
            {"state": [{**STATE, "shape": [2]}]},
            "does not take the inp",
        ),
        ("embedding", "answer", {"state": None}, "no input 'mask', only embedding"),
        (
            "embedding memory",
            "answer next_memory",
            {"encoder": None, "input": {"size": 48}},
            "does not take the input of model.json",
        ),
        (
            "a b memory",
            "answer next_memory",
            {"encoder": None, "input": {"size": 48}},
            "has 2 inputs besides memory, interval, must have one",
        ),
    ],
)
def test_a_recurrent_network_that_does_not_fit_its_json_is_refused(
    make_rnn: MakeModel, inputs: str, outputs: str, changes: dict[str, Any], message: str
) -> None:
    folder = make_rnn()
    names = inputs.split()
    nodes = [helper.make_node("Sum", names, ["sum"])]
    nodes += [helper.make_node("Identity", ["sum"], [name]) for name in outputs.split()]
    shapes: dict[str, list[str | int]] = {
        name: ["n", 1 if name == "interval" else 4] for name in names + outputs.split()
    }
    write_graph(
        folder / "model.onnx", nodes, {n: shapes[n] for n in names}, {n: shapes[n] for n in outputs.split()}
    )
    tree = {
        "state": [{"name": "memory", "shape": [4]}],
        "heads": [{"name": "a", "output": "answer", "labels": list(BASIC[:4])}],
        "embedding": None,
    }
    with pytest.raises(ModelError, match=message):
        Model(make_again(folder, **(tree | changes)))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            ("Concat", ["memory", "memory"], {"axis": 1}),
            r"'next_memory' has shape \(2, 8\), must be \(2, 4\)",
        ),
        (("Transpose", ["memory"], {"perm": [1, 0]}), r"'next_memory' has shape \(4, 2\), must be \(2, 4\)"),
        (("Log", ["memory"], {}), "'next_memory' holds values that are not finite"),
    ],
)
def test_a_state_that_comes_back_otherwise_is_refused(
    make_rnn: MakeModel, node: tuple[str, list[str], dict[str, Any]], message: str
) -> None:
    folder = make_rnn(embedding=None)
    kind, names, attributes = node
    write_graph(
        folder / "model.onnx",
        [
            helper.make_node(kind, names, ["next_memory"], **attributes),
            helper.make_node("Add", ["memory", "embedding"], ["answer"]),
        ],
        {"embedding": ["n", 4], "memory": ["n", 4]},
        {"answer": ["n", 4], "next_memory": ["k", "l"]},
    )
    heads = [{"name": "a", "output": "answer", "labels": list(BASIC[:4])}]
    with pytest.raises(ModelError, match=message):
        Model(make_again(folder, state=[{"name": "memory", "shape": [4]}], heads=heads))


def test_a_network_with_frames_and_films_changed_over_is_refused(both_ways: Path) -> None:
    write_graph(
        both_ways / "model.onnx",
        [
            *smoother("probabilities", 15)[:-1],
            helper.make_node("Transpose", ["blurred"], ["answer"], perm=[2, 0, 1]),
        ],
        {"probabilities": ["n", WINDOW, 15], "mask": ["n", WINDOW]},
        {"answer": [WINDOW, "n", 15]},
        smoother_constants(15),
    )
    with pytest.raises(ModelError, match=r"'answer' has shape \(32, 2, 15\), must be \(2, 32, 15\)"):
        Model(make_again(both_ways, embedding=None))


def test_an_encoder_that_changed_or_gives_no_embedding_is_refused(
    make_rnn: MakeModel, make_model: MakeModel, home: Path
) -> None:
    folder = make_rnn()
    Model(folder)
    (home / "models" / "tiny" / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"is damaged: model\.onnx has sha256"):
        Model(folder)  # its network is open, but what is there now is not that
    blind = make_model("blind", embedding=None)
    on = {"model": str(blind), "sha256": sha256(blind / "model.onnx")}
    with pytest.raises(ModelError, match=r"takes the embedding of its encoder, but .* gives none"):
        Model(make_rnn("other", encoder=on))


def test_models_share_their_encoder(make_rnn: MakeModel, home: Path) -> None:
    one, other = Model(make_rnn()), Model(make_rnn("other"))
    assert one.encoder is other.encoder is not None
    warm = json.loads((home / "models" / "tiny" / "model.json").read_text())
    warm["heads"][0]["temperature"] = 9.0
    (home / "models" / "tiny" / "model.json").write_text(json.dumps(warm))
    fresh = Model(one.folder)
    assert fresh.encoder is not one.encoder  # the same network, read otherwise
    assert not np.allclose(
        fresh(crops(1)).probabilities["ferplus"], one(crops(1)).probabilities["ferplus"], atol=1e-3
    )


def test_add_wants_the_encoder_installed(make_rnn: MakeModel, tiny: Path, home: Path) -> None:
    here = make_rnn("here", encoder={"model": str(tiny), "sha256": sha256(tiny / "model.onnx")})
    assert Model(here).encoder is not None
    with pytest.raises(ModelError, match=r"its encoder .* must be another model that is installed"):
        add(here)
    with pytest.raises(ModelError, match="its encoder 'tiny' must be another model"):
        add(make_rnn("tiny"))  # it would take its encoder's place
    assert sorted(path.name for path in (home / "models").iterdir()) == ["tiny"]
    add(make_rnn("adder"))
    assert Model("adder").film(crops(2), [0, 1]).probabilities["ferplus"].shape == (2, 8)


def test_evidence_is_the_encoders_where_it_can_read_the_answers(
    make_rnn: MakeModel, home: Path, tiny: Path
) -> None:
    assert Model(make_rnn()).evidence is evidence.of_any_model()
    written = with_evidence(home / "models" / "tiny")
    model = Model(make_rnn("second"))
    np.testing.assert_array_equal(model.evidence.weight, written.weight)
    assert model.encoder is not None
    assert model.evidence is model.encoder.evidence
    wide = Model(make_rnn("third", embedding="answer"))  # 8 numbers, where the evidence reads 4
    assert wide.evidence is evidence.of_any_model()
    without = Model(make_rnn("fourth", embedding=None))
    assert without.evidence is without.encoder.evidence if without.encoder else False
    np.testing.assert_allclose(without(crops(3)).embedding, Model(tiny)(crops(3)).embedding, atol=1e-6)
    own = make_rnn("fifth")
    mine = with_evidence(own, seed=5)
    np.testing.assert_array_equal(Model(own).evidence.weight, mine.weight)


def test_a_recurrent_model_is_a_feature_by_its_stills(make_rnn: MakeModel) -> None:
    add(make_rnn())
    one = models.Embedding(model="adder")
    assert one.width == 4
    np.testing.assert_array_equal(one(crops(3)), Model("adder")(crops(3)).embedding)


def test_models_list_and_show_say_how_films_are_seen(run: Run, make_rnn: MakeModel, both_ways: Path) -> None:
    add(make_rnn())
    add(both_ways)
    listed = run("models", "list").out
    assert "frame by frame, window 16, state: memory (8); encoder: tiny (" in listed
    assert "both ways, window 32; encoder: tiny (" in listed
    stills = next(line for line in listed.splitlines() if line.startswith("base"))
    assert "window" not in stills
    shown = run("models", "show", "adder")
    assert shown.status == 0
    assert shown.out.startswith("frame by frame, window 16, state: memory (8)")
    assert run("models", "verify", "adder").status == 0


# --- where models lie -------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for the folder of shipped models, with `base` in it and a folder that is no recogniser."""
    root = tmp_path / "shipped"
    shutil.copytree(tiny, root / "base")
    describe(root / "base")
    (root / "mtcnn").mkdir()
    monkeypatch.setattr(models.folders, "_SHIPPED", root)
    return root


def test_the_default_is_the_shipped_base(shipped: Path) -> None:
    assert find(None) == shipped / "base"
    assert Model().name == "base"


def test_installed_lists_shipped_and_added_ones_and_nothing_half_done(
    shipped: Path, home: Path, make_model: MakeModel
) -> None:
    assert dict(installed()) == {"base": shipped / "base"}
    target = add(make_model("mine"))
    assert target == home / "models" / "mine"
    shutil.copytree(target, home / "models" / ".mine.0123")  # what a crash in `add` leaves
    (home / "models" / "notes.txt").write_text("x")
    assert dict(installed()) == {"base": shipped / "base", "mine": target}
    assert find("mine") == target


def test_an_unknown_name_gets_the_nearest_one(shipped: Path, make_model: MakeModel) -> None:
    add(make_model("mine"))
    with pytest.raises(
        ModelError,
        match=r"'mien' is neither an installed model \(base, mine\) nor a folder; did you mean 'mine'",
    ):
        find("mien")


@pytest.mark.parametrize("name", ["", "no/such/folder", "a\0b", "x" * 5000])
def test_odd_names_are_an_error_of_ours(name: str) -> None:
    with pytest.raises(ModelError, match="is neither an installed model"):
        find(name)


def test_a_string_is_the_installed_model_and_a_path_the_folder(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model("mine")
    target = add(folder)
    monkeypatch.chdir(tmp_path)
    assert find("mine") == target
    assert find("./mine").resolve() == folder.resolve()
    assert find(Path("mine")).resolve() == folder.resolve()


def test_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYFER_HOME", "~/things")
    assert models.home() == tmp_path / "things"
    monkeypatch.setenv("PYFER_HOME", "")
    assert models.home() == tmp_path / ".local" / "share" / "pyfer"
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # a user that the system does not know
    assert list(installed()) == list(installed())


def test_add_replaces_an_older_version_whole(make_model: MakeModel, home: Path) -> None:
    first = make_model("mine")
    (first / "README.md").write_text("old card")
    add(first)
    second = make_model("next", name="mine", about={"version": 2})
    (second / "notes").mkdir()  # folders in a model folder are nothing of ours
    target = add(second)
    assert sorted(path.name for path in target.iterdir()) == ["model.json", "model.onnx"]
    assert read_spec(target).about == {"version": 2}
    assert [path.name for path in (home / "models").iterdir()] == ["mine"]


def test_add_takes_the_folder_named_even_when_an_installed_model_has_that_name(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(make_model("mine"))
    make_model("mine", about={"version": 2})
    monkeypatch.chdir(tmp_path)
    assert read_spec(add("mine")).about == {"version": 2}


def test_add_of_the_installed_folder_itself_keeps_it(make_model: MakeModel) -> None:
    target = add(make_model("mine"))
    assert add(target) == target
    assert Model("mine").name == "mine"


def test_what_add_installs_others_may_read(make_model: MakeModel) -> None:
    folder = make_model("mine")
    folder.chmod(0o755)
    assert stat.S_IMODE(add(folder).stat().st_mode) & 0o055 == 0o055


def test_add_refuses_a_damaged_folder_and_keeps_the_older_version(make_model: MakeModel, home: Path) -> None:
    target = add(make_model("mine"))
    bad = make_model("bad", name="mine", sha256="0" * 64)
    with pytest.raises(ModelError, match="is damaged"):
        add(bad)
    assert Model("mine").folder == target
    assert [path.name for path in (home / "models").iterdir()] == ["mine"]


def test_add_that_fails_while_copying_leaves_everything_as_it_was(
    make_model: MakeModel, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = add(make_model("mine"))
    before = (target / "model.json").read_text()
    newer = make_model("newer", name="mine", about={"version": 2})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(ModelError, match=r"'mine' cannot be installed as .*No space left"):
        add(newer)
    assert (target / "model.json").read_text() == before
    assert [path.name for path in (home / "models").iterdir()] == ["mine"]


def test_add_refuses_the_names_of_shipped_models(shipped: Path, make_model: MakeModel, home: Path) -> None:
    for name in ("base", "mtcnn"):
        with pytest.raises(ModelError, match=f"name='{name}' is that of a model that ships"):
            add(make_model("other", name=name))
    assert not (home / "models").exists()


def test_add_where_nothing_can_be_written_is_an_error_of_ours(make_model: MakeModel, home: Path) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="cannot be installed as"):
        add(make_model("mine"))
