"""Hierarchies of more than two levels: by composition, and by max_depth."""

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchMLPClassifier,
)

NB = GaussianNB(var_smoothing=0.05)
MLP = TorchMLPClassifier((24, 12), max_epochs=6, lr=0.02)
HALVES = LabelPartition(np.arange(10), np.repeat([0, 1], 5))
SIX_AND_FOUR = LabelPartition.from_groups([[0, 2, 4, 6, 8, 9], [1, 3, 5, 7]])
THREE_AND_SEVEN = LabelPartition.from_groups([[0, 1, 2], [3, 4, 5, 6, 7, 8, 9]])


def decomposition(base=NB, partitioner=HALVES, **params):
    params = {"mixing": 0, "routing": "soft", **params}
    return HierarchicalDecompositionClassifier(base, partitioner, random_state=0, **params)


def depth(estimator):
    if not isinstance(estimator, HierarchicalDecompositionClassifier):
        return 0
    return 1 + max(depth(member) for member in estimator.fine_estimators_)


@pytest.mark.parametrize("base", [NB, MLP], ids=["bayes", "mlp"])
@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_fine_estimator_may_be_a_decomposition(train, test, base, routing):
    inner = HierarchicalDecompositionClassifier(NB, "linkage", mixing=0, routing=routing)
    clf = decomposition(base, fine_estimator=inner, routing=routing).fit(*train)
    assert depth(clf) == 2
    for cluster, member in enumerate(clf.fine_estimators_):
        assert np.array_equal(member.classes_, HALVES.members(cluster))
        assert member.partition_.n_clusters >= 2
        assert member.random_state is not None
    np.testing.assert_allclose(clf.predict_proba(test[0]).sum(axis=1), 1)
    assert clf.score(*test) > 0.6


def test_a_decomposition_of_singles_within_changes_nothing(train, test):
    # Clusters of one class each leave everything to the inner base: the plain fine estimator.
    plain = decomposition().fit(*train).predict_proba(test[0])
    singles = ConfusionLinkagePartitioner(max_cluster_size=1)
    inner = HierarchicalDecompositionClassifier(NB, singles, mixing=0, routing="soft")
    nested = decomposition(fine_estimator=inner).fit(*train).predict_proba(test[0])
    np.testing.assert_allclose(nested, plain, atol=1e-12)


@pytest.mark.parametrize(
    "base", [NB, MLP, make_pipeline(StandardScaler(), MLP)], ids=["bayes", "mlp", "scaled"]
)
@pytest.mark.parametrize("max_depth", [1, 2, 3])
@pytest.mark.parametrize("mixing", [0, "auto"])
def test_max_depth_levels(train, test, base, max_depth, mixing):
    halving = ConfusionLinkagePartitioner(n_clusters=2)
    clf = decomposition(base, halving, max_depth=max_depth, mixing=mixing).fit(*train)
    assert depth(clf) <= max_depth
    if max_depth > 1:
        assert depth(clf) > 1
    posteriors = clf.predict_proba(test[0])
    np.testing.assert_allclose(posteriors.sum(axis=1), 1, atol=1e-6)
    assert clf.score(*test) > 0.6


def deepened(partition, train, **params):
    """Fit two levels on a fixed first one, which max_depth takes from a partitioner only."""

    class Fixed(ConfusionLinkagePartitioner):
        def fit(self, X, y=None, *, classes=None):
            super().fit(X, y, classes=classes)
            if len(classes) == 10:
                self.partition_ = partition
            return self

    return decomposition(partitioner=Fixed(n_clusters=2), max_depth=2, **params).fit(*train)


def test_only_clusters_of_four_classes_or_more_are_divided(train):
    small, large = deepened(THREE_AND_SEVEN, train).fine_estimators_
    assert isinstance(small, GaussianNB)
    assert isinstance(large, HierarchicalDecompositionClassifier)
    assert large.max_depth == 1
    both = deepened(SIX_AND_FOUR, train).fine_estimators_
    assert [member.partition_.n_classes for member in both] == [6, 4]


def test_settings_reach_the_levels_below(train):
    clf = deepened(
        SIX_AND_FOUR, train, routing="hard", gamma=2, confusion="hard", overlap_rule="all"
    )
    for member in clf.fine_estimators_:
        assert (member.routing, member.gamma, member.mixing) == ("hard", 2, 0)
        assert (member.confusion, member.overlap_rule) == ("hard", "all")
        assert isinstance(member.base_estimator, GaussianNB)


def test_clusters_too_small_to_hold_out_from_are_left_whole(digits):
    X, y = digits
    # One sample of class 5 remains in the training part of the only split.
    kept = np.flatnonzero(y != 5)[:300]
    fives = np.flatnonzero(y == 5)[:2]
    rows = np.concatenate([kept, fives])
    cv = [(np.append(np.arange(200), 300), np.append(np.arange(200, 300), 301))]
    whole = decomposition(partitioner="taxonomy", max_depth=2, cv=cv, mixing="auto")
    assert whole.fit(X[rows], y[rows]).score(X, y) > 0.6
    assert depth(whole) == 2
