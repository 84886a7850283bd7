"""Clusters of class means."""

import numpy as np
import pytest
from scipy import sparse

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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_clusters", [1, 3, 8, 100])
def test_at_most_one_cluster_per_class(method, n_clusters):
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 6
    fitted = CentroidPartitioner(n_clusters, method=method, random_state=0).fit(X, y)
    assert fitted.n_clusters_ == min(n_clusters, 6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_identical_classes(method, n_classes):
    X, y = np.ones((10, 2)), np.arange(10) % n_classes
    fitted = CentroidPartitioner(n_clusters=3, method=method, random_state=0).fit(X, y)
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
    with pytest.raises(ValueError, match="requires y to be passed"):
        CentroidPartitioner().fit(X)
    with pytest.raises(ValueError, match="continuous"):
        CentroidPartitioner().fit(X, [0.5, 1.25])
    with pytest.raises(ValueError, match="'method' parameter of CentroidPartitioner"):
        CentroidPartitioner(method="ward").fit(X, y)
