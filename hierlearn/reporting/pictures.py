"""Small pictures of samples, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierlearn.exceptions import MissingExtraError

__all__ = ["Pictures", "as_images"]

_CHANNELS = (1, 3, 4)
_LONGEST_SIDE = 64
_QUALITY = 80


def as_images(X: Any, images: Any, image_shape: Sequence[int] | None) -> NDArray[Any] | None:
    """Return the samples as images, where they are.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Samples; of shape (n, channels, height, width), (n, height, width, channels) or
        (n, height, width) they are images already.
    images : array-like or None
        Images of the samples, where X holds something else.
    image_shape : sequence of int or None
        Shape of one image, where they are flat.

    Returns
    -------
    ndarray of shape (n_samples, height, width, channels), or None
        Any numeric dtype; None where the samples are no images.

    Raises
    ------
    ValueError
        If ``image_shape`` does not fit, or ``images`` are none, or not as many as X has rows.
    """
    wanted = images is not None or image_shape is not None
    found = X if images is None else images
    if not wanted and not isinstance(found, np.ndarray):
        return None
    found = np.asarray(found)
    if image_shape is not None:
        found = _shaped(found, tuple(int(side) for side in image_shape))
    n_rows = len(X) if hasattr(X, "__len__") else X.shape[0]
    if images is not None and len(found) != n_rows:
        raise ValueError(f"images must be one a sample, {n_rows}. Got {len(found)} instead.")
    arranged = _channels_last(found)
    if arranged is None and wanted:
        raise ValueError(
            "images must have shape (n, channels, height, width), (n, height, width, channels) or "
            f"(n, height, width). Got {found.shape} instead; give image_shape."
        )
    return arranged


def _shaped(rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    n_values = int(np.prod(rows.shape[1:]))
    if len(shape) not in (2, 3) or int(np.prod(shape)) != n_values:
        raise ValueError(
            f"image_shape must have two or three sides and {n_values} values, as each row has. "
            f"Got {shape} instead."
        )
    return rows.reshape(-1, *shape)


def _channels_last(images: NDArray[Any]) -> NDArray[Any] | None:
    if images.dtype.kind not in "uifb":
        return None
    if images.ndim == 3:
        return images[..., None]
    if images.ndim != 4:
        return None
    if images.shape[1] in _CHANNELS:
        return np.moveaxis(images, 1, -1)
    return images if images.shape[-1] in _CHANNELS else None


class Pictures:
    """Encodes samples as small pictures, until there is no room for more.

    Parameters
    ----------
    images : ndarray of shape (n_samples, height, width, channels), or None
        None makes no pictures.
    max_bytes : int
        Room for all of them together.

    Raises
    ------
    MissingExtraError
        If there are images and Pillow is not installed.
    """

    def __init__(self, images: NDArray[Any] | None, max_bytes: int) -> None:
        self._images = images
        self._left = max_bytes
        self._made: dict[int, str] = {}
        if images is not None:
            _require_pillow()
            self._low, self._high = _range(images)

    @property
    def available(self) -> bool:
        """Whether there are images."""
        return self._images is not None

    def of(self, rows: Iterable[int]) -> tuple[str, ...]:
        """Return pictures of some samples, as data URIs; fewer where there is no room.

        Parameters
        ----------
        rows : iterable of int
            Rows of X.

        Returns
        -------
        tuple of str
        """
        if self._images is None:
            return ()
        found = []
        for row in rows:
            if row not in self._made:
                self._made[row] = _encoded(self._pixels(row))
            if len(self._made[row]) > self._left:
                break
            self._left -= len(self._made[row])
            found.append(self._made[row])
        return tuple(found)

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        assert self._images is not None
        pixels = self._images[row].astype(np.float64)
        scaled = (pixels - self._low) / max(self._high - self._low, 1e-12)
        return np.rint(255 * np.clip(np.nan_to_num(scaled), 0, 1)).astype(np.uint8)


def _require_pillow() -> None:
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            'Pictures in a report need Pillow: install it with pip install "hierlearn[report]".'
        ) from error


def _range(images: NDArray[Any]) -> tuple[float, float]:
    """Return the values that are black and white: of bytes, of shares, or those that occur."""
    if images.dtype == np.uint8:
        return 0.0, 255.0
    if not images.size:
        return 0.0, 1.0
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    return (0.0, 1.0) if low >= 0 and 0.5 < high <= 1 else (low, high)


def _encoded(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image, features

    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
    kinds: dict[str, dict[str, Any]] = {"png": {"optimize": True}}
    if features.check("webp"):
        kinds["webp"] = {"quality": _QUALITY, "method": 6}
    files = {}
    for kind, options in kinds.items():
        file = io.BytesIO()
        image.save(file, kind.upper(), **options)
        files[kind] = file.getvalue()
    kind = min(files, key=lambda name: len(files[name]))
    return f"data:image/{kind};base64,{base64.b64encode(files[kind]).decode('ascii')}"
