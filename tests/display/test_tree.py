import numpy as np
import pytest

from hierlearn.display._order import tree_order
from hierlearn.display._tree import (
    cluster_tops,
    cut_between,
    lay_out,
    rate_positions,
    shows_rates,
)
from hierlearn.partition import ClassTree, ConfusionLinkagePartitioner

# 0 and 1 join at 0.2, 2 and 3 at 0.4, 4 joins those at 0.6, all at 0.9.
MERGES = [[0, 1, 0.2, 2], [2, 3, 0.4, 2], [4, 6, 0.6, 3], [5, 7, 0.9, 5]]


def _layout(merges=MERGES, labels=None, max_leaves=100):
    tree = merges if isinstance(merges, ClassTree) else ClassTree.from_linkage(merges)
    labels = None if labels is None else np.array(labels)
    return lay_out(tree, tree_order(tree), labels, max_leaves)


def test_every_class_has_a_row_and_parents_lie_midway():
    layout = _layout()
    assert sorted(layout.rows[:5].tolist()) == [0, 1, 2, 3, 4]
    for node in range(5, 9):
        below = layout.rows[layout.children[node]]
        assert layout.rows[node] == (below.min() + below.max()) / 2
    assert [members.tolist() for members in layout.members] == [[end] for end in layout.ends]


def test_branches_of_one_cluster_carry_its_number():
    layout = _layout(labels=[0, 0, 1, 1, 1])
    assert layout.clusters.tolist() == [0, 0, 1, 1, 1, 0, 1, 1, -1]
    assert cluster_tops(layout) == {0: [5], 1: [7]}


def test_cluster_spread_over_branches_has_several_tops():
    assert cluster_tops(_layout(labels=[0, 1, 1, 1, 0])) == {0: [0, 4], 1: [1, 6]}


def test_too_many_classes_collapse_into_their_clusters():
    layout = _layout(labels=[1, 1, 0, 0, 2], max_leaves=4)
    drawn = {frozenset(members.tolist()) for members in layout.members}
    assert drawn == {frozenset({0, 1}), frozenset({2, 3}), frozenset({4})}
    assert np.isnan(layout.rows[[0, 1, 2, 3]]).all()


def test_more_clusters_than_rows_collapse_by_height():
    layout = _layout(labels=[0, 1, 2, 3, 4], max_leaves=3)
    assert sorted(map(len, layout.members)) == [1, 2, 2]


def test_collapsing_without_clusters_keeps_within_the_limit(blocks):
    merges = ConfusionLinkagePartitioner().fit(blocks(60, 6)[0]).linkage_
    layout = _layout(merges, max_leaves=10)
    assert len(layout.ends) == 10
    assert sorted(np.concatenate(layout.members).tolist()) == list(range(60))
    assert layout.rows[layout.ends].tolist() == list(range(10))


def test_clusters_of_a_linkage_collapse_to_exactly_the_clusters(blocks):
    partitioner = ConfusionLinkagePartitioner(max_cluster_size=7).fit(blocks(80, 8)[0])
    layout = _layout(partitioner.linkage_, partitioner.labels_, max_leaves=40)
    drawn = sorted(members.tolist() for members in map(np.sort, layout.members))
    clusters = sorted(codes.tolist() for codes in partitioner.partition_)
    assert drawn == clusters


def test_cut_lies_between_the_highest_cluster_and_the_lowest_merge():
    layout = _layout(labels=[0, 0, 1, 1, 1])
    assert cut_between(layout) == [7, 8]


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param([1, 2, 0, 0, 0], id="a cluster is higher than a merge that was undone"),
        pytest.param([0, 1, 1, 1, 0], id="clusters are not branches"),
        pytest.param([0, 0, 0, 0, 0], id="one cluster"),
        pytest.param(None, id="no clusters"),
    ],
)
def test_no_cut_where_no_single_height_gives_the_clusters(labels):
    assert cut_between(_layout(labels=labels)) is None


@pytest.mark.parametrize("n_clusters", [2, 5, 9])
def test_cut_by_number_of_clusters_is_found(blocks, n_clusters):
    partitioner = ConfusionLinkagePartitioner(n_clusters=n_clusters).fit(blocks(40, 5)[0])
    layout = _layout(partitioner.linkage_, partitioner.labels_)
    below, above = layout.heights[cut_between(layout)]
    merges = np.sort(partitioner.linkage_[:, 2])
    assert below == merges[-n_clusters]
    assert above == merges[1 - n_clusters]


def test_taxonomy_has_levels_for_heights_and_any_number_of_children():
    tree = ClassTree.from_paths([("a", "x"), ("a", "x"), ("a", "x"), ("a",), ("b",)])
    layout = _layout(tree, labels=[0, 0, 0, 0, 1])
    assert len(layout.ends) == 5
    assert layout.heights.max() == 3  # x, a, root
    assert cluster_tops(layout).keys() == {0, 1}


def test_rates_are_for_heights_that_crowd_towards_one():
    assert shows_rates([0.8, 0.9, 0.99, 1.0])
    assert not shows_rates([0.1, 0.2, 0.9])
    assert not shows_rates([0.8, 3.0])
    assert not shows_rates([])


def test_rate_positions_are_logarithms_of_one_minus_height():
    positions, floor = rate_positions([0.0, 0.9, 0.99])
    np.testing.assert_allclose(positions, [0, 1, 2])
    assert floor == pytest.approx(0.01)


def test_groups_never_confused_lie_beyond_all_others():
    positions, floor = rate_positions([0.0, 0.9, 1.0])
    np.testing.assert_allclose(positions, [0, 1, -np.log10(0.05)])
    assert floor == pytest.approx(0.05)
