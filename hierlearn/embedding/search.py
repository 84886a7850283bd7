"""The labels nearest to a vector by cosine: all compared, or through an index."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierlearn._validation import check_choice
from hierlearn.embedding.sums import normalise_rows
from hierlearn.exceptions import MissingExtraError

__all__ = ["ApproximateSearch", "ExactSearch", "make_search"]

# Cosines computed at a time.
_MAX_ELEMENTS = 2**24
# Labels that the index looks at for each that is asked for, and at least.
_N_LOOKED_AT = 128
_CONNECTIVITY = 16


class ExactSearch:
    """Compare each vector with all labels, batch by batch.

    Parameters
    ----------
    embeddings : ndarray of shape (n_labels, n_components)
        Unit rows.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import ExactSearch
    >>> labels, cosines = ExactSearch(np.eye(3)).nearest(np.array([[0.6, 0.8, 0.0]]), 2)
    >>> labels.tolist(), cosines.round(1).tolist()
    ([[1, 0]], [[0.8, 0.6]])
    """

    def __init__(self, embeddings: NDArray[Any]) -> None:
        self.embeddings = embeddings

    def nearest(self, vectors: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return the k nearest labels of each vector, the nearest first, and their cosines.

        Parameters
        ----------
        vectors : ndarray of shape (n, n_components)
            What to look for; need not be unit vectors.
        k : int
            At most the number of labels.

        Returns
        -------
        labels : ndarray of shape (n, k), dtype int64
            Their codes, the nearest first.
        cosines : ndarray of shape (n, k)
            Of zeros all are 0.

        Raises
        ------
        ValueError
            If ``k`` is out of range.
        """
        n_labels = len(self.embeddings)
        k = check_n_labels(k, n_labels)
        units = normalise_rows(vectors)
        found = np.empty((len(units), k), dtype=np.int64)
        cosines = np.empty((len(units), k), dtype=units.dtype)
        step = max(1, _MAX_ELEMENTS // n_labels)
        for start in range(0, len(units), step):
            rows = slice(start, start + step)
            scores = units[rows] @ self.embeddings.T
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            found[rows], cosines[rows] = _in_order(best, np.take_along_axis(scores, best, axis=1))
        return found, cosines


class ApproximateSearch:
    """Look for the nearest labels through a graph of neighbours, by usearch.

    Which labels are found is approximate; their cosines are exact.

    Parameters
    ----------
    embeddings : ndarray of shape (n_labels, n_components)
        Unit rows.
    n_looked_at : int, default=128
        Labels kept in view while searching, at least; more find more of the nearest, and take
        longer.

    Raises
    ------
    MissingExtraError
        If usearch is not installed.

    References
    ----------
    Malkov & Yashunin (2020), Efficient and robust approximate nearest neighbor search using
    hierarchical navigable small world graphs.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import ApproximateSearch
    >>> search = ApproximateSearch(np.eye(3))  # doctest: +SKIP
    >>> search.nearest(np.array([[0.6, 0.8, 0.0]]), 2)[0]  # doctest: +SKIP
    array([[1, 0]])
    """

    def __init__(self, embeddings: NDArray[Any], *, n_looked_at: int = _N_LOOKED_AT) -> None:
        self.embeddings = embeddings
        self.n_looked_at = n_looked_at
        self._index = self._empty()
        # One thread: the graph depends on the order in which labels are added.
        keys = np.arange(len(embeddings))
        self._index.add(keys, embeddings.astype(np.float32), threads=1)

    def _empty(self) -> Any:
        return _usearch().Index(
            ndim=self.embeddings.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=_CONNECTIVITY,
            expansion_add=self.n_looked_at,
            expansion_search=self.n_looked_at,
        )

    def nearest(self, vectors: NDArray[Any], k: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Return labels near to each vector, the nearest first, and their cosines.

        Parameters
        ----------
        vectors : ndarray of shape (n, n_components)
            What to look for; need not be unit vectors.
        k : int
            At most the number of labels.

        Returns
        -------
        labels : ndarray of shape (n, k), dtype int64
            Their codes, the nearest first.
        cosines : ndarray of shape (n, k)
            Their cosines with the vector, the largest first.

        Raises
        ------
        ValueError
            If ``k`` is out of range.
        """
        k = check_n_labels(k, len(self.embeddings))
        units = normalise_rows(vectors)
        if not len(units):
            return np.empty((0, k), dtype=np.int64), np.empty((0, k), dtype=units.dtype)
        matches = self._index.search(units.astype(np.float32), k, threads=1)
        best = np.asarray(matches.keys).astype(np.int64).reshape(len(units), k)
        near = self.embeddings[best.ravel()].reshape(*best.shape, -1)
        return _in_order(best, np.einsum("nkd,nd->nk", near, units))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_index": bytes(self._index.save())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        stored, self._index = self._index, self._empty()
        self._index.load(stored)


def make_search(name: str, embeddings: NDArray[Any]) -> ExactSearch | ApproximateSearch:
    """Return a search by its name.

    Parameters
    ----------
    name : {"exact", "approximate"}
    embeddings : ndarray of shape (n_labels, n_components)
        Unit rows.

    Returns
    -------
    ExactSearch or ApproximateSearch
        The search over these embeddings.

    Raises
    ------
    ValueError
        If the name is unknown.
    MissingExtraError
        If the approximate one is asked for without its package.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import make_search
    >>> type(make_search("exact", np.eye(2))).__name__
    'ExactSearch'
    """
    check_choice(name, ("approximate", "exact"), "search")
    return ExactSearch(embeddings) if name == "exact" else ApproximateSearch(embeddings)


def check_n_labels(k: Any, n_labels: int) -> int:
    """Return how many labels are asked for, if there are as many.

    Parameters
    ----------
    k : object
        What the caller passed.
    n_labels : int
        Labels that there are.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If it is not a whole number from 1 to ``n_labels``.
    """
    whole = isinstance(k, Integral) and not isinstance(k, bool)
    if not (whole and 1 <= int(k) <= n_labels):
        raise ValueError(
            f"k must be a whole number from 1 to the number of labels, {n_labels}. Got {k!r} "
            "instead."
        )
    return int(k)


def _usearch() -> Any:
    try:
        from usearch import index
    except ImportError as error:
        raise MissingExtraError(
            "search='approximate' needs the package usearch; install it with pip install "
            "'hierlearn[search]', or set search='exact'."
        ) from error
    return index


def _in_order(labels: NDArray[Any], cosines: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sort by falling cosine; of equal ones the first label comes first."""
    order = np.lexsort((labels, -cosines), axis=1)
    return np.take_along_axis(labels, order, axis=1), np.take_along_axis(cosines, order, axis=1)
