"""What an augmenter accepts as base, X and y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._given import as_labels
from .._input import check_rows, last_step, unfrozen
from .._validation import check_any_weight, check_two_classes, check_weights, num_samples
from ..networks._target import encode_target
from ..networks.augmenting import fitted_classifier, is_network
from ..partition import TrainingRows


@dataclass(frozen=True)
class Targets:
    """Training rows and what their targets mean.

    Parameters
    ----------
    rows : TrainingRows
        X, class codes or label indicator, and weights.
    classes : ndarray of shape (n_classes,)
        Class labels; label indices of an indicator.
    multilabel : bool
        Whether the codes are a label indicator.
    """

    rows: TrainingRows
    classes: NDArray[Any]
    multilabel: bool

    @property
    def y(self) -> Any:
        """The targets as they were given."""
        return self.rows.codes if self.multilabel else self.classes[self.rows.codes]

    @property
    def counts(self) -> NDArray[np.float64]:
        """Training samples of each class, by weight, shape (n_classes,)."""
        codes, weight = self.rows.codes, self.rows.weight
        weight = np.ones(codes.shape[0]) if weight is None else weight
        if self.multilabel:
            return np.ravel(weight @ codes)
        return np.bincount(codes, weight, len(self.classes)).astype(np.float64)


def check_base(base: Any) -> None:
    """Refuse a base that has no network to grow heads on.

    Raises
    ------
    ValueError
        If it is neither one of our networks, a Pipeline ending in one, nor a ``torch.nn.Module``.
    """
    if is_network(base):
        return
    if is_network(unfrozen(base)):
        raise ValueError(
            "base_estimator must be a torch.nn.Module as it is, which counts as fitted. Got one in "
            "a FrozenEstimator instead; pass the module itself."
        )
    last = last_step(base)
    if not getattr(last, "_branchable", False):
        raise ValueError(
            "base_estimator must be a TorchClassifier, a TorchMLPClassifier, a Pipeline that ends "
            f"in one, or a trained torch.nn.Module. Got {type(last).__name__} instead; heads need "
            "a network to attach to."
        )


def check_confusion_settings(confusion: str, k: int | None, targets: Targets) -> None:
    """Check what confusion is measured, before anything is fitted.

    Raises
    ------
    ValueError
        If several labels a sample are to be counted as one, or more labels detected than there
        are.
    """
    n_classes = len(targets.classes)
    if targets.multilabel and confusion == "hard":
        raise ValueError(
            "confusion must be 'soft', 'top_k' or 'co_detection' where y is multi-label. Got "
            "'hard' instead, which counts one label a sample; choose another."
        )
    if k is not None and k > n_classes:
        raise ValueError(
            f"confusion_k must be at most the number of classes, {n_classes}. Got {k} instead; "
            "lower it, or leave it None."
        )


def check_input(
    estimator: Any, base: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None
) -> Targets:
    """Validate the training rows; record the features on the estimator.

    Raises
    ------
    ValueError
        If X, y or the weights are malformed, there is one class only, or a label never occurs.
    """
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y "
            "is None. Pass the class label of every row of X."
        )
    X = check_rows(estimator, base, X, reset=True)
    target, classes, multilabel = _target(y)
    _check_same_length(X, target, "X and y")
    weight = check_weights(sample_weight, target.shape[0])
    if weight is not None:
        check_any_weight(weight)
    counted = np.ones(target.shape[0]) if weight is None else (weight > 0).astype(float)
    if multilabel:
        _check_labels_occur(counted @ target)
    else:
        check_two_classes(classes[np.unique(target[counted > 0])])
    return Targets(TrainingRows(X, target, weight), classes, multilabel)


def check_held_out(
    estimator: Any, base: Any, X_val: Any, y_val: Any, targets: Targets
) -> tuple[Any, Any]:
    """Validate the rows that the caller holds out; None where there are none.

    Raises
    ------
    ValueError
        If only one of the two is given, or they do not fit the training rows.
    """
    if X_val is None and y_val is None:
        return None, None
    if X_val is None or y_val is None:
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(
            f"X_val and y_val must be given together. Got no {missing} instead; pass both or none."
        )
    classes, multilabel = targets.classes, targets.multilabel
    X_val = check_rows(estimator, base, X_val)
    target, known, of_labels = _target(y_val)
    _check_same_length(X_val, target, "X_val and y_val")
    if of_labels != multilabel or (multilabel and target.shape[1] != len(classes)):
        raise ValueError(
            f"y_val must be like y, {_kind(multilabel)} of {len(classes)} classes. Got "
            f"{_kind(of_labels)} of {len(known)} classes instead; encode both alike."
        )
    if multilabel:
        return X_val, target
    strange = [label for label in known.tolist() if label not in set(classes.tolist())]
    if strange:
        raise ValueError(
            f"y_val must hold classes of y only. Got {strange[0]!r} besides; leave those rows out."
        )
    return X_val, known[target]


def _target(y: ArrayLike) -> tuple[Any, NDArray[Any], bool]:
    return encode_target(as_labels(y))


def _check_same_length(X: Any, target: Any, names: str) -> None:
    if num_samples(X) != target.shape[0]:
        raise ValueError(
            f"{names} must have the same number of samples. Got {num_samples(X)} and "
            f"{target.shape[0]} instead."
        )


def _check_labels_occur(counts: NDArray[np.float64]) -> None:
    never = np.flatnonzero(np.ravel(counts) == 0)
    if len(never):
        others = f" nor for {len(never) - 1} others" if len(never) > 1 else ""
        raise ValueError(
            "y must hold a positive sample of every label. Got none for label "
            f"{never[0]}{others} instead; leave those columns out of y."
        )


def _kind(multilabel: bool) -> str:
    return "a multi-label indicator" if multilabel else "class labels"


def as_fitted_base(base: Any, X: Any, classes: NDArray[Any], multilabel: bool) -> Any:
    """Return a fitted base as a classifier: a bare network is wrapped.

    Raises
    ------
    ValueError
        If it was trained for other classes, or another kind of y.
    """
    if is_network(base):
        return fitted_classifier(base, classes, multilabel, X.shape[1:])
    last = last_step(base)
    if not hasattr(last, "module_"):
        raise ValueError(
            "base_estimator must be fitted with cv='prefit' or in a FrozenEstimator. Got an "
            f"unfitted {type(last).__name__} instead; fit it, or, where it was cloned, as a search "
            "over parameters does, wrap it in a FrozenEstimator."
        )
    if last.multilabel_ != multilabel:
        raise ValueError(
            f"y must be {_kind(last.multilabel_)}, as the fitted base_estimator has learnt. Got "
            f"{_kind(multilabel)} instead; fit a base on such targets first."
        )
    if not np.array_equal(last.classes_, classes):
        raise ValueError(
            f"y must hold the {len(last.classes_)} classes of the fitted base_estimator. Got "
            f"{len(classes)} classes, or others, instead; add samples, or fit the base on them."
        )
    return base
