"""Logarithms of posteriors, for every classifier that has posteriors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metaestimators import available_if


def _has_posteriors(estimator: Any) -> bool:
    return hasattr(estimator, "predict_proba")


class LogProbaMixin:
    """``predict_log_proba`` beside the ``predict_proba`` of a classifier.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn._log_proba import LogProbaMixin
    >>> class Sure(LogProbaMixin):
    ...     def predict_proba(self, X):
    ...         return np.array([[1.0, 0.0]])
    >>> Sure().predict_log_proba(None).round().tolist()
    [[0.0, -708.0]]
    """

    @available_if(_has_posteriors)
    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Return the logarithms of ``predict_proba``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Natural logarithms, always finite: a posterior of zero counts as the smallest normal
            number of its type.
        """
        estimator: Any = self
        posteriors = np.asarray(estimator.predict_proba(X))
        logarithms = np.maximum(posteriors, np.finfo(posteriors.dtype).tiny)
        return np.log(logarithms, out=logarithms)
