"""The same random_state gives the same model, whatever runs around it."""

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import SGDClassifier

from hierlearn import (
    ConfusionSpectralPartitioner,
    HierarchicalDecompositionClassifier,
    TorchMLPClassifier,
)

MLP = TorchMLPClassifier((16,), max_epochs=2, lr=0.02, dropout=0.2)
TREES = ExtraTreesClassifier(3, max_depth=5)
SGD = SGDClassifier(max_iter=5, tol=None)


def decomposition(base, **params):
    params = {"random_state": 0, "cv": 2, "branch_epochs": 1, **params}
    return HierarchicalDecompositionClassifier(base, ConfusionSpectralPartitioner(3), **params)


@pytest.mark.parametrize("backend", ["loky", "threading"])
@pytest.mark.parametrize(
    "params",
    [
        {"base": MLP},
        {"base": TREES, "hierarchy_estimator": SGD},
        {"base": TREES, "fine_estimator": MLP, "max_depth": 2, "cv": None},
    ],
    ids=["branches", "others", "deep"],
)
def test_predictions_do_not_depend_on_n_jobs(train, test, params, backend):
    alone = decomposition(**params).fit(*train).predict_proba(test[0])
    with parallel_config(backend):
        beside = decomposition(**params, n_jobs=2).fit(*train).predict_proba(test[0])
    assert np.array_equal(alone, beside)


@pytest.mark.parametrize("base", [MLP, TREES, SGD], ids=["mlp", "trees", "sgd"])
def test_random_state_decides_all(train, test, base):
    first, again, other = (
        decomposition(base, random_state=seed, mixing=0).fit(*train).predict_proba(test[0])
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_state_instance_moves_on(train, test):
    rng = np.random.RandomState(0)
    first, second = (
        decomposition(TREES, random_state=rng).fit(*train).predict_proba(test[0]) for _ in range(2)
    )
    again = decomposition(TREES, random_state=np.random.RandomState(0)).fit(*train)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again.predict_proba(test[0]))


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_random_states_are_neither_read_nor_moved(train, test, random_state):
    numpy_before = np.random.get_state()  # noqa: NPY002
    torch_before = torch.get_rng_state()
    for base in (MLP, TREES):
        clf = decomposition(base, random_state=random_state, hierarchy_estimator=SGD).fit(*train)
        clf.predict_proba(test[0])
    numpy_after = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(numpy_before[1], numpy_after[1])
    assert numpy_before[2:] == numpy_after[2:]
    assert torch.equal(torch_before, torch.get_rng_state())


def test_a_seed_that_the_user_chose_is_kept(train):
    base = clone(TREES).set_params(random_state=7)
    clf = decomposition(base, random_state=0).fit(*train)
    assert clf.base_estimator_.random_state == 7
    assert {member.random_state for member in clf.fine_estimators_} == {7}


def test_members_get_different_seeds(train):
    clf = decomposition(TREES, hierarchy_estimator=SGD).fit(*train)
    members = [clf.base_estimator_, clf.hierarchy_estimator_, *clf.fine_estimators_]
    members += [fold.estimator for fold in clf.held_out_.folds]
    assert len({member.random_state for member in members}) == len(members)
