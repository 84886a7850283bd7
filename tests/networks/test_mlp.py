"""Multi-layer perceptrons by their hidden layer sizes."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn

from hierlearn import TorchMLPClassifier
from hierlearn.networks import mlp


@pytest.mark.parametrize(
    ("sizes", "dropout", "names"),
    [
        ((), 0.0, ["output"]),
        ((), 0.5, ["output"]),
        ((7,), 0.0, ["hidden1", "activation1", "output"]),
        (
            (7, 5),
            0.5,
            ["hidden1", "activation1", "dropout1", "hidden2", "activation2", "dropout2", "output"],
        ),
    ],
)
def test_layers_are_named(sizes, dropout, names):
    network = mlp(4, 3, hidden_layer_sizes=sizes, dropout=dropout)
    assert [name for name, _ in network.named_children()] == names
    widths = [4, *sizes, 3]
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [layer.in_features for layer in linear] == widths[:-1]
    assert [layer.out_features for layer in linear] == widths[1:]
    assert all(layer.p == dropout for layer in network if isinstance(layer, nn.Dropout))
    assert network(torch.zeros(2, 4)).shape == (2, 3)


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", torch.relu),
        ("tanh", torch.tanh),
        ("gelu", torch.nn.functional.gelu),
        ("logistic", torch.sigmoid),
    ],
)
def test_activations(activation, function):
    network = mlp(4, 3, hidden_layer_sizes=(6,), activation=activation)
    x = torch.linspace(-2, 2, 8).reshape(2, 4)
    assert torch.equal(network(x), network.output(function(network.hidden1(x))))


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "logistic"])
def test_every_activation_learns(small, blobs, activation):
    assert small((16,), activation=activation, max_epochs=40).fit(*blobs).score(*blobs) > 0.9


@pytest.mark.parametrize(
    "sizes", [[6, 4], (6, 4), np.array([6, 4])], ids=["list", "tuple", "array"]
)
def test_sizes_in_any_sequence(small, blobs, weights_of, sizes):
    clf = small(sizes, max_epochs=2).fit(*blobs)
    assert_array_equal(weights_of(clf), weights_of(small((6, 4), max_epochs=2).fit(*blobs)))


@pytest.mark.parametrize("sizes", [(0,), (5, -1), (2.5,), ("5",)])
def test_bad_sizes_are_refused(small, blobs, sizes):
    message = r"hidden_layer_sizes must hold positive integers, such as.*Got \("
    with pytest.raises(ValueError, match=message):
        small(sizes).fit(*blobs)


def test_default_network_is_the_papers(blobs):
    X, y = blobs
    clf = TorchMLPClassifier(max_epochs=1).fit(X, y)
    assert [layer.out_features for layer in clf.module_ if isinstance(layer, nn.Linear)] == [
        *(200, 150),
        3,
    ]


def test_dropout_changes_training_only(small, digits, weights_of):
    X, y = digits
    with_dropout = small(dropout=0.5, max_epochs=2).fit(X, y)
    without = small(max_epochs=2).fit(X, y)
    assert not np.allclose(weights_of(with_dropout), weights_of(without))
    assert_array_equal(with_dropout.predict_proba(X), with_dropout.predict_proba(X))


def test_clones_are_unfitted_and_equal(small, blobs):
    clf = small(dropout=0.25).fit(*blobs)
    fresh = clone(clf)
    assert fresh.get_params() == clf.get_params()
    assert not hasattr(fresh, "module_")
    assert_array_equal(fresh.fit(*blobs).predict_proba(blobs[0]), clf.predict_proba(blobs[0]))


def test_learns_digits_it_has_not_seen(digits):
    X, y = digits[0] / 16, digits[1]
    clf = TorchMLPClassifier((64,), lr=0.01, random_state=0).fit(X[:300], y[:300])
    assert clf.score(X[300:], y[300:]) > 0.85
