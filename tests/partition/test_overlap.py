"""Overlap by eq. 1, counted by hand."""

import numpy as np
import pytest
from scipy import sparse

from hierlearn.exceptions import PartitionError
from hierlearn.partition import ClassTree, LabelPartition, extend_by_confusion

# Of the predictions of class 2, a quarter each is in truth class 0, 1, 2 and 3; of those of class
# 4 one eighth is class 0 and three eighths are class 3; class 5 is never predicted.
CONFUSION = np.array(
    [
        [8, 0, 1, 0, 1, 0],
        [0, 8, 1, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 8, 3, 0],
        [0, 0, 0, 0, 4, 0],
        [0, 0, 0, 0, 0, 0],
    ]
)
# Clusters {0, 1}, {2, 3} and {4, 5}.
PARTITION = LabelPartition(np.arange(6), [0, 0, 1, 1, 2, 2])


def _added(gamma, rule, confusion=CONFUSION):
    extended = extend_by_confusion(PARTITION, confusion, gamma=gamma, rule=rule)
    np.testing.assert_array_equal(extended.labels, PARTITION.labels)
    return {
        (cluster, code)
        for cluster, codes in enumerate(extended)
        for code in set(codes.tolist()) - set(PARTITION.members(cluster).tolist())
    }


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array, sparse.coo_matrix])
@pytest.mark.parametrize(
    ("threshold", "rule", "expected"),
    [
        (1 / 2, "any", set()),
        (3 / 8, "any", {(1, 4)}),  # 3 of 8 predictions of 4 are class 3
        (1 / 4, "any", {(1, 4), (0, 2)}),  # 1 of 4 predictions of 2 is class 0
        (1 / 8, "any", {(1, 4), (0, 2), (0, 4)}),
        (1 / 100, "any", {(1, 4), (0, 2), (0, 4)}),
        (1 / 4, "all", {(0, 2)}),  # of classes 0 and 1 alike; 4 is taken for 3 only
        (1 / 100, "all", {(0, 2)}),
        (1 / 3, "all", set()),
    ],
)
def test_counted_by_hand(container, threshold, rule, expected):
    gamma = 1 / (threshold * PARTITION.n_classes)
    assert _added(gamma, rule, container(CONFUSION)) == expected


def test_counts_and_shares_give_the_same():
    shares = CONFUSION / CONFUSION.sum()
    for gamma in (0.5, 1, 3):
        assert _added(gamma, "any", shares) == _added(gamma, "any")


def test_threshold_itself_counts_in_spite_of_rounding():
    """0.1 * 3 and 0.3 differ in floating point."""
    confusion = np.array([[0.9, 0.3], [0.0, 0.7]])
    partition = LabelPartition(["a", "b"], [0, 1])
    gamma = 1 / (0.1 * 3 * 2)
    extended = extend_by_confusion(partition, confusion, gamma=gamma)
    assert extended.members(0).tolist() == [0, 1]


@pytest.mark.parametrize("rule", ["any", "all"])
def test_grows_with_gamma(rule):
    confusion = np.random.default_rng(0).dirichlet(np.full(30, 0.2), size=30)
    partition = LabelPartition(np.arange(30), np.arange(30) % 15)
    previous = partition.membership
    for gamma in (0.05, 0.2, 1, 3, 8, 50):
        membership = extend_by_confusion(partition, confusion, gamma=gamma, rule=rule).membership
        assert (previous.toarray() <= membership.toarray()).all()
        previous = membership
    assert previous.nnz > partition.membership.nnz


def test_all_is_within_any():
    confusion = np.random.default_rng(1).dirichlet(np.full(30, 0.5), size=30)
    partition = LabelPartition(np.arange(30), np.arange(30) % 10)
    smaller = extend_by_confusion(partition, confusion, gamma=3, rule="all").membership
    larger = extend_by_confusion(partition, confusion, gamma=3, rule="any").membership
    assert smaller.nnz < larger.nnz
    assert (smaller.toarray() <= larger.toarray()).all()


def test_keeps_tree_names_and_present_overlap():
    tree = ClassTree([2, 2, -1], heights=[0, 0, 1])
    partition = LabelPartition(["a", "b"], [0, 1], [[1, 1], [0, 1]], tree, ("x", "y"))
    extended = extend_by_confusion(partition, np.eye(2), gamma=100)
    assert extended == partition
    assert (extended.tree, extended.names) == (tree, ("x", "y"))


def test_without_gamma_nothing_changes():
    assert extend_by_confusion(PARTITION, CONFUSION, gamma=None) is PARTITION


@pytest.mark.parametrize("gamma", [0, -1, np.nan, np.inf, "3"])
def test_invalid_gamma(gamma):
    with pytest.raises(ValueError, match=r"gamma must be a positive number: pass gamma=None"):
        extend_by_confusion(PARTITION, CONFUSION, gamma=gamma)


def test_other_errors():
    with pytest.raises(ValueError, match=r"rule must be one of 'all', 'any'. Got 'most'"):
        extend_by_confusion(PARTITION, CONFUSION, gamma=1, rule="most")
    with pytest.raises(PartitionError, match=r"partition's 6 classes. Got shape \(2, 2\)"):
        extend_by_confusion(PARTITION, np.eye(2), gamma=1)
    with pytest.raises(ValueError, match="negative"):
        extend_by_confusion(PARTITION, -CONFUSION, gamma=1)
