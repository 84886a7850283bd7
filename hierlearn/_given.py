"""X and y as they are given, made into arrays of numbers and of labels, or refused in one line.

scikit-learn's checks let some things through that end in another library's error, or in a wrong
model: dates and words as X, entries of a sparse matrix out of order, labels that are missing in a
frame's own way, or that numpy has turned into text.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import validation

from ._validation import as_canonical, check_unmasked
from .exceptions import UnsupportedTargetError

_NOT_GIVEN = "no_validation"


def validate_data(estimator: Any, X: Any = _NOT_GIVEN, y: Any = _NOT_GIVEN, **options: Any) -> Any:
    """Validate as :func:`sklearn.utils.validation.validate_data` does, and what it lets through.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_``.
    X : array-like or sparse matrix of shape (n_samples, ...), default="no_validation"
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_labels), default="no_validation"
        Labels, see :func:`as_labels`.
    **options : dict
        Handed on.

    Returns
    -------
    X : ndarray or csr matrix
        Numbers; entries of a csr matrix are in order, each there once, and are not the caller's
        own where they had to be put so.
    y : ndarray or csr matrix
        Labels. Only what was given is returned, as scikit-learn does.

    Raises
    ------
    ValueError
        If X does not hold numbers, y does not hold labels, or either is malformed.
    """
    of_rows = not (isinstance(X, str) and X == _NOT_GIVEN)
    of_labels = not (isinstance(y, str) and y == _NOT_GIVEN) and y is not None
    if of_labels:
        y = as_labels(y)
    if not of_rows or options.get("skip_check_array"):
        _check_columns(X)
        return validation.validate_data(estimator, X, y, **options)
    checked = as_numbers(X, lambda X: validation.validate_data(estimator, X, y, **options))
    return checked


def as_numbers(X: Any, check: Any) -> Any:
    """Return what a check of scikit-learn's makes of X, if it holds numbers.

    Parameters
    ----------
    X : object
        Rows, as given.
    check : callable
        From X to an array or matrix, or a pair of one and something else.

    Raises
    ------
    ValueError
        If it holds something else, or columns go by the same name.
    """
    _check_columns(X)
    check_unmasked(X, "X")
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # scikit-learn adds up all numbers
            found = check(X)
    except OverflowError:
        raise ValueError(
            "X must hold numbers that fit in double precision. Got a whole number that is too "
            "large instead; scale X."
        ) from None
    if isinstance(found, tuple):
        return (_numbers(found[0]), *found[1:])
    return _numbers(found)


def _numbers(X: Any) -> Any:
    if sparse.issparse(X):
        return as_canonical(X)
    if X.dtype.kind == "O":
        try:
            return X.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            kinds = sorted({type(value).__name__ for value in X.ravel()})
            found = " and ".join(kinds)
    elif X.dtype.kind in "biuf":
        return X
    else:
        found = str(X.dtype)
    raise ValueError(
        f"X must hold numbers. Got {found} instead; encode such columns, e.g. with sklearn's "
        "OrdinalEncoder or OneHotEncoder, or dates as days since the first."
    )


def _check_columns(X: Any) -> None:
    """Refuse columns of a frame that go by the same name."""
    columns = getattr(X, "columns", None)
    if columns is None or getattr(columns, "is_unique", True):
        return
    twice = columns[columns.duplicated()][0]
    raise ValueError(
        f"X must have columns of different names. Got {twice!r} more than once instead; rename "
        "them, or pass X.to_numpy()."
    )


def as_labels(y: Any) -> Any:
    """Turn y into an array of labels, or of label indicators, with none missing.

    Parameters
    ----------
    y : array-like or sparse matrix of shape (n_samples,) or (n_samples, n_labels)
        Numbers, booleans, strings or dates; pandas and polars series and frames, too.

    Returns
    -------
    y : ndarray or sparse matrix
        Sparse matrices as they are; labels in an object array stay so, see :func:`plain_labels`.

    Raises
    ------
    UnsupportedTargetError
        If labels are missing, of several types, or of a type that labels cannot have.

    Examples
    --------
    >>> from hierlearn._given import as_labels
    >>> as_labels(["1", "01"])
    array(['1', '01'], dtype='<U2')
    >>> as_labels([1, "a"])
    Traceback (most recent call last):
    ...
    hierlearn.exceptions.UnsupportedTargetError: y must hold labels of one type. Got int and str ...
    """
    if sparse.issparse(y):
        return y
    if y is None:
        raise UnsupportedTargetError(
            "y must be given: fitting requires y to be passed, but the target y is None; pass a "
            "label for every sample."
        )
    check_unmasked(y, "y")
    try:
        labels = np.asarray(y)
    except ValueError:
        raise UnsupportedTargetError(
            "y must hold one label, or one row of an indicator, a sample. Got sequences of "
            "different lengths instead; for several labels a sample use sklearn's "
            "MultiLabelBinarizer."
        ) from None
    if labels.dtype.kind == "T" or (labels.dtype.kind in "US" and _was_mixed(y, labels)):
        labels = _as_objects(y, labels)
    _check_none_missing(labels)
    if labels.dtype.kind == "O":
        _check_one_type(labels)
    if labels.dtype.kind == "c":
        raise _wrong_type(["complex numbers (Complex data not supported)"])
    if labels.dtype.kind in "SV":
        raise _wrong_type(["bytes" if labels.dtype.kind == "S" else "records"])
    return labels


def _was_mixed(y: Any, labels: NDArray[Any]) -> bool:
    """Tell whether numpy has made text of what was none, as of None or 1 in a list of strings."""
    if labels.ndim != 1 or not isinstance(y, list | tuple):
        return False
    return not all(isinstance(label, str | bytes) for label in y)


def _as_objects(y: Any, labels: NDArray[Any]) -> NDArray[Any]:
    if labels.dtype.kind == "T":  # scikit-learn does not know numpy's own strings yet
        return labels.astype(object)
    made = np.empty(len(y), dtype=object)
    made[:] = y
    return made


def _check_none_missing(labels: NDArray[Any]) -> None:
    """Refuse missing labels, before anything tries to sort them."""
    kind = labels.dtype.kind
    if kind == "O":
        missing = np.array([_is_missing(label) for label in labels.ravel()], dtype=bool)
    elif kind == "f":
        missing = ~np.isfinite(labels)
    elif kind in "mM":
        missing = np.isnat(labels)
    else:
        return
    if missing.any():
        raise UnsupportedTargetError(
            "y must hold a label for every sample. Input contains NaN, None or infinity. Got "
            f"{missing.sum()} of {missing.size} missing instead; leave those samples out."
        )


def _is_missing(label: Any) -> bool:
    """Tell whether a label is None, NaN, NaT or pandas' NA."""
    if label is None or type(label).__name__ == "NAType":
        return True
    if isinstance(label, float | np.floating):
        return not np.isfinite(label)
    return type(label).__name__ == "NaTType" or (
        isinstance(label, np.datetime64 | np.timedelta64) and bool(np.isnat(label))
    )


