"""Auxiliary heads: the network they leave behind, what they learn, and where they may read."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from hierlearn import LabelPartition, TorchClassifier, TorchCNNClassifier, TorchMLPClassifier
from hierlearn.cost import estimator_cost
from hierlearn.exceptions import PartitionError
from hierlearn.networks import AuxiliaryHeads
from hierlearn.networks.auxiliary_training import read_points
from hierlearn.networks.stacked import can_stack, fit_stacked

IMAGES = {"input_shape": (8, 8), "max_epochs": 3, "lr": 0.01, "random_state": 0}
LAYERS = ("conv 3x3|8", "pool 2", "conv 3x3|8", "conv 3x3|8", "fc 16")


class Skipping(nn.Module):
    """Two layers and a way around them: no chain."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.lower = nn.Linear(n_features, 8)
        self.upper = nn.Linear(8, 8)
        self.last = nn.Linear(8, n_outputs)

    def forward(self, x):
        low = torch.relu(self.lower(x))
        return self.last(low + torch.relu_(self.upper(low)))


def perceptron(auxiliary=None, **params):
    settings = {"dropout": 0.2, "max_epochs": 4, "batch_size": 32, "random_state": 0, **params}
    return TorchMLPClassifier((16, 12), auxiliary=auxiliary, **settings)


def convolutional(auxiliary=None, **params):
    return TorchCNNClassifier(LAYERS, batch_norm=True, auxiliary=auxiliary, **IMAGES, **params)


def skipping(auxiliary=None):
    return TorchClassifier(Skipping, auxiliary=auxiliary, max_epochs=4, random_state=0)


KINDS = [
    pytest.param(perceptron, "hidden1", id="mlp"),
    pytest.param(convolutional, "conv2", id="cnn"),
    pytest.param(skipping, "lower", id="module"),
]


def states(clf):
    return {name: value.numpy() for name, value in clf.module_.state_dict().items()}


def assert_same_weights(one, other, **tolerance):
    first, second = states(one), states(other)
    assert list(first) == list(second)
    for name in first:
        assert_allclose(first[name], second[name], **{"rtol": 0, "atol": 0, **tolerance})


@pytest.mark.parametrize(("build", "layer"), KINDS)
class TestWhatIsLeft:
    def test_nothing_of_the_heads(self, build, layer, digits):
        plain = build().fit(*digits)
        headed = build(AuxiliaryHeads(layer, hidden_layer_sizes=(10,))).fit(*digits)
        assert {k: v.shape for k, v in states(plain).items()} == {
            k: v.shape for k, v in states(headed).items()
        }
        assert not any(layer._forward_hooks for layer in headed.module_.modules())
        # Zip alignment inside torch's format may shift by some bytes.
        sizes = [len(pickle.dumps(clf.module_)) for clf in (plain, headed)]
        assert abs(sizes[0] - sizes[1]) < 64
        assert estimator_cost(plain) == estimator_cost(headed)
        assert headed.predict_proba(digits[0]).shape == (400, 10)

    def test_weight_zero_is_the_plain_network_bit_for_bit(self, build, layer, digits):
        plain = build().fit(*digits)
        headed = build(AuxiliaryHeads([layer], weight=0, hidden_layer_sizes=(10,))).fit(*digits)
        assert_same_weights(plain, headed)
        losses = [[row["train_loss"] for row in clf.history_] for clf in (plain, headed)]
        assert losses[0] == losses[1]

    def test_heads_move_the_layers_below_them(self, build, layer, digits):
        plain, headed = build().fit(*digits), build(AuxiliaryHeads(layer)).fit(*digits)
        assert any(
            not np.array_equal(a, b)
            for a, b in zip(states(plain).values(), states(headed).values(), strict=True)
        )


def test_a_vanishing_weight_is_nearly_the_plain_network(digits):
    # Initial weights, batches and dropout are those of the plain network.
    settings = {"optimizer": "sgd", "lr": 0.01, "dtype": "float64", "weight_decay": 0.0}
    plain = perceptron(**settings).fit(*digits)
    headed = perceptron(AuxiliaryHeads(weight=1e-9), **settings).fit(*digits)
    assert_same_weights(plain, headed, atol=1e-8)


