"""Where and how torch runs: device, precision, threads and random state, contained in one place.

Training must neither disturb the caller's torch settings nor depend on them. Everything global that
torch offers (generator, thread count) is therefore set inside :func:`isolated` and put back after.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from joblib import effective_n_jobs

from .._tasks import thread_share

# torch has one global generator a process. Two fits in two threads of a process would draw from it
# in turn, and the same seed would give other weights; so fits of one process take turns.
_RNG_LOCK = threading.RLock()


def resolve_device(device: str, *, fitted: bool = False) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:<i>"`` into a torch device.

    Parameters
    ----------
    device : str
        The name to resolve; ``"auto"`` is CUDA where it is available.
    fitted : bool, default=False
        Whether the model is fitted already. A model that was fitted on CUDA still predicts on a
        machine without one (with a warning); only fitting insists on the device asked for.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the GPU asked for is not available, or the name is not a device's.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = None
    if resolved is None or resolved.type not in ("cpu", "cuda"):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'cuda:<index>'. Got {device!r} instead."
        )
    if resolved.type == "cuda" and (resolved.index or 0) >= _n_gpus():
        if fitted:
            warnings.warn(
                f"device={device!r} is not available here: predicting on the CPU.", stacklevel=2
            )
            return torch.device("cpu")
        raise ValueError(
            f"device={device!r} needs CUDA, with a GPU of that number; it is not available here, "
            f"where there are {_n_gpus()} GPUs. Use 'auto' or 'cpu'."
        )
    return resolved


def _n_gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def resolve_threads(n_jobs: int | None) -> int:
    """Return the number of CPU threads: one for ``None``, as in scikit-learn; all for ``-1``.

    ``None`` does not look at an enclosing ``joblib.parallel_config``: the number of threads can
    change the last bits of a sum, and a fit must not depend on what runs around it. More than one
    is a wish: a worker among several gets its share of the cores at most.
    """
    if n_jobs is None:
        return 1
    wanted, share = int(effective_n_jobs(n_jobs)), thread_share()
    return wanted if share is None else min(wanted, share)


@contextmanager
def threads(n_jobs: int | None) -> Iterator[None]:
    """Set torch's CPU thread count inside the context and restore it after."""
    before, wanted = torch.get_num_threads(), resolve_threads(n_jobs)
    if before == wanted:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def isolated(seed: int, device: torch.device, n_jobs: int | None = None) -> Iterator[None]:
    """Run a fit under its own seed and thread count, leaving torch's global state as it was.

    Parameters
    ----------
    seed : int
        Seed of torch's generators (CPU and ``device``) inside the context.
    device : torch.device
        The device whose generator is saved and restored beside the CPU's.
    n_jobs : int or None, default=None
        CPU threads, see :func:`resolve_threads`.
    """
    cuda = [device] if device.type == "cuda" else []
    with _RNG_LOCK, threads(n_jobs), torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed, which seeds the generators of all GPUs, used or not.
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def autocast_dtype(device: torch.device, mixed_precision: bool | str) -> torch.dtype | None:
    """Return the type of mixed precision on this device, or None for full precision.

    bfloat16 needs no loss scaling, so that gradients are those of plain training; GPUs without it
    stay at full precision. So do CPUs unless told otherwise (``"always"``): few have instructions
    for it, and without them it is slower.
    """
    if mixed_precision == "always" and device.type == "cpu":
        return torch.bfloat16
    if mixed_precision and device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return None
