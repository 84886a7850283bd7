"""Average linkage: scipy's tree, and the three ways to cut it."""

import math

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from hierlearn.partition import (
    ConfusionLinkagePartitioner,
    average_linkage,
    cut_by_count,
    cut_by_distance,
    cut_by_size,
)

# Classes join one after the other; and two trees of four, side by side.
CHAIN = np.array([[0, 1, 0.1, 2], [2, 5, 0.2, 3], [3, 6, 0.3, 4], [4, 7, 0.4, 5]])
BALANCED = np.array(
    [
        [0, 1, 0.1, 2],
        [2, 3, 0.2, 2],
        [4, 5, 0.3, 2],
        [6, 7, 0.4, 2],
        [8, 9, 0.5, 4],
        [10, 11, 0.6, 4],
        [12, 13, 0.9, 8],
    ]
)


def _linkages():
    rng = np.random.default_rng(0)
    for n_classes in (2, 5, 30, 101):
        yield linkage(rng.random(n_classes * (n_classes - 1) // 2), "average")


def _top_down(merges, max_size):
    """Split from the root by recursion, as the algorithm reads."""
    n_classes = len(merges) + 1

    def leaves(node):
        if node < n_classes:
            return [node]
        left, right = merges[node - n_classes, :2].astype(int)
        return leaves(left) + leaves(right)

    def split(node):
        if len(leaves(node)) <= max_size:
            return [frozenset(leaves(node))]
        left, right = merges[node - n_classes, :2].astype(int)
        return split(left) + split(right)

    return set(split(2 * n_classes - 2))


def _as_sets(labels):
    return {frozenset(np.flatnonzero(labels == cluster).tolist()) for cluster in set(labels)}


def test_linkage_is_scipys_on_the_papers_distance():
    confusion = np.random.default_rng(3).random((12, 12))
    rates = confusion / confusion.sum(axis=1, keepdims=True)
    distance = 1 - rates
    np.fill_diagonal(distance, 0)
    expected = linkage(squareform((distance + distance.T) / 2), "average")
    np.testing.assert_allclose(average_linkage(confusion), expected)
    partitioner = ConfusionLinkagePartitioner().fit(confusion)
    np.testing.assert_allclose(partitioner.linkage_, expected)
    np.testing.assert_array_equal(partitioner.partition_.tree.to_linkage(), partitioner.linkage_)


@pytest.mark.parametrize("max_size", [1, 2, 3, 7, 30, 200])
def test_cut_by_size_splits_top_down_only_where_needed(max_size):
    for merges in _linkages():
        labels = cut_by_size(merges, max_size)
        assert np.bincount(labels).max() <= max_size
        assert _as_sets(labels) == _top_down(merges, max_size)


def test_cut_by_size_by_hand():
    assert cut_by_size(BALANCED, 4).tolist() == [0] * 4 + [1] * 4
    assert cut_by_size(BALANCED, 7).tolist() == [0] * 4 + [1] * 4
    assert cut_by_size(BALANCED, 3).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert cut_by_size(BALANCED, 8).tolist() == [0] * 8
    assert cut_by_size(CHAIN, 3).tolist() == [0, 0, 0, 1, 2]


@pytest.mark.parametrize("n_clusters", [1, 2, 4, 5])
def test_cut_by_count_is_scipys_maxclust(n_clusters):
    for merges in _linkages():
        labels = cut_by_count(merges, n_clusters)
        expected = fcluster(merges, n_clusters, "maxclust")
        assert adjusted_rand_score(expected, labels) == 1
        assert np.unique(labels).size == min(n_clusters, len(merges) + 1)


def test_cut_by_count_with_equal_heights():
    """scipy's fcluster would give one cluster or eight."""
    merges = linkage(np.ones(28), "average")
    for n_clusters in range(1, 9):
        assert np.unique(cut_by_count(merges, n_clusters)).size == n_clusters


def test_cut_by_distance_leaves_merges_at_the_threshold_apart():
    assert cut_by_distance(CHAIN, 0.2).tolist() == [0, 0, 1, 2, 3]
    assert cut_by_distance(CHAIN, 0.21).tolist() == [0, 0, 0, 1, 2]
    assert cut_by_distance(CHAIN, 0).tolist() == [0, 1, 2, 3, 4]
    assert cut_by_distance(CHAIN, 1).tolist() == [0] * 5
    for merges in _linkages():
        expected = fcluster(merges, 0.5, "distance")
        assert adjusted_rand_score(expected, cut_by_distance(merges, 0.5)) == 1


@pytest.mark.parametrize(
    ("cut", "value", "message"),
    [
        (cut_by_count, 0, "n_clusters must be a whole number of at least 1. Got 0"),
        (cut_by_count, 2.5, "n_clusters must be a whole number"),
        (cut_by_size, 0, "max_size must be a whole number of at least 1. Got 0"),
        (cut_by_size, "4", "max_size must be a whole number"),
        (cut_by_distance, float("nan"), "threshold must be a distance"),
        (cut_by_distance, None, "threshold must be a distance"),
    ],
)
def test_cuts_that_are_none_are_refused(cut, value, message):
    with pytest.raises(ValueError, match=message):
        cut(CHAIN, value)
    with pytest.raises(ValueError, match=r"linkage must have shape \(n_classes - 1, 4\)"):
        cut(np.ones((3, 3)), 2)


def test_threshold_of_one_leaves_groups_apart_that_are_never_confused():
    confusion = np.kron(np.eye(3), np.full((4, 4), 1.0)) + 5 * np.eye(12)
    partitioner = ConfusionLinkagePartitioner(distance_threshold=1).fit(confusion)
    assert partitioner.labels_.tolist() == np.repeat([0, 1, 2], 4).tolist()


@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 50])
def test_default_limit_is_the_square_root(n_classes):
    confusion = np.random.default_rng(0).random((n_classes, n_classes)) + np.eye(n_classes)
    limit = max(2, math.ceil(math.sqrt(n_classes)))
    default = ConfusionLinkagePartitioner().fit(confusion)
    explicit = ConfusionLinkagePartitioner(max_cluster_size=limit).fit(confusion)
    assert default.partition_ == explicit.partition_
    assert default.partition_.sizes.max() <= limit


@pytest.mark.parametrize(
    "given",
    [
        {"max_cluster_size": 3, "n_clusters": 2},
        {"n_clusters": 2, "distance_threshold": 0.5},
        {"max_cluster_size": 3, "n_clusters": 2, "distance_threshold": 0.5},
    ],
)
def test_limits_exclude_each_other(given):
    with pytest.raises(ValueError, match="exclude each other: set one") as caught:
        ConfusionLinkagePartitioner(**given).fit(np.eye(4))
    assert all(name in str(caught.value) for name in given)


@pytest.mark.parametrize(
    "given",
    [
        {"max_cluster_size": 0},
        {"n_clusters": 0},
        {"n_clusters": 2.5},
        {"distance_threshold": -1},
        {"affinity": "cosine"},
        {"k": 0},
    ],
)
def test_invalid_parameters(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"The {name!r} parameter of ConfusionLinkage"):
        ConfusionLinkagePartitioner(**given).fit(np.eye(4))
