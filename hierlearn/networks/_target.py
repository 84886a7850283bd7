"""Checks and encodings of what a network learns from."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from .._given import plain_labels
from .._rows import RowView, check_blocks_finite, select_rows


def check_finite(X: Any) -> None:
    """Refuse NaN and infinity, in one line that says what to do."""
    if isinstance(X, RowView) and X.finite:
        return
    try:
        check_blocks_finite(X)
    except ValueError as error:
        found = "NaN" if "NaN" in str(error) else "inf"
        raise ValueError(
            f"X must hold finite numbers only. Got {found} instead; drop those rows or fill them "
            "in, e.g. with sklearn.impute.SimpleImputer."
        ) from None


def check_outputs(outputs: Any) -> None:
    """Refuse rows so large that a network's sums over them are no numbers any more.

    Parameters
    ----------
    outputs : Tensor or ndarray
        What the network makes of finite rows.

    Raises
    ------
    ValueError
        If an output is NaN or infinite.
    """
    found = torch.as_tensor(outputs)
    if not torch.isfinite(found).all():
        raise ValueError(
            "X must hold numbers that the network can add up. Got rows so large that its outputs "
            "are NaN or infinite instead; scale X as in fit, e.g. with StandardScaler."
        )


def check_optimizer(optimizer: Callable[..., Any], params: dict[str, Any]) -> None:
    """Refuse an optimiser that does not take our settings."""
    try:
        inspect.signature(optimizer).bind(None, **params)
    except TypeError as error:
        name = getattr(optimizer, "__name__", type(optimizer).__name__)
        raise ValueError(
            f"optimizer must be called as optimizer(params, {', '.join(params)}). Got {name} "
            f"instead ({error}); wrap it in a function of these arguments."
        ) from None


def encode_target(y: Any) -> tuple[Any, np.ndarray, bool]:
    """Turn validated y into codes the loss takes.

    Returns
    -------
    target : ndarray of shape (n_samples,) or (n_samples, n_labels), or csr
        Class codes (int64), or the indicator.
    classes : ndarray
        Sorted labels, or label indices.
    multilabel : bool
    """
    # scikit-learn knows object arrays of strings only; the others go by what they hold.
    plain = plain_labels(y)
    check_classification_targets(plain)
    if type_of_target(plain) == "multilabel-indicator":
        target = y.tocsr() if sparse.issparse(y) else np.asarray(y)
        values = np.unique(target.data if sparse.issparse(target) else target)
        if not np.isin(values, [0, 1]).all():
            raise ValueError(
                "y must hold zeros and ones where it is a multi-label indicator. Got "
                f"{values.tolist()} instead; make one with sklearn's MultiLabelBinarizer."
            )
        return target.astype(np.uint8), np.arange(y.shape[1]), True
    if np.ndim(y) == 2 and np.shape(y)[1] > 1:
        raise ValueError(
            "y must be 1-D class labels or a multi-label indicator of zeros and ones. Got shape "
            f"{np.shape(y)} instead; multi-output targets are not supported."
        )
    y = column_or_1d(y, warn=True)
    classes, codes = np.unique(y, return_inverse=True)
    return codes.astype(np.int64), classes, False


def drop_zero_weights(X: Any, target: Any, weight: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """Leave out the rows without weight, so that they count as if they had not been given."""
    kept = weight > 0
    if kept.all():
        return X, target, weight
    return select_rows(X, kept), target[kept], weight[kept]


def class_factors(
    class_weight: Any, target: np.ndarray, classes: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Return what the weights of each class's samples are multiplied by.

    ``"balanced"`` counts samples by their weight, so that a weight of two is a sample given twice.
    """
    if isinstance(class_weight, dict):
        factors = compute_class_weight(class_weight, classes=classes, y=classes[target])
        return _not_negative(factors)
    totals = np.bincount(target, weights=weight, minlength=len(classes))
    return np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)


def positive_factors(class_weight: Any, target: Any, weight: np.ndarray) -> np.ndarray:
    """Return what the loss of each label's positives is multiplied by (multi-label y)."""
    n_labels = target.shape[1]
    if isinstance(class_weight, dict):
        unknown = [key for key in class_weight if key not in range(n_labels)]
        if unknown:
            raise ValueError(
                "class_weight must have label indices as keys where y is multi-label: 0 to "
                f"{n_labels - 1}. Got {unknown} instead; use the column numbers of y."
            )
        return _not_negative(np.array([class_weight.get(k, 1.0) for k in range(n_labels)], float))
    positives, present = weight @ target, np.asarray(target.sum(axis=0)).ravel()
    varies = (present > 0) & (present < target.shape[0])
    return np.divide(weight.sum() - positives, positives, out=np.ones(n_labels), where=varies)


def _not_negative(factors: np.ndarray) -> np.ndarray:
    if not (np.isfinite(factors) & (factors >= 0)).all():
        worst = factors[~(np.isfinite(factors) & (factors >= 0))][0]
        raise ValueError(
            f"class_weight must hold finite numbers that are not negative. Got {worst:g} instead; "
            "0 leaves a class out."
        )
    return factors
