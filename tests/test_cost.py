"""Prices that can be counted by hand."""

import math

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn

from hierlearn import (
    HierarchicalDecompositionClassifier,
    LabelPartition,
    TorchClassifier,
    TorchMLPClassifier,
)
from hierlearn.cost import (
    Cost,
    CostReport,
    CostTable,
    LayerRow,
    decomposition_cost,
    estimator_cost,
    layer_table,
    network_rows,
)

# Four features, six classes in clusters of three, two and one.
X, Y = make_blobs(180, 4, centers=6, cluster_std=2.0, random_state=0)
PARTITION = LabelPartition(np.arange(6), [0, 0, 0, 1, 1, 2])

# Layers of 4 x 5, 5 x 3 and 3 x 6 weights; the first has the most and is the trunk.
MLP = TorchMLPClassifier((5, 3), max_epochs=2)
WHOLE = Cost(20 + 15 + 18, 53 + 5 + 3 + 6)
TRUNK = Cost(20, 20 + 5)
WHOLE_ABOVE = GATE = Cost(15 + 18, 33 + 3 + 6)  # a copy of the layers above the trunk
BRANCHES = (Cost(15 + 9, 24 + 3 + 3), Cost(15 + 6, 21 + 3 + 2), Cost(0, 0))

# A linear model of four features has four coefficients and an intercept a class, but one row for
# two classes.
LINEAR = LogisticRegression(max_iter=500)
LINEAR_WHOLE = Cost(24, 30)
LINEAR_GATE = Cost(12, 15)
LINEAR_CLUSTERS = (Cost(12, 15), Cost(4, 5), Cost(0, 0))


def decomposition(base, **params):
    params = {"hierarchy_estimator": None, "mixing": 0, **params}
    clf = HierarchicalDecompositionClassifier(base, PARTITION, random_state=0, **params)
    return clf.fit(X, Y)


def expected(shared, clusters, shares):
    """Every sample passes what is shared, its share of the samples each cluster."""
    multiply_adds = sum(
        share * cost.multiply_adds for share, cost in zip(shares, clusters, strict=True)
    )
    parameters = sum(cost.parameters for cost in clusters)
    return Cost(shared.multiply_adds + multiply_adds, shared.parameters + parameters)


def assert_costs(found, wanted):
    assert found.multiply_adds == pytest.approx(wanted.multiply_adds)
    assert found.parameters == wanted.parameters


@pytest.mark.parametrize("routing", ["hard", 2, "soft"])
@pytest.mark.parametrize(
    ("params", "shared"),
    [
        ({}, WHOLE),
        ({"mixing": 0.3}, WHOLE),
        ({"hierarchy_estimator": "branch"}, TRUNK + GATE),
        ({"hierarchy_estimator": "branch", "mixing": 0.3}, WHOLE + GATE),
        ({"hierarchy_estimator": LINEAR}, TRUNK + LINEAR_GATE),
        ({"hierarchy_estimator": LINEAR, "mixing": 0.3}, WHOLE + LINEAR_GATE),
    ],
    ids=str,
)
def test_branches_on_a_shared_trunk(params, shared, routing):
    clf = decomposition(MLP, routing=routing, **params)
    report = clf.cost_report()
    assert report.flat == WHOLE
    assert report.clusters == BRANCHES
    assert report.routing == str(routing)
    shares = clf.decision_path(X[clf.held_out_.indices]).toarray().mean(axis=0)
    assert_costs(report.hierarchy, expected(shared, BRANCHES, shares))
    assert report.ratio == pytest.approx(report.hierarchy.multiply_adds / 53)


@pytest.mark.parametrize(("routing", "visits"), [("hard", 1), (2, 2), ("soft", 3)])
@pytest.mark.parametrize(
    ("params", "shared"),
    [
        ({}, LINEAR_WHOLE),
        ({"hierarchy_estimator": LINEAR}, LINEAR_GATE),
        ({"hierarchy_estimator": LINEAR, "mixing": 0.5}, LINEAR_WHOLE + LINEAR_GATE),
    ],
    ids=str,
)
def test_linear_models(params, shared, routing, visits):
    clf = decomposition(LINEAR, routing=routing, **params)
    report = decomposition_cost(clf)
    assert report.flat == LINEAR_WHOLE
    assert report.clusters == LINEAR_CLUSTERS
    assert clf.route_frequencies_.sum() == pytest.approx(visits)
    assert_costs(report.hierarchy, expected(shared, LINEAR_CLUSTERS, clf.route_frequencies_))