def test_layers_above_a_head_learn_from_the_network_alone(digits):
    # One step: what a head adds has not come up yet.
    settings = {"optimizer": "sgd", "lr": 0.1, "max_epochs": 1, "batch_size": 400}
    plain = perceptron(**settings).fit(*digits)
    headed = perceptron(AuxiliaryHeads("hidden1"), **settings).fit(*digits)
    before, after = states(plain), states(headed)
    for name in before:
        moved = np.abs(before[name] - after[name]).max() > 1e-9
        assert moved == name.startswith("hidden1")


def test_history_has_both_losses(digits):
    clf = perceptron(AuxiliaryHeads(), early_stopping=True).fit(*digits)
    assert {"train_loss", "auxiliary_loss", "valid_loss"} <= set(clf.history_[0])
    losses = [row["auxiliary_loss"] for row in clf.history_]
    assert losses[-1] < losses[0]


def test_early_stopping_looks_at_the_network_alone(digits):
    runs = [
        perceptron(heads, early_stopping=True).fit(*digits)
        for heads in (None, AuxiliaryHeads(weight=0))
    ]
    valid = [[row["valid_loss"] for row in clf.history_] for clf in runs]
    assert valid[0] == valid[1]


@pytest.mark.parametrize("target", ["partition", "dict"])
def test_heads_learn_clusters(digits, target):
    X, y = digits
    partition = LabelPartition(np.arange(12), np.arange(12) % 2)  # more classes than y has
    wanted = (
        partition if target == "partition" else {"even": [*range(0, 10, 2)], "odd": [1, 3, 5, 7, 9]}
    )
    clf = perceptron(AuxiliaryHeads("hidden2", target=wanted), lr=0.01, max_epochs=15).fit(X, y)
    assert clf.history_[0]["auxiliary_loss"] < 1  # of two clusters, not of ten classes
    assert clf.history_[-1]["auxiliary_loss"] < 0.3
    assert clf.predict_proba(X).shape == (400, 10)


def test_partition_and_dicts_are_the_same(digits):
    X, y = digits
    y = np.array([f"digit {label}" for label in y])
    groups = {"low": [f"digit {i}" for i in range(5)], "high": [f"digit {i}" for i in range(5, 10)]}
    by_class = {label: name for name, labels in groups.items() for label in labels}
    plain, *others = [
        perceptron(AuxiliaryHeads(target=target)).fit(X, y)
        for target in (LabelPartition.from_dict(groups), groups, by_class)
    ]
    for other in others:
        assert_same_weights(plain, other)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("target", ["classes", LabelPartition([0, 1, 2], [0, 1, 1])])
def test_multilabel(blobs, tags, target, class_weight):
    X, _ = blobs
    heads = AuxiliaryHeads(target=target)
    clf = perceptron(heads, lr=0.05, max_epochs=30, class_weight=class_weight).fit(X, tags)
    assert clf.history_[-1]["auxiliary_loss"] < clf.history_[0]["auxiliary_loss"]
    assert clf.predict(X).shape == tags.shape


def test_a_cluster_is_that_of_any_label(blobs, tags):
    X, _ = blobs
    partition = LabelPartition([0, 1, 2], [0, 1, 1])
    clf = perceptron(AuxiliaryHeads(target=partition), max_epochs=1, batch_size=60)
    seen = []

    class Watched(nn.BCEWithLogitsLoss):
        def forward(self, logits, target):
            seen.append(target.numpy())
            return super().forward(logits, target)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn, "BCEWithLogitsLoss", Watched)
        clf.fit(X, tags)
    heads = next(target for target in seen if target.shape[1] == 2)
    labels = next(target for target in seen if target.shape[1] == 3)
    assert_array_equal(heads[:, 0], labels[:, 0])
    assert_array_equal(heads[:, 1], labels[:, 1:].any(axis=1))


def test_doubled_weights_are_doubled_rows(blobs):
    X, y = blobs
    heads = AuxiliaryHeads()
    settings = {"max_epochs": 5, "batch_size": 200, "dropout": 0.0}
    weight = np.where(y == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(len(y)), weight.astype(int))
    weighted = perceptron(heads, **settings).fit(X, y, sample_weight=weight)
    repeated = perceptron(heads, **settings).fit(X[rows], y[rows])
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize(
    "params",
    [{"mixed_precision": "always"}, {"augment": ("flip", "crop")}, {"early_stopping": True}],
    ids=lambda params: next(iter(params)),
)
def test_beside_other_settings(digits, params):
    heads = AuxiliaryHeads("pool1", pool_size=2, hidden_layer_sizes=[9])
    clf = convolutional(heads, **params).fit(*digits)
    assert np.isfinite(clf.history_[-1]["auxiliary_loss"])


