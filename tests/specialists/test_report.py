"""What an augmented network costs."""

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch.utils.flop_counter import FlopCounterMode

from hierlearn import LabelPartition, SpecialistHeadAugmenter
from hierlearn.cost import estimator_cost, layer_table

pytestmark = pytest.mark.filterwarnings("ignore:The heads did harm:UserWarning")

APART = LabelPartition(np.arange(10), [0, 0, 1, 1, 2, 2, 0, 1, 2, 0])
BASE = 64 * 24 + 24 * 16 + 16 * 10
PARAMETERS = BASE + 24 + 16 + 10
SIZES = (4, 3, 3)


def fit(base, rows, held_out, **params):
    settings = {"head_sizes": (6,), "head_epochs": 1, "random_state": 0, **params}
    clf = SpecialistHeadAugmenter(FrozenEstimator(base), APART, **settings)
    return clf.fit(*rows, X_val=held_out[0], y_val=held_out[1])


@pytest.mark.parametrize(
    ("params", "multiply_adds", "parameters"),
    [
        ({}, 3 * 24 * 6 + 6 * 10, 3 * 25 * 6 + 6 * 10),
        ({"classifier": "keep"}, 3 * 24 * 6 + 6 * 10, 3 * 25 * 6 + 6 * 10),
        ({"attach_at": "input"}, 3 * 64 * 6 + 6 * 10, 3 * 65 * 6 + 6 * 10),
        ({"head_sizes": ()}, 24 * 10, 24 * 10),
        ({"n_rounds": 0}, 0, 0),
        ({"evaluate": 3}, 3 * 24 * 6 + 6 * 10 + 16 * 10, 3 * 25 * 6 + 6 * 10 + 17 * 10),
    ],
)
def test_heads_are_added_to_the_base(base, train, test, params, multiply_adds, parameters):
    report = fit(base, train, test, **params).cost_report()
    assert report.flat.multiply_adds == BASE
    assert report.total.multiply_adds == BASE + multiply_adds
    assert report.total.parameters == PARAMETERS + parameters
    assert report.ratio == pytest.approx((BASE + multiply_adds) / BASE)


def test_routing_is_counted_where_it_is_measured(base, train, test):
    clf = fit(base, train, test, evaluate=1, classifier="keep")
    found = clf.cost_report(test[0])
    visits = clf.partition_.cluster_scores(base.predict_proba(test[0])).argmax(axis=1)
    shares = np.bincount(visits, minlength=3) / len(visits)
    np.testing.assert_allclose(found.frequencies[0], shares)
    expected = BASE + sum(s * (24 * 6 + 6 * n) for s, n in zip(shares, SIZES, strict=True))
    assert found.total.multiply_adds == pytest.approx(expected)
    assert clf.cost_report().total == found.total  # the held-out rows were the same


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"classifier": "keep"},
        {"n_rounds": 0},
        {"evaluate": 1},
        {"evaluate": 0.3},
        {"head_sizes": ()},
    ],
)
def test_the_table_of_layers_adds_up_to_the_report(base, train, test, params):
    clf = fit(base, train, test, **params)
    table, report = layer_table(clf), clf.cost_report()
    assert table.total.multiply_adds == pytest.approx(report.total.multiply_adds)
    assert table.total.parameters == report.total.parameters
    assert next(iter(table.sections)) == "base"


@pytest.mark.parametrize("params", [{"evaluate": 2, "gamma": 2}, {"evaluate": 0.2, "n_rounds": 2}])
def test_overlapping_labels_are_paid_for_as_often_as_they_are_read(base, train, test, params):
    clf = SpecialistHeadAugmenter(
        FrozenEstimator(base), head_sizes=(6,), head_epochs=1, random_state=0, **params
    ).fit(*train, X_val=test[0], y_val=test[1])
    x = torch.as_tensor(test[0], dtype=torch.float32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        clf.network_.eval()(x)
    counted = counter.get_total_flops() / 2 / len(x)
    assert clf.cost_report(test[0]).total.multiply_adds == pytest.approx(counted)


def test_activations_are_counted_like_those_of_a_network(base, train, test):
    clf = fit(base, train, test, head_sizes=(6, 5))
    rows = layer_table(clf).sections["head 0"].rows
    assert [row.activation_bytes for row in rows] == [24, 24, 20, 20, 16]


def test_the_report_is_printed(base, train, test):
    lines = str(fit(base, train, test, evaluate=1).cost_report()).splitlines()
    assert lines[2].startswith("with 3 heads, 1.0 evaluated")
    assert lines[3].endswith("x")


def test_an_augmenter_is_priced_like_any_classifier(base, train, test):
    clf = fit(base, train, test)
    assert estimator_cost(clf) == clf.cost_report().total