def test_soft_routing_by_a_network_visits_all():
    report = decomposition(MLP, routing="soft").cost_report()
    assert report.hierarchy == Cost(53 + 24 + 21, 67 + 30 + 26)


def test_flat_network_alone_costs_what_it_costs():
    clf = decomposition(MLP, mixing=1.0)
    assert clf.cost_report().hierarchy == clf.cost_report().flat == WHOLE
    assert clf.cost_report().ratio == 1.0


def test_branches_on_other_classifiers_price_the_trunk_once():
    clf = decomposition(MLP, hierarchy_estimator="branch", fine_estimator=LINEAR, routing="soft")
    assert clf.cost_report().hierarchy == expected(TRUNK + GATE, LINEAR_CLUSTERS, [1, 1, 1])


def test_overlap_costs_the_classes_appended():
    overlapping = LabelPartition.from_groups([[0, 1, 2], [3, 4, 0], [5, 1]])
    clf = decomposition(LINEAR).set_params(partitioner=overlapping).fit(X, Y)
    assert clf.cost_report().clusters == (Cost(12, 15), Cost(12, 15), Cost(4, 5))


def test_rerouting_changes_the_price():
    clf = decomposition(MLP, routing="soft")
    hard = clf.rerouted("hard").cost_report()
    assert hard.hierarchy.multiply_adds < clf.cost_report().hierarchy.multiply_adds
    assert hard.hierarchy.parameters == clf.cost_report().hierarchy.parameters
    assert clf.rerouted(mixing=1.0).cost_report().ratio == 1.0


def test_hierarchy_within_a_hierarchy():
    inner = HierarchicalDecompositionClassifier(LINEAR, "taxonomy", routing="soft", mixing=0)
    clf = decomposition(LINEAR, fine_estimator=inner, routing="soft")
    # One inner cluster of all the classes: flat and fine classifier are as large.
    assert clf.cost_report().clusters == (Cost(24, 30), Cost(8, 10), Cost(0, 0))


def convolution(shape, n_outputs):
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.Flatten(),
        nn.Linear(4 * (height - 2) * (width - 2), n_outputs),
    )


@pytest.mark.parametrize(
    ("estimator", "cost"),
    [
        (None, Cost(0, 0)),
        (DummyClassifier(), Cost(0, 0)),
        (LINEAR, LINEAR_WHOLE),
        (LinearSVC(), LINEAR_WHOLE),
        (SVC(kernel="linear"), Cost(15 * 4, 15 * 5)),  # one row for each pair of classes
        (LogisticRegression(fit_intercept=False), Cost(24, 24 + 6)),
        (make_pipeline(StandardScaler(), LINEAR), LINEAR_WHOLE),
        (make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), MLP)), WHOLE),
        (FrozenEstimator(LINEAR), LINEAR_WHOLE),
        (FrozenEstimator(make_pipeline(StandardScaler(), MLP)), WHOLE),
        (MLP, WHOLE),
        (TorchMLPClassifier((), max_epochs=1), Cost(24, 30)),
        (TorchMLPClassifier((7,), dropout=0.5, max_epochs=1), Cost(28 + 42, 70 + 7 + 6)),
    ],
    ids=str,
)
def test_price_of_a_classifier(estimator, cost):
    fitted = estimator
    while isinstance(fitted, FrozenEstimator):
        fitted = fitted.estimator
    if fitted is not None:
        fitted.fit(X, Y)
    assert estimator_cost(estimator) == cost


def test_convolution_counts_every_position():
    images = np.random.default_rng(0).normal(size=(24, 2, 5, 6)).astype(np.float32)
    clf = TorchClassifier(convolution, max_epochs=1).fit(images, np.arange(24) % 3)
    kernel, dense = 4 * 2 * 9, 4 * 3 * 4 * 3
    assert estimator_cost(clf) == Cost(kernel * 3 * 4 + dense, kernel + 4 + dense + 3)


@pytest.mark.parametrize("estimator", [GaussianNB(), SVC(), KNeighborsClassifier()], ids=str)
def test_unknown_price_is_nan_and_says_so(estimator):
    cost = estimator_cost(estimator.fit(X, Y))
    assert math.isnan(cost.multiply_adds)
    assert math.isnan(cost.parameters)
    report = decomposition(estimator).cost_report()
    assert math.isnan(report.ratio)
    assert str(report).count("unknown") == 5


