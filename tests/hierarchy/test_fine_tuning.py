"""Trunk, gate and branches trained together, as HD-CNN does."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    HierarchicalDecompositionClassifier,
    LabelPartition,
    NetworkSelector,
    TorchMLPClassifier,
)
from hierlearn.cost import layer_table
from hierlearn.hierarchy import OnTrunk


def hierarchy(**params):
    settings = {
        "base_estimator": TorchMLPClassifier((32, 16), max_epochs=5, lr=0.01),
        "branch_at": "hidden1",
        "branch_epochs": 1,
        "mixing": 0.0,
        "routing": "soft",
        "random_state": 0,
        **params,
    }
    return HierarchicalDecompositionClassifier(**settings)


def weights(module):
    return torch.cat([p.detach().ravel() for p in module.parameters()])


@pytest.fixture(scope="module")
def tuned(train):
    return hierarchy(fine_tune=True, fine_tune_epochs=20, fine_tune_lr=3e-3).fit(*train)


def test_all_layers_learn_and_the_base_stays_as_it_was(train, tuned):
    before = hierarchy().fit(*train)
    base, same = tuned.base_estimator_.module_, before.base_estimator_.module_
    assert torch.equal(weights(base), weights(same))
    assert not torch.equal(weights(tuned._family.split.trunk), weights(before._family.split.trunk))
    for one, other in zip(
        (tuned.hierarchy_estimator_, *tuned.fine_estimators_),
        (before.hierarchy_estimator_, *before.fine_estimators_),
        strict=True,
    ):
        if hasattr(one, "module_"):  # some clusters have one class only
            assert not torch.equal(weights(one.module_), weights(other.module_))


def test_it_learns_beyond_the_parts(train, test, tuned):
    assert tuned.score(*test) > hierarchy().fit(*train).score(*test) + 0.02


def test_members_pickle_and_predict_alike(test, tuned):
    loaded = pickle.loads(pickle.dumps(tuned))
    assert np.array_equal(loaded.predict_proba(test[0]), tuned.predict_proba(test[0]))


def test_same_seed_same_weights(train):
    one, two = (hierarchy(fine_tune=True, n_jobs=n).fit(*train) for n in (None, 2))
    assert torch.equal(weights(one._family.split.trunk), weights(two._family.split.trunk))


def test_flat_part_of_a_mixture_is_the_base_and_is_paid_for(test, tuned):
    mixed, pure, flat = (tuned.rerouted(mixing=share) for share in (0.5, 0.0, 1.0))
    expected = (pure.predict_proba(test[0]) + flat.predict_proba(test[0])) / 2
    np.testing.assert_allclose(mixed.predict_proba(test[0]), expected, atol=1e-6)
    difference = mixed.cost_report().total.multiply_adds - pure.cost_report().total.multiply_adds
    assert difference == flat.cost_report().total.multiply_adds
    for clf in (mixed, pure, flat):
        total = clf.cost_report().total
        assert layer_table(clf).total.multiply_adds == pytest.approx(total.multiply_adds)


def test_mixing_is_chosen_for_what_was_tuned(train, test):
    clf = hierarchy(mixing="auto", fine_tune=True, fine_tune_epochs=3).fit(*train)
    assert clf.mixing_choice_ is not None
    assert clf.score(*test) > 0.5


def test_overlap_single_classes_and_pipelines(train, test):
    groups = [[0, 1, 2, 3, 4], [4, 5, 6, 7, 8], [9]]
    partition = LabelPartition.from_groups(groups, np.arange(10))
    base = make_pipeline(StandardScaler(), TorchMLPClassifier((32, 16), max_epochs=5, lr=0.01))
    clf = hierarchy(
        base_estimator=base, partitioner=partition, fine_tune=True, fine_tune_epochs=10
    ).fit(*train)
    np.testing.assert_allclose(clf.predict_proba(test[0]).sum(axis=1), 1, atol=1e-6)
    assert clf.score(*test) > 0.8


def test_fresh_members_on_the_trunk_are_tuned_too(train, test):
    slim = {
        "hierarchy_estimator": OnTrunk(TorchMLPClassifier((), max_epochs=4)),
        "fine_estimator": OnTrunk(TorchMLPClassifier((16,), max_epochs=4)),
    }
    before = hierarchy(**slim).fit(*train)
    after = hierarchy(**slim, fine_tune=True, fine_tune_epochs=20, fine_tune_lr=3e-3).fit(*train)
    assert after.score(*test) > before.score(*test)


@pytest.mark.parametrize(
    "params",
    [
        {"hierarchy_estimator": None},
        {"hierarchy_estimator": LogisticRegression()},
        {"fine_estimator": LogisticRegression()},
        {"fine_estimator": OnTrunk(LogisticRegression())},
        {"fine_estimator": NetworkSelector({"copy": "branch", "flat": "flat"})},
        {"base_estimator": LogisticRegression(), "branch_at": None},
    ],
)
def test_what_cannot_be_tuned_together_is_refused_before_anything_is_fitted(train, params):
    clf = hierarchy(fine_tune=True, **params)
    with pytest.raises(ValueError, match=r"^fine_tune=True .* Got .* instead; .*\.$"):
        clf.fit(*train)
    assert not hasattr(clf, "held_out_")


@pytest.mark.parametrize(
    "fine",
    [
        "branch",
        OnTrunk(TorchMLPClassifier((8,), lr=0.01)),
        NetworkSelector({"copy": "branch", "slim": OnTrunk(TorchMLPClassifier((8,), lr=0.01))}),
    ],
)
def test_whatever_reads_the_trunk_and_is_a_network_is_tuned(train, test, fine):
    clf = hierarchy(fine_estimator=fine, fine_tune=True, fine_tune_epochs=2).fit(*train)
    before = hierarchy(fine_estimator=fine, hierarchy_estimator="branch").fit(*train)
    assert not clf._family.ground.base_on_trunk
    for one, other in zip(clf.fine_estimators_, before.fine_estimators_, strict=True):
        one, other = (getattr(fine, "best_estimator_", fine) for fine in (one, other))
        if hasattr(one, "module_"):
            assert not torch.equal(weights(one.module_), weights(other.module_))
    assert clf.score(*test) > 0.5


def test_gate_over_as_many_clusters_as_classes_is_not_taken_for_one_over_classes(train, test):
    shuffled = LabelPartition(np.arange(10), np.roll(np.arange(10), 3))
    gate = OnTrunk(TorchMLPClassifier((16,), lr=0.01))
    clf = hierarchy(
        partitioner=shuffled,
        hierarchy_estimator=gate,
        fine_tune=True,
        fine_tune_epochs=30,
        fine_tune_lr=0.01,
    )
    assert clf.fit(*train).score(*test) > 0.8
