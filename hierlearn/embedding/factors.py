"""Label vectors from a symmetric matrix of information: truncated SVD, rows on the sphere."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.linalg import svd
from sklearn.utils.extmath import randomized_svd

from hierlearn._validation import as_random_state, check_confusion
from hierlearn.embedding.sums import normalise_rows

__all__ = ["embed_labels"]

# Up to this size the exact decomposition takes less than a second.
_MAX_EXACT = 500
_N_POWER_ITERATIONS = 7
_N_OVERSAMPLES = 20
# Singular values, and lengths of rows, below this share of the largest are rounding.
_ROUNDING = 1e-9


def embed_labels(
    information: Any, n_components: int = 100, *, random_state: Any = None
) -> NDArray[np.float64]:
    """Embed labels on the unit sphere, so that those with much mutual information are close.

    The rows of ``U sqrt(S)`` of the truncated singular value decomposition, normalised.

    Parameters
    ----------
    information : array-like or sparse matrix of shape (n_labels, n_labels)
        Symmetric, not negative, see :func:`pmi`.
    n_components : int, default=100
        Dimensions, at most. There are fewer where fewer suffice: as many as the rank of the
        information, and one for each label on its own.
    random_state : int, RandomState instance or None, default=None
        Of the randomised decomposition, used above 500 labels, and of the directions of labels
        on their own where dimensions have run out.

    Returns
    -------
    embeddings : ndarray of shape (n_labels, n_found), dtype float64
        Rows of length one. A label on its own, that has no information about any other, gets a
        dimension of its own, orthogonal to all others, while there are some left; after that a
        random direction, nearly orthogonal to any other: it has nothing in common with other
        labels, and must not be mistaken for one of them. So does a label that the leading
        dimensions leave out.

    Raises
    ------
    ValueError
        If the matrix is not square, not finite or has a negative entry, or ``n_components`` is not
        a positive integer.

    References
    ----------
    Chollet (2016), Information-theoretical label embeddings for large-scale image classification.
    Halko, Martinsson & Tropp (2011), Finding structure with randomness.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import embed_labels
    >>> E = embed_labels([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]], 3)
    >>> (E @ E.T).round(2)
    array([[1. , 0.8, 0. ],
           [0.8, 1. , 0. ],
           [0. , 0. , 1. ]])
    """
    if not (isinstance(n_components, Integral) and n_components > 0):
        raise ValueError(
            f"n_components must be a positive whole number. Got {n_components!r} instead."
        )
    matrix = sp.csr_array(check_confusion(information, name="information"))
    random = as_random_state(random_state)
    alone = _on_their_own(matrix)
    together = np.flatnonzero(~alone)
    shared = _leading(matrix[together][:, together], int(n_components), random)
    n_shared = shared.shape[1]
    n_own = min(int(alone.sum()), int(n_components) - n_shared)
    embeddings = np.zeros((matrix.shape[0], n_shared + n_own))
    embeddings[together, :n_shared] = shared
    embeddings[np.flatnonzero(alone)[:n_own], n_shared + np.arange(n_own)] = 1.0
    return _all_on_sphere(embeddings, random)


def _on_their_own(matrix: sp.csr_array) -> NDArray[np.bool_]:
    """Tell which labels have no information about any other label."""
    others = sp.coo_array(matrix)
    rows, columns = others.coords
    linked = rows[(rows != columns) & (others.data > 0)]
    return np.bincount(linked, minlength=matrix.shape[0]) == 0


def _leading(matrix: sp.csr_array, n_components: int, random: Any) -> NDArray[np.float64]:
    """Return ``U sqrt(S)``, without the components that are rounding only."""
    n_labels = matrix.shape[0]
    if n_labels == 0:
        return np.zeros((0, 0))
    if n_labels <= max(_MAX_EXACT, n_components):
        left, sizes, _ = svd(matrix.toarray())
    else:
        left, sizes, _ = randomized_svd(
            matrix,
            n_components,
            n_oversamples=_N_OVERSAMPLES,
            n_iter=_N_POWER_ITERATIONS,
            random_state=random,
        )
    rank = int((sizes > _ROUNDING * sizes[0]).sum())
    kept = min(rank, n_components)
    return left[:, :kept] * np.sqrt(sizes[:kept])


def _all_on_sphere(embeddings: NDArray[np.float64], random: Any) -> NDArray[np.float64]:
    """Normalise the rows; those of no direction get a random one."""
    lengths = np.linalg.norm(embeddings, axis=1)
    lost = np.flatnonzero(lengths <= _ROUNDING * max(lengths.max(), 1.0))
    embeddings[lost] = random.standard_normal((lost.size, embeddings.shape[1]))
    return normalise_rows(embeddings)
