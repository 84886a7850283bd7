"""Classifiers that make sense as members of a hierarchy: they read what it has computed already."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._given import as_labels
from .._input import reads_batches
from .._log_proba import LogProbaMixin
from .._validation import (
    HasMethods,
    StrOptions,
    check_any_weight,
    check_posteriors,
    check_weights,
    fit_context,
    num_samples,
)
from ..confusion import fit_with_weight
from .sources import FLAT, TRUNK


def _estimator_has(method: str) -> Any:
    def has(self: Any) -> bool:
        inner = self.estimator_ if hasattr(self, "estimator_") else self._on_source()
        return hasattr(inner, method)

    return has


class OnTrunk(LogProbaMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Let a member of a hierarchy read the base network's shared lower layers.

    As ``fine_estimator`` or ``hierarchy_estimator`` of a
    :class:`HierarchicalDecompositionClassifier` the estimator is fitted on, and asked with, the
    output of the base network's layers up to ``branch_at``, which is computed once for all
    members. So branches may be networks of another shape, fresh and slimmer than the base's own
    upper layers, or no networks at all. Outside a hierarchy this is the estimator itself.

    Parameters
    ----------
    estimator : classifier, default=None
        Maps reach it as (n_samples, channels, height, width) if it takes such arrays, flattened if
        it does not. None is ``TorchMLPClassifier()``.
    names : {"clusters", "classes"}, default="clusters"
        What it learns to name as ``hierarchy_estimator``. With ``"classes"`` it learns all classes,
        and its posteriors are summed over each cluster.

    Attributes
    ----------
    estimator_ : classifier
        The fitted clone; outside a hierarchy only.
    classes_ : ndarray of shape (n_classes,)
        Class labels.

    See Also
    --------
    HierarchicalDecompositionClassifier : ``fine_estimator=None`` copies the base's upper layers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import HierarchicalDecompositionClassifier, OnTrunk, TorchMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = HierarchicalDecompositionClassifier(
    ...     TorchMLPClassifier((64, 32), max_epochs=10),
    ...     hierarchy_estimator=OnTrunk(TorchMLPClassifier((), lr=0.01)),
    ...     fine_estimator=OnTrunk(TorchMLPClassifier((16,), lr=0.01)),
    ...     branch_at="hidden1",
    ...     mixing=0.0,
    ...     random_state=0,
    ... )
    >>> clf.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.8
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "names": [StrOptions({"clusters", "classes"})],
    }

    def __init__(self, estimator: Any = None, *, names: str = "clusters") -> None:
        self.estimator = estimator
        self.names = names

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the estimator on X itself: outside a hierarchy there is no trunk.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples, for an estimator that takes them.

        Returns
        -------
        self : object
            The estimator, fitted.
        """
        y = as_labels(y)
        weight = check_weights(sample_weight, num_samples(y))
        if weight is not None:
            check_any_weight(weight)
        self.estimator_ = fit_with_weight(clone(self._on_source()), X, y, weight)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """The class labels."""
        classes: NDArray[Any] = self.estimator_.classes_
        return classes

    @property
    def n_features_in_(self) -> int:
        """Number of features seen during fit."""
        return int(self.estimator_.n_features_in_)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the estimator's prediction for X.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        predicted: NDArray[Any] = self.estimator_.predict(X)
        return predicted

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the estimator's class posteriors for X.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        posteriors : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        return check_posteriors(self.estimator_.predict_proba(X), self.estimator_)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the estimator's decision values for X.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to classify.

        Returns
        -------
        values : ndarray of shape (n_samples, n_classes) or (n_samples,)
            As the estimator gives them.
        """
        check_is_fitted(self)
        return check_posteriors(self.estimator_.decision_function(X), self.estimator_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self._on_source())
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags

    @property
    def _reads_batches(self) -> bool:
        return reads_batches(self._on_source())

    def _source(self) -> str:
        return TRUNK

    def _on_source(self) -> Any:
        if self.estimator is not None:
            return self.estimator
        from ..networks import TorchMLPClassifier

        return TorchMLPClassifier()


class FlatMember(ClassifierMixin, BaseEstimator):
    """The flat network as a member of a hierarchy: its posteriors, restricted to the classes of y.

    Nothing is trained. X holds the flat network's class posteriors.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
        Class of every column of X.

    Attributes
    ----------
    classes_ : ndarray
        The classes of y.
    """

    _free = True  # what it reads has a price of its own

    def __init__(self, labels: NDArray[Any]) -> None:
        self.labels = labels

    def fit(self, X: NDArray[np.float64], y: ArrayLike, sample_weight: Any = None) -> Self:
        """Note which columns are wanted."""
        self.classes_ = np.unique(y)
        column_of = {label: column for column, label in enumerate(np.asarray(self.labels).tolist())}
        self._columns = [column_of[label] for label in self.classes_.tolist()]
        return self

    def predict_proba(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the wanted columns, normalised; a row of zeros is a tie."""
        wanted = np.asarray(X, dtype=np.float64)[:, self._columns]
        wanted = np.where(wanted.any(axis=1, keepdims=True), wanted, 1.0)
        posteriors: NDArray[np.float64] = wanted / wanted.sum(axis=1, keepdims=True)
        return posteriors

    def predict(self, X: NDArray[np.float64]) -> NDArray[Any]:
        """Return the most probable of the wanted classes."""
        named: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return named

    def _source(self) -> str:
        return FLAT
