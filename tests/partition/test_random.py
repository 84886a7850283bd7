"""The random control: same sizes, other classes."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from hierlearn.exceptions import PartitionError
from hierlearn.partition import (
    ClassTree,
    ConfusionLinkagePartitioner,
    LabelPartition,
    RandomPartitioner,
    extend_by_confusion,
    permute_classes,
)

CONFUSION = np.random.default_rng(0).dirichlet(np.full(30, 0.1), size=30) + np.eye(30)
LEARNT = ConfusionLinkagePartitioner().fit(CONFUSION).partition_


def _profile(partition):
    """Sizes of the clusters, primary and with overlap, whatever their order."""
    return sorted(zip(partition.primary_sizes.tolist(), partition.sizes.tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_same_sizes_other_classes(seed):
    fitted = RandomPartitioner(random_state=seed).fit(CONFUSION)
    assert fitted.partitioner_.partition_ == LEARNT
    assert _profile(fitted.partition_) == _profile(LEARNT)
    assert fitted.partition_ != LEARNT


@pytest.mark.parametrize("seed", range(5))
def test_same_overlap(seed):
    overlapping = extend_by_confusion(LEARNT, CONFUSION, gamma=3)
    assert overlapping.is_overlapping
    permuted = permute_classes(overlapping, random_state=seed)
    assert _profile(permuted) == _profile(overlapping)

    def clusters_per_class(partition):
        return sorted(np.diff(partition.membership.indptr).tolist())

    assert clusters_per_class(permuted) == clusters_per_class(overlapping)


def test_every_class_reaches_every_place():
    partition = LabelPartition(np.arange(4), [0, 1, 1, 1])
    loners = {
        int(permuted.primary_members(int(permuted.primary_sizes.argmin()))[0])
        for permuted in (permute_classes(partition, random_state=seed) for seed in range(60))
    }
    assert loners == {0, 1, 2, 3}


def test_seeds_differ_and_repeat():
    first, second, again = (permute_classes(LEARNT, random_state=seed) for seed in (0, 1, 0))
    assert first == again
    assert first != second


def test_tree_moves_with_the_classes():
    """Classes of a cluster stay a sub-tree: merged before they meet any other class."""
    permuted = permute_classes(LEARNT, random_state=0)
    np.testing.assert_array_equal(permuted.tree.heights, LEARNT.tree.heights)
    parents = permuted.tree.parents
    above = [{leaf} for leaf in range(30)] + [set() for _ in range(29)]
    for node in range(58):
        above[parents[node]] |= above[node]
    for codes in permuted:
        assert set(codes.tolist()) in above


def test_names_do_not_stay_with_other_classes():
    tree = ClassTree([2, 2, -1])
    partition = LabelPartition(["lion", "car"], [0, 1], None, tree, ("animals", "vehicles"))
    assert permute_classes(partition, random_state=0).names is None


def test_takes_partitioners_that_know_nothing_of_classes():
    class Halves(BaseEstimator):
        def fit(self, X, y=None):
            codes = np.arange(np.asarray(X).shape[0])
            self.partition_ = LabelPartition(codes, codes % 2)
            return self

    fitted = RandomPartitioner(Halves(), random_state=0).fit(CONFUSION)
    assert fitted.partition_.sizes.tolist() == [15, 15]
    assert not hasattr(fitted, "n_features_in_")


def test_errors():
    with pytest.raises(ValueError, match="'partitioner' parameter of RandomPartitioner"):
        RandomPartitioner("linkage").fit(CONFUSION)
    with pytest.raises(PartitionError, match="one label for each of the 30"):
        RandomPartitioner().fit(CONFUSION, classes=["a"])
