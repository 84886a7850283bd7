"""What the k best-scored columns of every row hold, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ._checks import check_k, check_ranked, check_truth

# Entries of the score matrix worked on at a time: what is sorted stays in the cache.
_CHUNK = 2**19


class Ranking:
    """Checked truth and scores, and what the first k of every row hold.

    Parameters
    ----------
    y_true, scores, k
        As in :func:`average_precision_at_k`.
    by_label : bool, default=False
        Whether each label ranks the samples, instead of each sample the labels.
    """

    def __init__(self, y_true: Any, scores: Any, k: int, *, by_label: bool = False) -> None:
        self.scores = check_ranked(scores)
        self.truth = check_truth(y_true, *self.scores.shape)
        if by_label:
            self.truth, self.scores = self.truth.T.tocsr(), self.scores.T
            self.scores = self.scores.tocsr() if sparse.issparse(self.scores) else self.scores
        self.k = check_k(k, self.scores.shape[1], "samples" if by_label else "labels")

    def chunks(self) -> Iterator[tuple[NDArray[np.bool_], NDArray[Any]]]:
        """Yield the truth and the scores of some rows at a time, dense."""
        n_rows, n_columns = self.scores.shape
        step = max(1, _CHUNK // n_columns)
        for start in range(0, n_rows, step):
            rows = slice(start, start + step)
            relevant, values = self.truth[rows].toarray(), self.scores[rows]
            dense = values.toarray() if sparse.issparse(values) else np.ascontiguousarray(values)
            yield relevant, dense

    def per_row(self, measure: Callable[[Any, Any], Any]) -> NDArray[np.float64]:
        """Return ``measure(hits, n_relevant)`` of every row; NaN where nothing is relevant."""
        parts = []
        for relevant, values in self.chunks():
            hits = np.take_along_axis(relevant, _top_columns(relevant, values, self.k), axis=1)
            n_relevant = relevant.sum(axis=1)
            measured = measure(hits, np.maximum(n_relevant, 1)).astype(np.float64)
            parts.append(np.where(n_relevant > 0, measured, np.nan))
        return np.concatenate(parts)

    def found_labels(self) -> NDArray[np.bool_]:
        """Tell of every column whether it is relevant, and among the first k, in some row."""
        found = np.zeros(self.scores.shape[1], dtype=bool)
        for relevant, values in self.chunks():
            top = _top_columns(relevant, values, self.k)
            found[top[np.take_along_axis(relevant, top, axis=1)]] = True
        return found


def _top_columns(relevant: NDArray[np.bool_], scores: NDArray[Any], k: int) -> NDArray[np.intp]:
    """Return the columns of the k best scores, best first; of equals the relevant ones come last.

    Returns
    -------
    ndarray of shape (n_rows, k)
    """
    n_columns = scores.shape[1]
    cut = np.partition(scores, n_columns - k, axis=1)[:, n_columns - k, None]
    chosen, tied = scores > cut, scores == cut
    places = k - chosen.sum(axis=1, keepdims=True)
    if (tied.sum(axis=1, keepdims=True) > places).any():
        # More scores equal the last one than there are places left for.
        others, wanted = tied & ~relevant, tied & relevant
        tied = others & (np.cumsum(others, axis=1) <= places)
        places = places - tied.sum(axis=1, keepdims=True)
        tied |= wanted & (np.cumsum(wanted, axis=1) <= places)
    columns = np.nonzero(chosen | tied)[1].reshape(-1, k)
    best = np.take_along_axis(scores, columns, axis=1)
    order = np.lexsort((np.take_along_axis(relevant, columns, axis=1), -best), axis=-1)
    return np.take_along_axis(columns, order, axis=1)
