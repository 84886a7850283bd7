"""Small data and networks for all tests of the networks."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs

from hierlearn import TorchMLPClassifier


@pytest.fixture(scope="session")
def blobs():
    """Sixty samples of three classes that a network tells apart at once."""
    X, y = make_blobs(60, n_features=5, centers=3, cluster_std=0.8, random_state=1)
    return X / 5, y


@pytest.fixture(scope="session")
def digits():
    """Four hundred digits, their pixels whole numbers from 0 to 16."""
    X, y = load_digits(return_X_y=True)
    return X[:400], y[:400]


@pytest.fixture(scope="session")
def tags(blobs):
    """A label indicator of three labels for the blobs; some rows have none, some all."""
    X, _ = blobs
    return np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > X[:, 3]]).astype(int)


@pytest.fixture(scope="session")
def small():
    """Build a small, fast network; keywords override its settings."""

    def build(hidden_layer_sizes=(8,), **params):
        settings = {"max_epochs": 25, "lr": 0.05, "random_state": 0, **params}
        return TorchMLPClassifier(hidden_layer_sizes, **settings)

    return build


@pytest.fixture(scope="session")
def weights_of():
    """Return all weights of a fitted classifier as one vector."""

    def flat(clf):
        return np.concatenate([p.detach().numpy().ravel() for p in clf.module_.parameters()])

    return flat
