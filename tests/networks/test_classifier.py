"""Torch networks keep scikit-learn's contract: labels, inputs, outputs, errors."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import cross_val_predict
from torch import nn

from hierlearn import TorchClassifier, TorchMLPClassifier
from hierlearn.networks import mlp

SPARSE = [
    sparse.csr_matrix,
    sparse.csr_array,
    sparse.csc_matrix,
    sparse.csc_array,
    sparse.coo_array,
]


def linear(n_features, n_outputs):
    return nn.Sequential(nn.Linear(n_features, n_outputs))


def cnn(shape, n_outputs, channels=4):
    return nn.Sequential(
        nn.Conv2d(shape[0], channels, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(channels * (shape[1] // 2) * (shape[2] // 2), n_outputs),
    )


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["ape", "bee", "cat"]),
        np.array(["ape", "bee", "cat"], dtype=object),
        np.array([-7, -1, 3]),
        np.array([-2.0, 0.0, 5.0]),
        np.array([0, 7, 255], dtype=np.uint8),
        np.array([10, 20, 30], dtype=object),
        np.array(["", "é", "日本"]),
    ],
    ids=["str", "object-str", "negative", "float", "uint8", "object-int", "unicode"],
)
def test_labels_come_back_as_given(small, blobs, labels):
    X, codes = blobs
    reference = small().fit(X, codes)
    clf = small().fit(X, labels[codes])
    assert clf.classes_.dtype == labels.dtype
    assert_array_equal(clf.classes_, labels)
    predicted = clf.predict(X)
    assert predicted.dtype == labels.dtype
    assert_array_equal(predicted, labels[reference.predict(X)])
    assert_array_equal(clf.predict_proba(X), reference.predict_proba(X))
    assert np.mean(predicted == labels[codes]) > 0.9


@pytest.mark.parametrize("labels", [np.array([False, True]), np.array([False, True], dtype=object)])
def test_boolean_labels_come_back_as_given(small, blobs, labels):
    X, codes = blobs
    clf = small().fit(X, labels[(codes == 1).astype(int)])
    assert clf.classes_.dtype == labels.dtype
    assert_array_equal(clf.predict(X), labels[(codes == 1).astype(int)])


@pytest.mark.parametrize(
    "wrap",
    [list, pd.Series, lambda y: pd.Series(pd.Categorical(y)), lambda y: y[:, None]],
    ids=["list", "Series", "Categorical", "column"],
)
def test_containers_of_labels(small, blobs, wrap):
    X, codes = blobs
    names = np.array(["ape", "bee", "cat"])[codes]
    clf = small()
    if isinstance(wrap(names), np.ndarray):
        with pytest.warns(DataConversionWarning):
            clf.fit(X, wrap(names))
    else:
        clf.fit(X, wrap(names))
    assert_array_equal(clf.predict(X), small().fit(X, names).predict(X))


def test_a_label_missing_from_a_fold_gets_a_column_of_zeros(small, blobs):
    X, y = blobs
    y = np.where(np.arange(60) == 0, 9, y)
    folds = [(np.arange(1, 60), np.arange(1)), (np.arange(30), np.arange(1, 60))]
    with pytest.warns(RuntimeWarning, match="Number of classes"):
        scores = cross_val_predict(small(), X, y, cv=folds, method="predict_proba")
    assert scores.shape == (60, 4)
    assert scores[0, 3] == 0


# -- outputs ---------------------------------------------------------------------------------------


def test_outputs_of_many_classes_agree(small, blobs):
    X, y = blobs
    clf = small().fit(X, y)
    decision, posterior = clf.decision_function(X), clf.predict_proba(X)
    assert decision.shape == posterior.shape == (60, 3)
    assert_allclose(posterior.sum(axis=1), 1)
    assert_allclose(posterior, softmax(decision, axis=1))
    assert_array_equal(clf.predict(X), clf.classes_[posterior.argmax(axis=1)])


def test_outputs_of_two_classes_agree(small, blobs):
    X, y = blobs
    clf = small().fit(X, np.where(y == 0, "no", "yes"))
    decision, posterior = clf.decision_function(X), clf.predict_proba(X)
    assert decision.shape == (60,)
    assert posterior.shape == (60, 2)
    assert_allclose(posterior[:, 1], expit(decision))
    assert_array_equal(clf.predict(X), np.where(decision > 0, "yes", "no"))


@pytest.mark.parametrize("n_labels", [2, 3])
def test_outputs_of_many_labels_agree(small, blobs, tags, n_labels):
    X, Y = blobs[0], tags[:, :n_labels]
    clf = small(max_epochs=60).fit(X, Y)
    decision, posterior, predicted = clf.decision_function(X), clf.predict_proba(X), clf.predict(X)
    assert isinstance(posterior, np.ndarray)
    assert decision.shape == posterior.shape == predicted.shape == (60, n_labels)
    assert_allclose(posterior, expit(decision))
    assert_array_equal(predicted, posterior > 0.5)
    assert np.mean(predicted == Y) > 0.9
    assert not np.allclose(posterior.sum(axis=1), 1)
    assert clf.multilabel_
    assert_array_equal(clf.classes_, np.arange(n_labels))


@pytest.mark.parametrize(
    "wrap",
    [
        *SPARSE,
        pd.DataFrame,
        np.ndarray.tolist,
        lambda Y: Y.astype(bool),
        lambda Y: Y.astype(float),
        lambda Y: Y.astype(object),
    ],
    ids=[*(kind.__name__ for kind in SPARSE), "DataFrame", "list", "bool", "float", "object"],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_containers_of_label_indicators(small, blobs, tags, weights_of, wrap, early_stopping):
    X, _ = blobs
    settings = {"early_stopping": early_stopping, "max_epochs": 4, "class_weight": "balanced"}
    reference = small(**settings).fit(X, tags)
    clf = small(**settings).fit(sparse.csr_array(X), wrap(tags))
    assert_array_equal(weights_of(clf), weights_of(reference))


# -- inputs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPARSE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_sparse_input_equals_dense(small, digits, weights_of, kind, early_stopping):
    X, y = digits
    settings = {"max_epochs": 2, "early_stopping": early_stopping}
    dense, thin = small(**settings).fit(X, y), small(**settings).fit(kind(X), y)
    assert_array_equal(weights_of(thin), weights_of(dense))
    assert_array_equal(thin.predict_proba(kind(X)), dense.predict_proba(X))
    assert_array_equal(thin.predict(X), dense.predict(kind(X)))


@pytest.mark.parametrize(
    "dtype",
    ["u1", "i1", "u2", "i4", "u8", "f2", "f4", ">f4", ">i2", "f8", np.longdouble, object],
    ids=str,
)
def test_dtypes_of_input_make_no_difference(small, digits, weights_of, dtype):
    X, y = digits
    reference, clf = small(max_epochs=2).fit(X, y), small(max_epochs=2).fit(X.astype(dtype), y)
    assert_array_equal(weights_of(clf), weights_of(reference))
    assert_array_equal(clf.predict_proba(X.astype(dtype)), reference.predict_proba(X))


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_read_only_memory_maps(small, digits, weights_of, tmp_path, dtype):
    X, y = digits
    np.save(tmp_path / "X.npy", X.astype(dtype))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    reference, clf = small(max_epochs=2).fit(X, y), small(max_epochs=2).fit(mapped, y)
    assert_array_equal(weights_of(clf), weights_of(reference))
    assert_array_equal(clf.predict(mapped), reference.predict(X))


def test_frames_give_feature_names(small, blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcde"))
    clf = small().fit(frame, y)
    assert list(clf.feature_names_in_) == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame[list("edcba")])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layers_that_work_in_place_do_not_write_into_the_data(blobs, dtype):
    def network(n_features, n_outputs):
        return nn.Sequential(nn.ReLU(inplace=True), nn.Linear(n_features, n_outputs))

    X, y = blobs[0].astype(dtype), blobs[1]
    before = X.copy()
    clf = TorchClassifier(network, dtype=np.dtype(dtype).name, max_epochs=1).fit(X, y)
    clf.predict(X)
    assert_array_equal(X, before)


# -- networks --------------------------------------------------------------------------------------


def test_no_module_is_a_multilayer_perceptron(digits, weights_of):
    X, y = digits
    ours = TorchClassifier(max_epochs=1, random_state=0).fit(X, y)
    theirs = TorchMLPClassifier(max_epochs=1, random_state=0).fit(X, y)
    assert_array_equal(weights_of(ours), weights_of(theirs))


def test_module_params_reach_the_factory(digits, weights_of):
    X, y = digits
    params = {"hidden_layer_sizes": (12,), "dropout": 0.1}
    ours = TorchClassifier(mlp, module_params=params, max_epochs=2, random_state=0).fit(X, y)
    theirs = TorchMLPClassifier((12,), dropout=0.1, max_epochs=2, random_state=0).fit(X, y)
    assert_array_equal(weights_of(ours), weights_of(theirs))


class Residual(nn.Module):
    """A network that is no chain."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.inner = nn.Linear(n_features, n_features)
        self.outer = nn.Linear(n_features, n_outputs)

    def forward(self, x):
        return self.outer(x + torch.relu(self.inner(x)))


