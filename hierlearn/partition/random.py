"""The control: as many clusters, of the same sizes, of classes drawn at random."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if

from hierlearn._given import validate_data
from hierlearn._validation import HasMethods, as_random_state, fit_context
from hierlearn.partition._common import (
    ScoreTransformMixin,
    fit_weighted,
    partition_input,
    renumber_clusters,
    store_partition,
)
from hierlearn.partition.label_partition import LabelPartition
from hierlearn.partition.linkage import ConfusionLinkagePartitioner

__all__ = ["RandomPartitioner", "permute_classes"]


def permute_classes(partition: LabelPartition, random_state: Any = None) -> LabelPartition:
    """Let the classes of a partition change places at random.

    Parameters
    ----------
    partition : LabelPartition
        With or without overlap.
    random_state : int, RandomState instance or None, default=None
        Draws the permutation.

    Returns
    -------
    partition : LabelPartition
        Clusters of the same sizes, primary and with overlap, numbered by their first classes and
        without names. A tree keeps its shape.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), the randomised control of the experiments.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.partition import LabelPartition, permute_classes
    >>> partition = LabelPartition(np.arange(6), [0, 0, 0, 0, 1, 1])
    >>> permuted = permute_classes(partition, random_state=0)
    >>> permuted.labels, sorted(permuted.sizes.tolist())
    (array([0, 1, 1, 1, 1, 0]), [2, 4])
    """
    places = as_random_state(random_state).permutation(partition.n_classes)
    return renumber_clusters(
        replace(
            partition,
            labels=partition.labels[places],
            membership=partition.membership[places],
            tree=None if partition.tree is None else partition.tree.reorder_leaves(places),
            names=None,
        )
    )


def _on_class_columns(estimator: RandomPartitioner) -> bool:
    """Whether the columns that ``fit`` saw were classes, so that scores can be summed."""
    return estimator.partition_input in ("confusion", "scores")


class RandomPartitioner(ScoreTransformMixin, BaseEstimator):
    """Cluster classes at random, into clusters of the sizes that another partitioner makes.

    The control for every claim that a learnt partition helps: all that differs is which classes
    are together.

    Parameters
    ----------
    partitioner : partitioner or None, default=None
        Fitted to get the sizes. None means ``ConfusionLinkagePartitioner()``.
    random_state : int, RandomState instance or None, default=None
        Draws the permutation of the classes.

    Attributes
    ----------
    partition_ : LabelPartition
        The other partitioner's partition with its classes permuted.
    partitioner_ : partitioner
        The fitted other partitioner.
    labels_ : ndarray of int64, shape (n_classes,)
        Cluster of each class.
    n_clusters_ : int
        Number of clusters.
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.
    n_features_in_ : int
        Number of columns of X, where the other partitioner looks at X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names seen during fit, where X had any.

    See Also
    --------
    permute_classes : The permutation without the estimator, also of overlapping clusters.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), the randomised control of the experiments.

    Examples
    --------
    >>> from hierlearn.partition import ConfusionLinkagePartitioner, RandomPartitioner
    >>> confusion = [[7, 3, 0, 0], [2, 8, 0, 0], [0, 0, 6, 4], [0, 1, 3, 6]]
    >>> learnt = ConfusionLinkagePartitioner(max_cluster_size=2)
    >>> RandomPartitioner(learnt, random_state=0).fit(confusion).partition_.sizes
    array([2, 2])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "partitioner": [HasMethods("fit"), None],
        "random_state": ["random_state"],
    }

    def __init__(self, partitioner: Any = None, *, random_state: Any = None) -> None:
        self.partitioner = partitioner
        self.random_state = random_state

    @property
    def partition_input(self) -> str:
        """What ``fit`` expects: the same as the other partitioner's."""
        return partition_input(self._inner())

    def _inner(self) -> Any:
        return ConfusionLinkagePartitioner() if self.partitioner is None else self.partitioner

    def fit(self, X: Any, y: Any = None, *, classes: ArrayLike | None = None) -> Self:
        """Fit the other partitioner and permute its classes.

        Parameters
        ----------
        X : array-like or sparse matrix
            As the other partitioner expects it.
        y : array-like of shape (n_samples,) or None, default=None
            As the other partitioner expects it.
        classes : array-like of shape (n_classes,) or None, default=None
            Labels of the classes.

        Returns
        -------
        self : object
            The estimator, fitted.
        """
        return self._fit_weighted(X, y, classes=classes)

    @fit_context(prefer_skip_nested_validation=False)
    def _fit_weighted(
        self,
        X: Any,
        y: Any = None,
        *,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit with weights of the rows, for the other partitioner."""
        labels = {} if classes is None else {"classes": classes}
        self.partitioner_ = fit_weighted(clone(self._inner()), X, y, sample_weight, **labels)
        if hasattr(self.partitioner_, "n_features_in_"):
            validate_data(self, X, skip_check_array=True)  # notes number and names of the columns
        store_partition(self, permute_classes(self.partitioner_.partition_, self.random_state))
        return self

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._inner())
        tags.input_tags = inner.input_tags
        tags.target_tags = inner.target_tags
        tags.transformer_tags = inner.transformer_tags
        tags.no_validation = inner.no_validation
        return tags


# In the class body the mixin would wrap these for set_output, and so hide that they may be absent.
for _method in ("transform", "fit_transform", "predict", "get_feature_names_out"):
    setattr(
        RandomPartitioner,
        _method,
        available_if(_on_class_columns)(getattr(ScoreTransformMixin, _method)),
    )
