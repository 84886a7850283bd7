"""Controls: the flat networks with the same means, chance partitions, and their comparison."""

import math
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierlearn import (
    ConfusionLinkagePartitioner,
    HierarchicalDecompositionClassifier,
    RandomPartitioner,
    TorchMLPClassifier,
)
from hierlearn.controls import (
    GateAlone,
    as_expensive,
    compare,
    equal_epochs,
    permuted,
    trained_as_long,
)
from hierlearn.cost import estimator_cost

SMALL = {"hidden_layer_sizes": (20, 16), "max_epochs": 4}


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600], X[600:900] / 16, y[600:900]


@pytest.fixture(scope="module")
def fitted(digits):
    X, y, *_ = digits
    base = make_pipeline(StandardScaler(), TorchMLPClassifier(**SMALL))
    return HierarchicalDecompositionClassifier(base, random_state=0).fit(X, y)


def test_equal_epochs_counts_probe_refit_and_members_by_multiply_adds(fitted):
    # The base has 64 * 20 + 20 * 16 + 16 * 10 = 1760 multiply-adds and 4 epochs, on 480 of the 600
    # rows and on all: 4 * 1.8. Above the trunk (64 * 20) the gate has 480 on all rows, a branch
    # 320 + 16 * n_classes on its cluster's, 4 epochs each; the trunk's forward pass is a third of
    # an epoch. All that is trained twice, for the mixing weight and for good.
    rows = fitted.class_counts_ / fitted.class_counts_.sum()
    sizes = [fitted.partition_.members(c) for c in range(fitted.partition_.n_clusters)]
    branches = sum(rows[codes].sum() * (320 + 16 * len(codes)) for codes in sizes)
    worth = 4 * 1.8 + 2 * (4 * (480 + branches) / 1760 + 1 / 3)
    assert equal_epochs(fitted) == math.ceil(worth)


def test_equal_epochs_is_never_less_than_a_samples_path_through_the_model(digits):
    X, y, *_ = digits
    base = TorchMLPClassifier(**SMALL, random_state=0).fit(X, y)
    hierarchy = HierarchicalDecompositionClassifier(
        base, cv="prefit", mixing=0.0, branch_epochs=9, hierarchy_estimator=None, random_state=0
    ).fit(X, y)
    assert equal_epochs(hierarchy) == 4 + 9


def test_equal_epochs_counts_no_refit_of_the_base_where_there_is_none(digits):
    X, y, *_ = digits
    short, whole = (
        HierarchicalDecompositionClassifier(
            TorchMLPClassifier(**SMALL), mixing=0.0, cv=3, refit=refit, random_state=0
        ).fit(X, y)
        for refit in (False, True)
    )
    assert equal_epochs(whole) - equal_epochs(short) == SMALL["max_epochs"]


