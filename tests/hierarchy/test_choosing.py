"""A NetworkSelector in a hierarchy: candidates compete for every cluster."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from hierlearn import (
    HierarchicalDecompositionClassifier,
    NetworkSelector,
    TorchCNNClassifier,
    TorchMLPClassifier,
)
from hierlearn.cost import layer_table
from hierlearn.hierarchy import OnTrunk, SelectionTable

STUMP = DecisionTreeClassifier(max_depth=1)
LINEAR = LogisticRegression(max_iter=2000)
MIXED = {
    "flat": "flat",
    "branch": "branch",
    "linear": LINEAR,
    "slim": OnTrunk(TorchMLPClassifier((16,), lr=0.01)),
}


def hierarchy(candidates, strategy="exhaustive", **params):
    settings = {
        "base_estimator": TorchMLPClassifier((32, 16), max_epochs=8, lr=0.01),
        "branch_at": "hidden1",
        "fine_estimator": NetworkSelector(candidates, strategy=strategy),
        "random_state": 0,
        **params,
    }
    return HierarchicalDecompositionClassifier(**settings)


class Spy(GaussianNB):
    """Notes on which rows it was trained and judged."""

    trained, judged = [], []

    def fit(self, X, y, sample_weight=None):
        Spy.trained.append(X[:, :].sum(axis=1))
        return super().fit(X, y, sample_weight)

    def predict(self, X):
        Spy.judged.append(X.sum(axis=1))
        return super().predict(X)


@pytest.mark.parametrize("mixing", [0.0, "auto"])
@pytest.mark.parametrize("strategy", ["exhaustive", "meta"])
def test_candidates_of_several_kinds_compete(train, test, strategy, mixing):
    clf = hierarchy(MIXED, strategy, mixing=mixing).fit(*train)
    chosen = [fine for fine in clf.fine_estimators_ if isinstance(fine, NetworkSelector)]
    assert chosen
    for fine in chosen:
        assert fine.best_name_ in MIXED
        assert set(fine.scores_) == set(MIXED)
    total = clf.cost_report().total
    assert layer_table(clf).total.multiply_adds == pytest.approx(total.multiply_adds)
    assert clf.score(*test) >= clf.base_estimator_.score(*test) - 0.02


def test_candidates_are_judged_by_rows_that_the_base_has_not_seen(train):
    Spy.trained, Spy.judged = [], []
    X = train[0].copy()
    X[:, 0] = np.arange(len(X)) * 1e-4  # so that the sum of a row tells it from the others
    clf = hierarchy([Spy(var_smoothing=0.1), STUMP], mixing=0.0, routing="soft")
    clf.fit(X, train[1])
    unseen = X[clf.held_out_.indices].sum(axis=1)
    assert Spy.judged
    for rows in Spy.judged:
        assert np.isin(rows.round(9), unseen.round(9)).all()
    for rows in Spy.trained[: len(Spy.judged)]:
        assert not np.isin(rows.round(9), unseen.round(9)).any()


def test_winner_is_trained_on_all_rows_and_keeps_its_scores(train):
    clf = hierarchy([STUMP, LINEAR], mixing=0.0).fit(*train)
    for cluster, fine in enumerate(clf.fine_estimators_):
        codes = clf.partition_.members(cluster)
        if len(codes) < 2:
            continue
        assert fine.best_name_ == max(fine.scores_, key=fine.scores_.get)
        assert fine.trained_[-1].purpose == "final"
        assert fine.trained_[-1].n_samples == np.isin(train[1], codes).sum()
        assert fine.trained_[0].n_samples < fine.trained_[-1].n_samples


def test_flat_alone_is_the_flat_network(train, test):
    clf = hierarchy(["flat"], mixing=0.0, hierarchy_estimator=None, routing="soft").fit(*train)
    flat = clf.base_estimator_.predict_proba(test[0])
    np.testing.assert_allclose(clf.predict_proba(test[0]), flat, atol=1e-6)
    assert clf.cost_report().ratio == pytest.approx(1)


def test_branch_alone_is_a_hierarchy_of_branches(train, test):
    plain = hierarchy(["branch"], mixing=0.0, fine_estimator=None).fit(*train)
    chosen = hierarchy(["branch"], mixing=0.0, hierarchy_estimator="branch").fit(*train)
    assert chosen.cost_report().total == plain.cost_report().total
    assert abs(chosen.score(*test) - plain.score(*test)) < 0.05


@pytest.mark.parametrize("n_jobs", [2])
def test_same_choice_whatever_n_jobs(train, test, n_jobs):
    one, two = (
        hierarchy({"linear": LINEAR, "branch": "branch"}, n_jobs=n, mixing=0.0).fit(*train)
        for n in (None, n_jobs)
    )
    assert np.array_equal(one.predict_proba(test[0]), two.predict_proba(test[0]))


def test_prefit_base(train, test):
    X, y = train
    base = TorchMLPClassifier((32, 16), max_epochs=8, lr=0.01, random_state=0).fit(X[:200], y[:200])
    clf = hierarchy(MIXED, base_estimator=base, cv="prefit", mixing=0.0).fit(X[200:], y[200:])
    assert clf.score(*test) > 0.5


def test_weights_of_zero_leave_rows_out(train, test):
    X, y = train
    weight = np.ones(len(y))
    weight[::7] = 0
    candidates = {"linear": LINEAR, "stump": STUMP}
    clf = hierarchy(candidates, mixing=0.0).fit(X, y, sample_weight=weight)
    for cluster, fine in enumerate(clf.fine_estimators_):
        codes = clf.partition_.members(cluster)
        if len(codes) > 1:
            assert fine.trained_[-1].n_samples == (np.isin(y, codes) & (weight > 0)).sum()


def test_what_was_found_is_a_table(train):
    clf = hierarchy(MIXED, mixing=0.0).fit(*train)
    table = SelectionTable.from_hierarchy(clf, dataset="digits")
    several = sum(len(codes) > 1 for codes in clf.partition_)
    assert len(table.rows) == several
    assert "confusion_inside" in table.rows[0].statistics


@pytest.mark.parametrize("candidate", ["branch", OnTrunk(GaussianNB())])
def test_base_without_a_trunk_cannot_offer_one(train, candidate):
    clf = hierarchy([candidate, LINEAR], base_estimator=GaussianNB(var_smoothing=0.1))
    with pytest.raises(ValueError, match=r"^fine_estimator and .* one of our networks.*\.$"):
        clf.set_params(branch_at=None).fit(*train)


def images(X):
    return X.reshape(-1, 1, 8, 8)


def cnn(**params):
    settings = {"max_epochs": 2, "lr": 0.01, **params}
    return TorchCNNClassifier(("conv 3x3|8", "pool 2", "fc 16"), **settings)


def test_candidates_on_the_trunk_learn_from_every_view(train):
    X, y = images(train[0]), train[1]
    candidates = {"copy": "branch", "bayes": OnTrunk(GaussianNB(var_smoothing=0.1))}
    clf = hierarchy(
        candidates, base_estimator=cnn(augment=("flip",)), branch_at="conv1", mixing=0.0
    ).fit(X, y)
    for cluster, fine in enumerate(clf.fine_estimators_):
        codes = clf.partition_.members(cluster)
        if len(codes) > 1:
            assert fine.trained_[-1].n_samples == 2 * np.isin(y, codes).sum()


def test_classifiers_of_flat_rows_compete_for_images(train, test):
    X, y = images(train[0]), train[1]
    clf = hierarchy(
        {"linear": LINEAR, "flat": "flat"}, base_estimator=cnn(), branch_at=None, mixing=0.0
    )
    assert clf.fit(X, y).score(images(test[0]), test[1]) > 0.5


def test_winners_share_the_head_that_they_were_grown_from(train):
    clf = hierarchy(["branch"], mixing=0.0).fit(*train)
    winners = [fine.best_estimator_ for fine in clf.fine_estimators_ if hasattr(fine, "source_")]
    assert len({id(winner.head) for winner in winners}) == 1


def test_selection_on_several_levels_is_refused(train):
    with pytest.raises(ValueError, match=r"^max_depth must be 1 with a NetworkSelector.* Got 2"):
        hierarchy(MIXED, max_depth=2).fit(*train)


@pytest.mark.parametrize("strategy", ["exhaustive", "meta"])
def test_what_is_chosen_is_trained_once_for_good(train, strategy):
    clf = hierarchy({"linear": LINEAR, "stump": STUMP}, strategy, mixing=0.0).fit(*train)
    for fine in clf.fine_estimators_:
        if hasattr(fine, "trained_"):
            assert [run.purpose for run in fine.trained_].count("final") == 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 9, 8), (64,)])
def test_images_of_another_shape_are_refused(train, test, shape):
    clf = hierarchy(["flat"], base_estimator=cnn(), branch_at=None, mixing=0.0)
    clf.fit(images(train[0]), train[1])
    with pytest.raises(
        ValueError, match=r"^X must have rows of shape \(1, 8, 8\), as in fit\. Got"
    ):
        clf.predict(np.zeros((2, *shape)))
