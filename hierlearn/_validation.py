"""Checks shared by all rooms, and the only door to scikit-learn's private names.

scikit-learn may move its private names in any release. Everything in hierlearn that needs one
imports it from here, so that such a move is mended in one file.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "HasMethods",
    "Interval",
    "Matrix",
    "RealNotInt",
    "StrOptions",
    "as_canonical",
    "as_random_state",
    "check_any_weight",
    "check_choice",
    "check_class_codes",
    "check_confusion",
    "check_ndim",
    "check_posteriors",
    "check_scores",
    "check_two_classes",
    "check_unmasked",
    "check_weights",
    "draw_seeds",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_parameter_constraints",
]

Matrix: TypeAlias = NDArray[np.float64] | sparse.csr_array

_MAX_SEED = np.iinfo(np.int32).max
# The largest of all weights lies between this and its reciprocal.
_LEAST_WEIGHT = 1e-100


def as_random_state(random_state: Any = None) -> np.random.RandomState:
    """Turn ``random_state`` into a generator, never numpy's global one.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        An int seeds a new generator, an instance is used as it is. None seeds a new generator
        from the operating system: unlike in :func:`sklearn.utils.check_random_state`, the global
        state is neither read nor moved.

    Returns
    -------
    rng : numpy.random.RandomState

    Examples
    --------
    >>> from hierlearn._validation import as_random_state
    >>> as_random_state(0).randint(10) == as_random_state(0).randint(10)
    True
    """
    if random_state is None:
        return np.random.RandomState()
    return check_random_state(random_state)


def draw_seeds(random_state: Any, n_seeds: int) -> NDArray[np.int64]:
    """Draw one seed for each of several tasks, before any of them is dispatched.

    Seeds drawn up front make the result independent of the number of workers and of the order
    in which they finish.

    Parameters
    ----------
    random_state : int, RandomState instance or None
        Source of the seeds, see :func:`as_random_state`.
    n_seeds : int
        Number of seeds.

    Returns
    -------
    seeds : ndarray of shape (n_seeds,), dtype int64
        Values in [0, 2**31 - 1).

    Examples
    --------
    >>> from hierlearn._validation import draw_seeds
    >>> bool((draw_seeds(0, 3) == draw_seeds(0, 5)[:3]).all())
    True
    """
    return as_random_state(random_state).randint(_MAX_SEED, size=n_seeds, dtype=np.int64)


def check_choice(value: object, choices: Collection[str], name: str) -> str:
    """Return ``value`` if it is one of ``choices``, else raise an error that lists them.

    Parameters
    ----------
    value : object
        What the caller passed.
    choices : collection of str
        The allowed names.
    name : str
        Name of the parameter, for the message.

    Returns
    -------
    value : str
        Unchanged.

    Raises
    ------
    ValueError
        If ``value`` is not among ``choices``.

    Examples
    --------
    >>> from hierlearn._validation import check_choice
    >>> check_choice("soft", ["hard", "soft"], "method")
    'soft'
    """
    if isinstance(value, str) and value in choices:
        return value
    listed = ", ".join(repr(choice) for choice in sorted(choices))
    raise ValueError(f"{name} must be one of {listed}. Got {value!r} instead.")


def check_scores(scores: Any, *, name: str = "scores") -> Matrix:
    """Check a matrix of class scores.

    Parameters
    ----------
    scores : array-like or sparse matrix of shape (n_samples, n_classes)
        One column per class.
    name : str, default="scores"
        Name of the parameter, for the message.

    Returns
    -------
    scores : ndarray or csr_array of shape (n_samples, n_classes), dtype float64

    Raises
    ------
    ValueError
        If ``scores`` is not a finite two-dimensional matrix with at least one row and column.
    """
    checked = check_array(
        scores, accept_sparse="csr", dtype=np.float64, ensure_all_finite=False, input_name=name
    )
    values = checked.data if sparse.issparse(checked) else checked
    if not np.isfinite(values).all():
        found = "NaN" if np.isnan(values).any() else "infinity"
        raise ValueError(
            f"{name} must hold finite numbers only. Input {name} contains {found} instead; leave "
            "such entries out, or set them to 0."
        )
    return as_canonical(sparse.csr_array(checked)) if sparse.issparse(checked) else checked


def check_confusion(confusion: Any, *, name: str = "confusion") -> Matrix:
    """Check a confusion matrix: square, finite, without negative entries.

    Parameters
    ----------
    confusion : array-like or sparse matrix of shape (n_classes, n_classes)
        Row = true class, column = predicted class.
    name : str, default="confusion"
        Name of the parameter, for the message.

    Returns
    -------
    confusion : ndarray or csr_array of shape (n_classes, n_classes), dtype float64

    Raises
    ------
    ValueError
        If the matrix is not square, not finite, or has a negative entry.

    Examples
    --------
    >>> from hierlearn._validation import check_confusion
    >>> check_confusion([[3, 1], [0, 4]]).tolist()
    [[3.0, 1.0], [0.0, 4.0]]
    """
    checked = check_scores(confusion, name=name)
    n_rows, n_columns = checked.shape
    if n_rows != n_columns:
        raise ValueError(
            f"{name} must be square, one row and one column per class. "
            f"Got shape {checked.shape} instead."
        )
    values: Any = checked.data if sparse.issparse(checked) else checked
    if values.size and values.min() < 0:
        raise ValueError(
            f"{name} must not have negative entries. Got a minimum of {values.min():g} instead."
        )
    return checked


def check_class_codes(
    y: ArrayLike, n_classes: int, *, n_samples: int | None = None, name: str = "y"
) -> NDArray[np.int64]:
    """Check that ``y`` holds class codes, that is integers in [0, n_classes).

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Integer codes.
    n_classes : int
        Number of classes.
    n_samples : int or None, default=None
        Expected length; not checked when None.
    name : str, default="y"
        Name of the parameter, for the message.

    Returns
    -------
    codes : ndarray of shape (n_samples,), dtype int64

    Raises
    ------
    ValueError
        If ``y`` has another shape, another kind of values, or codes out of range.

    Examples
    --------
    >>> from hierlearn._validation import check_class_codes
    >>> check_class_codes([0, 2, 1], 3).tolist()
    [0, 2, 1]
    """
    codes = np.asarray(y)
    if codes.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, a class code per sample. "
            f"Got shape {codes.shape} instead."
        )
    if n_samples is not None and codes.shape[0] != n_samples:
        raise ValueError(
            f"{name} must have one entry for each of the {n_samples} rows. "
            f"Got {codes.shape[0]} instead."
        )
    if codes.dtype.kind not in "biu" and not _is_integral(codes):
        raise ValueError(
            f"{name} must hold integer codes from 0 to {n_classes - 1}: encode labels with "
            f"numpy.unique(labels, return_inverse=True). Got dtype {codes.dtype} instead."
        )
    codes = codes.astype(np.int64)
    if codes.size and (codes.min() < 0 or codes.max() >= n_classes):
        raise ValueError(
            f"{name} must hold codes from 0 to {n_classes - 1}, one per column. "
            f"Got codes from {codes.min()} to {codes.max()} instead."
        )
    return codes


def _is_integral(values: NDArray[Any]) -> bool:
    """Whether a float array holds whole numbers only (NaN and infinity do not count)."""
    return bool(
        values.dtype.kind == "f"
        and np.isfinite(values).all()
        and np.array_equal(values, np.trunc(values))
    )


def check_weights(
    sample_weight: ArrayLike | float | None, n_samples: int
) -> NDArray[np.float64] | None:
    """Check sample weights: one finite, non-negative number per sample, or None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None
        A single number stands for the same weight everywhere.
    n_samples : int
        Expected length.

    Returns
    -------
    sample_weight : ndarray of shape (n_samples,), dtype float64, or None
        None stays None, so that a caller can tell "no weights" from "all equal".

    Raises
    ------
    ValueError
        If the length is wrong, a weight is negative or not finite, or the largest is so large or so
        small that sums of weights, or their reciprocals, are no longer numbers.

    Examples
    --------
    >>> from hierlearn._validation import check_weights
    >>> check_weights([1, 2, 0], 3).tolist()
    [1.0, 2.0, 0.0]
    """
    if sample_weight is None:
        return None
    weights = _as_weights(sample_weight)
    if weights.ndim == 0:
        weights = np.full(n_samples, weights)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have one entry for each of the {n_samples} samples. "
            f"Got shape {weights.shape} instead."
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        worst = weights[~(np.isfinite(weights) & (weights >= 0))][0]
        raise ValueError(
            f"sample_weight must hold finite numbers that are not negative. Got {worst:g} instead."
        )
    largest = weights.max(initial=0.0)
    if largest > 0 and not _LEAST_WEIGHT <= largest <= 1 / _LEAST_WEIGHT:
        raise ValueError(
            f"sample_weight must have its largest entry between {_LEAST_WEIGHT:g} and "
            f"{1 / _LEAST_WEIGHT:g}. Got {largest:g} instead; multiply all by the same number."
        )
    return weights


def _as_weights(sample_weight: Any) -> NDArray[np.float64]:
    check_unmasked(sample_weight, "sample_weight")
    try:
        given = np.asarray(sample_weight)
        if given.dtype.kind in "biufO":
            with np.errstate(over="ignore"):  # what is too large for a double becomes infinite
                return given.astype(np.float64)
        found = str(given.dtype)
    except (TypeError, ValueError, OverflowError):
        found = type(sample_weight).__name__
    raise ValueError(
        f"sample_weight must hold a number for each sample. Got {found} that is not instead; leave "
        "it out to weigh all samples the same."
    )


def check_ndim(X: Any, name: str, takes_nd: bool) -> None:
    """Refuse X of more than two dimensions where rows of features are needed.

    Parameters
    ----------
    X : object
        Whatever the caller passed.
    name : str
        Name of the estimator, for the message.
    takes_nd : bool
        Whether more dimensions are fine.

    Raises
    ------
    ValueError
        If X has more than two dimensions and they are not.
    """
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) > 2 and not takes_nd:
        raise ValueError(
            f"X must be 2-D, (n_samples, n_features), for {name}. Got shape {tuple(shape)} "
            "instead; flatten each sample with X.reshape(len(X), -1)."
        )


def check_unmasked(values: Any, name: str) -> None:
    """Refuse masked arrays, of which other libraries would take the values under the mask.

    Parameters
    ----------
    values : object
        Whatever the caller passed.
    name : str
        Name of the parameter, for the message.

    Raises
    ------
    ValueError
        If a value is masked.
    """
    n_masked = int(np.ma.count_masked(values)) if isinstance(values, np.ma.MaskedArray) else 0
    if n_masked:
        raise ValueError(
            f"{name} must not have masked values. Got {n_masked} instead; leave those samples out, "
            "or fill them in."
        )


def as_canonical(values: Any) -> Any:
    """Return a csr matrix with its entries in order, each there once; others are copied.

    scipy puts them in order where it needs them so, in the caller's own matrix.

    Parameters
    ----------
    values : csr matrix or csr_array
        Checked before.

    Returns
    -------
    values : csr matrix or csr_array
        Of the same class.
    """
    if values.has_canonical_format:
        return values
    values = values.copy()
    values.sum_duplicates()
    return values


def check_posteriors(posteriors: NDArray[Any], estimator: Any) -> NDArray[Any]:
    """Return what a member answers, if it is finite.

    Parameters
    ----------
    posteriors : ndarray of shape (n_samples, n_classes)
        Posteriors, or decision values.
    estimator : classifier
        Whose they are, for the message.

    Returns
    -------
    posteriors : ndarray of shape (n_samples, n_classes)
        Unchanged.

    Raises
    ------
    ValueError
        If one is NaN or infinite.
    """
    if not np.isfinite(posteriors).all():
        raise ValueError(
            f"X must hold numbers that {type(estimator).__name__} can add up. Got NaN or infinity "
            "as its answer instead; scale X, e.g. with StandardScaler."
        )
    return posteriors


def check_any_weight(weight: NDArray[np.float64]) -> None:
    """Refuse weights that leave no sample to learn from.

    Parameters
    ----------
    weight : ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If no weight is above zero.
    """
    if not (weight > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number. Got only zero weights "
            "instead; leave sample_weight out to weigh all samples the same."
        )


def check_some_weight(weight: NDArray[np.float64] | None) -> None:
    """Refuse held-out rows that all weigh nothing, for there is nothing to judge by then.

    Parameters
    ----------
    weight : ndarray of shape (n_held_out,) or None

    Raises
    ------
    ValueError
        If no weight is above zero.
    """
    if weight is not None and not weight.any():
        raise ValueError(
            "sample_weight must weigh some of the rows held out. Got zeros on all of them instead; "
            "leave out the rows of weight zero before fitting."
        )


def check_two_classes(present: NDArray[Any]) -> None:
    """Refuse to learn from one class.

    Parameters
    ----------
    present : ndarray of shape (n_present,)
        Labels of the classes that have samples.

    Raises
    ------
    ValueError
        If there is one only.
    """
    if len(present) < 2:
        raise ValueError(
            "y must hold at least two classes to be told apart. Got one class only: "
            f"{present.tolist()[0]!r} instead; add samples of another class."
        )
