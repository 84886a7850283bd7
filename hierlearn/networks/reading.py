"""Reading the features of a network at one layer: what lies above is cut off."""

from __future__ import annotations

import copy
import difflib
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import nn

from .._progress import count, counting
from ._data import as_tensor
from ._runtime import resolve_device, threads
from .split import chain, is_chain

# What may follow the classifier layer of a network and leaves it the classifier layer.
_CLASSIFIER_TAIL = (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid, nn.Identity, nn.Flatten)
# Elements of a batch of inputs: small ones stay in a CPU's cache, large ones keep a GPU busy.
_BATCH_ELEMENTS = {"cpu": 2**18, "cuda": 2**23}
_MAX_BATCH_ROWS = 1024
_MAX_NAMES = 20


class ImageInput(nn.Module):
    """Bring rows into the form that a pre-trained network wants.

    Parameters
    ----------
    shape : tuple of int or None, default=None
        Shape of one sample, for rows that come flat.
    resize : int or None, default=None
        Side in pixels to which images are brought, bilinearly.
    scale : pair of float or of sequences of float, callable or None, default=None
        ``(shift, divisor)``, each one number or one a channel: the input becomes
        ``(x - shift) / divisor``. A callable is given the batch as a tensor and returns it.
    """

    def __init__(
        self, shape: tuple[int, ...] | None = None, resize: int | None = None, scale: Any = None
    ) -> None:
        super().__init__()
        self.shape, self.resize = shape, resize
        self.shift: torch.Tensor
        self.divisor: torch.Tensor
        self.scale = scale if callable(scale) else None
        shift, divisor = (0.0, 1.0) if scale is None or callable(scale) else scale
        self.register_buffer("shift", _per_channel(shift), persistent=False)
        self.register_buffer("divisor", _per_channel(divisor), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the batch as the network takes it."""
        if self.shape is not None:
            x = x.reshape(-1, *self.shape)
        if self.resize is not None:
            size = (self.resize, self.resize)
            x = nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)
        return self.scale(x) if self.scale is not None else (x - self.shift) / self.divisor


def _per_channel(value: Any) -> torch.Tensor:
    tensor = torch.as_tensor(np.asarray(value, dtype=np.float64))
    return tensor.reshape(-1, 1, 1) if tensor.ndim else tensor


class GlobalPool(nn.Module):
    """Average over all positions; leave vectors as they are.

    Maps ``(n, channels, height, width)`` are averaged over all but the first two dimensions. Three
    dimensions are tokens ``(n, tokens, d)``, as transformers have them, and averaged over the
    tokens.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return one vector a sample."""
        if x.ndim == 3:
            return x.mean(dim=1)
        return x.flatten(2).mean(dim=-1) if x.ndim > 3 else x


class _Reached(Exception):
    """Ends a network's run at the layer that is read."""

    def __init__(self, features: torch.Tensor) -> None:
        super().__init__()
        self.features = features


class ReadLayer(nn.Module):
    """Run any network as far as a layer and return what that layer reads or gives.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layer : str
        Dotted name of the layer.
    of_input : bool, default=False
        Whether its input is returned, and not its output.
    """

    def __init__(self, module: nn.Module, layer: str, of_input: bool = False) -> None:
        super().__init__()
        self.module, self.layer, self.of_input = module, layer, of_input

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features of a batch; layers above do not run."""
        layer, caller = self.module.get_submodule(self.layer), threading.get_ident()

        def before(_: Any, inputs: tuple) -> None:
            if threading.get_ident() == caller:  # another thread may run the same module
                raise _Reached(inputs[0])

        def after(_: Any, inputs: tuple, output: torch.Tensor) -> None:
            if threading.get_ident() == caller:
                raise _Reached(output)

        if self.of_input:
            handle = layer.register_forward_pre_hook(before)
        else:
            handle = layer.register_forward_hook(after)
        try:
            self.module(x)
        except _Reached as reached:
            return reached.features
        finally:
            handle.remove()
        raise ValueError(f"layer must name a layer that runs. Got {self.layer!r}, which does not.")


def build_reader(
    module: nn.Module, layer: str | None, inputs: ImageInput | None, row: torch.Tensor, pool: bool
) -> nn.Sequential:
    """Return a frozen copy of a network that ends at a layer.

    Parameters
    ----------
    module : torch.nn.Module
        The network; not changed.
    layer : str or None
        Dotted name of the layer whose output is wanted. None takes what the last ``nn.Linear``
        reads, or the network's output where no such layer ends it.
    inputs : ImageInput or None
        What stands in front of it.
    row : Tensor of shape (1, ...)
        A sample to find the order of the layers with.
    pool : bool
        Whether maps are averaged over all positions, and tokens over all tokens.

    Returns
    -------
    torch.nn.Sequential
        ``inputs``, ``backbone`` and ``pool``, as far as wanted, in evaluation mode.

    Raises
    ------
    ValueError
        If there is no such layer, or the network does not take the row.
    """
    copied = copy.deepcopy(module).eval().requires_grad_(False)
    inputs = None if inputs is None else inputs.to(dtype_of(module))
    seen = row if inputs is None else inputs(row)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if inputs is not None:
        layers["inputs"] = inputs
    layers["backbone"] = _cut(copied, layer, seen)
    if pool:
        layers["pool"] = GlobalPool()
    return nn.Sequential(layers).eval()


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the floating type of a network's weights."""
    kinds = (p.dtype for p in module.parameters() if p.is_floating_point())
    return next(kinds, torch.float32)


def _cut(module: nn.Module, layer: str | None, row: torch.Tensor) -> nn.Module:
    if layer is not None:
        _check_layer(module, layer)
        names = [name for name, _ in chain(module)] if is_chain(module) else []
        if layer in names:
            return _first(module, names.index(layer) + 1)
        return ReadLayer(module, layer)
    order = run_order(module, row)
    linear = _classifier_layer(module, order)
    if linear is None:
        return module
    if is_chain(module):
        names = [name for name, _ in chain(module)]
        if linear in names:
            return _first(module, names.index(linear))
    return _without_classifier(module, linear, row)


def _check_layer(module: nn.Module, layer: str) -> None:
    names = [name for name, _ in module.named_modules() if name]
    if layer in names:
        return
    near = difflib.get_close_matches(layer, names, n=5)
    listed = ", ".join(names[:_MAX_NAMES]) + (", ..." if len(names) > _MAX_NAMES else "")
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {listed}."
    raise ValueError(f"layer must name a layer of the backbone. Got {layer!r} instead; {hint}")


def _first(module: nn.Module, n_layers: int) -> nn.Sequential:
    """Return the first layers of a chain, named as in it, but for dots."""
    layers = chain(module)[:n_layers]
    return nn.Sequential(OrderedDict((name.replace(".", "_"), layer) for name, layer in layers))


def run_order(module: nn.Module, row: torch.Tensor) -> list[str]:
    """Return the names of the layers in the order in which they first run.

    Layers are modules without modules of their own, and those that hold weights beside them.

    Parameters
    ----------
    module : torch.nn.Module
    row : Tensor of shape (1, ...)
        What is propagated.
    """
    probe = copy.deepcopy(module).eval()
    ran: dict[str, None] = {}
    for name, layer in probe.named_modules():
        leaf, own = not list(layer.children()), list(layer.parameters(recurse=False))
        if name and (leaf or own):
            layer.register_forward_pre_hook(lambda _, __, name=name: ran.setdefault(name))
    with torch.no_grad():
        probe(row)
    return list(ran)


def _classifier_layer(module: nn.Module, order: Sequence[str]) -> str | None:
    """Return the name of the ``nn.Linear`` that a network ends in, or None."""
    for name in reversed(order):
        layer = module.get_submodule(name)
        if isinstance(layer, nn.Linear):
            return name
        if not isinstance(layer, _CLASSIFIER_TAIL):
            return None
    return None


def _without_classifier(module: nn.Module, linear: str, row: torch.Tensor) -> nn.Module:
    """Take the classifier layer out where the network then gives its input; else read that."""
    reading = ReadLayer(module, linear, of_input=True)
    plain = copy.deepcopy(module)
    outer, _, name = linear.rpartition(".")
    setattr(plain.get_submodule(outer), name, nn.Identity())
    with torch.no_grad():
        wanted = reading(row)
        try:
            found = plain(row)
        except Exception:  # whatever a forward of the user's own makes of the missing layer
            return reading
    same = isinstance(found, torch.Tensor) and torch.equal(found, wanted)
    return plain if same else reading


def weights_digest(module: nn.Module) -> str:
    """Return a digest of what a network computes: its layers and all their weights."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{type(module).__module__}.{type(module).__qualname__} {module!r}".encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def run_batches(
    module: nn.Module,
    X: Any,
    batch_size: int | str,
    device: str,
    n_jobs: int | None,
    *,
    told: str = "",
) -> np.ndarray:
    """Propagate rows in evaluation mode, each once, in batches small enough for large networks.

    Parameters
    ----------
    module : torch.nn.Module
        Its first layer may be an :class:`ImageInput`, whose resizing counts for the batch size.
    X : ndarray, csr matrix or LazyRows of shape (n_samples, ...)
    batch_size : int or "auto"
    device : str
    n_jobs : int or None
    told : str, default=""
        What the batches are called where a fit shows progress; empty says nothing of them.

    Returns
    -------
    ndarray of shape (n_samples, ...)
    """
    target = resolve_device(device, fitted=True)
    module, dtype = module.to(target).eval(), dtype_of(module)
    step = auto_rows(module, X.shape[1:], target) if batch_size == "auto" else int(batch_size)
    parts: list[np.ndarray] = []
    counted = counting(-(-X.shape[0] // step), told) if told else nullcontext()
    with torch.inference_mode(), threads(n_jobs), counted:
        for start in range(0, X.shape[0], step):
            batch = as_tensor(X[start : start + step], dtype).to(target)
            parts.append(module(batch).cpu().numpy())
            if told:
                count(len(parts))
    return np.concatenate(parts)


def auto_rows(module: nn.Module, shape: Iterable[int], device: torch.device) -> int:
    """Return the rows of a batch that ``batch_size="auto"`` stands for."""
    size = int(np.prod(tuple(shape)))
    resizing = [layer for layer in module.modules() if isinstance(layer, ImageInput)]
    if resizing and resizing[0].resize is not None:
        size = max(size, 3 * resizing[0].resize ** 2)
    wanted = _BATCH_ELEMENTS[device.type] // max(size, 1)
    return int(np.clip(wanted, 1, _MAX_BATCH_ROWS))


def described(error: Exception) -> str:
    """Return an exception as one line of text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__} ({lines[0] if lines else 'no message'})"


Scale = tuple[Any, Any] | Callable[[torch.Tensor], torch.Tensor] | None
