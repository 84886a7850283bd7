"""Arrays and sparse matrices as torch data sets that hand out whole batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse

from .._rows import select_rows

# Elements of one dense prediction batch; bounds memory when a wide sparse X is densified. A batch
# that stays in a CPU's cache is read once; a GPU is kept busy by large ones.
_BATCH_ELEMENTS = {"cpu": 2**22, "cuda": 2**24}
_MAX_BATCH_ROWS = {"cpu": 1024, "cuda": 8192}
# The maps of a convolutional network are many times as large as the image.
_IMAGE_BATCH_ELEMENTS = {"cpu": 2**18, "cuda": 2**21}
# What scikit-learn would pass on as it is, if its shape is right.
_PLAIN_TYPES = "fdbBhHiIlLqQ"
_FLOATS = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


def is_plain(X: Any, row_shape: tuple[int, ...]) -> bool:
    """Tell whether X is an array of such rows that scikit-learn's checks would leave as it is.

    All but NaN and infinity, that is, which this does not look for.
    """
    return (
        type(X) is np.ndarray
        and X.shape[1:] == row_shape
        and X.size > 0
        and X.dtype.char in _PLAIN_TYPES
        and X.dtype.isnative
    )


def as_tensor(rows: Any, dtype: torch.dtype | None = None, *, shared: bool = False) -> torch.Tensor:
    """Return a batch of rows, dense or scipy-sparse, as a tensor.

    It owns its memory, for a network may work in place, and must not do so on a view of the
    caller's array. Where it is known to do no such thing, ``shared`` spares the copy.
    """
    if sparse.issparse(rows):
        rows = rows.toarray()
    rows = np.asarray(rows)
    if not rows.dtype.isnative or rows.dtype == np.longdouble:
        rows = rows.astype(np.float64)  # torch knows neither
    wanted = _FLOATS.get(dtype) if dtype is not None and rows.dtype.kind in "fiub" else None
    if wanted is not None and rows.dtype != wanted:
        with np.errstate(over="ignore"):  # as torch casts
            rows = rows.astype(wanted, order="C")
    rows = np.ascontiguousarray(rows)
    owned = rows.flags.writeable and (shared or rows.base is None)
    tensor = torch.from_numpy(rows if owned else rows.copy())
    return tensor if dtype is None or tensor.dtype == dtype else tensor.to(dtype)


def take_rows(X: Any, rows: Any) -> Any:
    """Return some rows of an array, or of every array in a dict."""
    if isinstance(X, dict):
        return {name: part[rows] for name, part in X.items()}
    return X[rows]


class BatchDataset(torch.utils.data.Dataset):
    """Rows of X with targets and weights, fetched a batch at a time.

    torch's loader fetches sample by sample and collates; with ``__getitems__`` it hands over all
    indices of a batch at once, so that dense rows are sliced and sparse rows densified in one call.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...), sparse matrix of shape (n_samples, n_features), or dict
        Input; cast to ``dtype`` batch by batch, never as a whole. A dict of such arrays becomes the
        keyword arguments of the network.
    target : ndarray of shape (n_samples,) or (n_samples, n_labels), or sparse matrix
        Class codes (int64), or a label indicator.
    weight : ndarray of shape (n_samples,)
        Weight of every sample in the loss.
    dtype : torch.dtype
        Floating type of the network.
    soft : ndarray of shape (n_samples, n_classes), default=None
        What a teacher says of each sample, handed out beside the weight.
    """

    def __init__(
        self,
        X: Any,
        target: Any,
        weight: np.ndarray,
        dtype: torch.dtype,
        soft: np.ndarray | None = None,
    ) -> None:
        self.X = X
        self.target = target
        self.weight = weight
        self.dtype = dtype
        self.soft = soft

    def __len__(self) -> int:
        return self.target.shape[0]

    def __getitems__(self, indices: list[int]) -> tuple[Any, tuple[torch.Tensor, ...]]:
        """Return ``X, (target, weight)`` of the given rows as tensors, perhaps with ``soft``."""
        rows = np.asarray(indices)
        target = as_tensor(self.target[rows])
        if target.ndim > 1:
            target = target.to(self.dtype)
        weight = as_tensor(self.weight[rows], self.dtype)
        if self.soft is None:
            return self._inputs(rows), (target, weight)
        return self._inputs(rows), (target, weight, as_tensor(self.soft[rows], self.dtype))

    def part(self, rows: np.ndarray) -> BatchDataset:
        """Return some of the rows."""
        soft = None if self.soft is None else self.soft[rows]
        X = select_rows(self.X, rows)
        return BatchDataset(X, self.target[rows], self.weight[rows], self.dtype, soft)

    def _inputs(self, rows: np.ndarray) -> Any:
        taken = take_rows(self.X, rows)
        if isinstance(taken, dict):
            return {name: as_tensor(part, self.dtype) for name, part in taken.items()}
        return as_tensor(taken, self.dtype)

    def __getitem__(self, index: int) -> tuple[Any, tuple[torch.Tensor, ...]]:
        """Return one row, as a batch of one."""
        return self.__getitems__([index])


def auto_batch_size(n_samples: int) -> int:
    """Return the default batch size: about a hundredth of the data, a power of two in [64, 256]."""
    return int(np.clip(2 ** int(np.log2(max(n_samples / 100, 1))), 64, 256))


def prediction_slices(shape: tuple[int, ...], device: str = "cpu") -> list[slice]:
    """Cut ``shape[0]`` rows into slices small enough to be densified and propagated.

    Parameters
    ----------
    shape : tuple of int
        Shape of X.
    device : {"cpu", "cuda"}, default="cpu"
        Where they are propagated.
    """
    per_row = max(int(np.prod(shape[1:])), 1)
    elements = (_IMAGE_BATCH_ELEMENTS if len(shape) > 2 else _BATCH_ELEMENTS)[device]
    step = int(np.clip(elements // per_row, 1, _MAX_BATCH_ROWS[device]))
    return [slice(start, start + step) for start in range(0, shape[0], step)]