def _check_one_type(labels: NDArray[Any]) -> None:
    """Refuse objects that are no labels, or cannot be sorted."""
    kinds = {_kind(label) for label in labels.ravel()}
    types = sorted({type(label).__name__ for label in labels.ravel()})
    if len(kinds) > 1:
        raise UnsupportedTargetError(
            f"y must hold labels of one type. Got {' and '.join(types)} instead; convert them, "
            "e.g. with y.astype(str)."
        )
    too_wide = kinds == {"number"} and plain_labels(labels).dtype.kind not in "biuf"
    if kinds == {"other"} or too_wide:
        raise _wrong_type(types)


def plain_labels(y: Any) -> Any:
    """Give numbers in an object array their own type; leave all other labels as they are.

    scikit-learn knows object arrays of strings only, and refuses those of integers or booleans.

    Parameters
    ----------
    y : ndarray or sparse matrix
        Labels, checked by :func:`as_labels`.

    Returns
    -------
    y : ndarray or sparse matrix
        Labels.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn._given import plain_labels
    >>> plain_labels(np.array([3, 1], dtype=object)).dtype.kind
    'i'
    """
    if y.dtype != object or (y.size and isinstance(y.flat[0], str)):
        return y
    return np.array(y.tolist())


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "text"
    # Not decimals and fractions, which numpy does not know.
    return "number" if isinstance(label, int | float | np.number | np.bool_) else "other"


def _wrong_type(types: list[str]) -> UnsupportedTargetError:
    return UnsupportedTargetError(
        "y must hold labels that are strings, or numbers of at most 64 bits. Got "
        f"{' and '.join(types)} instead; convert them, e.g. with [str(label) for label in y]."
    )
