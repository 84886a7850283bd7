"""Many small, jittered images out of a few drawn glyphs, by batched affine sampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_transforms", "sample_images"]

# Half-widths of the uniform jitter at strength 1.
_ROTATION = np.deg2rad(5.0)
_SHEAR = 0.06
_LOG_SCALE = 0.06
_SHIFT = 0.03  # of the side

_BATCH = 2048  # images sampled at a time


def draw_transforms(
    n_samples: int, strength: float, rng: np.random.RandomState
) -> NDArray[np.float32]:
    """Draw one random affine map for each image.

    Parameters
    ----------
    n_samples : int
        Number of maps.
    strength : float
        Factor on the jitter: 1 turns by up to 5 degrees, shears by up to 0.06, scales each axis
        by up to 6 % and shifts by up to 3 % of the side; 0 gives the identity.
    rng : numpy.random.RandomState
        Source of randomness.

    Returns
    -------
    transforms : ndarray of shape (n_samples, 2, 3), dtype float32
        From places in the image, in units of its side and from its centre, to places in the
        glyph, likewise. Coordinates are (x, y).
    """
    draws = rng.uniform(-1, 1, size=(n_samples, 6)) * strength
    angle, shear, log_x, log_y, shift_x, shift_y = draws.T
    cos, sin = np.cos(_ROTATION * angle), np.sin(_ROTATION * angle)
    rotation = np.moveaxis(np.array([[cos, -sin], [sin, cos]]), -1, 0)
    scale_x, scale_y = np.exp(_LOG_SCALE * log_x), np.exp(_LOG_SCALE * log_y)
    stretch = np.moveaxis(np.array([[scale_x, _SHEAR * shear], [0 * scale_y, scale_y]]), -1, 0)
    shift = _SHIFT * np.stack([shift_x, shift_y], axis=1)[:, :, None]
    return np.concatenate([rotation @ stretch, shift], axis=2).astype(np.float32)


def sample_images(
    glyphs: NDArray[np.uint8],
    rows: NDArray[np.int64],
    transforms: NDArray[np.float32],
    image_size: int,
    step: int,
) -> NDArray[np.float32]:
    """Sample an image of each glyph asked for, through its transform.

    Parameters
    ----------
    glyphs : ndarray of shape (n_glyphs, side, side), dtype uint8
        Drawn glyphs with an empty rim.
    rows : ndarray of shape (n_samples,), dtype int64
        Which glyph each image shows.
    transforms : ndarray of shape (n_samples, 2, 3), dtype float32
        See :func:`draw_transforms`.
    image_size : int
        Side of the images.
    step : int
        Pixels of the glyph to a pixel of the image.

    Returns
    -------
    images : ndarray of shape (n_samples, image_size**2), dtype float32
        Values in [0, 1].
    """
    images = np.empty((len(rows), image_size**2), dtype=np.float32)
    ticks = (np.arange(image_size) - (image_size - 1) / 2) * step
    x, y = np.meshgrid(ticks, ticks)
    # The last row carries the shift, which is in units of the side.
    grid = np.stack([x.ravel(), y.ravel(), np.full(x.size, image_size * step)]).astype(np.float32)
    for start in range(0, len(rows), _BATCH):
        batch = slice(start, start + _BATCH)
        images[batch] = _bilinear(glyphs, rows[batch], transforms[batch] @ grid)
    images /= 255
    return images


def _bilinear(
    glyphs: NDArray[np.uint8], rows: NDArray[np.int64], places: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate glyphs at places (n_samples, 2, n_pixels), counted from their centres."""
    side = glyphs.shape[-1]
    # Just short of the last pixel, so that its right and lower neighbours exist.
    places = np.clip(places + np.float32((side - 1) / 2), 0, np.float32(side - 1.001))
    corner = places.astype(np.int64)
    (x, y), (column, row) = np.moveaxis(places - corner, 1, 0), np.moveaxis(corner, 1, 0)
    first = rows[:, None] * side**2 + row * side + column
    flat = glyphs.reshape(-1)
    x = x.astype(np.float32)
    upper = flat[first] * (1 - x) + flat[first + 1] * x
    lower = flat[first + side] * (1 - x) + flat[first + side + 1] * x
    blended: NDArray[np.float32] = upper + y.astype(np.float32) * (lower - upper)
    return blended