def test_equal_epochs_survives_a_pickle_that_leaves_the_held_out_scores_behind(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    assert not hasattr(loaded, "held_out_")
    assert equal_epochs(loaded) == equal_epochs(fitted)


def test_equal_epochs_is_none_without_epochs(digits):
    X, y, *_ = digits
    hierarchy = HierarchicalDecompositionClassifier(LogisticRegression(max_iter=500), mixing=0.0)
    hierarchy.fit(X, y)
    assert equal_epochs(hierarchy) is None
    assert trained_as_long(hierarchy) is None
    assert as_expensive(hierarchy) is None


def test_trained_as_long_changes_only_the_epochs_of_the_base(fitted):
    longer = trained_as_long(fitted)
    assert longer[-1].max_epochs == equal_epochs(fitted)
    assert longer[-1].hidden_layer_sizes == SMALL["hidden_layer_sizes"]
    assert longer[-1].random_state == fitted.base_estimator_[-1].random_state


@pytest.mark.parametrize("routing", ["hard", "soft"])
def test_as_expensive_has_the_hierarchys_multiply_adds(fitted, digits, routing):
    X, y, *_ = digits
    hierarchy = fitted.rerouted(routing, mixing=0.0)
    target = hierarchy.cost_report().hierarchy.multiply_adds
    wide = as_expensive(hierarchy).fit(X, y)
    assert estimator_cost(wide).multiply_adds == pytest.approx(target, rel=0.05)


def test_permuted_keeps_sizes_and_moves_classes(fitted, digits):
    X, y, *_ = digits
    control = permuted(fitted, seed=3).fit(X, y)
    assert sorted(control.partition_.sizes) == sorted(fitted.partition_.sizes)
    assert not np.array_equal(control.partition_.labels, fitted.partition_.labels)


def test_compare_measures_every_variant_and_control(digits):
    lines = []
    result = compare(
        HierarchicalDecompositionClassifier(TorchMLPClassifier(**SMALL)),
        *digits,
        seeds=[0, 1],
        progress=lines.append,
    )
    assert result.variants == [
        "flat",
        "flat, trained as long",
        "flat, as expensive",
        "gate alone",
        "hierarchy",
        "hierarchy, hard",
        "hierarchy, soft",
        "hierarchy, permuted",
    ]
    assert len(result.to_records()) == 16
    assert any("permuted" in line for line in lines)
    assert np.isnan(result.values("flat", "cluster_accuracy")).all()
    assert (result.values("hierarchy", "cluster_accuracy") > 0.3).all()
    table = str(result)
    assert all(variant in table for variant in result.variants)
    assert "vs flat" in table


def test_gate_alone_is_the_trunk_and_a_branch_over_all_classes(fitted, digits):
    *_, X_test, _ = digits
    gate = GateAlone(fitted)
    split = fitted._family.split
    named = fitted.hierarchy_estimator_.predict(split.features(X_test))
    assert np.array_equal(gate.predict(X_test), named)
    # Trunk 64 * 20, head 20 * 16 + 16 * 10.
    assert gate.cost_report().total.multiply_adds == 1280 + 480


def test_equal_epochs_is_none_where_a_member_is_a_decomposition(digits):
    X, y, *_ = digits
    base = TorchMLPClassifier(**SMALL)
    deep = HierarchicalDecompositionClassifier(base, max_depth=2, mixing=0.0, random_state=0)
    deep.set_params(partitioner=RandomPartitioner(ConfusionLinkagePartitioner(n_clusters=2)))
    deep.fit(X, y)
    assert any(hasattr(fine, "fine_estimators_") for fine in deep.fine_estimators_)
    assert equal_epochs(deep) is None


@pytest.mark.parametrize(
    ("estimator", "seeds", "message"),
    [
        (LogisticRegression(), [0], "must be a HierarchicalDecomposition.* Got LogisticRegression"),
        (HierarchicalDecompositionClassifier(), 2, "seeds must be a sequence.* Got 2 instead"),
    ],
)
def test_compare_refuses_what_it_cannot_compare(digits, estimator, seeds, message):
    with pytest.raises(ValueError, match=message):
        compare(estimator, *digits, seeds=seeds)


def test_flat_control_is_the_network_inside_the_hierarchy(digits):
    X, y, X_test, y_test = digits
    clf = HierarchicalDecompositionClassifier(TorchMLPClassifier(**SMALL), mixing=1.0)
    result = compare(clf, X, y, X_test, y_test, seeds=[5])
    assert result.values("flat") == result.values("hierarchy")


def test_compare_leaves_out_what_a_base_without_epochs_has_not(digits):
    clf = HierarchicalDecompositionClassifier(LogisticRegression(max_iter=500))
    result = compare(clf, *digits, seeds=[0])
    assert result.variants == [
        "flat",
        "hierarchy",
        "hierarchy, hard",
        "hierarchy, soft",
        "hierarchy, permuted",
    ]


@pytest.mark.parametrize("frozen", [False, True])
def test_base_that_came_fitted_stays_as_it_is(digits, frozen):
    X, y, *test = digits
    base = TorchMLPClassifier(**SMALL, random_state=0).fit(X, y)
    clf = HierarchicalDecompositionClassifier(
        FrozenEstimator(base) if frozen else base, cv="prefit", mixing=0.0
    )
    result = compare(clf, X, y, *test, seeds=[0])
    assert result.values("flat") == base.score(*test)
    assert "flat, trained as long" in result.variants


def test_ranking_may_be_what_counts(digits):
    clf = HierarchicalDecompositionClassifier(TorchMLPClassifier(**SMALL), mixing=0.0)
    result = compare(clf, *digits, seeds=[0], scoring="map@3")
    assert result.scoring == "map@3"
    assert "gate alone" in result.variants
    assert "Whether structure pays" in result.verdict()
