"""Images that stay on disk, or wherever a data set has them, until a batch of them is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset, IterableDataset

from .._rows import SelectedRows
from ._skorch import SliceDataset
from .images import as_image


class LazyRows(SelectedRows):
    """Images as a sequence that reads nothing until it is turned into an array.

    Indexing with a slice, a mask or row numbers selects rows without reading them, so that splits,
    folds and clusters of rows cost nothing; ``np.asarray`` reads what is selected, which in
    training and prediction is a batch.

    Parameters
    ----------
    source : sequence
        One item a row: a path, or what a data set returns.
    load : callable
        From an item to an image, an array of shape (channels, h, w) or (h, w).
    input_shape : tuple of three int or None
        Shape of an image; None takes that of the first one, which is read at once.
    rows : ndarray of shape (n_samples,), default=None
        Positions in ``source``; None is all.

    Attributes
    ----------
    shape : tuple of four int
        Number of rows, channels, height and width.
    dtype : numpy.dtype
        Type of the first image.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn.networks.lazy_rows import LazyRows
    >>> def load(item):
    ...     print("reading", item)
    ...     return np.zeros((2, 2))
    >>> rows = LazyRows(["a", "b", "c", "d"], load, None)
    reading a
    >>> np.asarray(rows[1:][[True, False, True]]).shape
    reading b
    reading d
    (2, 1, 2, 2)
    """

    def __init__(
        self,
        source: Sequence[Any],
        load: Callable[[Any], Any],
        input_shape: tuple[int, ...] | None,
        rows: np.ndarray | None = None,
    ) -> None:
        self.source = source
        self.load = load
        self.rows = np.arange(len(source)) if rows is None else rows
        if not len(self.rows):
            raise ValueError(
                "X must hold at least one row. Found array with 0 sample(s) (an empty list of "
                "images) while a minimum of 1 is required; check the folder that was listed."
            )
        self._wanted = input_shape
        first = self._read_one(self.rows[0])
        self._wanted = first.shape
        self.dtype = first.dtype

    @property
    def _row_shape(self) -> tuple[int, ...]:
        assert self._wanted is not None
        return self._wanted

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if not len(self.rows):
            return np.empty(self.shape, dtype or self.dtype)
        images = np.stack([self._read_one(row) for row in self.rows])
        return images if dtype is None else images.astype(dtype, copy=False)

    def _read_one(self, row: Any) -> np.ndarray:
        item = self.source[int(row)]
        named = f"row {row} ({os.fspath(item)!r})" if _is_path(item) else f"row {row}"
        image = as_image(self.load(item), self._wanted, named)
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise ValueError(
                f"X must hold finite numbers only. Got NaN or inf in {named} instead; leave it out."
            )
        return image


def lazy_rows(
    X: Any, loader: Callable[[Any], Any] | None, input_shape: tuple[int, ...] | None
) -> LazyRows | None:
    """Return images that are to be read batch by batch as :class:`LazyRows`; None for an array.

    Parameters
    ----------
    X : object
        ``LazyRows``, a torch ``Dataset`` or skorch's ``SliceDataset`` of images or (image, label)
        pairs, a one-dimensional sequence of whatever ``loader`` takes, or anything else.
    loader : callable or None
        From an item of X, such as a path, to an image.
    input_shape : tuple of three int or None
        Shape of an image; None takes that of the first one.

    Raises
    ------
    ValueError
        If X holds paths and there is no loader, a data set has no length, or there are no images.
    """
    if isinstance(X, LazyRows):
        return X
    if isinstance(X, IterableDataset):
        raise ValueError(
            "X must be a data set with a length, whose items are found by number. Got "
            f"{type(X).__name__} instead; wrap it in a map-style torch.utils.data.Dataset."
        )
    if isinstance(X, Dataset | SliceDataset):
        return LazyRows(X, image_of, input_shape)  # type: ignore[arg-type]
    items = _items(X)
    if items is None or (loader is None and not (items and _is_path(items[0]))):
        return None
    if loader is None:
        raise ValueError(
            "loader must be a function from a path to an image array where X holds paths. Got None "
            f"instead, for X beginning with {items[0]!r}; pass one that opens the file and returns "
            "its pixels, channels first."
        )
    return LazyRows(items, loader, input_shape)


def labels_of(dataset: Dataset) -> np.ndarray:
    """Return the labels of a data set of (image, label) pairs, reading every item once."""
    items = (dataset[row] for row in range(len(dataset)))  # type: ignore[arg-type]
    labels = [item[1] if _is_pair(item) else None for item in items]
    if any(label is None for label in labels):
        raise ValueError(
            "y must be given where the items of X are images alone. Got None instead; pass the "
            "label of every item, or a data set of (image, label) pairs."
        )
    return np.asarray([np.asarray(label) for label in labels])


def image_of(item: Any) -> Any:
    """Return the image out of an item of a data set, with or without a label beside it."""
    return item[0] if _is_pair(item) else item


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple | list) and len(item) > 1 and np.ndim(item[0]) > 1


def _is_path(item: Any) -> bool:
    return isinstance(item, str | os.PathLike)


def _items(X: Any) -> list[Any] | None:
    """Return a one-dimensional sequence as a list; None of anything else."""
    shape = getattr(X, "shape", None)
    if shape is not None:
        return list(X) if len(shape) == 1 else None
    if not isinstance(X, list | tuple):
        return None
    plain = all(_is_path(item) or np.isscalar(item) for item in X)
    return list(X) if plain else None
