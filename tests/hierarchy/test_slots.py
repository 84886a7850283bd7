"""Every partitioner, kind of held-out data and sub-estimator."""

import itertools

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import ShuffleSplit, StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from hierlearn import (
    CentroidPartitioner,
    HierarchicalDecompositionClassifier,
    LabelPartition,
    RandomPartitioner,
    TaxonomyPartitioner,
    TorchMLPClassifier,
)
from hierlearn.partition import PARTITIONERS

NB = GaussianNB(var_smoothing=0.05)
TREE = DecisionTreeClassifier(max_depth=4)
THREE = LabelPartition(np.arange(10), [0, 1, 0, 1, 2, 0, 2, 2, 1, 0])
SINGLES = LabelPartition(np.arange(10), np.arange(10))


class NearestMean(ClassifierMixin, BaseEstimator):
    """A classifier that has ``predict`` and nothing else."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == label].mean(axis=0) for label in self.classes_])
        return self

    def predict(self, X):
        distances = ((X[:, None] - self.means_) ** 2).sum(axis=2)
        return self.classes_[distances.argmin(axis=1)]


def decomposition(base=NB, partitioner=None, **params):
    params.setdefault("random_state", 0)
    return HierarchicalDecompositionClassifier(base, partitioner, **params)


# -- partitions --------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["any", "all"])
def test_gamma_grows_the_overlap_and_nothing_else(train, test, rule):
    clf = decomposition(NB, "linkage", overlap_rule=rule, hierarchy_estimator=TREE)
    fits = [
        clone(clf).set_params(gamma=gamma).fit(*train) for gamma in (None, 0.5, 2, 10, 1e4, 1e9)
    ]
    for smaller, larger in itertools.pairwise(fits):
        assert (larger.partition_.sizes >= smaller.partition_.sizes).all()
        assert np.array_equal(larger.partition_.labels, smaller.partition_.labels)
        assert np.array_equal(larger.confusion_, smaller.confusion_)
        assert np.array_equal(larger.transform(test[0]), smaller.transform(test[0]))
        for cluster, estimator in enumerate(larger.fine_estimators_):
            members = larger.partition_.members(cluster)
            assert np.array_equal(estimator.classes_, members)
    assert fits[-1].partition_.is_overlapping
    assert not fits[0].partition_.is_overlapping


@pytest.mark.parametrize(
    "partitioner",
    [
        *sorted(PARTITIONERS),
        CentroidPartitioner(3, method="spectral"),
        RandomPartitioner(TaxonomyPartitioner(THREE)),
        TaxonomyPartitioner({"round": [0, 3, 6, 8, 9], "straight": [1, 2, 4, 5, 7]}),
        THREE,
        SINGLES,
        None,
    ],
    ids=str,
)
def test_every_partitioner(train, test, partitioner):
    clf = decomposition(NB, partitioner, mixing=0, routing="hard", gamma=3).fit(*train)
    assert clf.score(*test) > 0.7
    assert len(clf.fine_estimators_) == clf.partition_.n_clusters
    assert clf.transform(test[0]).shape[1] == clf.partition_.n_clusters
    if isinstance(partitioner, LabelPartition):
        assert clf.partitioner_ is None
        assert np.array_equal(clf.partition_.labels, partitioner.labels)
    else:
        assert np.array_equal(clf.partitioner_.partition_.labels, clf.partition_.labels)


def test_clusters_of_one_class_leave_the_choice_to_the_gate(train, test):
    clf = decomposition(NB, SINGLES, mixing=0).fit(*train)
    assert np.array_equal(clf.predict(test[0]), clf.base_estimator_.predict(test[0]))


@pytest.mark.parametrize("confusion", ["hard", "soft", "top_k", "co_detection"])
def test_every_confusion(train, test, confusion):
    clf = decomposition(confusion=confusion, confusion_k=2).fit(*train)
    assert clf.confusion_.shape == (10, 10)
    assert clf.score(*test) > 0.7


# -- held-out data -----------------------------------------------------------------------------

FOLDS = [(np.arange(0, 300), np.arange(300, 400)), (np.arange(150, 450), np.arange(50, 150))]


@pytest.mark.parametrize(
    ("cv", "n_held_out"),
    [
        (None, 90),
        (0.3, 135),
        (3, 450),
        (StratifiedKFold(4), 450),
        (ShuffleSplit(1, test_size=0.5, random_state=0), 225),
        (FOLDS, 200),
        (iter(FOLDS), 200),
    ],
    ids=["default", "fraction", "folds", "splitter", "one split", "list", "iterator"],
)
def test_every_kind_of_cv(train, test, cv, n_held_out):
    clf = decomposition(TREE, cv=cv).fit(*train)
    held_out = clf.held_out_
    assert len(held_out.y) == n_held_out
    assert np.array_equal(train[1][held_out.indices], held_out.y)
    for fold in held_out.folds:
        assert not set(fold.train) & set(fold.test)
    assert clf.score(*test) > 0.35


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("base", [NB, LinearSVC(random_state=0)], ids=str)
def test_prefit_base_is_used_and_not_fitted(train, test, base, frozen):
    X, y = train
    fitted = clone(base).fit(X[:200], y[:200])
    given = FrozenEstimator(fitted) if frozen else fitted
    expected = fitted.decision_function(test[0]) if hasattr(fitted, "decision_function") else None
    clf = decomposition(given, THREE, cv="prefit").fit(X[200:], y[200:])
    assert clf.base_estimator_ is given
    assert len(clf.held_out_.y) == 250
    assert [type(member) for member in clf.fine_estimators_] == [type(base)] * 3
    assert np.array_equal(clf.fine_estimators_[0].classes_, THREE.members(0))
    assert clf.score(*test) > 0.7
    if expected is not None:
        assert np.array_equal(fitted.decision_function(test[0]), expected)


def test_frozen_base_survives_clone(train, test):
    frozen = FrozenEstimator(clone(NB).fit(train[0][:200], train[1][:200]))
    clf = clone(decomposition(frozen, cv="prefit")).fit(train[0][200:], train[1][200:])
    assert clf.score(*test) > 0.7


def test_class_missing_from_a_fold(train, test):
    X, y = train
    without_5 = np.flatnonzero(y != 5)
    cv = [
        (without_5[:250], np.setdiff1d(np.arange(450), without_5[:250])),
        (np.arange(300), np.arange(300, 450)),
    ]
    clf = decomposition(NB, THREE, cv=cv, hierarchy_estimator=NB).fit(X, y)
    assert clf.held_out_.folds[0].estimator.classes_.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert clf.classes_.tolist() == list(range(10))
    assert clf.predict_proba(test[0])[:, 5].max() > 0.5


def test_classes_of_two_samples():
    y = np.repeat(np.arange(6), 2)
    X = np.column_stack([y, y % 2]) + np.tile([0, 0.1], 6)[:, None]
    clf = decomposition(KNeighborsClassifier(1)).fit(X, y)
    assert clf.score(X, y) == 1.0


# -- sub-estimators ----------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [None, LinearSVC(), Perceptron(), SVC(), NearestMean()])
@pytest.mark.parametrize("fine", [None, LinearSVC(), KNeighborsClassifier(3), NearestMean()])
def test_any_classifier_in_any_slot(train, test, gate, fine):
    clf = decomposition(
        LinearSVC(), THREE, hierarchy_estimator=gate, fine_estimator=fine, mixing=0.3
    ).fit(*train)
    np.testing.assert_allclose(clf.predict_proba(test[0]).sum(axis=1), 1)
    assert clf.score(*test) > 0.6
    if gate is None:
        assert clf.hierarchy_estimator_ is None
    else:
        assert type(clf.hierarchy_estimator_) is type(gate)
        assert clf.hierarchy_estimator_.classes_.tolist() == [0, 1, 2]


def test_fine_estimators_of_another_base_are_clones_of_it(train):
    base = DecisionTreeClassifier(max_depth=7, random_state=3)
    clf = decomposition(base, THREE).fit(*train)
    assert len({id(member) for member in (*clf.fine_estimators_, clf.base_estimator_, base)}) == 5
    for member in clf.fine_estimators_:
        assert member.get_params() == base.get_params()
    assert not hasattr(base, "tree_")


def test_parameters_are_left_as_they_were_given(train):
    members = {
        "base_estimator": DecisionTreeClassifier(),
        "hierarchy_estimator": LogisticRegression(),
        "fine_estimator": GaussianNB(),
        "partitioner": RandomPartitioner(),
    }
    clf = HierarchicalDecompositionClassifier(**members, random_state=0).fit(*train)
    for name, member in members.items():
        assert getattr(clf, name) is member
        assert member.get_params() == type(member)().get_params()
        assert not [attribute for attribute in vars(member) if attribute.endswith("_")]


def test_base_is_a_torch_network_by_default(train, test):
    clf = HierarchicalDecompositionClassifier(random_state=0).fit(*train)
    assert isinstance(clf.base_estimator_, TorchMLPClassifier)
    assert clf.base_estimator is None
    assert clf.score(*test) > 0.75


# -- the rest ----------------------------------------------------------------------------------


def test_weights_reach_members_confusion_and_mixing(train):
    X, y = train
    weight = np.where(y == 3, 4.0, 1.0)
    clf = decomposition(NB, THREE, hierarchy_estimator=NB).fit(X, y, weight)
    counts = np.bincount(y, weights=weight)
    np.testing.assert_allclose(clf.base_estimator_.class_count_, counts)
    for cluster, member in enumerate(clf.fine_estimators_):
        np.testing.assert_allclose(member.class_count_, counts[THREE.members(cluster)])
    assert np.array_equal(clf.held_out_.sample_weight, weight[clf.held_out_.indices])
    right = clf.held_out_.scores.argmax(axis=1) == clf.held_out_.y
    expected = np.average(right, weights=clf.held_out_.sample_weight)
    assert clf.mixing_choice_.flat_accuracy == pytest.approx(expected)


def test_samples_of_weight_zero_change_nothing(train, test):
    X, y = train
    # The rows held out are the same; those added to the training part weigh nothing.
    cv = [(np.arange(300), np.arange(300, 450))]
    base = LogisticRegression(C=0.05, max_iter=500)
    plain = decomposition(base, cv=cv).fit(X, y)
    added = np.concatenate([X, 1 - X[:100]]), np.concatenate([y, y[:100]])
    weight = np.repeat([1.0, 0.0], [450, 100])
    padded = [(np.append(cv[0][0], np.arange(450, 550)), cv[0][1])]
    weighted = decomposition(base, cv=padded).fit(*added, weight)
    assert weighted.partition_ == plain.partition_
    assert weighted.mixing_ == plain.mixing_
    expected = plain.predict_proba(test[0])
    np.testing.assert_allclose(weighted.predict_proba(test[0]), expected, atol=1e-3)


def test_second_fit_forgets_the_first(train, test):
    X, y = train
    clf = decomposition(TREE, hierarchy_estimator=NB).fit(X[:, ::-1], y % 4)
    clf.set_params(hierarchy_estimator=None).fit(X, y)
    fresh = decomposition(TREE).fit(X, y)
    assert np.array_equal(clf.predict_proba(test[0]), fresh.predict_proba(test[0]))
    assert set(vars(clf)) == set(vars(fresh))


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_prints_the_stages(train, capsys, verbose):
    decomposition(verbose=verbose).fit(*train)
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 6 * verbose  # five stages and the end
    assert all("HierarchicalDecompositionClassifier" in line for line in lines)


def test_class_counts(train):
    assert np.array_equal(decomposition().fit(*train).class_counts_, np.bincount(train[1]))
