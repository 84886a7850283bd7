"""Clusters of class means."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from hierlearn.exceptions import PartitionError
from hierlearn.partition import CentroidPartitioner, class_means

METHODS = ["kmeans", "spectral"]


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_means_are_those_of_the_classes(container):
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(40, 3)), np.r_[np.arange(5), rng.integers(0, 5, size=35)]
    means = class_means(container(X), codes, 5)
    dense = means.toarray() if sparse.issparse(means) else means
    assert sparse.issparse(means) == (container is sparse.csr_array)
    np.testing.assert_allclose(dense, [X[codes == code].mean(axis=0) for code in range(5)])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weighted_means_are_averages(container):
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(40, 3)), np.r_[np.arange(5), rng.integers(0, 5, size=35)]
    weight = np.where(np.arange(40) < 5, 1.0, rng.integers(0, 4, size=40))
    means = class_means(container(X), codes, 5, weight)
    dense = means.toarray() if sparse.issparse(means) else means
    wanted = [np.average(X[codes == c], axis=0, weights=weight[codes == c]) for c in range(5)]
    np.testing.assert_allclose(dense, wanted)


def test_class_without_weight_has_no_mean():
    assert class_means(np.ones((3, 1)), np.array([0, 1, 1]), 2, [0, 1, 1]).tolist() == [[0], [1]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weights_are_repetitions(method, container):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 12
    weight = rng.integers(0, 4, size=60)
    weight[y == 7] = 0  # a class that repetition leaves out
    partitioner = CentroidPartitioner(4, method=method, random_state=0)
    repeated = clone(partitioner).fit(container(X.repeat(weight, axis=0)), y.repeat(weight))
    assert clone(partitioner).fit(X, y).partition_ != repeated.partition_
    X[weight == 0] = 1e6 * rng.normal(size=3)
    weighted = partitioner.fit(container(X), y, sample_weight=weight)
    assert 7 not in weighted.classes_
    assert weighted.partition_ == repeated.partition_


def test_weights_decide_where_a_class_is():
    X, y = np.array([[0.0], [9.0], [0.0], [9.0]]), np.array([0, 0, 1, 2])
    for weight, labels in [([9, 1, 1, 1], [0, 0, 1]), ([1, 9, 1, 1], [0, 1, 0])]:
        fitted = CentroidPartitioner(2, random_state=0).fit(X, y, sample_weight=weight)
        assert fitted.labels_.tolist() == labels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("n_clusters", "made"), [(1, 1), (3, 3), (6, 6), (None, 2)])
def test_as_many_clusters_as_asked_for(method, n_clusters, made):
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 6
    fitted = CentroidPartitioner(n_clusters, method=method, random_state=0).fit(X, y)
    assert fitted.n_clusters_ == made


@pytest.mark.parametrize("method", METHODS)
def test_more_clusters_than_classes_are_refused(method):
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 6
    with pytest.raises(ValueError, match=r"n_clusters must not exceed .* 6. Got 7 instead"):
        CentroidPartitioner(7, method=method).fit(X, y)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_identical_classes(method, n_classes):
    X, y = np.ones((10, 2)), np.arange(10) % n_classes
    fitted = CentroidPartitioner(n_clusters=min(3, n_classes), method=method, random_state=0).fit(
        X, y
    )
    assert fitted.partition_.n_classes == n_classes


def test_frequent_classes_weigh_no_more():
    X = np.array([[0.0]] * 1000 + [[1.0], [10.0], [11.0]])
    y = np.array([0] * 1000 + [1, 2, 3])
    assert CentroidPartitioner(2, random_state=0).fit(X, y).labels_.tolist() == [0, 0, 1, 1]


def test_order_of_given_classes_is_kept():
    X, y = np.array([[0.0], [1.0], [9.0]]), np.array(["a", "b", "c"])
    fitted = CentroidPartitioner(2, random_state=0).fit(X, y, classes=["c", "b", "a"])
    assert fitted.classes_.tolist() == ["c", "b", "a"]
    assert fitted.labels_.tolist() == [0, 1, 1]


def test_errors():
    X, y = np.array([[0.0], [1.0]]), np.array(["a", "b"])
    with pytest.raises(PartitionError, match=r"no mean. Got none of \['c'\]"):
        CentroidPartitioner().fit(X, y, classes=["a", "b", "c"])
    with pytest.raises(PartitionError, match=r"unknown classes \['b'\]"):
        CentroidPartitioner().fit(X, y, classes=["a"])
    with pytest.raises(PartitionError, match=r"not zero.* no mean. Got none of \['b'\]"):
        CentroidPartitioner().fit(X, y, classes=["a", "b"], sample_weight=[1, 0])
    with pytest.raises(ValueError, match="only zero weights"):
        CentroidPartitioner().fit(X, y, sample_weight=[0, 0])
    with pytest.raises(ValueError, match=r"not negative\. Got -1"):
        CentroidPartitioner().fit(X, y, sample_weight=[1, -1])
    with pytest.raises(ValueError, match="requires y to be passed"):
        CentroidPartitioner().fit(X)
    with pytest.raises(ValueError, match="continuous"):
        CentroidPartitioner().fit(X, [0.5, 1.25])
    with pytest.raises(ValueError, match="'method' parameter of CentroidPartitioner"):
        CentroidPartitioner(method="ward").fit(X, y)