def test_warm_start_draws_new_heads(digits):
    clf = perceptron(AuxiliaryHeads(), warm_start=True, max_epochs=8, lr=0.01).fit(*digits)
    before = clf.history_[-1]
    clf.fit(*digits)
    assert clf.history_[-1]["train_loss"] < before["train_loss"]
    assert clf.history_[0]["auxiliary_loss"] > before["auxiliary_loss"]


def test_parameters_of_the_heads_are_searched(digits):
    clf = perceptron(AuxiliaryHeads("hidden1"), max_epochs=2)
    search = GridSearchCV(clf, {"auxiliary__weight": [0.0, 0.3], "auxiliary__at": ["auto"]}, cv=2)
    search.fit(*digits)
    assert search.best_estimator_.auxiliary.weight in (0.0, 0.3)
    assert clf.auxiliary.at == "hidden1"


def test_clone_keeps_the_heads():
    heads = AuxiliaryHeads(("hidden1",), target=LabelPartition([0, 1], [0, 1]), weight=0.5)
    copied = clone(perceptron(heads))
    assert copied.auxiliary is not heads
    assert copied.auxiliary.get_params() == heads.get_params()


def test_other_copies_of_the_estimator_work(digits):
    clf = perceptron(AuxiliaryHeads()).fit(*digits)
    for other in (copy.deepcopy(clf), pickle.loads(pickle.dumps(clf))):
        assert_array_equal(other.predict_proba(digits[0]), clf.predict_proba(digits[0]))


def test_networks_with_heads_are_trained_alone(digits):
    settings = {"random_state": 0, "max_epochs": 2}
    headed = TorchMLPClassifier((8,), auxiliary=AuxiliaryHeads(), **settings)
    assert not can_stack(headed)
    plain, beside = fit_stacked([TorchMLPClassifier((8,), **settings), headed], [digits, digits])
    assert "auxiliary_loss" in beside.history_[0]
    assert "auxiliary_loss" not in plain.history_[0]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("auto", [("activation2", (8, 4, 4)), ("activation3", (8, 4, 4))]),
        ("pool1", [("pool1", (8, 4, 4))]),
        (["fc1", "conv1"], [("activation4", (16,)), ("activation1", (8, 8, 8))]),
        (["conv1", "activation1"], [("activation1", (8, 8, 8))]),
    ],
    ids=str,
)
def test_what_is_read_of_a_chain(digits, at, expected):
    module = convolutional().fit(*digits).module_
    assert read_points(module, at, torch.zeros(1, 1, 8, 8)) == expected


def test_heads_keep_the_order_they_were_named_in(digits):
    # Of unlike widths, so that a head on the wrong layer would not run.
    perceptron(AuxiliaryHeads(["hidden2", "hidden1"])).fit(*digits)


@pytest.mark.parametrize(
    ("build", "at", "message"),
    [
        (perceptron, "hidden3", r"at must name layers below.*'hidden1'.*Got 'hidden3'"),
        (perceptron, "output", "Got 'output' instead"),
        (perceptron, [], "Got no layer instead"),
        (skipping, "last", r"out of \['lower', 'upper'\]. Got 'last'"),
    ],
)
def test_layers_that_may_not_be_read(build, at, message, digits):
    with pytest.raises(ValueError, match=message):
        build(AuxiliaryHeads(at)).fit(*digits)


def test_a_network_without_hidden_layers_has_no_place_for_heads(digits):
    with pytest.raises(ValueError, match="Got no layer instead"):
        TorchMLPClassifier((), auxiliary=AuxiliaryHeads()).fit(*digits)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"target": {"a": ["x"], "b": ["y"]}}, PartitionError, "every class of y a cluster"),
        ({"target": LabelPartition(range(10), [0] * 10)}, ValueError, "at least 2 clusters"),
        ({"target": "clusters"}, ValueError, "target"),
        ({"weight": -0.1}, ValueError, "weight"),
        ({"pool_size": 0}, ValueError, "pool_size"),
        ({"hidden_layer_sizes": (0,)}, ValueError, "hidden_layer_sizes must hold positive"),
    ],
)
def test_malformed_settings_are_refused(params, error, message, digits):
    with pytest.raises(error, match=message):
        perceptron(AuxiliaryHeads(**params)).fit(*digits)


def test_anything_but_auxiliary_heads_is_refused(digits):
    with pytest.raises(ValueError, match="auxiliary"):
        perceptron("hidden1").fit(*digits)
