import numpy as np
import pytest
from scipy.cluster.hierarchy import is_valid_linkage, leaves_list, linkage
from scipy.sparse import csr_array, csr_matrix

from hierlearn.display import leaf_order
from hierlearn.display._order import partition_linkage, share_inside, tree_order
from hierlearn.display._tree import clusters_are_branches
from hierlearn.partition import (
    ClassTree,
    ConfusionLinkagePartitioner,
    LabelPartition,
    average_linkage,
    extend_by_confusion,
)


def _partition(labels, **parts):
    _, labels = np.unique(labels, return_inverse=True)
    return LabelPartition(np.arange(len(labels)), labels, **parts)


def _runs(values):
    return 1 + int((values[1:] != values[:-1]).sum())


@pytest.mark.parametrize("source", ["linkage", "tree", "confusion", "nothing"])
def test_leaf_order_is_a_permutation_with_contiguous_clusters(blocks, source):
    confusion, _ = blocks(40, 5)
    labels = np.random.default_rng(1).permutation(np.arange(40) % 7)  # not branches of anything
    partition = _partition(labels)
    sources = {
        "linkage": {"linkage": average_linkage(confusion)},
        "tree": {"linkage": ClassTree.from_linkage(average_linkage(confusion))},
        "confusion": {"confusion": confusion},
        "nothing": {},
    }
    order = leaf_order(partition, **sources[source])
    assert sorted(order.tolist()) == list(range(40))
    assert _runs(partition.labels[order]) == 7


def test_leaf_order_keeps_the_dendrogram_where_clusters_are_branches(blocks):
    confusion, _ = blocks(30, 4)
    partitioner = ConfusionLinkagePartitioner(max_cluster_size=6).fit(confusion)
    order = leaf_order(partitioner.partition_, partitioner.linkage_)
    np.testing.assert_array_equal(order, leaves_list(partitioner.linkage_))


def test_leaf_order_follows_the_turns_of_an_optimal_leaf_ordering():
    points = np.random.default_rng(0).random((12, 1))
    turned = linkage(points, "average", optimal_ordering=True)
    order = leaf_order(_partition(np.zeros(12, dtype=int)), turned)
    np.testing.assert_array_equal(order, leaves_list(turned))
    assert _runs(np.sign(np.diff(points[order, 0]))) == 1  # sorted, one way or the other


def test_leaf_order_keeps_the_dendrogram_within_clusters_that_are_not_branches(blocks):
    confusion, _ = blocks(20, 3)
    merges = average_linkage(confusion)
    partition = _partition(np.arange(20) % 4)
    order = leaf_order(partition, merges)
    place = np.argsort(leaves_list(merges))
    for cluster in range(4):
        drawn = order[partition.labels[order] == cluster]
        assert (np.diff(place[drawn]) > 0).all()


def test_leaf_order_takes_the_tree_of_the_partition_when_nothing_else_is_given():
    tree = ClassTree.from_paths([("b", "x"), ("a",), ("b", "y"), ("a",)])
    plain = leaf_order(_partition([0, 1, 0, 1]))
    np.testing.assert_array_equal(leaf_order(_partition([0, 1, 0, 1], tree=tree)), tree_order(tree))
    np.testing.assert_array_equal(plain, [0, 2, 1, 3])


def test_leaf_order_puts_confused_classes_side_by_side():
    confusion = np.full((6, 6), 0.01)
    for one, other in [(0, 5), (1, 4), (2, 3)]:
        confusion[one, other] = confusion[other, one] = 0.5
    order = leaf_order(_partition(np.zeros(6, dtype=int)), confusion=confusion).tolist()
    assert {frozenset(order[i : i + 2]) for i in (0, 2, 4)} == {
        frozenset({0, 5}),
        frozenset({1, 4}),
        frozenset({2, 3}),
    }


def test_leaf_order_breaks_ties_of_the_mean_place_without_mixing_clusters():
    order = leaf_order(_partition([0, 1, 1, 0]))  # both clusters have their mean at 1.5
    np.testing.assert_array_equal(order, [0, 3, 1, 2])


@pytest.mark.parametrize("container", [csr_array, csr_matrix])
def test_leaf_order_is_the_same_for_sparse_confusion(blocks, container):
    confusion, groups = blocks(25, 4)
    partition = _partition(groups)
    np.testing.assert_array_equal(
        leaf_order(partition, confusion=container(confusion)),
        leaf_order(partition, confusion=confusion),
    )