def test_free_base_has_no_ratio():
    report = decomposition(DummyClassifier(), fine_estimator=LINEAR).cost_report()
    assert math.isnan(report.ratio)
    assert str(report).splitlines()[-1].split() == ["ratio", "unknown"]


def test_sum_and_share():
    assert Cost(100, 7) + Cost(20, 3) == Cost(120, 10)
    assert Cost(100, 7).scaled(0.25) == Cost(25, 7)


def test_print():
    report = CostReport(Cost(651_200, 659_650), Cost(660_007.3, 700_000), (), "hard")
    assert str(report).splitlines() == [
        "                                  multiply-adds   parameters",
        "flat                                    651,200      659,650",
        "hierarchy (routing hard)                660,007      700,000",
        "ratio                                     1.01x",
    ]


def test_print_says_when_the_flat_network_was_kept():
    clf = decomposition(LINEAR, mixing=1.0)
    assert "mixing 1: flat kept" in str(clf.cost_report())
    assert clf.cost_report().keeps_flat


@pytest.mark.parametrize("routing", ["soft", "hard", 123])
def test_lines_are_as_long_as_each_other_up_to_the_ratio(routing):
    *table, ratio = str(decomposition(LINEAR, routing=routing).cost_report()).splitlines()
    assert len({len(line) for line in table}) == 1
    assert ratio.endswith("x")


# -- layer by layer --------------------------------------------------------------------------------


@pytest.mark.parametrize("routing", ["hard", 2, "soft"])
@pytest.mark.parametrize("mixing", [0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("base", "params"),
    [
        (MLP, {}),
        (MLP, {"hierarchy_estimator": "branch"}),
        (MLP, {"hierarchy_estimator": LINEAR}),
        (MLP, {"hierarchy_estimator": "branch", "fine_estimator": LINEAR}),
        (make_pipeline(StandardScaler(), MLP), {"hierarchy_estimator": "branch"}),
        (LINEAR, {}),
        (LINEAR, {"hierarchy_estimator": LINEAR}),
    ],
    ids=[
        "network",
        "branch",
        "linear gate",
        "linear clusters",
        "pipeline",
        "linear",
        "both linear",
    ],
)
def test_layers_add_up_to_the_report(base, params, mixing, routing):
    clf = decomposition(base, mixing=mixing, routing=routing, **params)
    assert_costs(layer_table(clf).total, clf.cost_report().hierarchy)


@pytest.mark.parametrize(
    ("params", "shared"),
    [
        ({}, {"trunk": TRUNK, "base": WHOLE_ABOVE}),
        ({"hierarchy_estimator": "branch"}, {"trunk": TRUNK, "gate": GATE}),
        (
            {"hierarchy_estimator": "branch", "mixing": 0.3},
            {"trunk": TRUNK, "base": WHOLE_ABOVE, "gate": GATE},
        ),
    ],
    ids=str,
)
def test_sections_of_branches_on_a_shared_trunk(params, shared):
    sections = layer_table(decomposition(MLP, routing="soft", **params)).sections
    wanted = shared | {"cluster_0": BRANCHES[0], "cluster_1": BRANCHES[1]}
    assert {name: section.total for name, section in sections.items()} == wanted
    assert list(sections) == list(wanted)
    assert [row.name for row in sections["trunk"].rows] == ["hidden1", "activation1"]
    for name in list(sections)[1:]:  # branches call their layers as the base does
        names = [row.name for row in sections[name].rows]
        assert names == ["hidden2", "activation2", "output"]


def test_share_of_samples_is_that_of_the_routes():
    clf = decomposition(MLP, routing="hard")
    sections = layer_table(clf).sections
    for cluster in (0, 1):
        shares = {row.share for row in sections[f"cluster_{cluster}"].rows}
        assert shares == {clf.route_frequencies_[cluster]}


def test_flat_network_kept_has_no_other_layers():
    assert set(layer_table(decomposition(MLP, mixing=1.0)).sections) == {"trunk", "base"}
    assert set(layer_table(decomposition(LINEAR, mixing=1.0)).sections) == {"base"}


def test_sections_of_a_hierarchy_within_a_hierarchy():
    inner = HierarchicalDecompositionClassifier(LINEAR, "taxonomy", routing="hard", mixing=0)
    clf = decomposition(LINEAR, fine_estimator=inner, routing="hard")
    table = layer_table(clf)
    assert "cluster_0 / base" in table.sections
    assert table.total.parameters == clf.cost_report().hierarchy.parameters
    assert table.total.multiply_adds == pytest.approx(clf.cost_report().hierarchy.multiply_adds)


@pytest.mark.parametrize(
    "estimator",
    [
        None,
        DummyClassifier(),
        LINEAR,
        LinearSVC(),
        make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), MLP)),
        FrozenEstimator(make_pipeline(StandardScaler(), MLP)),
        MLP,
        TorchMLPClassifier((7,), dropout=0.5, max_epochs=1),
    ],
    ids=str,
)
def test_layers_of_a_classifier_add_up_to_its_price(estimator):
    fitted = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    if fitted is not None:
        fitted.fit(X, Y)
    assert layer_table(estimator).total == estimator_cost(estimator)


