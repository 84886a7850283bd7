import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from hierlearn import HierarchicalDecompositionClassifier
from hierlearn.display import _style
from hierlearn.partition import ConfusionLinkagePartitioner


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def _fonts_of_matplotlib_alone(monkeypatch):
    """Which characters have no glyph must not depend on the machine."""
    monkeypatch.setattr(_style, "_SYSTEM_FAMILIES", ())


@pytest.fixture(scope="session")
def blocks():
    """Make a confusion matrix with planted groups of classes, shuffled, and the groups."""

    def make(n_classes, n_groups, seed=0):
        rng = np.random.default_rng(seed)
        groups = rng.permutation(np.arange(n_classes) % n_groups)
        same = groups[:, None] == groups
        confusion = rng.random((n_classes, n_classes)) * np.where(same, 1.0, 0.02)
        np.fill_diagonal(confusion, 2.0 * n_classes / n_groups)
        return confusion, groups

    return make


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


@pytest.fixture(scope="session")
def linked_classifier(digits):
    """Fit a hierarchical classifier whose clusters were cut from a linkage."""
    base = LogisticRegression(C=0.01, max_iter=1000)
    partitioner = ConfusionLinkagePartitioner(n_clusters=4)
    return HierarchicalDecompositionClassifier(base, partitioner, random_state=0).fit(*digits)
