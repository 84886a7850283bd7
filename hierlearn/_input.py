"""What estimators around a base classifier accept as X and y."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags, indexable

from ._given import validate_data
from ._rows import RowView, check_blocks_finite, row_blocks, viewed
from ._validation import check_ndim


def check_rows(estimator: Any, base: Any, X: Any, **reset: Any) -> Any:
    """Validate X as far as the base does not do so itself.

    A Pipeline as base sees X as it is, texts or data frames included, and so does a base that came
    fitted on named columns; a network that reads images from where they lie gets them unread; any
    other base gets a numeric array or csr matrix, with or without NaN as its tags say. Where the
    base reads batches, that is a :class:`RowView` of a large X, so that no part of it is copied.
    """
    options: Any = {"reset": False, **reset}
    if isinstance(X, RowView):
        validate_data(estimator, X, skip_check_array=True, **options)
        _check_shape(estimator, X, options["reset"])
        return X
    unread = _unread(base, X)
    if unread is not None:
        validate_data(estimator, unread, skip_check_array=True, **options)
        return unread
    if hasattr(base, "steps") or hasattr(base, "feature_names_in_"):
        raw = validate_data(estimator, X, skip_check_array=True, **options)
        return indexable(raw)[0]
    tags = get_tags(base).input_tags
    check_ndim(X, type(estimator).__name__, tags.three_d_array)
    _check_shape(estimator, X, options["reset"])
    checked = validate_data(
        estimator,
        X,
        accept_sparse="csr",
        ensure_all_finite=False,
        allow_nd=tags.three_d_array,
        **options,
    )
    _check_values(estimator, checked, tags.allow_nan)
    return viewed(checked, finite=True) if reads_batches(base) else checked


def reads_batches(estimator: Any) -> bool:
    """Tell whether a classifier reads its rows batch by batch, so that a view of them will do."""
    reads = getattr(last_step(estimator), "_reads_batches", False)
    return bool(reads) and not _transforms(estimator)


def as_read_by(estimator: Any, X: Any) -> Any:
    """Return X as a classifier takes it: views are read for those that do not read batches."""
    return X.read() if isinstance(X, RowView) and not reads_batches(estimator) else X


def _check_shape(estimator: Any, X: Any, reset: bool) -> None:
    """Refuse images of another shape than those of fit; of flat rows scikit-learn sees to that."""
    shape = tuple(getattr(X, "shape", ()))[1:]
    if reset:
        estimator._row_shape = shape
        return
    wanted = getattr(estimator, "_row_shape", shape)
    if shape != wanted and max(len(shape), len(wanted)) > 1:
        raise ValueError(
            f"X must have rows of shape {wanted}, as in fit. Got rows of shape {shape} instead; "
            "resize, crop or reshape them."
        )


def _unread(base: Any, X: Any) -> Any:
    """Return X as rows that the base reads batch by batch; None where it does not do so."""
    opened = getattr(last_step(base), "_lazy_rows", None)
    # A Pipeline's transformers see X first, unless all that stands before the network is nothing.
    return None if opened is None or _transforms(base) else opened(X)


def _transforms(base: Any) -> bool:
    base = unfrozen(base)
    if not hasattr(base, "steps"):
        return False
    *before, last = (step for _, step in base.steps)
    return any(step not in (None, "passthrough") for step in before) or _transforms(last)


def _check_values(estimator: Any, X: Any, allow_nan: bool) -> None:
    """Refuse infinity and, unless the base takes it, NaN; block by block, as X may be large."""
    name = type(estimator).__name__
    check_blocks_finite(X, allow_nan=True, estimator_name=name, input_name="X")
    if allow_nan or X.dtype.kind != "f":
        return
    n_missing = sum(int(np.isnan(_values(block)).sum()) for _, block in row_blocks(X))
    if n_missing:
        raise ValueError(
            f"X must not contain NaN. Got {n_missing} missing values instead; use a Pipeline that "
            "begins with SimpleImputer as base_estimator, or a base that accepts them."
        )


def _values(block: Any) -> Any:
    return block.data if sparse.issparse(block) else block


def unfrozen(estimator: Any) -> Any:
    """Return what a FrozenEstimator holds, any other estimator as it is."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def last_step(estimator: Any) -> Any:
    """Return the last step of a Pipeline, out of whatever Pipelines and freezers it lies in."""
    estimator = unfrozen(estimator)
    return last_step(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator
