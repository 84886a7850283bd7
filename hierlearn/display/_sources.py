"""What a fitted estimator has to show: its partition, dendrogram and confusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.metrics import confusion_matrix
from sklearn.utils.validation import check_is_fitted

from hierlearn.display._order import partition_linkage
from hierlearn.display._tree import clusters_are_branches
from hierlearn.exceptions import PartitionError
from hierlearn.partition import ClassTree

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hierlearn.partition import LabelPartition


def holder_of(estimator: Any, X: Any = None) -> tuple[Any, Any]:
    """Return what holds the partition in a Pipeline or a search, and X as it sees it.

    Parameters
    ----------
    estimator : estimator instance
        A fitted estimator.
    X : array-like, default=None
        Samples as the estimator takes them, or none.

    Returns
    -------
    holder : estimator instance
        The last step of the Pipeline, of the best estimator of the search; else the estimator.
    X : array-like or None
        Samples as the holder takes them.
    """
    while not hasattr(estimator, "partition_"):
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            if X is not None and len(estimator.steps) > 1:
                X = estimator[:-1].transform(X)
            estimator = estimator.steps[-1][1]
        else:
            break
    return estimator, X


def partition_of(estimator: Any) -> LabelPartition:
    """Return the partition of a fitted classifier or partitioner.

    Parameters
    ----------
    estimator : estimator instance
        A fitted estimator.

    Returns
    -------
    partition : LabelPartition
        Its ``partition_``.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it has no partition, fitted or not.
    """
    estimator, _ = holder_of(estimator)
    check_is_fitted(estimator)
    if not hasattr(estimator, "partition_"):
        raise TypeError(
            "estimator must be fitted with a partition of its classes (`partition_`), as "
            "HierarchicalDecompositionClassifier and the partitioners are. "
            f"Got {type(estimator).__name__} instead; from_predictions takes a partition."
        )
    return estimator.partition_


def linkage_of(estimator: Any) -> NDArray[Any] | None:
    """Return the linkage matrix of a fitted partitioner, or of a classifier's partitioner.

    Parameters
    ----------
    estimator : estimator instance
        A fitted estimator.

    Returns
    -------
    linkage : ndarray of shape (K - 1, 4) or None
        The matrix, None where the partition was not made by linkage.
    """
    estimator, _ = holder_of(estimator)
    for holder in (estimator, getattr(estimator, "partitioner_", None)):
        linkage = getattr(holder, "linkage_", None)
        if linkage is not None:
            return linkage
    return None


def confusion_of(estimator: Any) -> Any:
    """Return the confusion that a fitted classifier holds.

    Parameters
    ----------
    estimator : estimator instance
        A fitted estimator.

    Returns
    -------
    confusion : {ndarray, csr_array} of shape (K, K)
        Its ``confusion_``.

    Raises
    ------
    ValueError
        If it holds none.
    """
    estimator, _ = holder_of(estimator)
    confusion = getattr(estimator, "confusion_", None)
    if confusion is None:
        raise ValueError(
            "estimator must hold a confusion (`confusion_`) where X and y are not given. Got "
            f"{type(estimator).__name__} without one: give X and y, or use "
            "ConfusionOrderDisplay(confusion, estimator.partition_) instead."
        )
    return confusion


def tree_of(estimator: Any, partition: LabelPartition) -> ArrayLike | ClassTree:
    """Return the tree that shows an estimator's clusters best, of those that it offers.

    Parameters
    ----------
    estimator : estimator instance
        A fitted estimator.
    partition : LabelPartition
        Its partition.

    Returns
    -------
    tree : ndarray of shape (K - 1, 4) or ClassTree
        Its linkage where the clusters are branches of it; else a linkage of its confusion in
        which they are; else whatever tree there is.

    Raises
    ------
    ValueError
        If there is none.
    """
    estimator, _ = holder_of(estimator)
    linkage = linkage_of(estimator)
    confusion = getattr(estimator, "confusion_", None)
    if linkage is not None and (
        confusion is None
        or clusters_are_branches(ClassTree.from_linkage(linkage), partition.labels)
    ):
        return linkage
    if confusion is not None:
        return partition_linkage(partition.labels, confusion)
    if partition.tree is not None:
        return partition.tree
    raise ValueError(
        "estimator must have a linkage, a confusion or a partition with a tree to draw. Got "
        f"{type(estimator).__name__} with none of them: use from_confusion(confusion, "
        "partition=estimator.partition_) instead."
    )


def check_pair(X: Any, y: Any) -> bool:
    """Return whether samples and their labels are given.

    Parameters
    ----------
    X, y : array-like or None
        Both or neither.

    Returns
    -------
    given : bool
        Whether they are.

    Raises
    ------
    ValueError
        If only one of them is.
    """
    if (X is None) != (y is None):
        raise ValueError("X and y must be given together, or neither. Got one of them instead.")
    return X is not None


def check_labels_known(partition: LabelPartition, **labels: ArrayLike) -> None:
    """Raise where labels are not classes of a partition.

    Parameters
    ----------
    partition : LabelPartition
        The partition.
    **labels : array-like
        Labels, by the name of the parameter they came in.

    Raises
    ------
    PartitionError
        If a label is not among the partition's classes.
    """
    known = set(partition.classes.tolist())
    for name, values in labels.items():
        unknown = sorted({str(value) for value in set(_as_list(values)) - known})
        if unknown:
            raise PartitionError(
                f"{name} must hold classes of the partition only. "
                f"Got {', '.join(unknown[:5])} besides; make a partition over all classes."
            )


def _as_list(values: ArrayLike) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else list(values)  # type: ignore[arg-type]


def confusion_from_labels(
    partition: LabelPartition, y_true: Any, y_pred: Any, sample_weight: Any = None
) -> NDArray[Any]:
    """Count confusions in the order of a partition's classes.

    Parameters
    ----------
    partition : LabelPartition
        Partition of K classes.
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples.

    Returns
    -------
    confusion : ndarray of shape (K, K)
        Row = true class.

    Raises
    ------
    PartitionError
        If a label is not among the partition's classes.
    """
    check_labels_known(partition, y_true=y_true, y_pred=y_pred)
    return confusion_matrix(y_true, y_pred, labels=partition.classes, sample_weight=sample_weight)
