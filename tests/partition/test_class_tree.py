"""ClassTree: valid trees only, and the way to and from scipy's linkage."""

import pickle

import numpy as np
import pytest
from scipy.cluster.hierarchy import is_valid_linkage, leaves_list, linkage

from hierlearn.exceptions import PartitionError
from hierlearn.partition import ClassTree


def _random_linkage(n_classes, seed):
    return linkage(np.random.default_rng(seed).normal(size=(n_classes, 3)), "average")


@pytest.mark.parametrize("n_classes", [2, 3, 17])
def test_linkage_round_trip(n_classes):
    merges = _random_linkage(n_classes, seed=n_classes)
    tree = ClassTree.from_linkage(merges)
    assert (tree.n_classes, tree.n_nodes) == (n_classes, 2 * n_classes - 1)
    np.testing.assert_array_equal(tree.to_linkage(), merges)


def test_linkage_round_trip_with_equal_heights():
    merges = linkage(np.ones(28), "average")  # eight classes, all at distance 1
    np.testing.assert_array_equal(ClassTree.from_linkage(merges).to_linkage(), merges)


def test_one_class_is_a_tree():
    tree = ClassTree.from_linkage(np.empty((0, 4)))
    assert (tree.n_classes, tree.n_nodes) == (1, 1)
    assert tree.to_linkage().shape == (0, 4)
    assert tree.reorder_leaves(np.array([0])) == tree


def test_to_linkage_of_nodes_in_any_order():
    """The root may stand before the nodes below it."""
    tree = ClassTree([5, 5, 6, 6, -1, 4, 4], heights=[0, 0, 0, 0, 3, 2, 1])
    merges = tree.to_linkage()
    assert is_valid_linkage(merges)
    assert merges.tolist() == [[2, 3, 1, 2], [0, 1, 2, 2], [4, 5, 3, 4]]


def test_depths():
    assert ClassTree([3, 3, 4, 4, -1]).depths().tolist() == [2, 2, 1, 1, 0]


def test_reordered_leaves_keep_their_places():
    merges = _random_linkage(9, seed=0)
    tree = ClassTree.from_linkage(merges)
    order = np.random.default_rng(1).permutation(9)
    reordered = tree.reorder_leaves(order)
    old, new = leaves_list(merges), leaves_list(reordered.to_linkage())
    together = {frozenset(old[i : i + 2]) for i in range(8)}
    # Leaves are drawn side by side as before, up to the order of the two children of a node.
    assert {frozenset(order[new[i : i + 2]]) for i in range(8)} & together
    assert reordered.reorder_leaves(np.argsort(order)) == tree


def test_from_paths_shares_groups_with_equal_paths():
    tree = ClassTree.from_paths([("a", "x"), ("b", "x"), ("a", "x"), ("b",)])
    assert tree.parents[0] == tree.parents[2] != tree.parents[1]
    assert tree.depths().tolist()[:4] == [3, 3, 3, 2]


def test_equality():
    tree = ClassTree([2, 2, -1], heights=[0, 0, 1])
    assert tree == ClassTree([2, 2, -1], heights=[0, 0, 1])
    assert tree != ClassTree([2, 2, -1], heights=[0, 0, 2])
    assert tree != ClassTree([2, 2, -1])
    assert ClassTree([2, 2, -1]) != ClassTree([3, 3, 3, -1])
    assert tree != "a tree"


def test_is_frozen_and_apart_from_what_it_was_made_of():
    parents = np.array([2, 2, -1])
    tree = ClassTree(parents, heights=[0, 0, 1])
    parents[0] = 0
    assert tree.parents[0] == 2
    restored = pickle.loads(pickle.dumps(tree))
    assert restored == tree
    for array in (tree.parents, tree.heights, restored.parents):
        assert not array.flags.writeable


@pytest.mark.parametrize(
    ("parents", "heights", "message"),
    [
        ([], None, "non-empty"),
        ([0.5, -1], None, "integers"),
        ([2, 2, 2], None, "exactly one root.*Got 0"),
        ([-1, -1], None, "exactly one root.*Got 2"),
        ([2, 7, -1], None, "between -1 and 2"),
        ([-1, 0, 0], None, "leaves as its first nodes"),
        ([4, 4, 3, 2, -1], None, "cycle above node 2"),
        ([2, 4, 3, 2, -1], None, "cycle above node 0"),
        ([2, 2, -1], [0, 1], "one entry for each of the 3 nodes"),
        ([2, 2, -1], [0, 2, 1], "not fall towards the root"),
        ([2, 2, -1], [0, 0, np.nan], "not fall towards the root"),
    ],
)
def test_invalid_trees(parents, heights, message):
    with pytest.raises(PartitionError, match=message):
        ClassTree(np.array(parents), heights)


def test_to_linkage_says_what_it_needs():
    with pytest.raises(PartitionError, match="binary"):
        ClassTree([3, 3, 3, -1], heights=[0, 0, 0, 1]).to_linkage()
    with pytest.raises(PartitionError, match="needs heights"):
        ClassTree([2, 2, -1]).to_linkage()
