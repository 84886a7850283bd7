"""Classes planted in a tree: sizes, frequencies, distances and confusions as asked for."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin

from hierlearn import TaxonomyPartitioner
from hierlearn.datasets import make_class_hierarchy


@pytest.fixture(scope="module")
def planted():
    return make_class_hierarchy(200, 4000, n_features=24, depth=3, confusion=0.05)


def test_parts_fit_each_other(planted):
    assert planted.data_train.shape == (4000, 24)
    assert planted.data_test.shape == (1000, 24)
    assert planted.data_train.dtype == planted.data_test.dtype == np.float32
    assert np.array_equal(np.bincount(planted.target_train), planted.frequencies)
    assert set(planted.target_test) <= set(range(200))
    assert len(planted.target_names) == len(planted.groups) == 200
    assert len(planted.DESCR) > 100


def test_every_class_has_its_minimum_and_the_rest_goes_by_rank():
    counts = make_class_hierarchy(50, 5000, zipf=1.0, min_samples=3).frequencies
    assert counts.sum() == 5000
    assert counts.min() >= 3
    ranked = np.sort(counts)[::-1] - 3
    assert abs(ranked[0] / ranked[9] - 10) < 0.5
    same = make_class_hierarchy(50, 5000, zipf=0).frequencies
    assert np.ptp(same) <= 1


def test_levels_are_nested_and_balanced(planted):
    top, bottom = planted.levels
    for group in np.unique(bottom):
        assert len(np.unique(top[bottom == group])) == 1
    sizes = np.bincount(bottom)
    assert sizes.max() - sizes.min() <= 1
    assert len(set(planted.groups.values())) == len(sizes)


@pytest.mark.parametrize(("depth", "branching"), [(1, None), (2, 15), (4, None), (9, 2)])
def test_tree_agrees_with_levels(depth, branching):
    planted = make_class_hierarchy(200, 400, n_features=4, depth=depth, branching=branching)
    assert planted.levels.shape == (depth - 1, 200)
    nodes = np.arange(200)
    for groups in planted.levels[::-1]:
        nodes = planted.tree.parents[nodes]
        assert len({*zip(groups, nodes, strict=True)}) == len(set(groups)) == len(set(nodes))
    assert set(planted.tree.parents[nodes]) == {planted.tree.n_nodes - 1}


def test_centres_are_closer_the_closer_in_the_tree(planted):
    distances = pairwise_distances(planted.centers)
    apart = ~np.eye(200, dtype=bool)
    top, bottom = (groups[:, None] == groups for groups in planted.levels)
    siblings, cousins, strangers = apart & bottom, top & ~bottom, ~top
    means = [distances[pairs].mean() for pairs in (siblings, cousins, strangers)]
    assert means[0] < 0.7 * means[1] < 0.7 * means[2]


@pytest.mark.parametrize("confusion", [0.0, 0.01, 0.2])
def test_a_sibling_is_nearer_as_often_as_asked_for(confusion):
    planted = make_class_hierarchy(100, 20_000, n_features=64, depth=2, zipf=0, confusion=confusion)
    nearer = []
    for code in range(100):
        own = planted.data_train[planted.target_train == code]
        siblings = np.flatnonzero(planted.levels[0] == planted.levels[0][code])
        rivals = planted.centers[siblings[siblings != code]]
        to_own = pairwise_distances(own, planted.centers[[code]])
        nearer.append((pairwise_distances(own, rivals) < to_own).mean())
    assert np.mean(nearer) == pytest.approx(confusion, rel=0.3)


def test_codes_tell_nothing_of_tree_and_frequency(planted):
    correlations = np.corrcoef([np.arange(200), planted.levels[0], planted.frequencies])
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 0.3


def test_test_samples_are_of_the_same_classes(planted):
    nearest = pairwise_distances_argmin(planted.data_test, planted.centers)
    assert (nearest == planted.target_test).mean() > 0.6


def test_groups_are_what_the_taxonomy_partitioner_takes(planted):
    partition = TaxonomyPartitioner(planted.groups).fit(np.eye(200)).partition_
    assert partition.n_clusters == planted.levels[1].max() + 1


def test_draws_are_repeatable():
    first, again, other = (make_class_hierarchy(20, 80, random_state=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.data_test, again.data_test)
    assert np.array_equal(first.target_train, again.target_train)
    assert not np.array_equal(first.data_test, other.data_test)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_samples": 100}, r"n_samples must be at least n_classes \* min_samples, 200\. Got 100"),
        ({"depth": 2, "branching": 5}, r"branching\*\*depth must be at least n_classes, 100\. Got"),
        ({"confusion": 0.5}, "'confusion' parameter .* must be a float in the range"),
        ({"zipf": -1}, "'zipf' parameter"),
    ],
)
def test_impossible_settings_are_refused(params, message):
    with pytest.raises(ValueError, match=message) as caught:
        make_class_hierarchy(100, **params)
    assert "\n" not in str(caught.value)