def test_layers_of_a_network():
    table = layer_table(TorchMLPClassifier((5,), max_epochs=1, dtype="float32").fit(X, Y))
    assert table.rows == (
        LayerRow("", "hidden1", "Linear", (5,), 20, 25, 20),
        LayerRow("", "activation1", "ReLU", (5,), 0, 0, 20),
        LayerRow("", "output", "Linear", (6,), 30, 36, 24),
    )
    assert table.activation_bytes == 64


def test_layers_of_a_linear_model():
    assert layer_table(LINEAR.fit(X, Y)).rows == (
        LayerRow("", "coef_", "LogisticRegression", (6,), 24, 30, 6 * 8),
    )


def test_layers_of_a_convolutional_network():
    images = np.random.default_rng(0).normal(size=(24, 2, 5, 6)).astype(np.float32)
    clf = TorchClassifier(convolution, max_epochs=1, dtype="float32").fit(images, np.arange(24) % 3)
    assert [(row.kind, row.output_shape) for row in layer_table(clf).rows] == [
        ("Conv2d", (4, 3, 4)),
        ("Flatten", (48,)),
        ("Linear", (3,)),
    ]
    assert layer_table(clf).activation_bytes == 4 * (48 + 3)


def test_unknown_price_is_one_row_that_says_so():
    (row,) = layer_table(GaussianNB().fit(X, Y)).rows
    assert row.kind == "GaussianNB"
    assert math.isnan(row.multiply_adds)
    assert str(CostTable((row,))).count("unknown") == 6


def test_estimator_of_ours_gives_its_own_rows():
    rows = network_rows(nn.Linear(4, 2), (4,), section="heads", share=0.25)

    class Augmented:
        def _cost_rows(self):
            return rows

    assert layer_table(Augmented()).rows == rows
    assert layer_table(Augmented()).total == Cost(2, 10)
    outer = decomposition(LINEAR)
    outer.fine_estimators_ = [Augmented(), None, None]
    assert "cluster_0 / heads" in layer_table(outer).sections


def test_records_hold_every_field():
    (record,) = layer_table(LINEAR.fit(X, Y)).to_records()
    assert record == {
        "section": "",
        "name": "coef_",
        "kind": "LogisticRegression",
        "output_shape": (6,),
        "multiply_adds": 24,
        "parameters": 30,
        "activation_bytes": 48,
        "share": 1.0,
    }


def test_table_prints():
    table = CostTable(
        (
            LayerRow("trunk", "conv", "Conv2d", (8, 30, 30), 194_400, 224, 28_800),
            LayerRow("pets", "output", "Linear", (5,), 1_000, 1_005, 20, 0.25),
        )
    )
    assert str(table).splitlines() == [
        "layer                    kind    output       multiply-adds  parameters  output bytes",
        "trunk                                               194,400         224        28,800",
        "  conv                   Conv2d  8 x 30 x 30        194,400         224        28,800",
        "pets (25.0% of samples)                                 250       1,005            20",
        "  output                 Linear  5                    1,000       1,005            20",
        "total, as routed                                    194,650       1,229        28,820",
    ]


def test_lines_of_a_table_are_as_long_as_each_other():
    lines = str(layer_table(decomposition(MLP, hierarchy_estimator="branch"))).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_empty_table_prints():
    assert str(layer_table(None)).splitlines()[1].split() == ["total", "0", "0", "0"]
