"""Propagating rows through a trained network."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import nn

from ._data import as_tensor, prediction_slices
from ._runtime import resolve_device, threads
from ._target import check_finite, check_outputs
from .split import chain, is_chain
from .standardise import Standardise

Compute = Callable[[torch.Tensor], torch.Tensor]

# Layers that return what they are given, or a view of it.
_PASSING = (nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d)
# Layers whose output is new, and which leave their input as it is.
_READING = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.LayerNorm, Standardise)


def forward(
    module: nn.Module,
    X: Any,
    device: str = "auto",
    n_jobs: int | None = None,
    *,
    finish: Compute | None = None,
    check: bool = False,
) -> np.ndarray:
    """Propagate validated rows through a network in evaluation mode, batch by batch.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    X : ndarray or csr matrix of shape (n_samples, ...)
        Rows, checked before.
    device : str, default="auto"
        "auto" (CUDA where available), "cpu", "cuda" or "cuda:<index>".
    n_jobs : int or None, default=None
        CPU threads.
    finish : callable or None, default=None
        From a batch of outputs to what is returned of it, such as a softmax.
    check : bool, default=False
        Whether NaN and infinity in X are still to be refused; each batch is looked at while it is
        in the cache.

    Returns
    -------
    ndarray of shape (n_samples, ...)
        What the network returns, or ``finish`` makes of it.
    """
    if finish is None:
        return in_batches(module, module, X, device, n_jobs, check=check)
    outer = finish

    def compute(x: torch.Tensor) -> torch.Tensor:
        outputs = module(x)
        if not isfinite(outputs.sum().item()):  # one number to wait for
            check_outputs(outputs)
        return outer(outputs)

    return in_batches(module, compute, X, device, n_jobs, check=check)


def in_batches(
    module: nn.Module,
    compute: Compute,
    X: Any,
    device: str = "auto",
    n_jobs: int | None = None,
    *,
    check: bool = False,
    entry: nn.Module | None = None,
) -> np.ndarray:
    """Compute something with a network in evaluation mode, batch by batch.

    Parameters
    ----------
    module : torch.nn.Module
        The network, which is moved to the device.
    compute : callable
        From a batch to what is wanted of it.
    X, device, n_jobs, check
        See :func:`forward`.
    entry : torch.nn.Module or None, default=None
        The network that is first to see the batch; None is ``module``.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    target = resolve_device(device, fitted=True)
    dtype = evaluating(module, target)
    shared = only_reads(module if entry is None else entry)
    checks = check and isinstance(X, np.ndarray) and X.dtype.kind not in "biu"
    found: np.ndarray | None = None
    with torch.inference_mode(), threads(n_jobs):
        slices = prediction_slices(X.shape, target.type)
        for rows in slices:
            batch = as_tensor(X[rows], dtype, shared=shared)
            if checks and not np.isfinite(batch.sum().item()):
                check_finite(X)  # passes where a sum of large numbers is all that is infinite
                checks = False
            output = compute(batch.to(target))
            part = output.cpu().numpy()
            if found is None:
                if len(slices) == 1:
                    return part.copy() if _same_memory(output, batch) else part
                found = np.empty((X.shape[0], *part.shape[1:]), part.dtype)
            found[rows] = part
    assert found is not None
    return found


def evaluating(module: nn.Module, device: torch.device) -> torch.dtype:
    """Bring a network to a device and into evaluation mode; return its floating type.

    Both walk through all its layers, which takes as long as a small network's forward pass, so
    they are left out where there is nothing to do.
    """
    parameter = next(module.parameters(), None)
    on_cpu = parameter is None or parameter.device.type == "cpu"
    # Layers shared with other networks may lie apart, but without CUDA there is one place only.
    if not (on_cpu and device.type == "cpu" and not torch.cuda.is_initialized()):
        module.to(device)
    if any(layer.training for layer in module.modules()):
        module.eval()
    return torch.float32 if parameter is None else parameter.dtype


def only_reads(module: nn.Module) -> bool:
    """Tell whether a network is known not to write into the batch that it is given.

    So it is if a chain of layers begins with one that makes something new of its input.
    """
    if not is_chain(module):
        return type(module) in _READING and not _hooked(module)
    for _, layer in chain(module):
        if _hooked(layer):
            return False
        if type(layer) not in _PASSING:
            return type(layer) in _READING
    return False


def _hooked(layer: nn.Module) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


def _same_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
