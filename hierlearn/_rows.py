"""Rows of X that are selected without being copied, and read a batch at a time.

``X[rows]`` of an array copies, which for the training part of a memory-mapped X is most of it. A
:class:`RowView` notes the row numbers only. Networks read batches anyway, so that splits, folds and
clusters of rows cost them nothing; every other classifier is handed an array or csr matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import assert_all_finite

# Selections from a smaller X are copied: that is as fast, and easier to work with.
LARGE_BYTES = 2**24
# Values looked at a time where all of X is looked through.
_BLOCK_VALUES = 2**20


class SelectedRows:
    """Rows as a sequence that reads nothing until it is turned into an array.

    Indexing with a slice, a mask or row numbers selects rows without reading them; a single number
    reads that row. A subclass says what a row is, in ``_row_shape`` and ``_read_one``, and reads
    what is selected in ``__array__``.

    Attributes
    ----------
    rows : ndarray of int, shape (n_samples,)
        Positions in what is selected from.
    dtype : numpy.dtype
        Type of the values.
    """

    rows: NDArray[Any]
    dtype: Any

    @property
    def _row_shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _read_one(self, row: Any) -> Any:
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and the shape of a row."""
        return (len(self.rows), *self._row_shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions of the array that it stands for."""
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """Return selected rows, unread, or for a single number that row as an array."""
        if isinstance(index, tuple):  # scikit-learn asks for X[rows, ...]
            index = next(part for part in index if part is not Ellipsis)
        if isinstance(index, int | np.integer):
            return self._read_one(self.rows[index])
        if not isinstance(index, slice):
            index = np.asarray(index)
            index = index if index.dtype == bool else index.astype(np.intp)
        selected = object.__new__(type(self))
        vars(selected).update(vars(self), rows=self.rows[index])
        return selected


class RowView(SelectedRows):
    """Rows of an array or csr matrix, which is neither copied nor, if it lies in a file, read.

    Parameters
    ----------
    source : ndarray of shape (n_rows, ...) or csr matrix of shape (n_rows, n_features)
        Perhaps memory-mapped.
    rows : ndarray of int, shape (n_samples,), default=None
        Row numbers in ``source``; None is all of them.
    finite : bool, default=False
        Whether the values are known to be finite, and need not be looked at again.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn._rows import RowView
    >>> view = RowView(np.arange(8).reshape(4, 2))[1:]
    >>> view.shape, view[[True, False, True]].read().tolist()
    ((3, 2), [[2, 3], [6, 7]])
    """

    # Of the source, once it was computed; selections and copies take it along.
    digest: str | None = None

    def __init__(self, source: Any, rows: NDArray[Any] | None = None, *, finite: bool = False):
        # Without numpy's subclass for memory maps, whose selections would be views again.
        self.source: Any = source if sparse.issparse(source) else np.asarray(source)
        self.rows = np.arange(self.source.shape[0]) if rows is None else rows
        self.dtype = self.source.dtype
        self.finite = finite

    @property
    def _row_shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.source.shape[1:]
        return shape

    @property
    def is_sparse(self) -> bool:
        """Whether rows are read from a csr matrix."""
        return bool(sparse.issparse(self.source))

    def read(self) -> Any:
        """Return the rows as an array or csr matrix of their own."""
        rows = self.rows
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
            part = self.source[int(rows[0]) : int(rows[-1]) + 1]
            return part.copy()
        return self.source[rows]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        found: Any = self.read()
        found = found.toarray() if self.is_sparse else found
        values: NDArray[Any] = found if dtype is None else found.astype(dtype, copy=False)
        return values

    def _read_one(self, row: Any) -> Any:
        return self.source[[row]] if self.is_sparse else self.source[row]

    def reshape(self, n_rows: int, *row_shape: int) -> Self:
        """Return the same rows in another shape; nothing is copied of an array in C order."""
        return type(self)(
            self.source.reshape(self.source.shape[0], *row_shape), self.rows, finite=self.finite
        )


def is_large(X: Any) -> bool:
    """Tell whether X is an array of numbers, or a csr matrix, of which no copies should be made.

    Parameters
    ----------
    X : object
    """
    if sparse.issparse(X):
        return X.format == "csr" and X.data.nbytes + X.indices.nbytes >= LARGE_BYTES
    if not isinstance(X, np.ndarray) or X.ndim < 2 or X.dtype.kind not in "biuf":
        return False
    return X.nbytes >= LARGE_BYTES


def viewed(X: Any, *, finite: bool = False) -> Any:
    """Return X as a :class:`RowView` if it is large, else as it is.

    Parameters
    ----------
    X : object
    finite : bool, default=False
        Whether its values are known to be finite.
    """
    return RowView(X, finite=finite) if is_large(X) else X


def select_rows(X: Any, rows: Any) -> Any:
    """Return some rows of X for a reader of batches: a view of a large X, a copy of a small one.

    Parameters
    ----------
    X : ndarray, csr matrix, SelectedRows, or a dict of these
        Checked before; views of it count as finite.
    rows : ndarray of int or bool
    """
    if isinstance(X, dict):
        return {name: select_rows(part, rows) for name, part in X.items()}
    return viewed(X, finite=True)[rows]


def row_blocks(X: Any) -> Iterator[tuple[slice, Any]]:
    """Yield X in blocks of rows, so that nothing of its size is ever made.

    Parameters
    ----------
    X : ndarray, csr matrix or RowView of shape (n_samples, ...)

    Yields
    ------
    rows : slice
    block : ndarray or csr matrix

    Examples
    --------
    >>> import numpy as np
    >>> [rows for rows, _ in row_blocks(np.zeros((2**20, 2)))]
    [slice(0, 524288, None), slice(524288, 1048576, None)]
    """
    n_rows = X.shape[0]
    source: Any = X.source if isinstance(X, RowView) else X
    if sparse.issparse(source):
        per_row = source.nnz / max(source.shape[0], 1)
    else:
        per_row = math.prod(X.shape[1:])
    step = max(int(_BLOCK_VALUES / max(per_row, 1)), 1)
    for start in range(0, n_rows, step):
        rows = slice(start, min(start + step, n_rows))
        block = X[rows]
        yield rows, block.read() if isinstance(block, RowView) else block


def check_blocks_finite(X: Any, **options: Any) -> None:
    """Check as :func:`sklearn.utils.assert_all_finite` does, block by block.

    Parameters
    ----------
    X : ndarray, csr matrix or RowView
        What is not floating point passes unread.
    **options : dict
        Handed on.

    Raises
    ------
    ValueError
        If a value is not finite.
    """
    if X.dtype.kind != "f":
        return
    for _, block in row_blocks(X):
        with np.errstate(invalid="ignore", over="ignore"):  # it adds up all numbers
            assert_all_finite(block, **options)
