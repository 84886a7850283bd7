import json

import numpy as np
import pytest
import torch
from torch import nn

from hierlearn import (
    AdaptiveSoftmaxClassifier,
    LabelEmbeddingClassifier,
    PartitionSoftmaxClassifier,
    SampledSoftmaxClassifier,
    TorchClassifier,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.exceptions import MissingExtraError
from hierlearn.networks import as_module, export, export_graph

SETTINGS = {"max_epochs": 2, "lr": 0.01, "random_state": 0}
LAYERS = ("conv 3x3|8 pad 1", "norm", "pool 2", "conv 3x3|4", "fc 16")


@pytest.fixture(scope="module")
def train(digits):
    """Three hundred digits, pixels from 0 to 1."""
    return digits[0][:300] / 16, digits[1][:300]


@pytest.fixture(scope="module")
def test(digits):
    """A hundred others."""
    return digits[0][300:] / 16, digits[1][300:]


def mlp(**params):
    return TorchMLPClassifier((16,), **{**SETTINGS, **params})


def cnn(**params):
    return TorchCNNClassifier(LAYERS, input_shape=(1, 8, 8), **{**SETTINGS, **params})


def unknown_to_us(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, 16), nn.SiLU(), nn.Linear(16, n_outputs))


def plain_layers(n_features, n_outputs):
    return nn.Sequential(
        nn.Sequential(nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 4, 3, stride=2, padding=1)),
        nn.Sequential(nn.BatchNorm2d(4), nn.Identity(), nn.Tanh(), nn.Dropout2d(0.1)),
        nn.Flatten(),
        nn.BatchNorm1d(64),
        nn.Linear(64, n_outputs, bias=False),
    )


CASES = {
    "relu": mlp(),
    "gelu": mlp(activation="gelu", dropout=0.1),
    "tanh": mlp(activation="tanh", input_dropout=0.1),
    "logistic": mlp(activation="logistic"),
    "linear": mlp().set_params(hidden_layer_sizes=()),
    "double": mlp(dtype="float64"),
    "cnn": cnn(),
    "cnn, batch norm": cnn(batch_norm=True, standardise=True),
    "own layers": TorchClassifier(plain_layers, **SETTINGS),
    "two-level": PartitionSoftmaxClassifier((16,), n_clusters=3, **SETTINGS),
    "adaptive": AdaptiveSoftmaxClassifier((16,), cutoffs=[3, 6], **SETTINGS),
    "adaptive, flat": AdaptiveSoftmaxClassifier((16,), cutoffs=[], **SETTINGS),
    "sampled": SampledSoftmaxClassifier((16,), **SETTINGS),
}
# Its layers go through torch's own exporter, which takes its time.
TRANSFERRED = TransferClassifier(unknown_to_us(64, 5), layer="0", **SETTINGS)


@pytest.mark.parametrize("name", CASES)
def test_onnx_gives_the_probabilities(name, train, test, onnx_probabilities):
    clf = CASES[name].fit(*train)
    rows = test[0].reshape(-1, *clf._input_shape)
    expected = clf.predict_proba(test[0])
    np.testing.assert_allclose(onnx_probabilities(clf, rows), expected, atol=1e-5)
    np.testing.assert_allclose(onnx_probabilities(clf, rows[:1]), expected[:1], atol=1e-5)


@pytest.mark.parametrize("name", [*CASES, "transferred"])
def test_module_gives_the_probabilities(name, train, test):
    clf = {**CASES, "transferred": TRANSFERRED}[name].fit(*train)
    module = as_module(clf)
    expected = clf.predict_proba(test[0])
    found = module(torch.from_numpy(test[0]))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    assert not module.training
    assert next(module.parameters()).dtype == next(clf.module_.parameters()).dtype


def test_module_is_a_copy(train, test):
    clf = mlp().fit(*train)
    before = clf.predict_proba(test[0])
    with torch.no_grad():
        for parameter in as_module(clf).parameters():
            parameter.zero_()
    np.testing.assert_array_equal(clf.predict_proba(test[0]), before)


def test_module_goes_through_torch_export(train, test):
    clf = mlp().fit(*train)
    shapes = ({0: torch.export.Dim("rows", max=2**20)},)
    rows = (torch.zeros(2, 64),)
    program = torch.export.export(as_module(clf), rows, dynamic_shapes=shapes, strict=False)
    found = program.module()(torch.from_numpy(test[0]).float())
    np.testing.assert_allclose(found.numpy(), clf.predict_proba(test[0]), atol=1e-5)


def test_multilabel_onnx_gives_a_probability_a_label(train, test, onnx_probabilities):
    y = (train[1][:, None] >> np.arange(4)) % 2
    clf = mlp().fit(train[0], y)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


def test_layers_unknown_to_us_go_through_torch(train, test, onnx_probabilities):
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    clf = TorchClassifier(unknown_to_us, **SETTINGS).fit(*train)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


@pytest.mark.long
def test_transferred_layers_go_through_torch(train, test, onnx_probabilities):
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    clf = TRANSFERRED.fit(*train)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


def test_uint8_images_are_taken(train, test, onnx_probabilities):
    X, images = ((16 * part).astype(np.uint8) for part in (train[0], test[0]))
    clf = cnn().fit(X, train[1])
    rows = images.reshape(-1, 1, 8, 8)
    found = onnx_probabilities(clf, rows, input_dtype="uint8")
    np.testing.assert_allclose(found, clf.predict_proba(images), atol=1e-5)


@pytest.mark.parametrize("labels", [np.arange(10), np.array([f"☃ {n}" for n in range(10)])])
def test_metadata_name_the_classes(labels, train, tmp_path, onnx_session):
    clf = mlp().fit(train[0], labels[train[1]])
    clf.to_onnx(tmp_path / "model.onnx")
    session = onnx_session(tmp_path / "model.onnx")
    facts = {
        name: json.loads(text) for name, text in session.get_modelmeta().custom_metadata_map.items()
    }
    classes = np.array(facts["classes"], dtype=facts["classes_dtype"])
    np.testing.assert_array_equal(classes, clf.classes_)
    assert facts["row_shape"] == [64]
    assert facts["multilabel"] is False
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape, given.type) == ("rows", ["n_samples", 64], "tensor(float)")
    assert (answer.name, answer.shape) == ("probabilities", ["n_samples", 10])


def test_large_models_keep_their_weights_beside_the_file(
    train, test, onnx_session, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "MAX_BYTES", 100)
    clf = TorchMLPClassifier((64,), **SETTINGS).fit(*train)
    clf.to_onnx(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx.data").stat().st_size > 64 * 64 * 4
    rows = test[0].astype(np.float32)
    (found,) = onnx_session(tmp_path / "model.onnx").run(None, {"rows": rows})
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


def test_missing_package_names_the_extra(train, tmp_path, monkeypatch):
    clf = mlp().fit(*train)

    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(export_graph, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"hierlearn\[onnx\]"):
        clf.to_onnx(tmp_path / "model.onnx")


def test_answers_beyond_the_network_are_refused(train):
    y = np.eye(10, dtype=int)[train[1]]
    clf = LabelEmbeddingClassifier(max_epochs=1, random_state=0).fit(train[0], y)
    with pytest.raises(ValueError, match="LabelEmbeddingClassifier"):
        as_module(clf)


def test_other_estimators_are_refused():
    with pytest.raises(ValueError, match="Got str instead"):
        as_module("network")


def test_other_input_types_are_refused(train, tmp_path):
    clf = mlp().fit(*train)
    with pytest.raises(ValueError, match="input_dtype must be"):
        clf.to_onnx(tmp_path / "model.onnx", input_dtype="int8")
