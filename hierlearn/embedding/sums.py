"""A sample's vector: the normalised sum of those of its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["normalise_rows", "sum_of_labels"]


def normalise_rows(rows: NDArray[Any]) -> NDArray[Any]:
    """Scale every row to length one; a row of zeros stays one.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Vectors of any length.

    Returns
    -------
    unit : ndarray of shape (n, d)
        A copy, its rows of length one or zero.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import normalise_rows
    >>> normalise_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def sum_of_labels(Y: Any, embeddings: NDArray[Any]) -> NDArray[Any]:
    """Return the normalised sum of the embeddings of each sample's labels.

    Parameters
    ----------
    Y : ndarray or csr matrix of shape (n_samples, n_labels)
        Label indicator, or degrees.
    embeddings : ndarray of shape (n_labels, n_components)
        Unit rows.

    Returns
    -------
    vectors : ndarray of shape (n_samples, n_components), dtype of ``embeddings``
        Of length one; zeros for a sample without labels, which has no direction.

    References
    ----------
    Chollet (2016), Information-theoretical label embeddings for large-scale image classification.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.embedding import sum_of_labels
    >>> sum_of_labels(np.array([[1, 1], [0, 1], [0, 0]]), np.eye(2)).round(2)
    array([[0.71, 0.71],
           [0.  , 1.  ],
           [0.  , 0.  ]])
    """
    return normalise_rows(np.asarray(Y @ embeddings, dtype=embeddings.dtype))
