"""Centring and scaling the pixels inside the network, by what its training images hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

# Variances below this share of the squared mean are rounding, of a channel that is constant.
_CONSTANT = 1e-12


class Standardise(nn.Module):
    """Subtract each channel's mean and divide by its standard deviation.

    Mean and deviation are buffers: they are saved with the weights and are not trained.

    Parameters
    ----------
    n_channels : int
        Channels of the images.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.standardise import Standardise
    >>> layer = Standardise(1)
    >>> images = torch.tensor([0.0, 4.0]).reshape(2, 1, 1, 1)
    >>> layer.measure([(images, torch.ones(2))])
    >>> layer(images).ravel().tolist()
    [-1.0, 1.0]
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_channels, 1, 1))
        self.register_buffer("deviation", torch.ones(n_channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardise images of shape (n, n_channels, h, w)."""
        return (x - self.mean) / self.deviation

    def measure(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Set mean and deviation to those of weighted images.

        Parameters
        ----------
        batches : iterable of (images, weights)
            Tensors of shape (n, n_channels, h, w) and (n,).

        Raises
        ------
        ValueError
            If squares of the values are infinite.
        """
        total, sums, squares = 0.0, np.zeros(len(self.mean)), np.zeros(len(self.mean))
        for images, weights in batches:
            x = images.flatten(2).to(torch.float64)
            weight = weights.to(torch.float64)
            sums += (weight @ x.mean(2)).numpy()
            squares += (weight @ x.square().mean(2)).numpy()
            total += float(weight.sum())
        mean = sums / total
        with np.errstate(over="ignore", invalid="ignore"):
            variance = np.maximum(squares / total - mean**2, 0)
        if not np.isfinite(variance).all():
            raise ValueError(
                "X must hold numbers whose squares can be added up, to be standardised. Got a mean "
                f"of {abs(mean).max():g} and squares that are infinite instead; scale X."
            )
        constant = variance <= _CONSTANT * mean**2
        self._set(self.mean, mean)
        self._set(self.deviation, np.sqrt(np.where(constant, 1.0, variance)))

    def _set(self, buffer: torch.Tensor, values: Any) -> None:
        buffer.copy_(torch.from_numpy(values).reshape(buffer.shape))

    def extra_repr(self) -> str:
        """Return the number of channels, for the module's listing."""
        return str(len(self.mean))
