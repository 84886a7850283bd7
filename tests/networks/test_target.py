"""What a network learns from: weights of samples and classes, and the checks around them."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.utils import compute_sample_weight

from hierlearn.networks._target import (
    check_finite,
    check_optimizer,
    class_factors,
    encode_target,
    positive_factors,
)

REPEATS = np.random.RandomState(0).randint(4, size=60)


@pytest.fixture
def exact(small):
    """Build a network that takes all rows in one batch, in double precision."""

    def build(**params):
        return small(**{"batch_size": 512, "max_epochs": 15, "optimizer": "sgd", **params})

    return build


# -- sample weights --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": "adamw", "lr": 0.001},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0, 1: 0.5}},
    ],
    ids=["sgd", "adamw", "balanced", "dict"],
)
def test_weight_is_repetition(exact, blobs, weights_of, params):
    X, y = blobs
    y = np.where(y == 2, 0, y)
    weighted = exact(**params).fit(X, y, sample_weight=REPEATS)
    repeated = exact(**params).fit(np.repeat(X, REPEATS, axis=0), np.repeat(y, REPEATS))
    assert_allclose(weights_of(weighted), weights_of(repeated), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
def test_weight_is_repetition_with_many_labels(exact, blobs, tags, weights_of, class_weight):
    X, _ = blobs
    weighted = exact(class_weight=class_weight).fit(X, tags, sample_weight=REPEATS)
    repeated = exact(class_weight=class_weight).fit(
        np.repeat(X, REPEATS, axis=0), np.repeat(tags, REPEATS, axis=0)
    )
    assert_allclose(weights_of(weighted), weights_of(repeated), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array])
def test_zero_weight_is_removal(small, digits, weights_of, class_weight, wrap):
    X, y = digits
    weight = np.arange(len(y)) % 3
    kept = weight > 0
    settings = {"max_epochs": 2, "class_weight": class_weight}
    with_zeros = small(**settings).fit(wrap(X), y, sample_weight=weight)
    without = small(**settings).fit(wrap(X[kept]), y[kept], sample_weight=weight[kept])
    assert_array_equal(weights_of(with_zeros), weights_of(without))


@pytest.mark.parametrize("weight", [np.ones(60), np.full(60, 4), [2.0] * 60])
def test_equal_weights_are_none(small, blobs, weights_of, weight):
    X, y = blobs
    weighted = small(max_epochs=2).fit(X, y, sample_weight=weight)
    assert_array_equal(weights_of(weighted), weights_of(small(max_epochs=2).fit(X, y)))


def test_scale_of_the_weights_does_not_matter(small, blobs, weights_of):
    X, y = blobs
    one = small(max_epochs=5).fit(X, y, sample_weight=REPEATS)
    other = small(max_epochs=5).fit(X, y, sample_weight=8.0 * REPEATS)
    assert_array_equal(weights_of(one), weights_of(other))


@pytest.mark.parametrize(
    ("weight", "pieces"),
    [
        (np.zeros(60), ["Sample weights must", "non-zero", "Got only zero", "leave sample_weight"]),
        (np.full(60, -1.0), ["sample_weight must", "Got -1 instead"]),
        (np.full(60, np.nan), ["sample_weight must", "Got nan instead"]),
        (np.ones(59), ["sample_weight must", "60 samples", "Got shape (59,) instead"]),
    ],
    ids=["zero", "negative", "NaN", "short"],
)
def test_bad_sample_weights_are_refused(small, blobs, weight, pieces):
    with pytest.raises(ValueError, match=".*".join(map(re.escape, pieces))):
        small().fit(*blobs, sample_weight=weight)


def test_weights_that_leave_one_class_are_refused(small, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match=r"y must hold at least two classes.*only: 1 instead"):
        small().fit(X, y, sample_weight=(y == 1).astype(float))


# -- class weights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("class_weight", ["balanced", {"ape": 5.0, "bee": 0.25}])
def test_class_weight_is_sample_weight(small, blobs, weights_of, class_weight):
    X, codes = blobs
    y = np.array(["ape", "bee", "cat"])[np.where(np.arange(60) < 20, 0, codes)]
    if isinstance(class_weight, dict):
        class_weight = {**class_weight, "cat": 1.0}
    by_class = small(class_weight=class_weight, max_epochs=5).fit(X, y)
    by_sample = small(max_epochs=5).fit(X, y, sample_weight=compute_sample_weight(class_weight, y))
    assert_allclose(weights_of(by_class), weights_of(by_sample), rtol=1e-6)
    assert not np.allclose(weights_of(by_class), weights_of(small(max_epochs=5).fit(X, y)))


def test_class_of_weight_zero_is_known_but_not_predicted(small, blobs):
    X, y = blobs
    clf = small(class_weight={0: 0.0, 1: 1.0, 2: 1.0}).fit(X, y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert set(clf.predict(X)) == {1, 2}


def test_balanced_counts_samples_by_weight():
    target, weight = np.array([0, 0, 0, 1, 2]), np.array([1.0, 2.0, 1.0, 8.0, 0.0])
    factors = class_factors("balanced", target, np.arange(3), weight)
    totals = np.bincount(target, weights=weight * factors[target])
    assert totals[0] == totals[1] > 0
    assert totals[2] == 0


@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array, sparse.csr_matrix])
def test_balanced_labels_weigh_negatives_over_positives(wrap):
    Y = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]], dtype=np.uint8)
    weight = np.array([1.0, 1.0, 1.0, 3.0])
    # The second and the third label do not vary: nothing to balance.
    assert_array_equal(positive_factors("balanced", wrap(Y), weight), [5.0, 1.0, 1.0])
    assert_array_equal(positive_factors({2: 0.5}, wrap(Y), weight), [1.0, 1.0, 0.5])


def test_weight_of_a_label_makes_it_more_likely_and_no_other(small, blobs, tags):
    X, _ = blobs
    plain = small((), max_epochs=10).fit(X, tags).predict_proba(X)
    heavy = small((), max_epochs=10, class_weight={1: 20.0}).fit(X, tags).predict_proba(X)
    assert heavy[:, 1].mean() > plain[:, 1].mean() + 0.05
    assert_array_equal(heavy[:, [0, 2]], plain[:, [0, 2]])


def test_label_that_is_always_there_is_learnt_when_balanced(small, blobs, tags):
    X, _ = blobs
    Y = np.column_stack([tags, np.ones(60, dtype=int)])
    assert small(class_weight="balanced").fit(X, Y).predict(X)[:, 3].all()


@pytest.mark.parametrize(
    ("class_weight", "pieces"),
    [
        ({"cat": 2.0}, ["class_weight must", "0 to 2", "Got ['cat']", "column numbers"]),
        ({3: 2.0}, ["class_weight must", "Got [3]", "column numbers"]),
        ({0: -2.0}, ["class_weight must", "Got -2", "0 leaves a class out"]),
    ],
)
def test_bad_weights_of_labels_are_refused(small, blobs, tags, class_weight, pieces):
    with pytest.raises(ValueError, match=".*".join(map(re.escape, pieces))):
        small(class_weight=class_weight).fit(blobs[0], tags)


@pytest.mark.parametrize("worst", [-2.0, np.inf, np.nan])
def test_bad_weights_of_classes_are_refused(small, blobs, worst):
    message = f"class_weight must hold finite numbers.*Got {worst:g} instead; 0 leaves"
    with pytest.raises(ValueError, match=message):
        small(class_weight={0: worst, 1: 1.0, 2: 1.0}).fit(*blobs)


# -- encodings and checks --------------------------------------------------------------------------


def test_targets_are_encoded():
    codes, classes, multilabel = encode_target(np.array(["b", "a", "b"]))
    assert (codes.tolist(), classes.tolist(), multilabel) == ([1, 0, 1], ["a", "b"], False)
    Y = sparse.csc_array(np.array([[0, 1], [1, 0]]))
    target, classes, multilabel = encode_target(Y)
    assert (target.format, classes.tolist(), multilabel) == ("csr", [0, 1], True)
    assert_array_equal(target.toarray(), Y.toarray())


@pytest.mark.parametrize("wrap", [np.asarray, sparse.csr_array])
def test_finite_data_pass(wrap):
    X = wrap(np.array([[1e308, 1e308], [-1e308, 0.0]]))
    assert check_finite(X) is None


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, lambda params, lr, weight_decay: None])
def test_optimisers_that_take_the_settings_pass(optimizer):
    assert check_optimizer(optimizer, {"lr": 0.1, "weight_decay": 0.0}) is None


def test_optimiser_without_weight_decay_is_refused(small, blobs):
    message = r"optimizer must.*\(params, lr, weight_decay\).*Got LBFGS.*wrap it in a function"
    with pytest.raises(ValueError, match=message):
        small(optimizer=torch.optim.LBFGS).fit(*blobs)
