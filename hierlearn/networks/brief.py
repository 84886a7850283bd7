"""Networks that are trained for a few epochs, to see what they confuse."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from .._rows import select_rows

# A network whose confusions are wanted need not be trained to the end.
_MAX_EPOCHS = 5
# Scores of a held-out row that count, of many classes.
_N_SCORES = 10


def brief_settings(estimator: Any, seed: int) -> dict[str, Any]:
    """Return how the settings of a brief network differ from those of the estimator."""
    return {
        "max_epochs": min(_MAX_EPOCHS, estimator.max_epochs),
        "early_stopping": False,
        "warm_start": False,
        "class_weight": None,
        "callbacks": None,
        "random_state": seed,
        "verbose": 0,
    }


def brief_work(estimator: Any) -> float:
    """Return how long a brief network is trained, as a share of the estimator's own epochs."""
    return min(_MAX_EPOCHS, estimator.max_epochs) / estimator.max_epochs


def best_scores(
    network: Any, X: Any, codes: np.ndarray, weight: np.ndarray, split: Any, n_classes: int
) -> sparse.csr_array:
    """Fit a many-class network on some rows and return its best scores of others.

    Parameters
    ----------
    network : ManyClassClassifier
    X : array or sparse matrix of shape (n_samples, ...)
    codes : ndarray of shape (n_samples,)
        Class codes.
    weight : ndarray of shape (n_samples,)
    split : (train, test)
        Row numbers.
    n_classes : int
        Classes of the whole, of which the training rows may lack some.

    Returns
    -------
    csr_array of shape (n_test, n_classes)
    """
    train, test = split
    network.fit(select_rows(X, train), codes[train], weight[train])
    k = min(_N_SCORES, len(network.classes_))
    labels, scores = network.predict_top_k(select_rows(X, test), k)
    starts = np.arange(len(labels) + 1) * k
    shape = (len(labels), n_classes)
    found = sparse.csr_array((scores.ravel(), labels.ravel(), starts), shape=shape)
    found.sort_indices()
    return found
