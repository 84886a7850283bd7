"""What a hierarchy accepts as X and y."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from .._validation import check_ndim, check_weights, num_samples
from ..exceptions import UnsupportedTargetError


def check_rows(estimator: Any, base: Any, X: Any, **reset: Any) -> Any:
    """Validate X as far as the base does not do so itself.

    A Pipeline as base sees X as it is, texts or data frames included; any other base gets a
    numeric array or csr matrix, with or without NaN as its tags say.
    """
    if hasattr(base, "steps"):
        return validate_data(estimator, X, skip_check_array=True, **{"reset": False, **reset})
    tags = get_tags(base).input_tags
    check_ndim(X, type(estimator).__name__, tags.three_d_array)
    return validate_data(
        estimator,
        X,
        accept_sparse="csr",
        ensure_all_finite="allow-nan" if tags.allow_nan else True,
        allow_nd=tags.three_d_array,
        **{"reset": False, **reset},
    )


def check_training_input(
    estimator: Any, base: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Any, NDArray[Any], NDArray[np.float64] | None]:
    """Validate X, y and the weights together; records the features on the estimator."""
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None. Pass the class label of every row of X."
        )
    X = check_rows(estimator, base, X, reset=True)
    y = check_labels(y)
    if num_samples(X) != len(y):
        raise ValueError(
            f"X and y must have the same number of samples. Got {num_samples(X)} and {len(y)} "
            "instead."
        )
    weight = check_weights(sample_weight, len(y))
    if weight is not None and not (weight > 0).any():
        raise ValueError(
            "Sample weights must contain at least one non-zero number. Got only zero weights "
            "instead; leave sample_weight out to weigh all samples the same."
        )
    return X, y, weight


def check_labels(y: ArrayLike) -> NDArray[Any]:
    """Return y as one class label a sample.

    Raises
    ------
    UnsupportedTargetError
        If y has several labels or outputs a sample.
    """
    kind = type_of_target(y, input_name="y", raise_unknown=True)
    if kind.startswith("multilabel") or kind.endswith("multioutput"):
        raise UnsupportedTargetError(
            "y must hold one class label a sample. Got a multi-label or multi-output y instead; "
            "for a label indicator use TorchMLPClassifier, which is multi-label itself."
        )
    labels: NDArray[Any] = column_or_1d(y, warn=True)
    check_classification_targets(labels)
    return labels


def check_target(
    y: NDArray[Any], weight: NDArray[np.float64] | None, *, held_out: bool
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the classes and the code of every sample.

    Raises
    ------
    ValueError
        If there is one class only, or, with ``held_out``, a class has a single sample (of
        non-zero weight).
    """
    classes, codes = np.unique(y, return_inverse=True)
    counted = codes if weight is None else codes[weight > 0]
    counts = np.bincount(counted, minlength=len(classes))
    if (counts > 0).sum() < 2:
        raise ValueError(
            "y must hold at least two classes to be told apart. Got one class only: "
            f"{classes[counts.argmax()]!r} instead; add samples of another class."
        )
    lonely = classes[counts == 1]
    if held_out and len(lonely):
        others = f" and of {len(lonely) - 1} other classes" if len(lonely) > 1 else ""
        raise ValueError(
            "y must hold at least two samples of every class, one to learn from and one to hold "
            f"out. Got a single sample of class {lonely[0]!r}{others} instead; add samples, or "
            "leave out or merge such classes."
        )
    return classes, codes.astype(np.int64)
