"""Splitting fitted classifiers: features, posteriors, and the settings of branches."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from torch import nn

from hierlearn import TorchClassifier
from hierlearn.networks.branching import split_classifier


def cnn(shape, n_outputs):
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(4 * 36, n_outputs),
    )


def fitted(kind, small, digits):
    X, y = digits
    if kind == "cnn":
        X = X.reshape(-1, 1, 8, 8)
        return TorchClassifier(cnn, max_epochs=2, random_state=0).fit(X, y), X
    network = small((20, 10), dropout=0.2, max_epochs=3)
    if kind == "network":
        return network.fit(X, y), X
    if kind == "linear":
        return small((), max_epochs=3).fit(X, y), X
    if kind == "pipeline of one":
        return make_pipeline(network).fit(X, y), X
    X = sparse.csr_array(X) if kind == "sparse pipeline" else X
    steps = [MaxAbsScaler(), TruncatedSVD(12, random_state=0)]
    return make_pipeline(*steps, network).fit(X, y), X


KINDS = ["network", "linear", "cnn", "pipeline", "pipeline of one", "sparse pipeline"]


@pytest.mark.parametrize("kind", KINDS)
def test_posteriors_of_the_features_are_the_classifiers(small, digits, kind):
    clf, X = fitted(kind, small, digits)
    split = split_classifier(clf)
    features = split.features(X)
    assert len(features) == len(digits[1])
    assert_allclose(split.posteriors(features), clf.predict_proba(X), atol=1e-6)
    assert (split.prefix is None) == ("pipeline" not in kind or kind == "pipeline of one")


def test_sparse_rows_have_the_features_of_dense_ones(small, digits):
    X, y = digits
    split = split_classifier(small((20,), max_epochs=2).fit(X, y))
    assert_array_equal(split.features(sparse.csr_array(X)), split.features(X))


def test_a_linear_network_shares_nothing(small, digits):
    clf, X = fitted("linear", small, digits)
    split = split_classifier(clf)
    assert (len(split.trunk), len(split.head)) == (0, 1)
    assert_array_equal(split.features(X), X.astype(np.float32))


@pytest.mark.parametrize(("at", "width"), [(None, 20), ("hidden1", 20), ("hidden2", 10)])
def test_split_at_a_layer(small, digits, at, width):
    clf, X = fitted("network", small, digits)
    assert split_classifier(clf, at).features(X).shape == (400, width)


def test_split_of_a_network_that_is_no_chain(blobs):
    class Plain(nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layer = nn.Linear(n_features, n_outputs)

        def forward(self, x):
            return self.layer(x)

    clf = TorchClassifier(Plain, max_epochs=1).fit(*blobs)
    with pytest.raises(ValueError, match=r"must be a torch\.nn\.Sequential.* Got Plain instead"):
        split_classifier(clf)


@pytest.mark.parametrize(
    ("rows", "message"),
    [(np.full((2, 64), np.nan), "X must.*NaN"), (np.zeros((2, 5)), "X has 5 features")],
)
def test_features_are_of_valid_rows_only(small, digits, rows, message):
    clf, _ = fitted("network", small, digits)
    with pytest.raises(ValueError, match=message):
        split_classifier(clf).features(rows)


def test_split_is_a_view_of_the_network(small, digits):
    clf, X = fitted("network", small, digits)
    split = split_classifier(clf)
    parameters = {p.data_ptr() for part in (split.trunk, split.head) for p in part.parameters()}
    assert parameters == {p.data_ptr() for p in clf.module_.parameters()}
    assert split.network is clf
    assert not torch.is_tensor(split.features(X))


@pytest.mark.parametrize("kind", KINDS)
def test_a_branch_that_has_not_moved_predicts_as_the_network(small, digits, kind):
    clf, X = fitted(kind, small, digits)
    split = split_classifier(clf)
    kept = np.isin(digits[1], [3, 5, 8])
    features = split.features(X)
    branch = split.branch(max_epochs=1, lr=1e-12).fit(features[kept], digits[1][kept])
    expected = split.posteriors(features)[:, [3, 5, 8]]
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(branch.predict_proba(features), expected, atol=1e-4)


def test_branches_take_the_networks_settings(small, digits):
    X, y = digits
    settings = {
        "batch_size": 32,
        "optimizer": "sgd",
        "momentum": 0.5,
        "lr_schedule": "cosine",
        "early_stopping": True,
        "validation_fraction": 0.2,
        "n_iter_no_change": 3,
        "device": "cpu",
        "mixed_precision": False,
        "dtype": "float64",
        "n_jobs": 1,
    }
    network = small(max_epochs=2, lr=0.01, **settings).fit(X, y)
    branch = split_classifier(network).branch()
    assert {name: getattr(branch, name) for name in settings} == settings
    assert branch.max_epochs == 2
    assert branch.lr >= network.lr
    changed = split_classifier(network).branch(max_epochs=7, lr=0.5)
    assert (changed.max_epochs, changed.lr) == (7, 0.5)


def test_branches_do_not_take_what_is_the_wholes_own(small, digits):
    X, y = digits
    network = small(max_epochs=1, warm_start=True, verbose=0, random_state=3).fit(X, y)
    branch = split_classifier(network.set_params(verbose=1)).branch()
    assert (branch.warm_start, branch.verbose, branch.random_state) == (False, 0, None)


@pytest.mark.parametrize("class_weight", ["balanced", None, {3: 5.0, 5: 0.2}])
def test_branches_take_the_class_weights_of_the_classes_they_have(small, digits, class_weight):
    X, y = digits
    network = small(max_epochs=1, class_weight=class_weight).fit(X, y)
    split = split_classifier(network)
    rows = np.isin(y, [3, 7])
    features = split.features(X[rows])
    branch = split.branch(max_epochs=5, lr=0.01).set_params(random_state=0)
    posteriors = branch.fit(features, y[rows]).predict_proba(features)
    assert branch.class_weight == class_weight
    if isinstance(class_weight, dict):
        plain = clone(branch).set_params(class_weight=None).fit(features, y[rows])
        assert posteriors[:, 0].mean() > plain.predict_proba(features)[:, 0].mean()


def test_any_transformer_may_stand_in_front(small, digits):
    X, y = digits
    clf = make_pipeline(FunctionTransformer(np.log1p), small(max_epochs=2)).fit(X, y)
    split = split_classifier(clf)
    assert_array_equal(split.features(X), split_classifier(clf[-1]).features(np.log1p(X)))
