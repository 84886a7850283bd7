"""What all tests share."""

import os

import pytest
from sklearn.datasets import load_digits

# Pictures are drawn in memory, on machines with a screen too.
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session")
def digits():
    """Six hundred digits with pixels from 0 to 1: X of shape (600, 64), y from 0 to 9."""
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


@pytest.fixture(scope="session")
def train(digits):
    """The first 450 of them."""
    return digits[0][:450], digits[1][:450]


@pytest.fixture(scope="session")
def test(digits):
    """The other 150."""
    return digits[0][450:], digits[1][450:]
