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
    OnTrunk,
    TorchCNNClassifier,
    TorchMLPClassifier,
    TransferClassifier,
)
from hierlearn.networks import as_module

SETTINGS = {"max_epochs": 2, "lr": 0.02, "random_state": 0}
NETWORK = TorchMLPClassifier((16, 12), **SETTINGS)
SMALL = TorchMLPClassifier((8,), **SETTINGS)
IMAGES = TorchCNNClassifier(("conv 3x3|4", "pool 2", "fc 12"), input_shape=(1, 8, 8), **SETTINGS)
ROUTINGS = ["soft", "hard", 2, 3, 10, 0.4]


def hierarchy(base=NETWORK, **params):
    settings = {"mixing": 0.3, "random_state": 0, **params}
    return HierarchicalDecompositionClassifier(base, **settings)


CASES = {
    "branches": hierarchy(),
    "pure, overlapping": hierarchy(gamma=2.0, mixing=0.0),
    "networks of their own": hierarchy(fine_estimator=SMALL, hierarchy_estimator=SMALL),
    "on the trunk": hierarchy(
        fine_estimator=OnTrunk(SMALL), hierarchy_estimator=OnTrunk(SMALL, names="classes")
    ),
    "base's own gate": hierarchy(hierarchy_estimator=None, mixing=0.0),
    "flat": hierarchy(mixing=1.0),
    "images": hierarchy(IMAGES),
    "tuned together": hierarchy(fine_tune=True, fine_tune_epochs=1),
    "clusters of one class": hierarchy(partitioner=LabelPartition(range(10), [0, 1, 2] + 7 * [3])),
    "two levels": hierarchy(partitioner="linkage", max_depth=2, mixing=0.0),
    "chosen": hierarchy(
        fine_estimator=NetworkSelector({"flat": "flat", "branch": "branch", "small": SMALL})
    ),
}


@pytest.fixture(scope="module")
def fitted(train):
    """Fit a case once for all tests of this file."""
    known = {}

    def fit(name):
        if name not in known:
            known[name] = CASES[name].fit(*train)
        return known[name]

    return fit


@pytest.mark.parametrize("name", CASES)
def test_onnx_gives_the_probabilities(name, fitted, test, onnx_probabilities):
    clf = fitted(name)
    for routing in ROUTINGS:
        expected = clf.rerouted(routing).predict_proba(test[0])
        for rows in (slice(None), slice(1)):
            found = onnx_probabilities(clf, test[0][rows], routing)
            np.testing.assert_allclose(found, expected[rows], atol=1e-5, err_msg=f"{routing}")


@pytest.mark.parametrize("routing", ROUTINGS)
@pytest.mark.parametrize("name", CASES)
def test_module_gives_the_probabilities(name, routing, fitted, test):
    clf = fitted(name)
    found = as_module(clf, routing=routing)(torch.from_numpy(test[0]))
    expected = clf.rerouted(routing).predict_proba(test[0])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_present_routing_is_kept(fitted, test, onnx_probabilities):
    clf = fitted("branches").rerouted("hard", mixing=0.0)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


@pytest.mark.parametrize("routing", ["hard", 2])
def test_module_goes_through_torch_export(routing, fitted, test):
    module = as_module(fitted("branches"), routing=routing)
    shapes = ({0: torch.export.Dim("rows", max=2**20)},)
    rows = (torch.zeros(2, 64),)
    program = torch.export.export(module, rows, dynamic_shapes=shapes, strict=False)
    found = program.module()(torch.from_numpy(test[0]).float())
    expected = fitted("branches").rerouted(routing).predict_proba(test[0])
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_branches_that_nobody_visits_are_not_run(fitted, tmp_path):
    onnx = pytest.importorskip("onnx")
    clf = fitted("branches")
    n_clusters, kinds = clf.partition_.n_clusters, {}
    for routing in ("hard", "soft"):
        clf.to_onnx(tmp_path / "model.onnx", routing)
        nodes = onnx.load(tmp_path / "model.onnx").graph.node
        kinds[routing] = [node.op_type for node in nodes]
    assert kinds["hard"].count("If") == n_clusters
    assert kinds["soft"].count("If") == 0
    assert kinds["soft"].count("Gemm") - kinds["hard"].count("Gemm") >= n_clusters


LINEAR = LogisticRegression(max_iter=500)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (hierarchy(LINEAR), "base_estimator must be a torch network .* Got LogisticRegression"),
        (hierarchy(fine_estimator=LINEAR), r"fine_estimators_\[0\] must be .* LogisticRegression"),
        (
            hierarchy(fine_estimator=SMALL, hierarchy_estimator=LINEAR),
            "hierarchy_estimator_ must be a torch network .* Got LogisticRegression",
        ),
        (
            hierarchy(make_pipeline(StandardScaler(), NETWORK)),
            "base_estimator must be a network without transformers .* Got a Pipeline",
        ),
        (
            hierarchy(fine_estimator=TransferClassifier(torch.nn.Linear(64, 5), **SETTINGS)),
            r"fine_estimators_\[0\] must read rows .* BackboneFeatures",
        ),
    ],
)
def test_members_that_are_no_networks_are_refused(estimator, named, train, tmp_path):
    estimator.fit(*train)
    with pytest.raises(ValueError, match=named):
        estimator.to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_wrong_routing_is_refused(fitted, tmp_path):
    with pytest.raises(ValueError, match="routing"):
        fitted("branches").to_onnx(tmp_path / "model.onnx", 1.5)
