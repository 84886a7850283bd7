"""Small data and bases that all tests of the augmenter share."""

import numpy as np
import pytest

from hierlearn import TorchMLPClassifier


@pytest.fixture(scope="session")
def labels(digits):
    """Twelve labels of the digits: which digit, whether even, whether above four."""
    _, y = digits
    return np.column_stack([y[:, None] == np.arange(10), y % 2 == 0, y > 4]).astype(int)


@pytest.fixture(scope="session")
def network():
    """Build an unfitted base; keywords override its settings."""

    def build(hidden_layer_sizes=(24, 16), **params):
        settings = {"max_epochs": 15, "lr": 0.03, "random_state": 0, **params}
        return TorchMLPClassifier(hidden_layer_sizes, **settings)

    return build


@pytest.fixture(scope="session")
def base(network, train):
    """A base fitted on the training digits; not to be changed."""
    return network().fit(*train)


@pytest.fixture(scope="session")
def label_base(network, digits, labels):
    """A multi-label base; not to be changed."""
    return network().fit(digits[0][:450], labels[:450])