@pytest.mark.parametrize("module", [linear, Residual])
def test_any_network_learns(blobs, module):
    X, y = blobs
    clf = TorchClassifier(module, lr=0.05, random_state=0).fit(X, y)
    assert clf.score(X, y) > 0.9


def test_convolutions_on_images(digits):
    images, y = digits[0].reshape(-1, 1, 8, 8) / 16, digits[1]
    clf = TorchClassifier(
        cnn, module_params={"channels": 8}, max_epochs=15, lr=0.02, random_state=0
    )
    clf = clone(clf).fit(images[:300], y[:300])
    assert clf.module_[0].out_channels == 8
    assert clf.score(images[300:], y[300:]) > 0.7
    with pytest.raises(ValueError, match=r"rows of shape \(1, 8, 8\).* Got .*\(1, 8, 7\)"):
        clf.predict(images[:, :, :, :7])


@pytest.mark.parametrize("n_samples", [65, 129])
def test_batch_normalisation_survives_a_left_over_row(digits, n_samples):
    def network(n_features, n_outputs):
        return nn.Sequential(nn.BatchNorm1d(n_features), nn.Linear(n_features, n_outputs))

    X, y = digits[0][:n_samples], digits[1][:n_samples]
    clf = TorchClassifier(network, batch_size=64, max_epochs=5, lr=0.05, random_state=0)
    assert clf.fit(X, y).score(X, y) > 0.8


