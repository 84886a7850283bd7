"""One cluster's problem, as network selection gets it, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .._caching import FitCache
from .._rows import RowView, row_blocks
from ..confusion import stratified_holdout

# Sparse rows of no more features are told apart as the same rows in an array are.
_MAX_DENSE_FEATURES = 2**14
_DENSE_ROWS = 64


@dataclass(frozen=True)
class ClusterTask:
    """The classes of one cluster to be told apart.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels, as the chosen classifier has to predict them.
    sample_weight : ndarray of shape (n_samples,) or None
        Rows of weight zero are left out.
    seed : int
        Source of the hold-out and of every candidate's seed.
    statistics : dict of str to float
        See :func:`cluster_statistics`.
    rows : callable
        ``rows(source)`` returns the cluster's samples as a source gives them: None for X as it is,
        ``"trunk"``, ``"flat"``, or a transformer.
    bound : mapping of str to classifier, default={}
        What the candidates that are strings stand for here: ``"flat"`` and ``"branch"``.
    judges : ndarray of bool, shape (n_samples,), or None, default=None
        Rows to judge by, which neither a candidate nor anything it was grown from has seen; the
        others are trained on. None holds some out.
    views : mapping of str to sequence of array, default={}
        By source, augmented versions of the rows to train on besides; nothing is judged by them.
    cache : FitCache or None, default=None
        Where fitted candidates are looked up, and kept; None is the selector's own.
    """

    y: NDArray[Any]
    sample_weight: NDArray[np.float64] | None
    seed: int
    statistics: dict[str, float]
    rows: Callable[[Any], Any]
    bound: Mapping[str, Any] = field(default_factory=dict)
    judges: NDArray[np.bool_] | None = None
    views: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    cache: FitCache | None = None


@dataclass(frozen=True)
class Training:
    """One training run of one candidate.

    Parameters
    ----------
    candidate : str
        Its name.
    purpose : {"compare", "final"}
        Whether it was trained to be judged on held-out rows, or to be kept.
    n_samples : int
        Rows trained on.
    epochs : float
        Passes over them; NaN where unknown.
    multiply_adds : float
        Of one sample's prediction; NaN where unknown.
    seconds : float
        Wall clock.
    """

    candidate: str
    purpose: str
    n_samples: int
    epochs: float
    multiply_adds: float
    seconds: float

    @property
    def training_multiply_adds(self) -> float:
        """Row-epochs times multiply-adds; a backward pass costs twice as much again."""
        return self.n_samples * self.epochs * self.multiply_adds


@dataclass(frozen=True)
class Selection:
    """What was found for one cluster.

    Parameters
    ----------
    index : int
        Number of the chosen candidate.
    estimator : classifier
        The chosen candidate, fitted, to be given the rows of ``source``.
    source : None, str or transformer
        Where it reads.
    scores : dict of str to float
        Held-out score by candidate; NaN where it was not trained on all of the training part.
    costs : dict of str to float
        Multiply-adds by candidate; NaN where unknown.
    trained : tuple of Training
        Every training run.
    """

    index: int
    estimator: Any
    source: Any
    scores: dict[str, float]
    costs: dict[str, float]
    trained: tuple[Training, ...]


def hold_out(
    X: Any, codes: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows once, class by class, with rows that are equal on one side.

    A copy of a training row would be judged by heart. Since equal rows stay together and their
    order does not matter, a weight of two splits as the same row given twice does.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, ...)
        Rows of anything but numbers count as different.
    codes : ndarray of int64, shape (n_samples,)
        Class codes.
    fraction : float
        Share of the different rows to hold out.
    seed : int
        Decides which.

    Returns
    -------
    train, test : ndarray of int64
        Row numbers in ascending order; no row is held out where no class has two different ones.
    """
    keys = np.stack([_digests(X, len(codes)), codes.astype(np.uint64)], axis=1)
    distinct, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.ravel()
    group_codes = distinct[:, 1].astype(np.int64)
    if np.bincount(group_codes).max() < 2:
        return np.arange(len(codes)), np.empty(0, dtype=np.int64)
    _, test_groups = stratified_holdout(group_codes, fraction, random_state=seed)
    is_test = np.isin(group, test_groups)
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _digests(X: Any, n_samples: int) -> NDArray[np.uint64]:
    """Return a number for each row that is the same for equal rows."""
    if not sparse.issparse(X) and not isinstance(X, np.ndarray | RowView):
        return np.arange(n_samples, dtype=np.uint64)
    if X.dtype.kind not in "biuf":
        return np.arange(n_samples, dtype=np.uint64)
    digests = [
        int.from_bytes(blake2b(part, digest_size=8).digest(), "little")
        for _, block in row_blocks(X)
        for part in _row_bytes(block)
    ]
    return np.array(digests, dtype=np.uint64)


def _row_bytes(X: Any) -> Iterator[bytes]:
    """Yield bytes of every row, the same for the same numbers: of any type, dense or sparse."""
    if not sparse.issparse(X):
        # Without the sign of zero.
        yield from (np.add(row, 0.0, dtype=np.float64).tobytes() for row in X)
        return
    if X.shape[1] <= _MAX_DENSE_FEATURES:
        for start in range(0, X.shape[0], _DENSE_ROWS):
            yield from _row_bytes(X[start : start + _DENSE_ROWS].toarray())
        return
    matrix = sparse.csr_array(X)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        values = matrix.data[start:stop]
        kept = np.flatnonzero(values)
        places = matrix.indices[start:stop][kept].astype(np.int64)
        yield places.tobytes() + values[kept].astype(np.float64).tobytes()
