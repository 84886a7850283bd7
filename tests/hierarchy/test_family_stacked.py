"""A family's networks trained in one pass are those trained in turn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.dummy import DummyClassifier
from skorch.callbacks import Callback

from hierlearn import HierarchicalDecompositionClassifier, LabelPartition, TorchMLPClassifier
from hierlearn.hierarchy import FamilyPlan, OnTrunk, family_training, fit_family, stacking
from hierlearn.partition import TrainingRows

OVERLAPPING = LabelPartition.from_groups([[0, 1, 2, 3], [4, 5, 6, 0], [7, 8, 9, 0, 5]], range(10))
SMALL = TorchMLPClassifier((8,), max_epochs=3, lr=0.01)
PLAN = FamilyPlan(
    hierarchy_estimator=None,
    fine_estimator=SMALL,
    branch_at=None,
    branch_epochs=3,
    branch_lr=None,
    n_jobs=None,
    seed=0,
)
FINE = {
    "own rows": SMALL,
    "on the trunk": OnTrunk(SMALL),
    "branches": None,
    "dropout": TorchMLPClassifier((8,), max_epochs=3, dropout=0.2),
}


@pytest.fixture(scope="module")
def rows(train):
    return TrainingRows(*train, None)


@pytest.fixture(scope="module")
def base(train):
    return TorchMLPClassifier((24, 12), max_epochs=4, lr=0.02, random_state=0).fit(*train)


@pytest.fixture
def passes(monkeypatch):
    """Note what is trained in one pass, and forget it where ``in_turn`` is called."""
    found = []

    def spy(*args, **kwargs):
        found.append(together(*args, **kwargs))
        return found[-1]

    together = family_training.fit_clusters_together
    monkeypatch.setattr(family_training, "fit_clusters_together", spy)
    return found


def in_turn(monkeypatch, *args):
    with monkeypatch.context() as context:
        context.setattr(family_training, "stacks", lambda estimator: False)
        return fit_family(*args)


@pytest.mark.parametrize("fine", FINE.values(), ids=FINE)
@pytest.mark.parametrize("weighted", [False, True])
def test_members_are_those_of_a_loop(base, rows, passes, monkeypatch, fine, weighted):
    weight = np.arange(len(rows.codes)) % 4 + 0.5 if weighted else None
    data, plan = replace(rows, weight=weight), replace(PLAN, fine_estimator=fine)
    together = fit_family(base, OVERLAPPING, data, plan)
    assert len(passes) == 1
    alone = in_turn(monkeypatch, base, OVERLAPPING, data, plan)
    assert len(passes) == 1
    for one, other in zip(together.fine, alone.fine, strict=True):
        assert one.source == other.source
        assert one.estimator.random_state == other.estimator.random_state
        np.testing.assert_array_equal(one.estimator.classes_, other.estimator.classes_)
    answers = [found.posteriors(rows.X, "soft")[0] for found in (together, alone)]
    np.testing.assert_allclose(*answers, atol=1e-4)


def test_clusters_of_one_class_or_none(base, rows):
    partition = LabelPartition.from_groups([[0], [1, 2, 3, 4], [5, 6, 7], [8, 9]], range(10))
    seen = rows.take(np.flatnonzero(rows.codes < 8))
    members = [member.estimator for member in fit_family(base, partition, seen, PLAN).fine]
    assert isinstance(members[0], DummyClassifier)
    assert members[2].classes_.tolist() == [5, 6, 7]
    assert members[3] is None


@pytest.mark.parametrize("bound", [1, 12_000])
def test_passes_hold_few_rows(base, rows, monkeypatch, bound):
    whole = fit_family(base, OVERLAPPING, rows, PLAN)
    monkeypatch.setattr(stacking, "_PASS_INPUTS", bound)
    codes_of = [OVERLAPPING.members(cluster) for cluster in range(3)]
    found = stacking.passes(rows, codes_of)
    assert [cluster for clusters in found for cluster in clusters] == [0, 1, 2]
    assert len(found) > 1
    apart = fit_family(base, OVERLAPPING, rows, PLAN)
    answers = [one.posteriors(rows.X, "soft")[0] for one in (whole, apart)]
    np.testing.assert_allclose(*answers, atol=1e-4)


def test_members_do_not_depend_on_n_jobs(base, rows):
    with parallel_config(backend="threading"):
        one, two = (
            fit_family(base, OVERLAPPING, rows, replace(PLAN, n_jobs=jobs)) for jobs in (1, 2)
        )
    for alone, beside in zip(one.fine, two.fine, strict=True):
        weights = (member.estimator.module_.parameters() for member in (alone, beside))
        assert all(map(torch.equal, *weights))


@pytest.mark.parametrize(
    "fine",
    [
        TorchMLPClassifier((8,), max_epochs=2, early_stopping=True),
        TorchMLPClassifier((8,), max_epochs=2, callbacks=[("own", Callback())]),
    ],
    ids=["early stopping", "callback"],
)
def test_watched_networks_are_trained_in_turn(base, rows, passes, fine):
    fit_family(base, OVERLAPPING, rows, replace(PLAN, fine_estimator=fine))
    assert passes == []


def test_whole_decompositions(train, test, passes):
    clf = HierarchicalDecompositionClassifier(
        TorchMLPClassifier((24,), max_epochs=5, lr=0.02),
        OVERLAPPING,
        fine_estimator=TorchMLPClassifier((8,), max_epochs=10, lr=0.05),
        mixing=0,
        random_state=0,
    ).fit(*train)
    assert len(passes) == 1
    assert clf.score(*test) > 0.5
