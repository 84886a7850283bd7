"""What the estimator promises, with classifiers that train in milliseconds."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from hierlearn import HierarchicalDecompositionClassifier, LabelPartition
from hierlearn.hierarchy import route

NB = GaussianNB(var_smoothing=0.05)
TREE = DecisionTreeClassifier(max_depth=4)
THREE = LabelPartition(np.arange(10), [0, 1, 0, 1, 2, 0, 2, 2, 1, 0])


def decomposition(base=NB, partitioner=None, **params):
    params.setdefault("random_state", 0)
    return HierarchicalDecompositionClassifier(base, partitioner, **params)


# -- posteriors and labels ---------------------------------------------------------------------


@pytest.mark.parametrize("routing", ["hard", 2, np.int64(2), 99, "soft"])
@pytest.mark.parametrize("mixing", ["auto", 0, 0.3, 1])
@pytest.mark.parametrize("gamma", [None, 5])
def test_posteriors_are_posteriors_and_predict_takes_the_largest(
    train, test, routing, mixing, gamma
):
    clf = decomposition(TREE, routing=routing, mixing=mixing, gamma=gamma).fit(*train)
    posteriors = clf.predict_proba(test[0])
    assert posteriors.shape == (len(test[0]), 10)
    assert posteriors.min() >= 0
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    assert np.array_equal(clf.predict(test[0]), clf.classes_[posteriors.argmax(axis=1)])
    assert clf.score(*test) > 0.35


@pytest.mark.parametrize(
    "labels",
    [
        np.array([f"digit {code}" for code in range(10)]),
        np.array([f"digit {code}" for code in range(10)], dtype=object),
        np.arange(10) * 7 - 30,
        np.arange(10.0),
        np.arange(10, dtype=np.uint8),
        np.arange(10).astype(object),
    ],
    ids=["str", "object", "int", "float", "uint8", "object int"],
)
def test_labels_of_any_dtype_come_back_as_given(train, test, labels):
    codes = decomposition(gamma=3, hierarchy_estimator=NB).fit(*train)
    named = clone(codes).fit(train[0], labels[train[1]])
    if labels.dtype == object and not isinstance(labels[0], str):
        labels = labels.astype(int)  # equal labels, of the type that they are
    assert named.classes_.dtype == labels.dtype
    assert np.array_equal(named.classes_, labels)
    assert np.array_equal(named.predict(test[0]), labels[codes.predict(test[0])])
    assert named.predict(test[0]).dtype == labels.dtype
    assert np.array_equal(named.predict_proba(test[0]), codes.predict_proba(test[0]))


def test_labels_whose_order_is_not_that_of_the_codes(train, test):
    letters = np.array(list("zabyxcwdve"))
    clf = decomposition().fit(train[0], letters[train[1]])
    assert clf.classes_.tolist() == sorted(letters)
    assert clf.score(test[0], letters[test[1]]) > 0.8
    assert np.array_equal(clf.partition_.classes, clf.classes_)


def test_two_classes(train, test):
    even, odd = (part[1] % 2 == 0 for part in (train, test))
    clf = decomposition(TREE).fit(train[0], even)
    assert clf.classes_.dtype == bool
    assert clf.predict_proba(test[0]).shape == (len(test[0]), 2)
    assert clf.score(test[0], odd) > 0.75


# -- mixing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [NB, LinearSVC(), TREE], ids=str)
def test_mixing_one_is_the_flat_base(train, test, base):
    clf = decomposition(base, mixing=1).fit(*train)
    assert np.array_equal(clf.predict(test[0]), clf.base_estimator_.predict(test[0]))
    if hasattr(base, "predict_proba"):
        flat = clf.base_estimator_.predict_proba(test[0])
        np.testing.assert_allclose(clf.predict_proba(test[0]), flat, rtol=1e-12)


def test_base_without_a_seed_of_its_own_is_the_base_fitted_on_all_data(train, test):
    clf = decomposition(NB, mixing=1).fit(*train)
    assert np.array_equal(clf.predict(test[0]), clone(NB).fit(*train).predict(test[0]))


@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_mixing_weighs_flat_against_hierarchy(train, test, routing):
    flat, pure, mixed = (
        decomposition(mixing=mixing, routing=routing).fit(*train).predict_proba(test[0])
        for mixing in (1, 0, 0.3)
    )
    np.testing.assert_allclose(mixed, 0.3 * flat + 0.7 * pure, atol=1e-12)
    assert not np.allclose(flat, pure)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("base", [NB, TREE, LogisticRegression(C=0.05)], ids=str)
def test_auto_mixing_is_not_worse_than_flat_on_the_held_out_scores(train, base, cv, seed):
    clf = decomposition(base, cv=cv, random_state=seed).fit(*train)
    held_out, choice = clf.held_out_, clf.mixing_choice_
    flat_accuracy = accuracy_score(held_out.y, held_out.scores.argmax(axis=1))
    assert choice.flat_accuracy == pytest.approx(flat_accuracy)
    assert clf.mixing_ == choice.weight
    if clf.mixing_ < 1:
        assert choice.mixed_accuracy - flat_accuracy > choice.standard_error
    else:
        assert choice.mixed_accuracy - flat_accuracy <= choice.standard_error


def test_auto_mixing_leaves_a_poor_base_and_keeps_a_good_one(train, test):
    stump = DecisionTreeClassifier(max_depth=3)
    clf = decomposition(stump, fine_estimator=NB, hierarchy_estimator=NB).fit(*train)
    assert clf.mixing_ < 1
    assert clf.score(*test) > clf.base_estimator_.score(*test) + 0.1
    spoilt = decomposition(NB, fine_estimator=DecisionTreeClassifier(max_depth=1)).fit(*train)
    assert spoilt.mixing_ == 1
    assert spoilt.score(*test) == spoilt.base_estimator_.score(*test)


def test_mixing_given_leaves_no_evidence(train):
    clf = decomposition(mixing=0.5).fit(*train)
    assert clf.mixing_ == 0.5
    assert clf.mixing_choice_ is None


@pytest.mark.parametrize("cv", [None, 3])
def test_without_refit_the_first_splits_base_is_kept(train, test, cv):
    clf = decomposition(NB, mixing=0.3, cv=cv, refit=False).fit(*train)
    first = clf.held_out_.folds[0]
    assert clf.base_estimator_ is first.estimator
    assert clf.base_estimator_.class_count_.sum() == len(first.train) < len(train[1])
    whole = decomposition(NB, mixing=0.3, cv=cv).fit(*train)
    assert whole.base_estimator_.class_count_.sum() == len(train[1])
    assert clf.partition_ == whole.partition_
    assert clf.score(*test) > 0.7


# -- routes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate", [None, NB])
@pytest.mark.parametrize(("routing", "most"), [("hard", 1), (2, 2), (50, 3), ("soft", 3)])
def test_decision_path_shows_the_clusters_visited(train, test, routing, most, gate):
    clf = decomposition(TREE, THREE, routing=routing, hierarchy_estimator=gate).fit(*train)
    path, gates = clf.decision_path(test[0]), clf.transform(test[0])
    assert isinstance(path, sparse.csr_array)
    assert path.dtype == bool
    assert path.shape == gates.shape == (len(test[0]), 3)
    visits = path.sum(axis=1)
    assert visits.min() >= 1
    assert visits.max() <= most
    assert np.array_equal(path.toarray(), route(gates, routing) > 0)
    np.testing.assert_allclose(gates.sum(axis=1), 1)


def test_hard_routing_predicts_within_the_cluster_visited(train, test):
    clf = decomposition(NB, THREE, routing="hard", mixing=0).fit(*train)
    clusters = clf.decision_path(test[0]).indices
    assert np.array_equal(THREE.labels[clf.predict(test[0])], clusters)
    # Within its cluster a sample is classified as by the cluster's own classifier.
    for cluster, estimator in enumerate(clf.fine_estimators_):
        rows = clusters == cluster
        expected = estimator.predict(test[0][rows])
        assert np.array_equal(clf.predict(test[0])[rows], expected)


def test_more_clusters_than_there_are_is_soft(train, test):
    soft, many = (decomposition(routing=routing, mixing=0).fit(*train) for routing in ("soft", 40))
    assert np.array_equal(soft.predict_proba(test[0]), many.predict_proba(test[0]))


@pytest.mark.parametrize(("routing", "total"), [("hard", 1), (2, 2), ("soft", 3)])
def test_route_frequencies_are_shares_of_the_held_out_samples(train, routing, total):
    # A hundred classes' worth of smoothing: no posterior is exactly zero.
    clf = decomposition(LogisticRegression(C=0.05), THREE, routing=routing).fit(*train)
    assert clf.route_frequencies_.shape == (3,)
    assert clf.route_frequencies_.sum() == pytest.approx(total)
    seen = clf.decision_path(train[0][clf.held_out_.indices]).toarray()
    np.testing.assert_allclose(clf.route_frequencies_, seen.mean(axis=0))


@pytest.mark.parametrize("settings", [{"routing": "hard"}, {"mixing": 0.2}, {"routing": 2}])
def test_rerouted_is_the_same_family_with_other_settings(train, test, settings):
    start = {"routing": "soft", "mixing": 0, **settings}
    fitted = decomposition(mixing=0, routing="soft").fit(*train)
    before = fitted.predict_proba(test[0])
    rerouted, fresh = fitted.rerouted(**settings), decomposition(**start).fit(*train)
    assert np.array_equal(rerouted.predict_proba(test[0]), fresh.predict_proba(test[0]))
    np.testing.assert_allclose(rerouted.route_frequencies_, fresh.route_frequencies_)
    assert np.array_equal(fitted.predict_proba(test[0]), before)
    assert (fitted.routing, fitted.mixing) == ("soft", 0)


@pytest.mark.parametrize("settings", [{"routing": "best"}, {"routing": 0}, {"mixing": 2}])
def test_rerouted_checks_its_settings(train, settings):
    fitted = decomposition(mixing=0.5).fit(*train)
    (name,) = settings
    with pytest.raises(ValueError, match=f"'{name}' parameter of Hier.* must be"):
        fitted.rerouted(**settings)


def test_rerouted_back_to_auto_keeps_the_weight_chosen(train):
    fitted = decomposition(TREE).fit(*train)
    assert fitted.rerouted(mixing="auto").mixing_ == fitted.mixing_
