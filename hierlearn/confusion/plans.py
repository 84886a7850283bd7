"""From what the caller says is held out to row numbers, for one label a sample or several."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from hierlearn.confusion.multilabel_splits import multilabel_folds, multilabel_holdout
from hierlearn.confusion.splits import (
    HOLDOUT_FRACTION,
    Rows,
    stratified_folds,
    stratified_holdout,
)

__all__ = ["plan_splits"]


def plan_splits(
    cv: Any, X: Any, y: Any, y_codes: NDArray[np.int64] | sp.csr_array, random_state: Any = None
) -> list[tuple[Rows, Rows]]:
    """Turn any accepted ``cv`` into a list of (train, test) row numbers.

    Parameters
    ----------
    cv : None, float, int, splitter or iterable of (train, test)
        See :func:`hierlearn.confusion.held_out_scores`; ``"prefit"`` needs no split.
    X : array-like of shape (n_samples, ...)
        Handed to ``cv.split``.
    y : ndarray or csr_array of shape (n_samples,) or (n_samples, n_labels)
        The labels, handed to ``cv.split``.
    y_codes : ndarray of shape (n_samples,), dtype int64, or csr_array (n_samples, n_labels)
        The class codes of ``y``, or its labels as a sparse indicator.
    random_state : int, RandomState instance or None, default=None
        For the splits that are made here.

    Returns
    -------
    splits : list of (train, test)
        Pairs of ndarray of dtype int64.

    Raises
    ------
    ValueError
        If ``cv`` is none of the accepted kinds, or a split is empty, out of range, or not
        disjoint.
    """
    if isinstance(cv, str | bool | np.bool_):
        raise ValueError(_cv_message(cv))
    if cv is None or isinstance(cv, Real):
        return _own_splits(HOLDOUT_FRACTION if cv is None else cv, y_codes, random_state)
    if hasattr(cv, "split"):
        pairs = cv.split(X, y)
    elif isinstance(cv, Iterable):
        pairs = cv
    else:
        raise ValueError(_cv_message(cv))
    splits = [_check_split(pair, y_codes.shape[0]) for pair in pairs]
    if not splits:
        raise ValueError("cv must yield at least one (train, test) pair. Got none instead.")
    return splits


def _own_splits(
    cv: Any, y_codes: NDArray[np.int64] | sp.csr_array, random_state: Any
) -> list[tuple[Rows, Rows]]:
    """Split as hierlearn does itself, by classes or by labels."""
    multilabel = sp.issparse(y_codes)
    if isinstance(cv, Integral):
        fold = multilabel_folds if multilabel else stratified_folds
        every_row = np.arange(y_codes.shape[0])
        parts = fold(y_codes, int(cv), random_state)
        return [(np.setdiff1d(every_row, test, assume_unique=True), test) for test in parts]
    fraction = float(cv)
    if not 0 < fraction < 1:
        raise ValueError(_cv_message(cv))
    hold_out = multilabel_holdout if multilabel else stratified_holdout
    return [hold_out(y_codes, fraction, random_state)]


def _cv_message(cv: object) -> str:
    return (
        "cv must be None, 'prefit', a fraction between 0 and 1, a number of folds of 2 or more, "
        f"a splitter, or an iterable of (train, test) rows. Got {cv!r} instead."
    )


def _check_split(pair: Any, n_samples: int) -> tuple[Rows, Rows]:
    """Return a (train, test) pair as row numbers, or raise if it is no split of the rows."""
    try:
        train, test = (_as_rows(part, n_samples) for part in pair)
    except TypeError:
        raise ValueError(_cv_message(pair)) from None
    for name, part in (("train", train), ("test", test)):
        if part.size == 0:
            raise ValueError(f"cv must not yield an empty part. Got no {name} rows in one split.")
        if part.min() < 0 or part.max() >= n_samples:
            raise ValueError(
                f"cv must yield row numbers from 0 to {n_samples - 1}. "
                f"Got {part.min()} to {part.max()} instead."
            )
    shared = np.intersect1d(train, test)
    if shared.size:
        raise ValueError(
            "cv must yield train and test rows that do not overlap, or the scores are not held "
            f"out. Got {shared.size} shared rows, the first {shared[0]}."
        )
    return train, test


def _as_rows(part: Any, n_samples: int) -> Rows:
    array = np.asarray(part)
    if array.dtype == bool and array.shape == (n_samples,):
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError
    return array.astype(np.int64)
