"""Members read what the hierarchy has computed already, once."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from hierlearn import (
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.cost import layer_table
from hierlearn.hierarchy import Member, OnTrunk
from hierlearn.hierarchy.members import FlatMember
from hierlearn.hierarchy.sources import Ground, Rows, on_source, readable, source_key, source_of
from hierlearn.partition import TrainingRows


class Doubled(TransformerMixin, BaseEstimator):
    """Stands for a pre-trained network, and counts the rows that pass it."""

    passed = 0

    def key(self):
        return "doubled"

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        Doubled.passed += len(X)
        return 2 * X


class OnDoubled(ClassifierMixin, BaseEstimator):
    """Reads the features of Doubled."""

    def __init__(self, inner=None):
        self.inner = inner

    def fit(self, X, y):
        raise AssertionError("what reads a source is fitted on the source")

    def predict(self, X):
        raise AssertionError("what reads a source is asked with the source")

    def _source(self):
        return Doubled()

    def _on_source(self):
        return GaussianNB(var_smoothing=0.05)


def fitted(train, **params):
    settings = {
        "base_estimator": TorchMLPClassifier((32, 16), max_epochs=8, lr=0.01),
        "branch_at": "hidden1",
        "mixing": 0.0,
        "random_state": 0,
        **params,
    }
    return HierarchicalDecompositionClassifier(**settings).fit(*train)


def test_estimator_reads_raw_rows_unless_it_says_otherwise():
    plain, told = GaussianNB(), OnTrunk(GaussianNB())
    assert source_of(plain) is None
    assert on_source(plain) is plain
    assert source_of(told) == "trunk"
    assert on_source(told) is told.estimator
    assert [source_key(source) for source in (None, "flat", Doubled())] == ["X", "flat", "doubled"]


def test_maps_are_flattened_for_those_who_take_rows_only():
    maps = np.zeros((5, 2, 3, 3))
    assert readable(GaussianNB(), maps).shape == (5, 18)
    assert readable(TorchMLPClassifier(), maps[:, 0, 0]).shape == (5, 3)
    assert readable(TorchCNNClassifier(), maps) is maps
    piped = make_pipeline("passthrough", GaussianNB())
    assert readable(piped, maps) is maps  # raw rows are for its transformers to take
    assert readable(piped, maps, "trunk").shape == (5, 18)
    assert readable(make_pipeline("passthrough", TorchCNNClassifier()), maps, "trunk") is maps


@pytest.mark.parametrize("gate", [LogisticRegression(max_iter=2000), TorchMLPClassifier((8,))])
def test_gate_over_classes_on_the_trunk_is_priced_layer_by_layer(train, gate):
    clf = fitted(train, hierarchy_estimator=OnTrunk(gate, names="classes"))
    total = clf.cost_report().total
    assert layer_table(clf).total.multiply_adds == pytest.approx(total.multiply_adds)


def test_backbone_is_priced_before_anything_is_predicted(train):
    net = torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    clf = fitted(
        train,
        base_estimator=GaussianNB(var_smoothing=0.05),
        hierarchy_estimator=None,
        fine_estimator=TransferClassifier(net, max_epochs=2),
        branch_at=None,
        routing="hard",
    )
    backbone = next(row for row in layer_table(clf).rows if row.section == "backbone")
    assert backbone.multiply_adds == 64 * 8
    assert clf.score(*train) >= 0


@pytest.mark.parametrize("routing", ["hard", "soft"])
@pytest.mark.parametrize("mixing", [0.0, "auto"])
def test_backbone_sees_every_row_once_in_fit_and_once_in_predict(train, test, routing, mixing):
    Doubled.passed = 0
    clf = fitted(
        train,
        base_estimator=GaussianNB(var_smoothing=0.05),
        fine_estimator=OnDoubled(),
        hierarchy_estimator=OnDoubled(),
        branch_at=None,
        routing=routing,
        mixing=mixing,
    )
    assert Doubled.passed == len(train[0])
    if clf.mixing_ < 1:
        clf.predict(test[0])
        assert Doubled.passed == len(train[0]) + len(test[0])


def test_features_of_a_source_are_what_its_readers_get(train, test):
    nb = GaussianNB(var_smoothing=0.05)
    settings = {"base_estimator": nb, "hierarchy_estimator": None, "branch_at": None}
    doubled = fitted(train, fine_estimator=OnDoubled(), **settings)
    plain = fitted(train, fine_estimator=nb, **settings)
    np.testing.assert_allclose(  # naive Bayes does not care for the scale
        doubled.predict_proba(test[0]), plain.predict_proba(test[0]), atol=1e-8
    )


def test_only_visitors_pass_a_source_that_no_one_else_needs(train, test):
    base = GaussianNB(var_smoothing=0.05)
    partition = LabelPartition(np.arange(10), np.arange(10) // 5)
    clf = fitted(
        train,
        base_estimator=base,
        partitioner=partition,
        fine_estimator=OnDoubled(),
        hierarchy_estimator=None,
        routing="hard",
        branch_at=None,
    )
    family = clf._family
    above = train[1] > 4
    readers = [family.fine[0], Member(clone(base).fit(train[0][above], train[1][above]))]
    lone = replace(family, fine=tuple(readers))
    Doubled.passed = 0
    _, weights = lone.posteriors(test[0], "hard")
    assert Doubled.passed == np.count_nonzero(weights[:, 0]) < len(test[0])


@pytest.mark.parametrize(
    ("gate", "fine"),
    [
        (TorchMLPClassifier((), lr=0.01), TorchMLPClassifier((8,), lr=0.01)),
        (LogisticRegression(max_iter=2000), LogisticRegression(max_iter=2000)),
    ],
)
def test_slim_members_on_the_trunk_cost_less_than_its_own_upper_layers(train, test, gate, fine):
    clf = fitted(
        train, hierarchy_estimator=OnTrunk(gate), fine_estimator=OnTrunk(fine), routing="hard"
    )
    width = clf._family.split.trunk[0].out_features
    several = [len(classes) > 1 for classes in clf.partition_]
    members = zip(several, clf.fine_estimators_, strict=True)
    assert all(member.n_features_in_ == width for choice, member in members if choice)
    report = clf.cost_report()
    trunk = clf._family.split.trunk[0].weight.numel()
    members = sum(
        share * cost.multiply_adds
        for share, cost in zip(clf.route_frequencies_, report.clusters, strict=True)
    )
    gate_cost = report.total.multiply_adds - trunk - members
    assert gate_cost == pytest.approx(width * clf.partition_.n_clusters)
    assert layer_table(clf).total.multiply_adds == pytest.approx(report.total.multiply_adds)
    assert clf.score(*test) > 0.5


def test_on_trunk_is_the_estimator_itself_outside_a_hierarchy(train, test):
    inner = GaussianNB(var_smoothing=0.05)
    wrapped, plain = OnTrunk(inner).fit(*train), inner.fit(*train)
    assert np.array_equal(wrapped.predict(test[0]), plain.predict(test[0]))
    assert np.array_equal(wrapped.predict_proba(test[0]), plain.predict_proba(test[0]))


def test_flat_member_restricts_the_flat_posteriors():
    labels = np.array(["a", "b", "c", "d"])
    member = FlatMember(labels).fit(np.zeros((2, 4)), ["d", "b"])
    assert member.classes_.tolist() == ["b", "d"]
    flat = np.array([[0.5, 0.1, 0.1, 0.3], [1.0, 0.0, 0.0, 0.0]])
    np.testing.assert_allclose(member.predict_proba(flat), [[0.25, 0.75], [0.5, 0.5]])
    assert member.predict(flat).tolist() == ["d", "b"]


def test_training_rows_keep_their_features_when_some_are_taken(digits):
    X, y = digits
    data = TrainingRows(X[:6], y[:6], np.array([1.0, 0, 1, 1, 0, 1]), {"doubled": 2 * X[:6]})
    kept = data.drop_unweighted()
    assert np.array_equal(kept.features["doubled"], 2 * kept.X)
    rows = Rows.of_training(Ground(None, None), kept).take(np.array([1, 2]))
    assert np.array_equal(rows.of(Doubled()), 2 * X[[2, 3]])