def test_module_is_in_evaluation_mode_after_fit(small, blobs):
    clf = small(dropout=0.5).fit(*blobs)
    assert not clf.module_.training
    assert_array_equal(clf.predict_proba(blobs[0]), clf.predict_proba(blobs[0]))


@pytest.mark.parametrize(
    ("dtype", "batch_size", "expected"),
    [
        ("auto", 60, torch.float64),
        ("auto", 59, torch.float32),
        ("float32", 60, torch.float32),
        ("float64", 10, torch.float64),
    ],
)
def test_floating_type(small, blobs, dtype, batch_size, expected):
    clf = small(dtype=dtype, batch_size=batch_size, max_epochs=1).fit(*blobs)
    assert clf.module_.output.weight.dtype == expected


def test_foreign_networks_are_trained_in_single_precision(blobs):
    clf = TorchClassifier(linear, max_epochs=1).fit(*blobs)
    assert clf.module_[0].weight.dtype == torch.float32


# -- errors ----------------------------------------------------------------------------------------


def spoiled(X, value):
    X = X.copy()
    X[3, 1] = value
    return X


BAD_DATA = {
    "NaN": (lambda X, y: (spoiled(X, np.nan), y), ["X must", "Got NaN", "SimpleImputer"]),
    "inf": (lambda X, y: (spoiled(X, -np.inf), y), ["X must", "Got inf", "drop"]),
    "NaN in sparse": (
        lambda X, y: (sparse.csr_array(spoiled(X, np.nan)), y),
        ["X must", "Got NaN", "SimpleImputer"],
    ),
    "3-D": (
        lambda X, y: (X.reshape(60, 5, 1), y),
        ["X must be 2-D", "Got shape (60, 5, 1)", "reshape"],
    ),
    "one class": (lambda X, y: (X, 0 * y), ["y must", "one class only: 0 ", "add samples"]),
    "one string": (lambda X, y: (X, ["a"] * 60), ["y must", "one class only: 'a' ", "add samples"]),
    "two types": (
        lambda X, y: (X, np.array(["a", 1] * 30, dtype=object)),
        ["y must", "Got int and str", "astype"],
    ),
    "None": (
        lambda X, y: (X, np.array(["a", None] * 30, dtype=object)),
        ["y must hold a label for every sample", "Got 30 of 60 missing", "leave those"],
    ),
    "continuous": (lambda X, y: (X, y + 0.5), ["Unknown label type: continuous"]),
    "many outputs": (
        lambda X, y: (X, np.column_stack([y, y])),
        ["y must", "Got shape (60, 2)", "multi-output"],
    ),
    "indicator of ±1": (
        lambda X, y: (X, np.where(X[:, :2] > 0, 1, -1)),
        ["y must hold zeros and ones", "Got [-1, 1]", "MultiLabelBinarizer"],
    ),
    "sparse indicator of 2": (
        lambda X, y: (X, sparse.csr_array(2 * (X[:, :2] > 0))),
        ["y must hold zeros and ones", "Got [2]", "MultiLabelBinarizer"],
    ),
    "lengths": (lambda X, y: (X, y[:-1]), ["[60, 59]"]),
}


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_refused_in_one_line(small, blobs, name):
    spoil, pieces = BAD_DATA[name]
    with pytest.raises(ValueError, match=".*".join(map(re.escape, pieces))) as error:
        small().fit(*spoil(*blobs))
    assert "\n" not in str(error.value)


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


