"""Model folders: what fits runs, all else is refused with the reason; where added and shipped ones lie."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, describe, write_network
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
from pyfer.models import BATCH, FEATURES, Head, Model, add, find, installed, read_spec, shares, softmax

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

    monkeypatch.setattr(models, "sha256", closed)
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
        ({"window": 5}, "window=5: this version runs models that look at one frame"),
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
    describe(folder, evidence=sha256(folder / evidence.FILE))
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


# --- where models lie -------------------------------------------------------------------------------------


@pytest.fixture
def shipped(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-in for the folder of shipped models, with `base` in it and a folder that is no recogniser."""
    root = tmp_path / "shipped"
    shutil.copytree(tiny, root / "base")
    describe(root / "base")
    (root / "mtcnn").mkdir()
    monkeypatch.setattr(models, "_SHIPPED", root)
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
