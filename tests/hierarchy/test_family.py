"""The stages of training a family, without the estimator around them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchMLPClassifier,
)
from hierlearn._input import unfrozen
from hierlearn.hierarchy import FamilyPlan, fit_family
from hierlearn.hierarchy.family_training import branches_from
from hierlearn.partition import TrainingRows

NAMES = np.array([f"digit {code}" for code in range(10)])
APART = LabelPartition.from_groups([NAMES[:4], NAMES[4:7], NAMES[7:]], NAMES)
OVERLAPPING = LabelPartition.from_groups(
    [NAMES[:4], [*NAMES[4:7], NAMES[0]], [*NAMES[7:], NAMES[0], NAMES[5]]], NAMES
)
SINGLES = LabelPartition(NAMES, np.arange(10))

PLAN = FamilyPlan(
    hierarchy_estimator=None,
    fine_estimator=None,
    branch_at=None,
    branch_epochs=None,
    branch_lr=None,
    n_jobs=None,
    seed=0,
)


class CountingNB(GaussianNB):
    """Notes how many rows it is asked about."""

    def predict_proba(self, X):
        self.asked_ = getattr(self, "asked_", 0) + len(X)
        return super().predict_proba(X)


@pytest.fixture(scope="module")
def rows(digits):
    X, y = digits
    return TrainingRows(X[:400], y[:400], None)


@pytest.fixture(scope="module")
def base(rows):
    return GaussianNB(var_smoothing=0.05).fit(rows.X, NAMES[rows.codes])


def estimators(family):
    """Return the class assignment classifiers."""
    return [member.estimator for member in family.fine]


def eq_2(family, X):
    """Eq. 2 as it is written: the sum over clusters i of p_i times q_k, class by class."""
    p = family.gate_posteriors(X)
    result = np.zeros((len(X), len(family.partition.classes)))
    for i, codes in enumerate(family.partition):
        q = family.fine[i].estimator.predict_proba(X)
        known = family.fine[i].estimator.classes_.tolist()
        for k in codes:
            if NAMES[k] in known:
                result[:, k] += p[:, i] * q[:, known.index(NAMES[k])]
    return result


@pytest.mark.parametrize("partition", [APART, OVERLAPPING, SINGLES])
@pytest.mark.parametrize("gate", [None, GaussianNB()])
def test_soft_posteriors_are_eq_2(base, rows, digits, partition, gate):
    family = fit_family(base, partition, rows, replace(PLAN, hierarchy_estimator=gate))
    X = digits[0][400:450]
    posteriors, weights = family.posteriors(X, "soft")
    np.testing.assert_allclose(posteriors, eq_2(family, X), atol=1e-12)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)
    np.testing.assert_allclose(weights, family.gate_posteriors(X))


def test_gate_without_estimator_sums_the_base(base, rows):
    family = fit_family(base, OVERLAPPING, rows, PLAN)
    sums = OVERLAPPING.cluster_scores(base.predict_proba(rows.X))
    np.testing.assert_allclose(family.gate_posteriors(rows.X), sums)
    assert family.gate is None


@pytest.mark.parametrize("partition", [APART, OVERLAPPING])
def test_gate_learns_primary_clusters_whatever_the_overlap(base, rows, partition):
    plan = replace(PLAN, hierarchy_estimator=GaussianNB())
    gate = fit_family(base, partition, rows, plan).gate.estimator
    expected = GaussianNB().fit(rows.X, APART.labels[rows.codes])
    assert np.array_equal(gate.classes_, [0, 1, 2])
    assert np.array_equal(gate.theta_, expected.theta_)


def test_every_cluster_learns_its_members_and_only_their_rows(base, rows):
    family = fit_family(base, OVERLAPPING, rows, PLAN)
    for cluster, estimator in enumerate(estimators(family)):
        codes = OVERLAPPING.members(cluster)
        assert np.array_equal(estimator.classes_, NAMES[codes])
        expected = np.bincount(rows.codes)[codes]
        assert np.array_equal(estimator.class_count_, expected)


def test_hard_routing_asks_every_row_of_one_cluster_only(base, rows):
    plan = replace(PLAN, fine_estimator=CountingNB(), hierarchy_estimator=GaussianNB())
    family = fit_family(base, APART, rows, plan)
    _, weights = family.posteriors(rows.X, "hard")
    asked = [estimator.asked_ for estimator in estimators(family)]
    assert asked == np.count_nonzero(weights, axis=0).tolist()
    assert sum(asked) == len(rows.X)


def test_cluster_of_one_class_costs_no_training(base, rows):
    family = fit_family(base, SINGLES, rows, PLAN)
    assert all(isinstance(estimator, DummyClassifier) for estimator in estimators(family))
    posteriors, _ = family.posteriors(rows.X, "soft")
    np.testing.assert_allclose(posteriors, base.predict_proba(rows.X))


def test_one_cluster_of_all_classes(base, rows):
    partition = LabelPartition(NAMES, np.zeros(10, dtype=int))
    plan = replace(PLAN, hierarchy_estimator=GaussianNB(), fine_estimator=GaussianNB())
    family = fit_family(base, partition, rows, plan)
    posteriors, weights = family.posteriors(rows.X, "hard")
    assert (weights == 1).all()
    expected = GaussianNB().fit(rows.X, rows.codes).predict_proba(rows.X)
    np.testing.assert_allclose(posteriors, expected)


def test_class_missing_from_the_rows_gets_no_probability(base, rows):
    seen = rows.take(np.flatnonzero(rows.codes != 5))
    posteriors, _ = fit_family(base, APART, seen, PLAN).posteriors(rows.X, "soft")
    assert (posteriors[:, 5] == 0).all()
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)


@pytest.mark.parametrize("gate", [None, GaussianNB()])
def test_cluster_missing_from_the_rows_leaves_its_classes_equal(base, rows, gate):
    seen = rows.take(np.flatnonzero(~np.isin(rows.codes, [4, 5, 6])))
    family = fit_family(base, APART, seen, replace(PLAN, hierarchy_estimator=gate))
    assert family.fine[1].estimator is None
    posteriors, weights = family.posteriors(rows.X, "soft")
    np.testing.assert_allclose(posteriors[:, 4:7], np.tile(weights[:, [1]] / 3, 3))
    np.testing.assert_allclose(posteriors.sum(axis=1), 1)


def test_rows_of_weight_zero_are_as_if_absent(base, rows):
    weight = (np.arange(400) % 3 > 0).astype(float)
    plan = replace(PLAN, hierarchy_estimator=GaussianNB())
    weighted = fit_family(base, APART, replace(rows, weight=weight), plan)
    taken = rows.take(np.flatnonzero(weight))
    absent = fit_family(base, APART, taken, plan)
    for X in (rows.X, taken.X):
        one, other = weighted.posteriors(X, "soft")[0], absent.posteriors(X, "soft")[0]
        np.testing.assert_allclose(one, other)


def test_weights_reach_every_member(base, rows):
    weight = np.where(rows.codes == 5, 3.0, 1.0)
    plan = replace(PLAN, hierarchy_estimator=GaussianNB(), fine_estimator=GaussianNB())
    family = fit_family(base, APART, replace(rows, weight=weight), plan)
    counts = np.bincount(rows.codes) * np.where(np.arange(10) == 5, 3, 1)
    clusters = np.bincount(APART.labels, weights=counts)
    np.testing.assert_allclose(family.gate.estimator.class_prior_, clusters / clusters.sum())
    for cluster, estimator in enumerate(estimators(family)):
        np.testing.assert_allclose(estimator.class_count_, counts[APART.members(cluster)])


@pytest.mark.parametrize("as_sparse", [False, True])
def test_members_have_seeds_of_their_own_whatever_n_jobs(base, rows, as_sparse):
    X = sparse.csr_array(rows.X) if as_sparse else rows.X
    fine = LogisticRegression(solver="saga", max_iter=2000, tol=0.01)
    plan = replace(PLAN, fine_estimator=fine, hierarchy_estimator=fine)
    one, two = (
        fit_family(base, APART, replace(rows, X=X), replace(plan, n_jobs=n_jobs))
        for n_jobs in (1, 2)
    )
    seeds = {member.random_state for member in (one.gate.estimator, *estimators(one))}
    assert len(seeds) == 4
    assert None not in seeds
    for alone, beside in zip(
        (one.gate.estimator, *estimators(one)), (two.gate.estimator, *estimators(two)), strict=True
    ):
        assert np.array_equal(alone.coef_, beside.coef_)


def test_deepen_is_asked_for_every_cluster(base, rows):
    asked = []

    def deepen(fine_estimator, codes):
        asked.append(np.unique(codes).tolist())
        return GaussianNB(var_smoothing=0.5) if len(asked) == 2 else fine_estimator

    family = fit_family(base, APART, rows, replace(PLAN, deepen=deepen))
    assert asked == [APART.members(cluster).tolist() for cluster in range(3)]
    assert [member.var_smoothing for member in estimators(family)] == [0.05, 0.5, 0.05]


def test_taking_rows_takes_their_weights(rows):
    weighted = replace(rows, weight=np.arange(400.0))
    taken = weighted.take(np.array([7, 3]))
    assert taken.weight.tolist() == [7, 3]
    assert np.array_equal(taken.X, rows.X[[7, 3]])
    assert weighted.drop_unweighted().weight[0] == 1
    assert rows.drop_unweighted() is rows


MLP = TorchMLPClassifier((8,))


@pytest.mark.parametrize(
    ("estimator", "branches"),
    [
        (MLP, True),
        (make_pipeline(StandardScaler(), MLP), True),
        (FrozenEstimator(MLP), True),
        (FrozenEstimator(FrozenEstimator(make_pipeline(StandardScaler(), MLP))), True),
        (GaussianNB(), False),
        (make_pipeline(StandardScaler(), GaussianNB()), False),
        (FrozenEstimator(GaussianNB()), False),
    ],
)
def test_networks_branch_in_whatever_they_are_wrapped(estimator, branches):
    assert branches_from(estimator) == branches
    assert not isinstance(unfrozen(estimator), FrozenEstimator)


def test_blocks_and_short_cuts_change_nothing(train, test, monkeypatch):
    clf = HierarchicalDecompositionClassifier(
        TorchMLPClassifier((16,), max_epochs=3, random_state=0),
        fine_estimator="branch",
        gamma=0.5,
        mixing=0.3,
        random_state=0,
    ).fit(*train)
    X = np.ascontiguousarray(test[0], dtype=np.float64)
    for routing in ("hard", 2, 0.3, "soft"):
        routed = clf.rerouted(routing)
        monkeypatch.setattr("hierlearn.hierarchy.decomposition._BLOCK_ROWS", 8192)
        expected = routed.predict_proba(X)
        with monkeypatch.context() as slow:
            slow.setattr("hierlearn.hierarchy.family.feature_posteriors", lambda *_: None)
            np.testing.assert_allclose(routed.predict_proba(X), expected, rtol=1e-5, atol=1e-6)
        monkeypatch.setattr("hierlearn.hierarchy.decomposition._BLOCK_ROWS", 7)
        np.testing.assert_allclose(routed.predict_proba(X), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(routed.predict(X), clf.classes_[expected.argmax(axis=1)])
    X = X.copy()
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="X must not contain NaN"):
        clf.predict(X)
    with pytest.raises(ValueError, match="features, but HierarchicalDecomposition"):
        clf.predict(X[:, 1:])
