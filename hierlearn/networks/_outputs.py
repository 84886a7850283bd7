"""From a network's outputs to what a scikit-learn classifier answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .._log_proba import LogProbaMixin
from ._target import check_outputs

# Rows at a time of what is computed from logits in place.
_ROWS = 1024

Finish = Callable[[torch.Tensor], torch.Tensor]


class LogitsMixin(LogProbaMixin):
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
        return self._answer(X, self._decide)

    def _decide(self, logits: Any) -> Any:
        if self.multilabel_ or len(self.classes_) != 2:
            return logits
        return logits[:, 1] - logits[:, 0]

    def _answer(self, X: Any, finish: Finish) -> np.ndarray:
        """Return what becomes of the logits of every row."""
        logits = self._logits(self._check_X(X))
        check_outputs(logits)
        return _finished(logits, finish)

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
        return self._answer(X, self._probabilities)

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(logits) if self.multilabel_ else torch.softmax(logits, dim=1)

    def _posteriors(self, logits: np.ndarray) -> np.ndarray:
        """Return the posteriors of logits, which are overwritten."""
        return _finished(logits, self._probabilities)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of every row, or the label indicator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or 0 and 1 for each label.
        """
        found = self._answer(X, self._most_probable)
        return found if self.multilabel_ else self.classes_[found]

    def _most_probable(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the code of the most probable class, or the label indicator."""
        if self.multilabel_:
            return (logits > 0).to(torch.int64)
        decision = self._decide(logits)
        return (decision > 0).long() if decision.ndim == 1 else decision.argmax(dim=1)


def _finished(logits: np.ndarray, finish: Finish) -> np.ndarray:
    """Return what becomes of all logits, in their place where that is of the same kind."""
    with torch.inference_mode():
        whole = torch.from_numpy(logits)
        parts = []
        for part in whole.split(_ROWS):
            answer = finish(part)
            if answer.shape == part.shape and answer.dtype == part.dtype:
                parts.append(part if answer is part else part.copy_(answer))
            else:
                parts.append(answer)
        kept = parts[0].data_ptr() == whole.data_ptr() and parts[0].shape[1:] == whole.shape[1:]
        return logits if kept else torch.cat(parts).numpy()
