"""From a network's outputs to what a scikit-learn classifier answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax


class LogitsMixin:
    """Answers of a classifier that computes logits, multi-class or multi-label.

    A subclass validates X in ``_check_X``, computes logits in ``_logits`` and sets ``classes_`` and
    ``multilabel_``.
    """

    classes_: np.ndarray
    multilabel_: bool

    def _check_X(self, X: Any) -> Any:
        raise NotImplementedError

    def _logits(self, X: Any) -> np.ndarray:
        raise NotImplementedError

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the network's outputs before the softmax or sigmoid.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Logits; for two classes the second minus the first.
        """
        return self._decide(self._logits(self._check_X(X)))

    def _decide(self, logits: np.ndarray) -> np.ndarray:
        if self.multilabel_ or len(self.classes_) != 2:
            return logits
        return logits[:, 1] - logits[:, 0]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class posteriors.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``. Rows sum to one, but for a multi-label y, where
            every column is the probability of its label.
        """
        return self._posteriors(self._logits(self._check_X(X)))

    def _posteriors(self, logits: np.ndarray) -> np.ndarray:
        return expit(logits) if self.multilabel_ else softmax(logits, axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every row, or the label indicator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        logits = self._logits(self._check_X(X))
        if self.multilabel_:
            return (logits > 0).astype(np.int64)
        decision = self._decide(logits)
        codes = (decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(axis=1)
        return self.classes_[codes]