def test_leaf_order_refuses_a_linkage_for_other_classes(blocks):
    merges = average_linkage(blocks(10, 2)[0])
    with pytest.raises(ValueError, match=r"one leaf per class .* \(4\)\. Got 10"):
        leaf_order(_partition([0, 0, 1, 1]), merges)


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        (np.ones((3, 3)), r"one column per class \(4\)\. Got shape \(3, 3\)"),
        (np.ones((4, 3)), r"Got shape \(4, 3\)"),
        (np.full((4, 4), np.nan), "confusion contains NaN"),
        (-np.ones((4, 4)), "[Nn]egative values"),
    ],
)
def test_leaf_order_refuses_what_is_no_confusion_of_the_classes(confusion, message):
    with pytest.raises(ValueError, match=message):
        leaf_order(_partition([0, 0, 1, 1]), confusion=confusion)


def test_tree_order_walks_a_chain_deeper_than_the_recursion_limit():
    n_classes = 3000
    chain = [[0, 1, 1, 2]] + [[i, n_classes + i - 2, i, i + 1] for i in range(2, n_classes)]
    order = tree_order(ClassTree.from_linkage(chain))
    assert sorted(order.tolist()) == list(range(n_classes))
    assert tree_order(np.array(chain, dtype=float)).shape == (n_classes,)


def test_partition_linkage_makes_every_cluster_a_branch(blocks):
    confusion, _ = blocks(24, 3)
    labels = _partition(np.random.default_rng(3).integers(0, 6, 24)).labels
    merges = partition_linkage(labels, confusion)
    assert is_valid_linkage(merges)
    assert clusters_are_branches(ClassTree.from_linkage(merges), labels)
    assert not clusters_are_branches(ClassTree.from_linkage(average_linkage(confusion)), labels)


def test_partition_linkage_never_draws_a_merge_below_what_it_joins(blocks):
    confusion, _ = blocks(24, 3)
    merges = partition_linkage(np.arange(24) % 5, confusion)
    tree = ClassTree.from_linkage(merges)
    inner = tree.parents >= 0
    assert (tree.heights[inner] <= tree.heights[tree.parents[inner]]).all()
    assert merges[:, 2].min() >= 0
    assert merges[:, 2].max() <= 1


def test_partition_linkage_is_the_average_linkage_where_clusters_are_its_branches(blocks):
    confusion, _ = blocks(24, 4)
    partitioner = ConfusionLinkagePartitioner(n_clusters=4).fit(confusion)
    merges = partition_linkage(partitioner.labels_, confusion)
    np.testing.assert_allclose(np.sort(merges[:, 2]), np.sort(partitioner.linkage_[:, 2]))


def test_partition_linkage_takes_classes_that_were_never_seen_or_predicted(blocks):
    confusion, groups = blocks(12, 3)
    confusion[4] = 0
    confusion[:, 7] = 0
    assert is_valid_linkage(partition_linkage(groups, confusion))


def test_share_inside_counts_true_classes_equally_and_overlap_as_inside():
    confusion = np.array([[6, 2, 2, 0], [0, 10, 0, 0], [0, 0, 40, 0], [0, 0, 60, 40]])
    partition = LabelPartition(list("abcd"), [0, 0, 1, 1])
    # Rates off the diagonal: a->b 0.2 (inside), a->c 0.2 (outside), d->c 0.6 (inside).
    assert share_inside(confusion, partition) == pytest.approx(0.8)
    membership = np.array([[1, 1], [1, 0], [0, 1], [0, 1]], dtype=bool)  # a also joins c and d
    with_overlap = LabelPartition(list("abcd"), [0, 0, 1, 1], membership)
    assert share_inside(confusion, with_overlap) == pytest.approx(1.0)


def test_share_inside_grows_with_overlap(blocks):
    confusion, _ = blocks(20, 4)
    partition = _partition(np.arange(20) % 5)
    shares = [
        share_inside(confusion, extend_by_confusion(partition, confusion, gamma=gamma))
        for gamma in (None, 0.7, 1.5, 1000.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] == pytest.approx(1.0)


def test_share_inside_is_undefined_without_confusion():
    assert np.isnan(share_inside(np.eye(3), _partition([0, 0, 1])))
