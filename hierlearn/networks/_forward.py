"""Propagating rows through a trained network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ._data import as_tensor, prediction_slices
from ._runtime import resolve_device, threads


def forward(
    module: nn.Module, X: Any, device: str = "auto", n_jobs: int | None = None
) -> np.ndarray:
    """Propagate validated rows through a network in evaluation mode, batch by batch.

    Parameters
    ----------
    module : torch.nn.Module
    X : ndarray or csr matrix of shape (n_samples, ...)
    device : str, default="auto"
    n_jobs : int or None, default=None
        CPU threads.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    target = resolve_device(device, fitted=True)
    module = module.to(target).eval()
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    with torch.inference_mode(), threads(n_jobs):
        parts = [
            module(as_tensor(X[rows], dtype).to(target)).cpu().numpy()
            for rows in prediction_slices(X.shape)
        ]
    return np.concatenate(parts)
