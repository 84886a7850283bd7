"""Heads that do harm are told of."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.frozen import FrozenEstimator

from hierlearn import SpecialistHeadAugmenter
from hierlearn.specialists.held_out_check import warn_if_worse

RIGHT = np.tile([0.1, 0.2, 0.7], (40, 1))
WRONG = np.tile([0.2, 0.7, 0.1], (40, 1))
LABELS = np.full(40, 2)
INDICATOR = sparse.csr_array(np.tile([0, 0, 1], (40, 1)))


def mixed(n_right):
    return np.concatenate([RIGHT[:n_right], WRONG[n_right:]])


@pytest.mark.parametrize("target", [LABELS, INDICATOR])
def test_a_loss_beyond_its_error_is_told(target):
    with pytest.warns(UserWarning, match=r"X_val fell from 0\.917 to 0\.333"):
        warn_if_worse(mixed(35), WRONG, target)


@pytest.mark.parametrize(
    ("before", "after"),
    [(WRONG, RIGHT), (RIGHT, RIGHT), (mixed(35), mixed(34))],
    ids=["gain", "same", "within its error"],
)
def test_nothing_is_said_otherwise(before, after):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_worse(before, after, LABELS)


def test_rows_without_labels_do_not_count():
    none = sparse.csr_array(np.zeros((40, 3), dtype=int))
    both = sparse.vstack([INDICATOR, none], format="csr")
    with pytest.warns(UserWarning, match=r"fell from 1\.000 to 0\.333"):
        warn_if_worse(np.concatenate([RIGHT, WRONG]), np.concatenate([WRONG, RIGHT]), both)


def test_a_fit_that_does_harm_says_so(base, train, test):
    clf = SpecialistHeadAugmenter(
        FrozenEstimator(base), head_sizes=(4,), head_epochs=1, head_lr=1e-4, random_state=0
    )
    with pytest.warns(UserWarning, match="The heads did harm"):
        clf.fit(*train, X_val=test[0], y_val=test[1])
