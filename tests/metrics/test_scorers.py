"""Scorers inside scikit-learn's searches, over our networks and other classifiers."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from hierlearn import TorchMLPClassifier
from hierlearn.metrics import (
    RankingScorer,
    average_precision_at_k,
    coverage_at_k,
    get_scorer,
    precision_at_k,
    recall_at_k,
)

X, Y = make_multilabel_classification(120, 8, n_classes=6, random_state=0)
X = StandardScaler().fit_transform(X)
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
MLP = TorchMLPClassifier((16,), max_epochs=10, lr=0.02, random_state=0)

FUNCTIONS = {
    "map": average_precision_at_k,
    "precision": precision_at_k,
    "recall": recall_at_k,
    "coverage": coverage_at_k,
}


@pytest.fixture(scope="module")
def network():
    return clone(MLP).fit(X, Y)


@pytest.mark.parametrize("metric", FUNCTIONS)
def test_name_stands_for_the_function(metric, network):
    wanted = FUNCTIONS[metric](Y, network.predict_proba(X), 2)
    assert get_scorer(f"{metric}@2")(network, X, Y) == pytest.approx(wanted)
    assert get_scorer(f"{metric}@2")(network, X, sp.csr_array(Y)) == pytest.approx(wanted)


@pytest.mark.parametrize("metric", ["map", "coverage"])
def test_average_is_handed_on(metric, network):
    wanted = FUNCTIONS[metric](Y, network.predict_proba(X), 2, average="labels")
    assert get_scorer(f"{metric}@2", average="labels")(network, X, Y) == pytest.approx(wanted)


def test_weights_are_handed_on(network):
    weight = np.arange(len(Y))
    wanted = precision_at_k(Y, network.predict_proba(X), 3, sample_weight=weight)
    assert get_scorer("precision@3")(network, X, Y, weight) == pytest.approx(wanted)


@pytest.mark.parametrize("y", [Y, sp.csr_array(Y)], ids=["dense", "sparse"])
def test_grid_search_over_a_multi_label_network(y):
    search = GridSearchCV(
        MLP, {"max_epochs": [1, 15]}, scoring=get_scorer("map@5"), cv=3, error_score="raise"
    ).fit(X, y)
    assert search.best_params_ == {"max_epochs": 15}
    assert 0.7 < search.best_score_ <= 1
    assert search.score(X, y) == get_scorer("map@5")(search.best_estimator_, X, y)


def test_several_scorers_at_once():
    names = ["map@3", "precision@1", "coverage@2"]
    scoring = {name: get_scorer(name) for name in names}
    scores = cross_validate(MLP, X, Y, scoring=scoring, cv=3, error_score="raise")
    for name in names:
        alone = cross_val_score(MLP, X, Y, scoring=get_scorer(name), cv=3)
        np.testing.assert_array_equal(scores[f"test_{name}"], alone)


@pytest.mark.parametrize(
    "estimator",
    [
        MLP,
        make_pipeline(StandardScaler(), MLP),
        OneVsRestClassifier(LogisticRegression()),
        RandomForestClassifier(10, random_state=0),  # a list of posteriors
        KNeighborsClassifier(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_multi_label_classifiers(estimator):
    scores = cross_val_score(estimator, X, Y, scoring=get_scorer("map@6"), error_score="raise")
    assert (scores > 0.6).all()


def test_two_labels_are_not_two_classes():
    y = Y[:, :2]
    clf = clone(MLP).fit(X, y)
    wanted = precision_at_k(y, clf.predict_proba(X), 1)
    assert get_scorer("precision@1")(clf, X, y) == pytest.approx(wanted)


def test_label_that_training_lacks_has_probability_zero():
    y = Y * [1, 1, 1, 1, 1, 0]
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    assert get_scorer("recall@5")(forest, X, y) == 1


@pytest.mark.parametrize(
    "estimator",
    [MLP, LogisticRegression(max_iter=500), LinearSVC(), KNeighborsClassifier()],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.parametrize(
    "labels", [SPECIES, NAMES, NAMES.astype(object)], ids=["int", "str", "object"]
)
def test_best_class_is_accuracy(estimator, labels):
    clf = clone(estimator).fit(IRIS, labels)
    wanted = np.mean(clf.predict(IRIS) == labels)
    # Neighbours vote in fifths: ties count against them.
    assert get_scorer("recall@1")(clf, IRIS, labels) == pytest.approx(wanted, abs=0.02)
    assert get_scorer("recall@3")(clf, IRIS, labels) == 1


@pytest.mark.parametrize("estimator", [MLP, LogisticRegression()], ids=lambda e: type(e).__name__)
def test_two_classes_have_two_ranks(estimator):
    rows = SPECIES < 2
    clf = clone(estimator).fit(IRIS[rows], NAMES[rows])
    wanted = clf.score(IRIS[rows], NAMES[rows])
    assert get_scorer("precision@1")(clf, IRIS[rows], NAMES[rows]) == pytest.approx(wanted)


def test_class_that_training_lacks_is_never_reached():
    clf = LogisticRegression(max_iter=500).fit(IRIS[:100], NAMES[:100])
    assert get_scorer("map@2")(clf, IRIS, NAMES) == pytest.approx(2 / 3)


def test_labels_of_another_kind_are_an_error():
    clf = LogisticRegression(max_iter=500).fit(IRIS, NAMES)
    with pytest.raises(
        ValueError, match=r"y must hold labels .*'setosa'.* Got \[0, 1, 2\] instead"
    ):
        get_scorer("map@2")(clf, IRIS, SPECIES)


def test_source_of_scores_can_be_chosen(network):
    wanted = precision_at_k(Y, network.predict(X), 2)
    scorer = get_scorer("precision@2", response_method="predict")
    assert scorer(network, X, Y) == pytest.approx(wanted)
    with pytest.raises(ValueError, match=r"estimator must have predict_proba .* LinearSVC"):
        get_scorer("map@2", response_method="predict_proba")(
            LinearSVC().fit(IRIS, NAMES), IRIS, NAMES
        )


def test_scorer_pickles_clones_and_reads_well():
    scorer = get_scorer("map@50", average="labels")
    assert pickle.loads(pickle.dumps(scorer)) == scorer == RankingScorer("map", 50, "labels")
    search = GridSearchCV(MLP, {}, scoring=scorer)
    assert clone(search).scoring == scorer
    assert repr(scorer).startswith("RankingScorer(metric='map', k=50, average='labels'")


@pytest.mark.parametrize(
    "name", ["map", "map@", "map@-1", "map@2.5", "@5", "ndcg@5", "map@5@5", 5, None]
)
def test_unknown_name_says_how_names_are_made(name):
    with pytest.raises(
        ValueError, match="name must be one of map, precision, recall, coverage, then"
    ):
        get_scorer(name)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (("map", 0), "k must be an integer of at least 1. Got 0"),
        (("map", 2.0), "k must be an integer of at least 1. Got 2.0"),
        (("ndcg", 2), "metric must be one of 'coverage', 'map', 'precision', 'recall'"),
        (("map", 2, "macro"), "average must be one of 'labels', 'samples'"),
        (("recall", 2, "labels"), "average must be None for 'recall'"),
    ],
)
def test_bad_scorer_is_refused_at_once(params, message):
    with pytest.raises(ValueError, match=message):
        RankingScorer(*params)


BEYOND = r"labels than there are, 6. Got 'map@7' instead; use get_scorer\('map@6'\)"


def test_k_beyond_the_labels_is_said_when_scoring(network):
    with pytest.raises(ValueError, match=BEYOND):
        get_scorer("map@7")(network, X, Y)


def test_k_beyond_the_labels_is_said_by_cross_validation():
    with pytest.warns(UserWarning, match=BEYOND):
        scores = cross_val_score(MLP, X, Y, scoring=get_scorer("map@7"), cv=3)
    assert np.isnan(scores).all()


def test_k_counts_samples_where_labels_rank_them(network):
    scorer = get_scorer("map@7", average="labels")
    assert scorer.ranks_samples
    wanted = average_precision_at_k(Y, network.predict_proba(X), 7, average="labels")
    assert scorer(network, X, Y) == pytest.approx(wanted)
