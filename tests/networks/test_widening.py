"""Networks made wider until they cost what was asked for."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from torch import nn

from hierlearn import TorchClassifier, TorchMLPClassifier
from hierlearn.networks.pricing import network_cost
from hierlearn.networks.widening import widened

X = np.random.RandomState(0).normal(size=(30, 6)).astype(np.float32)
Y = np.arange(30) % 3
IMAGES = X[:, :4].reshape(30, 1, 2, 2)


def convolution(input_shape, n_outputs, *, width=4):
    layers = nn.Conv2d(input_shape[0], width, 2), nn.Flatten(), nn.Linear(width, n_outputs)
    return nn.Sequential(*layers)


def linear(n_features, n_outputs, bias=True):
    return nn.Linear(n_features, n_outputs, bias=bias)


def price(network, params):
    wide = clone(network).set_params(**params)
    wide.fit(IMAGES if network.n_features_in_ == 1 else X, Y)
    return network_cost(wide.module_, wide._input_shape)[0]


@pytest.mark.parametrize(
    ("network", "rows"),
    [
        (TorchMLPClassifier((20, 10)), X),
        (TorchMLPClassifier(np.array([20, 10])), X),
        (TorchClassifier(), X),
        (TorchClassifier(module_params={"hidden_layer_sizes": [9]}), X),
        (TorchClassifier(convolution), IMAGES),
        (TorchClassifier(convolution, module_params={"width": 7}), IMAGES),
    ],
    ids=["mlp", "array", "default", "mlp by parameters", "width by default", "width"],
)
@pytest.mark.parametrize("factor", [0.5, 1.0, 1.3, 5.0])
def test_costs_at_least_what_was_asked_for_and_little_more(network, rows, factor):
    network.set_params(max_epochs=1).fit(rows, Y)
    target = factor * network_cost(network.module_, network._input_shape)[0]
    cost = price(network, widened(network, target))
    # One unit more in every hidden layer, at the most.
    assert target <= cost <= 1.2 * target + 10


def test_other_parameters_stay():
    network = TorchClassifier(
        module_params={"hidden_layer_sizes": (8,), "dropout": 0.5}, max_epochs=1
    ).fit(X, Y)
    params = widened(network, 2 * 8 * 9)["module_params"]
    assert params == {"hidden_layer_sizes": (16,), "dropout": 0.5}
    assert network.module_params["hidden_layer_sizes"] == (8,)


@pytest.mark.parametrize("factory", [linear, nn.Linear])
def test_network_without_a_width_cannot_be_widened(factory):
    network = TorchClassifier(factory, max_epochs=1).fit(X, Y)
    assert widened(network, 1000) is None


def test_network_that_has_no_hidden_layer_cannot_be_widened():
    assert widened(TorchMLPClassifier((), max_epochs=1).fit(X, Y), 1000) is None


def test_other_classifiers_cannot_be_widened():
    assert widened(LogisticRegression().fit(X, Y), 1000) is None


def test_random_state_of_torch_stays():
    network = TorchMLPClassifier((20,), max_epochs=1).fit(X, Y)
    before = torch.get_rng_state()
    widened(network, 1000)
    assert torch.equal(torch.get_rng_state(), before)
