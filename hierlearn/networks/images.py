"""Images as arrays: what shapes are taken, and what is said of those that are not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

# Last dimensions that look like the channels of an image: grey, colour, colour and opacity.
_CHANNELS = (1, 3, 4)
# Fewer pixels than this are no image that one would want to see as one.
_SMALLEST = 64


def check_input_shape(input_shape: Any) -> tuple[int, int, int] | None:
    """Return the shape of an image, (channels, height, width), or None where None is given.

    Raises
    ------
    ValueError
        If it is not two or three positive integers, or the channels come last.
    """
    if input_shape is None:
        return None
    sides = tuple(input_shape)
    if len(sides) not in (2, 3) or not all(
        isinstance(side, Integral) and int(side) > 0 for side in sides
    ):
        raise ValueError(
            "input_shape must be (channels, height, width), positive integers, or (height, width) "
            f"for one channel. Got {input_shape!r} instead."
        )
    if len(sides) == 3 and _is_channel_last(sides):
        raise ValueError(
            "input_shape must have the channels first, (channels, height, width). Got "
            f"{input_shape!r} instead, with channels last; move them in X, too, where they come "
            "last: np.moveaxis(X.reshape(-1, height, width, channels), -1, 1)."
        )
    channels, height, width = sides if len(sides) == 3 else (1, *sides)
    return int(channels), int(height), int(width)


def as_images(X: np.ndarray, wanted: Sequence[int] | None) -> np.ndarray:
    """Return images of shape (n, h, w) or (n, c, h, w) as (n, c, h, w).

    Parameters
    ----------
    X : ndarray
        Of more than two dimensions.
    wanted : sequence of three int or None
        Channels, height and width that the images must have; None takes any.

    Raises
    ------
    ValueError
        If the channels come last, or the shape is another.
    """
    images = X[:, None] if X.ndim == 3 else X
    return images.reshape(len(X), *_checked_shape(images.shape[1:], wanted, "X"))


def as_image(image: Any, wanted: Sequence[int] | None, name: str) -> np.ndarray:
    """Return one image, of shape (h, w) or (c, h, w), as (c, h, w).

    Parameters
    ----------
    image : array-like
        What was read.
    wanted : sequence of three int or None
        Channels, height and width that it must have; None takes any. A flat image takes this shape.
    name : str
        What to call it in an error.

    Raises
    ------
    ValueError
        If it is no image, the channels come last, or the shape is another.
    """
    pixels = np.asarray(image)
    if pixels.dtype.kind not in "biuf":
        raise ValueError(
            f"loader must return an array of numbers. Got {type(image).__name__} for {name} "
            "instead; convert it, e.g. with np.asarray(image)."
        )
    if pixels.ndim == 1 and wanted is not None and pixels.size == math.prod(wanted):
        return pixels.reshape(tuple(wanted))
    shape = (1, *pixels.shape) if pixels.ndim == 2 else pixels.shape
    return pixels.reshape(_checked_shape(shape, wanted, name))


def _checked_shape(
    shape: tuple[int, ...], wanted: Sequence[int] | None, name: str
) -> tuple[int, ...]:
    if wanted is not None and shape == tuple(wanted):
        return shape
    if len(shape) != 3:
        raise ValueError(
            "Images must have the shape (channels, height, width), or (height, width) for one "
            f"channel. Got {shape} in {name} instead."
        )
    if _is_channel_last(shape):
        raise ValueError(
            "Images must have their channels first, (channels, height, width). Got shape "
            f"{shape} in {name} instead, with channels last; move them, for all images with "
            "np.moveaxis(X, -1, 1) and in a loader with np.moveaxis(image, -1, 0)."
        )
    if wanted is not None:
        raise ValueError(
            f"Images must have the shape {tuple(wanted)}, (channels, height, width). Got {shape} "
            f"in {name} instead; resize or convert them, or set input_shape and fit anew."
        )
    return shape


def _is_channel_last(shape: tuple[int, ...]) -> bool:
    first, middle, last = shape
    return last in _CHANNELS and first not in _CHANNELS and middle != last


def flat_shape(n_features: int) -> tuple[int, int, int]:
    """Return the shape that rows of features have as images, where none is given: one line.

    Warns
    -----
    UserWarning
        If they look like square images, grey or of three channels.
    """
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if channels * side**2 == n_features and n_features // channels >= _SMALLEST:
            warnings.warn(
                f"X has {n_features} features in a row and is taken for images of one line. If "
                f"they are images of {side} x {side} pixels, set input_shape="
                f"({channels}, {side}, {side}).",
                stacklevel=2,
            )
            break
    return 1, 1, n_features
