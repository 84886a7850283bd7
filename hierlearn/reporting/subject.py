"""What a report is about: the model that predicts, its partition, and the flat network below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from hierlearn._input import unfrozen
from hierlearn.partition import LabelPartition

__all__ = ["Subject", "subject_of"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A fitted classifier and what its parts are to a report.

    Parameters
    ----------
    model : classifier
        What predicts, a Pipeline perhaps.
    structured : classifier
        The last step of it, which holds the partition.
    partition : LabelPartition
        Clusters of the classes, in the order of the model's ``classes_``.
    flat : classifier or None
        The base classifier, on the same input as ``structured``; None where there is none.
    """

    model: Any
    structured: Any
    partition: LabelPartition
    flat: Any

    @property
    def multilabel(self) -> bool:
        """Whether samples have several labels."""
        return bool(getattr(self.structured, "multilabel_", False))

    def flat_input(self, X: Any) -> Any:
        """Return X as the last step sees it."""
        model = _opened(self.model)
        while hasattr(model, "steps"):
            X = model[:-1].transform(X) if len(model.steps) > 1 else X
            model = _opened(model.steps[-1][1])
        return X


def subject_of(estimator: Any, partition: Any = None) -> Subject:
    """Find the partition and the flat base of a fitted classifier.

    Parameters
    ----------
    estimator : classifier
        Fitted, with a ``partition_``; a Pipeline that ends in one, a search over such, or one that
        is frozen. Any other classifier needs ``partition``.
    partition : LabelPartition or fitted partitioner, default=None
        Clusters to show a classifier by that has none of its own.

    Returns
    -------
    Subject

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is no classifier, or there is no partition.
    PartitionError
        If the partition is of other classes.
    """
    if not hasattr(estimator, "predict") or not is_classifier(estimator):
        raise TypeError(
            "estimator must be a fitted classifier. Got "
            f"{type(estimator).__name__} instead; give the classifier, and a partition of its own "
            "as partition=."
        )
    check_is_fitted(estimator)
    last = _last(estimator)
    found = getattr(last, "partition_", None) if partition is None else partition
    found = getattr(found, "partition_", found)
    if not isinstance(found, LabelPartition):
        raise TypeError(
            "estimator must be fitted with a partition of its classes (`partition_`), as "
            f"HierarchicalDecompositionClassifier is. Got {type(last).__name__} without one "
            "instead; give partition=, a LabelPartition or a fitted partitioner."
        )
    flat = getattr(last, "base_estimator_", None)
    return Subject(estimator, last, found.aligned_to(last.classes_), flat)


def _opened(estimator: Any) -> Any:
    """Return what a freezer or a search holds."""
    estimator = unfrozen(estimator)
    winner = getattr(estimator, "best_estimator_", None)
    return estimator if winner is None else _opened(winner)


def _last(estimator: Any) -> Any:
    estimator = _opened(estimator)
    return _last(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator
