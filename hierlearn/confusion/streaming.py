"""Confusion matrices that grow batch by batch, from scores or from the highest of them only."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from hierlearn._validation import Matrix, check_choice, check_weights
from hierlearn.confusion.detection import detect_top_k
from hierlearn.confusion.matrices import (
    CONFUSION_METHODS,
    _as_indicator,
    _check_posteriors,
    _check_single,
    _finish,
    _one_hot,
    _weigh,
    default_k,
)

__all__ = ["StreamingConfusion"]

# So many entries are kept aside however small the sums are.
_FEW_ENTRIES = 2**16


class StreamingConfusion:
    """Add up the confusion matrix of samples that come in batches.

    Only sums are kept: what is confused, not the scores. After any batches the result is that of
    :func:`hierlearn.confusion.confusion_from_scores` on all their rows.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    method : {"soft", "hard", "top_k", "co_detection"}, default="top_k"
        As in :func:`hierlearn.confusion.confusion_from_scores`.
    k : int or None, default=None
        Number of labels detected per sample, for "top_k" and "co_detection"; None means
        :func:`hierlearn.confusion.default_k`.

    Attributes
    ----------
    n_samples_seen_ : int
        Number of rows so far.

    Raises
    ------
    ValueError
        If ``n_classes`` is not a positive integer or ``method`` is unknown.

    See Also
    --------
    hierlearn.partition.ConfusionLinkagePartitioner.partial_fit : Partitions after every batch.

    Examples
    --------
    >>> from hierlearn.confusion import StreamingConfusion
    >>> stream = StreamingConfusion(n_classes=3, k=2)
    >>> stream.update([[0.5, 0.4, 0.1]], [0]).update([[0.1, 0.5, 0.4]], [2]).result()
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 0. ],
           [0. , 0.5, 0.5]])

    The two highest scores of each sample, as ``torch.topk`` returns them, say the same:

    >>> stream = StreamingConfusion(n_classes=3, k=2)
    >>> stream.update_top_k([[0, 1], [1, 2]], [[0.5, 0.4], [0.5, 0.4]], [0, 2]).result()
    array([[0.5, 0.5, 0. ],
           [0. , 0. , 0. ],
           [0. , 0.5, 0.5]])
    """

    def __init__(self, n_classes: int, *, method: str = "top_k", k: int | None = None) -> None:
        if not isinstance(n_classes, int | np.integer) or n_classes < 1:
            raise ValueError(f"n_classes must be a positive integer. Got {n_classes!r} instead.")
        self.n_classes = int(n_classes)
        self.method = check_choice(method, CONFUSION_METHODS, "method")
        self.k = default_k(self.n_classes) if k is None else k
        self.n_samples_seen_ = 0
        self._weight = 0.0
        self._class_weight = np.zeros(self.n_classes)
        self._sums = sp.csr_array((self.n_classes, self.n_classes))
        self._recent: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []

    def update(self, scores: Any, y: Any = None, *, sample_weight: ArrayLike | None = None) -> Self:
        """Add a batch of scores.

        Parameters
        ----------
        scores : array-like or sparse matrix of shape (n_samples, n_classes)
            Non-negative held-out class scores; of a sparse matrix only the entries are looked at.
        y : array-like of shape (n_samples,), indicator matrix, or None, default=None
            Codes of the true classes; "soft" and "top_k" also take an indicator matrix of shape
            (n_samples, n_classes), and "co_detection" does not look at it.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the samples.

        Returns
        -------
        self : StreamingConfusion
            The confusion, with the batch in it.

        Raises
        ------
        ValueError
            If scores are negative or not finite, have another number of columns, or ``y`` or
            ``sample_weight`` does not fit them.
        """
        checked = _check_posteriors(scores)
        if checked.shape[1] != self.n_classes:
            raise ValueError(
                f"scores must have one column for each of the {self.n_classes} classes. "
                f"Got shape {checked.shape} instead."
            )
        weights = check_weights(sample_weight, checked.shape[0])
        weights = np.ones(checked.shape[0]) if weights is None else weights
        truth = self._true_classes(y, checked)
        if truth is not None:
            truth = _weigh(truth, weights)
            self._class_weight += np.bincount(
                truth.indices, weights=truth.data, minlength=self.n_classes
            )
        self._add(self._batch(checked, truth, weights))
        self._weight += float(weights.sum())
        self.n_samples_seen_ += checked.shape[0]
        return self

    def update_top_k(
        self,
        indices: ArrayLike,
        values: ArrayLike,
        y: Any = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Add a batch of which only the highest scores are known.

        Parameters
        ----------
        indices : array-like of int, shape (n_samples, n_highest)
            Classes with the highest scores, in any order, no class twice in a row.
        values : array-like of shape (n_samples, n_highest)
            Their scores, not negative. Scores that are not given count as zero.
        y : array-like of shape (n_samples,), indicator matrix, or None, default=None
            As for :meth:`update`.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            As for :meth:`update`.

        Returns
        -------
        self : StreamingConfusion
            The confusion, with the batch in it.

        Raises
        ------
        ValueError
            If ``indices`` and ``values`` differ in shape, indices are no class codes or repeat in
            a row; else as for :meth:`update`.
        """
        return self.update(
            _rows_of_highest(indices, values, self.n_classes), y, sample_weight=sample_weight
        )

    def result(self, *, sparse: bool | str = "auto") -> Matrix:
        """Return the confusion matrix of all samples so far.

        Parameters
        ----------
        sparse : {"auto", True, False}, default="auto"
            Whether to return a sparse array; "auto" does so above 2000 classes.

        Returns
        -------
        confusion : ndarray or csr_array of shape (n_classes, n_classes), dtype float64
            Row = true class, column = predicted class.

        Raises
        ------
        ValueError
            If no sample with a positive weight has been seen.
        """
        if self._weight == 0:
            raise ValueError(
                "result needs samples of positive weight. Got none so far; call update first."
            )
        self._fold()
        if self.method == "hard":
            return _finish(self._sums.copy(), sparse)
        if self.method != "soft":
            return _finish(self._sums / self._weight, sparse)
        unseen = self._class_weight == 0
        share = 1.0 / np.where(unseen, 1.0, self._class_weight)
        return _finish(_weigh(self._sums, share) + sp.diags_array(unseen * 1.0), sparse)

    def _true_classes(self, y: Any, scores: Matrix) -> sp.csr_array | None:
        if self.method == "co_detection":
            return None
        if y is None:
            raise ValueError(
                f"y must be given for method={self.method!r}. Got None instead; only "
                "'co_detection' does without true classes."
            )
        if self.method == "hard":
            return _one_hot(_check_single(y, scores), self.n_classes)
        return _as_indicator(y, scores)

    def _batch(
        self, scores: Matrix, truth: sp.csr_array | None, weights: NDArray[np.float64]
    ) -> sp.csr_array:
        """Return the sums of one batch."""
        if self.method == "soft" and truth is not None:
            return sp.csr_array(truth.T @ sp.csr_array(scores))
        detected = detect_top_k(scores, 1 if self.method == "hard" else self.k)
        rows = _weigh(detected, weights) if truth is None else truth
        return sp.csr_array(rows.T @ detected)

    def _add(self, batch: sp.csr_array) -> None:
        """Keep the entries of small sums aside until they are worth a pass over the large one."""
        entries = batch.tocoo()
        places = entries.row.astype(np.int64) * self.n_classes + entries.col
        self._recent.append((places, entries.data))
        n_recent = sum(len(places) for places, _ in self._recent)
        if n_recent > max(self._sums.nnz, self.n_classes, _FEW_ENTRIES):
            self._fold()

    def _fold(self) -> None:
        if self._recent:
            places, values = (np.concatenate(part) for part in zip(*self._recent, strict=True))
            entries = (values, np.divmod(places, self.n_classes))
            recent = sp.coo_array(entries, shape=self._sums.shape)
            self._sums = sp.csr_array(self._sums + recent.tocsr())
            self._recent = []