BAD_MODULES = {
    "no module": (lambda n, k: "net", ["module must return", "Got str instead"]),
    "built": (
        nn.Linear(5, 3),
        ["module must be a class or function", "Got a built Linear", "wrap"],
    ),
    "too few": (
        lambda n, k: nn.Linear(n, 1),
        ["module must", "(60, 3)", "Got (60, 1)", "last layer"],
    ),
    "too many": (lambda n, k: nn.Linear(n, k + 1), ["module must", "Got (60, 4)", "last layer"]),
    "not flat": (
        lambda n, k: nn.Sequential(nn.Linear(n, k), nn.Unflatten(1, (1, k))),
        ["module must", "Got (60, 1, 3)"],
    ),
    "pair": (Pair, ["module must", "Got tuple"]),
}


@pytest.mark.parametrize("name", BAD_MODULES)
def test_bad_modules_are_refused_in_one_line(blobs, name):
    module, pieces = BAD_MODULES[name]
    with pytest.raises(ValueError, match=".*".join(map(re.escape, pieces))) as error:
        TorchClassifier(module).fit(*blobs)
    assert "\n" not in str(error.value)


BAD_PARAMS = {
    "max_epochs": 0,
    "batch_size": "large",
    "optimizer": "newton",
    "lr": 0,
    "weight_decay": -1.0,
    "momentum": 1.0,
    "lr_schedule": "linear",
    "validation_fraction": 1.0,
    "n_iter_no_change": 0,
    "class_weight": "equal",
    "dtype": "float16",
    "dropout": 1.0,
    "activation": "sine",
    "hidden_layer_sizes": 5,
}


@pytest.mark.parametrize("name", BAD_PARAMS)
def test_bad_parameters_are_named_with_the_value(blobs, name):
    clf = TorchMLPClassifier().set_params(**{name: BAD_PARAMS[name]})
    with pytest.raises(ValueError, match=f"'{name}' parameter.* Got {BAD_PARAMS[name]!r} instead"):
        clf.fit(*blobs)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_prediction_refuses_what_fit_did_not_see(small, blobs, method):
    X, y = blobs
    clf = small()
    with pytest.raises(NotFittedError, match=r"not fitted yet. Call 'fit'"):
        getattr(clf, method)(X)
    clf.fit(X, y)
    with pytest.raises(ValueError, match=r"X has 4 features, but .* is expecting 5 features"):
        getattr(clf, method)(X[:, :4])
    with pytest.raises(ValueError, match=r"X must.*Got NaN instead.*SimpleImputer"):
        getattr(clf, method)(spoiled(X, np.nan))
    with pytest.raises(ValueError, match=r"X must be 2-D.*Got shape \(60, 5, 1\).*reshape"):
        getattr(clf, method)(X[:, :, None])
