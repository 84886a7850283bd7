import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from hierlearn import LabelPartition, SpecialistHeadAugmenter, TorchCNNClassifier
from hierlearn.networks import as_module

SETTINGS = {"head_sizes": (12,), "head_epochs": 2, "random_state": 0, "cv": "prefit"}
CASES = {
    "all": {},
    "kept, all": {"classifier": "keep"},
    "one": {"evaluate": 1},
    "kept, two": {"classifier": "keep", "evaluate": 2},
    "threshold": {"evaluate": 0.3},
    "linear": {"head_sizes": (), "evaluate": 1},
    "deep": {"head_sizes": (9, 5)},
    "two rounds": {"n_rounds": 2, "evaluate": 2, "classifier": "warm"},
    "at the input": {"attach_at": "input", "evaluate": 1},
    "tuned": {"fine_tune": True, "fine_tune_epochs": 1},
    "overlapping": {"gamma": 2.0, "evaluate": 1},
    "unlike sizes": {
        "partitioner": LabelPartition(range(10), [0] * 7 + [1, 1, 2]),
        "allocation": "cardinality",
    },
    "no heads": {"n_rounds": 0},
}


class Residual(nn.Module):
    """A network that is no chain, so that its features are caught by hooks."""

    def __init__(self, n_features=64, n_outputs=10):
        super().__init__()
        self.hidden = nn.Linear(n_features, 24)
        self.output = nn.Linear(24, n_outputs)

    def forward(self, x):
        hidden = self.hidden(x).relu()
        return self.output(hidden + hidden.square())


@pytest.mark.parametrize("name", CASES)
def test_onnx_and_module_give_the_probabilities(name, base, train, test, onnx_probabilities):
    clf = SpecialistHeadAugmenter(base, **{**SETTINGS, **CASES[name]}).fit(*train)
    expected = clf.predict_proba(test[0])
    found = as_module(clf)(torch.from_numpy(test[0]))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(onnx_probabilities(clf, test[0]), expected, atol=1e-5)
    np.testing.assert_allclose(onnx_probabilities(clf, test[0][:1]), expected[:1], atol=1e-5)


def test_labels_of_a_sample_have_a_probability_each(
    network, digits, labels, test, onnx_probabilities
):
    fitted = network().fit(digits[0], labels)
    clf = SpecialistHeadAugmenter(fitted, **SETTINGS, evaluate=2).fit(digits[0], labels)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


def test_heads_of_maps_are_exported(train, test, onnx_probabilities):
    base = TorchCNNClassifier(
        ("conv 3x3|4 pad 1", "pool 2", "fc 8"), input_shape=(1, 8, 8), max_epochs=2, random_state=0
    ).fit(*train)
    clf = SpecialistHeadAugmenter(base, **SETTINGS, head_maps=(3, 2), evaluate=1).fit(*train)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


def test_kept_heads_are_rerouted(base, train, test, onnx_probabilities):
    clf = SpecialistHeadAugmenter(base, **SETTINGS, classifier="keep").fit(*train)
    expected = clf.rerouted(1).predict_proba(test[0])
    np.testing.assert_allclose(onnx_probabilities(clf, test[0], 1), expected, atol=1e-5)
    found = as_module(clf, evaluate=1)(torch.from_numpy(test[0]))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("evaluate", ["all", 1])
def test_module_goes_through_torch_export(evaluate, base, train, test):
    clf = SpecialistHeadAugmenter(base, **SETTINGS, evaluate=evaluate).fit(*train)
    shapes = ({0: torch.export.Dim("rows", max=2**20)},)
    rows = (torch.zeros(2, 64),)
    program = torch.export.export(as_module(clf), rows, dynamic_shapes=shapes, strict=False)
    found = program.module()(torch.from_numpy(test[0]).float())
    np.testing.assert_allclose(found.numpy(), clf.predict_proba(test[0]), atol=1e-5)


def test_networks_that_are_no_chain_go_through_torch(train, test, onnx_probabilities):
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    clf = SpecialistHeadAugmenter(Residual(), attach_at="hidden", **SETTINGS)
    clf.fit(*train)
    found = onnx_probabilities(clf, test[0])
    np.testing.assert_allclose(found, clf.predict_proba(test[0]), atol=1e-5)


def test_heads_that_nobody_visits_are_not_run(base, train, tmp_path):
    onnx = pytest.importorskip("onnx")
    clf = SpecialistHeadAugmenter(base, **SETTINGS, evaluate=1).fit(*train)
    clf.to_onnx(tmp_path / "model.onnx")
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert sum(node.op_type == "If" for node in nodes) == clf.partition_.n_clusters


def test_transformers_in_front_are_refused(network, train, tmp_path):
    base = make_pipeline(StandardScaler(), network()).fit(*train)
    clf = SpecialistHeadAugmenter(base, **SETTINGS).fit(*train)
    with pytest.raises(ValueError, match="base_estimator must be a network without transformers"):
        clf.to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