def _rows_of_highest(indices: ArrayLike, values: ArrayLike, n_classes: int) -> sp.csr_array:
    """Turn the highest scores of each row into a sparse matrix of scores."""
    columns, scores = np.asarray(indices), np.asarray(values, dtype=np.float64)
    if columns.ndim != 2 or columns.shape != scores.shape:
        raise ValueError(
            "indices and values must have the same shape (n_samples, n_highest). "
            f"Got shapes {columns.shape} and {scores.shape} instead."
        )
    if columns.size == 0 or columns.dtype.kind not in "iu":
        raise ValueError(
            "indices must be a non-empty array of integers. "
            f"Got shape {columns.shape} and dtype {columns.dtype} instead."
        )
    if columns.min() < 0 or columns.max() >= n_classes:
        raise ValueError(
            f"indices must be class codes from 0 to {n_classes - 1}. "
            f"Got values from {columns.min()} to {columns.max()} instead."
        )
    ordered = np.sort(columns, axis=1)
    if (ordered[:, 1:] == ordered[:, :-1]).any():
        raise ValueError("indices must not name a class twice in a row. Got such a row instead.")
    starts = np.arange(columns.shape[0] + 1) * columns.shape[1]
    entries = (scores.ravel(), columns.ravel(), starts)
    return sp.csr_array(entries, shape=(columns.shape[0], n_classes))
