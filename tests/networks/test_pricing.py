"""What a network costs, checked against sums one can do by hand."""

import pytest
from torch import nn

from hierlearn.cost import Cost, estimator_cost
from hierlearn.networks import mlp
from hierlearn.networks.pricing import network_cost


@pytest.mark.parametrize(
    ("module", "shape", "multiply_adds", "parameters"),
    [
        (mlp(10, 3, hidden_layer_sizes=()), (10,), 30, 33),
        (mlp(10, 3, hidden_layer_sizes=(20,)), (10,), 260, 283),
        (mlp(10, 3, hidden_layer_sizes=(20,), dropout=0.5), (10,), 260, 283),
        # Normalisation has parameters, and no multiply-adds to speak of.
        (nn.Sequential(nn.BatchNorm1d(10), nn.Linear(10, 3, bias=False)), (10,), 30, 50),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2)), (1, 4, 4), 176, 74),
        (nn.Sequential(), (10,), 0, 0),
    ],
    ids=["linear", "mlp", "dropout", "normalised", "convolution", "empty"],
)
def test_cost_by_hand(module, shape, multiply_adds, parameters):
    assert network_cost(module, shape) == (multiply_adds, parameters)


def test_cost_of_the_papers_network_on_cifar_pixels():
    multiply_adds, parameters = network_cost(mlp(3072, 100), (3072,))
    assert multiply_adds == 3072 * 200 + 200 * 150 + 150 * 100
    assert parameters == multiply_adds + 200 + 150 + 100


def test_cost_of_a_fitted_classifier(small, blobs):
    clf = small((4,), max_epochs=1).fit(*blobs)
    assert estimator_cost(clf) == Cost(5 * 4 + 4 * 3, 5 * 4 + 4 + 4 * 3 + 3)
