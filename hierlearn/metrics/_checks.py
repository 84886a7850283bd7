"""Checks of what is ranked, and the mean over what is defined."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .._validation import check_class_codes, check_weights

AVERAGES = ("labels", "samples")

NOTHING_RELEVANT = (
    "y_true must hold a relevant label in at least one sample of positive weight. Got none "
    "instead; score samples that have labels."
)


def mean_of_defined(values: NDArray[np.float64], sample_weight: ArrayLike | None) -> float:
    """Average the values that are not NaN.

    Raises
    ------
    ValueError
        If none is left, or none that has weight.
    """
    weights = check_weights(sample_weight, len(values))
    weights = np.ones(len(values)) if weights is None else weights
    weights = np.where(np.isnan(values), 0.0, weights)
    if not weights.any():
        raise ValueError(NOTHING_RELEVANT)
    return float(np.average(np.nan_to_num(values), weights=weights))


def refuse_weights(sample_weight: ArrayLike | None, average: str | None) -> None:
    """Refuse weights of samples where no mean over samples is taken."""
    if sample_weight is not None:
        raise ValueError(
            f"sample_weight must be None with average={average!r}, which takes no mean over "
            "samples. Got weights instead; leave them out, or use average='samples'."
        )


def check_k(k: Any, n_columns: int, what: str) -> int:
    """Return k as an int, if there are as many columns."""
    if isinstance(k, Integral) and not isinstance(k, bool) and 1 <= int(k) <= n_columns:
        return int(k)
    raise ValueError(
        f"k must be an integer from 1 to the number of {what}, {n_columns}. Got {k!r} instead; use "
        f"k={n_columns} to rank them all."
    )


def check_ranked(scores: Any) -> Any:
    """Return scores as a 2-D ndarray or csr matrix of real numbers without NaN."""
    checked = sparse.csr_array(scores) if sparse.issparse(scores) else np.asarray(scores)
    if checked.dtype.kind not in "fi":
        # An unsafe cast of complex numbers would do no more than warn.
        casting: Any = "safe" if checked.dtype.kind == "c" else "unsafe"
        try:
            checked = checked.astype(np.float64, casting=casting)
        except (TypeError, ValueError):
            raise ValueError(
                f"scores must hold real numbers. Got dtype {checked.dtype} instead; pass what "
                "predict_proba or decision_function returned."
            ) from None
    if checked.ndim != 2 or 0 in checked.shape:
        raise ValueError(
            "scores must be 2-D, one row a sample and one column a label, and not empty. Got shape "
            f"{checked.shape} instead; for two classes pass predict_proba's two columns."
        )
    if np.isnan(checked.data if sparse.issparse(checked) else checked).any():
        raise ValueError(
            "scores must not hold NaN, which has no rank. Got NaN instead; use -numpy.inf for "
            "labels that shall come last."
        )
    return checked


def check_truth(y_true: Any, n_samples: int, n_labels: int) -> Any:
    """Return the truth as a csr indicator of the scores' shape."""
    truth = y_true if sparse.issparse(y_true) else np.asarray(y_true)
    if truth.ndim == 1:
        codes = check_class_codes(truth, n_labels, n_samples=n_samples, name="y_true")
        ones = np.ones(n_samples, dtype=bool)
        return sparse.csr_array((ones, (np.arange(n_samples), codes)), (n_samples, n_labels))
    if truth.shape != (n_samples, n_labels):
        raise ValueError(
            f"y_true must have the shape of scores, {(n_samples, n_labels)}. Got {truth.shape} "
            "instead; pass one row a sample and one column a label, or a vector of class codes."
        )
    values = np.asarray(truth.data if sparse.issparse(truth) else truth)
    if sparse.issparse(truth):
        truth = sparse.csr_array(truth)
        if not truth.has_canonical_format:  # entries stored in parts; their sum is what counts
            truth = truth.copy()
            truth.sum_duplicates()
            values = truth.data
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(
            "y_true must hold zeros and ones, or be a vector of class codes. Got other values "
            "instead; make an indicator with sklearn.preprocessing.MultiLabelBinarizer."
        )
    return sparse.csr_array(truth, dtype=bool)
