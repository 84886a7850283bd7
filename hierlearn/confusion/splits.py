"""Which rows are held out: stratified splits that put up with rare classes.

scikit-learn's stratified splitters refuse a hold-out smaller than the number of classes and warn
about classes with fewer samples than folds. With many classes both are the normal case, so the
two splits that hierlearn makes itself are written out here, as pure functions of class codes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hierlearn._validation import as_random_state, check_class_codes
from hierlearn.exceptions import HoldOutError

__all__ = [
    "HOLDOUT_FRACTION",
    "Rows",
    "check_fraction",
    "check_n_folds",
    "stratified_folds",
    "stratified_holdout",
]

HOLDOUT_FRACTION = 0.2
"""Share of the rows that the default, single hold-out sets aside."""

Rows: TypeAlias = NDArray[np.int64]


def stratified_holdout(
    y_codes: ArrayLike, fraction: float = HOLDOUT_FRACTION, random_state: Any = None
) -> tuple[Rows, Rows]:
    """Split the rows once, class by class, and leave every class in the training part.

    The number of held-out rows is ``round(fraction * n_samples)``, at least one. Every class with
    two or more samples gives one of them first, larger classes before smaller ones where there
    are fewer held-out rows than classes; what remains is shared out in proportion to class size.
    A class with a single sample is never held out.

    Parameters
    ----------
    y_codes : array-like of shape (n_samples,)
        Class codes, non-negative integers.
    fraction : float, default=0.2
        Share of the rows to hold out, between 0 and 1, both excluded.
    random_state : int, RandomState instance or None, default=None
        Decides which rows of a class are held out. Pass an int for reproducible output; the
        global numpy random state is never used.

    Returns
    -------
    train : ndarray of shape (n_samples - n_test,), dtype int64
        Row numbers in ascending order.
    test : ndarray of shape (n_test,), dtype int64
        Row numbers in ascending order.

    Raises
    ------
    ValueError
        If ``fraction`` is out of range.
    HoldOutError
        If no class has two samples.

    Examples
    --------
    >>> from hierlearn.confusion import stratified_holdout
    >>> y_codes = [0] * 6 + [1] * 3 + [2]
    >>> train, test = stratified_holdout(y_codes, 0.3, random_state=0)
    >>> [y_codes[row] for row in test], [y_codes[row] for row in train]
    ([0, 0, 1], [0, 0, 0, 0, 1, 1, 2])
    """
    check_fraction(fraction)
    codes = _check_codes(y_codes)
    rows, ranks, sizes = _shuffled_by_class(codes, random_state)
    # A row's turn: its place in the queue of its own class, measured against the class's size.
    # Rows of equal standing in all classes thus come out together, in proportion to size.
    turn = (ranks + 0.5) / sizes
    first = ranks == 0
    turn[first] = -sizes[first]
    eligible = np.flatnonzero(ranks < sizes - 1)
    if eligible.size == 0:
        raise HoldOutError(
            "y must have at least two samples of some class to hold one out. Got classes of one "
            'sample only; give cv="prefit" and data of your own.'
        )
    n_test = min(max(1, round(fraction * codes.size)), eligible.size)
    chosen = eligible[np.argsort(turn[eligible], kind="stable")[:n_test]]
    test = np.sort(rows[chosen])
    return np.setdiff1d(np.arange(codes.size), test, assume_unique=True), test


def stratified_folds(y_codes: ArrayLike, n_folds: int, random_state: Any = None) -> list[Rows]:
    """Deal the rows out to folds of equal size, each class spread as evenly as it can be.

    Parameters
    ----------
    y_codes : array-like of shape (n_samples,)
        Class codes, non-negative integers.
    n_folds : int
        Number of folds, from 2 to ``n_samples``.
    random_state : int, RandomState instance or None, default=None
        Decides which rows share a fold. Pass an int for reproducible output; the global numpy
        random state is never used.

    Returns
    -------
    folds : list of ndarray, dtype int64
        The rows of each fold in ascending order; every row is in exactly one fold. A class with
        fewer samples than folds is absent from some folds, and one with a single sample is absent
        from the complement of its fold.

    Raises
    ------
    ValueError
        If ``n_folds`` is out of range.

    Examples
    --------
    >>> from hierlearn.confusion import stratified_folds
    >>> y_codes = [0, 0, 1, 1, 2]
    >>> [[y_codes[row] for row in fold] for fold in stratified_folds(y_codes, 2, random_state=0)]
    [[0, 1, 2], [0, 1]]
    """
    codes = _check_codes(y_codes)
    check_n_folds(n_folds, codes.size)
    rows, _, _ = _shuffled_by_class(codes, random_state)
    return [np.sort(rows[start::n_folds]) for start in range(n_folds)]


def check_fraction(fraction: float) -> None:
    """Refuse a share of rows that leaves nothing on one side.

    Parameters
    ----------
    fraction : float
        Share of the rows to hold out.

    Raises
    ------
    ValueError
        If it is not between 0 and 1, both excluded.
    """
    if not 0 < fraction < 1:
        raise ValueError(
            f"fraction must lie between 0 and 1, both excluded. Got {fraction!r} instead."
        )


def check_n_folds(n_folds: int, n_samples: int) -> None:
    """Refuse a number of folds that the samples cannot fill.

    Parameters
    ----------
    n_folds : int
        Number of folds.
    n_samples : int
        Number of rows.

    Raises
    ------
    ValueError
        If it is not from 2 to ``n_samples``.
    """
    if not 2 <= n_folds <= n_samples:
        raise ValueError(
            f"cv must be at least 2 and at most the number of samples, {n_samples}. "
            f"Got {n_folds!r} instead."
        )


def _check_codes(y_codes: ArrayLike) -> NDArray[np.int64]:
    """Check codes whose number of classes is not known beforehand."""
    codes = np.asarray(y_codes)
    n_classes = int(codes.max()) + 1 if codes.size and codes.dtype.kind in "biuf" else 1
    return check_class_codes(codes, n_classes, name="y_codes")


def _shuffled_by_class(
    codes: NDArray[np.int64], random_state: Any
) -> tuple[Rows, NDArray[np.int64], NDArray[np.int64]]:
    """Return rows grouped by class in random order, each row's rank in its class, class sizes."""
    shuffled = as_random_state(random_state).permutation(codes.size)
    rows = shuffled[np.argsort(codes[shuffled], kind="stable")]
    counts = np.bincount(codes)
    starts = np.cumsum(counts) - counts
    grouped = codes[rows]
    return rows, np.arange(codes.size) - starts[grouped], counts[grouped]
