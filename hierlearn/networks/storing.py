"""Networks taken apart into plain values and tensors, and put together again.

What a file may bring back is decided here, layer by layer: the class of a layer comes from a list,
its hooks and whatever else torch keeps about a module are torch's own, made anew, and nothing of a
file can take a method's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = [
    "ModuleParts",
    "array_of",
    "check_network",
    "describe",
    "is_module_class",
    "is_stored_here",
    "make_module",
    "make_plain",
    "module_parts",
    "tensor_of",
    "torch_class",
    "torch_name",
]

# The layers of torch.nn that a file may name; all compute with tensors and do nothing else.
# Recurrent layers hold their weights a second time, by weak references, and are left out.
_LAYER_NAMES = """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
    AdaptiveMaxPool3d AlphaDropout AvgPool1d AvgPool2d AvgPool3d BatchNorm1d BatchNorm2d BatchNorm3d
    Bilinear CELU ChannelShuffle CircularPad1d CircularPad2d CircularPad3d ConstantPad1d
    ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d
    ConvTranspose3d CosineSimilarity Dropout Dropout1d Dropout2d Dropout3d ELU
    Embedding EmbeddingBag FeatureAlphaDropout Flatten Fold GELU GLU GroupNorm Hardshrink
    Hardsigmoid Hardswish Hardtanh Identity InstanceNorm1d InstanceNorm2d InstanceNorm3d LPPool1d
    LPPool2d LPPool3d LayerNorm LeakyReLU Linear LocalResponseNorm LogSigmoid LogSoftmax MaxPool1d
    MaxPool2d MaxPool3d Mish ModuleDict ModuleList MultiheadAttention PReLU PairwiseDistance
    ParameterDict ParameterList PixelShuffle PixelUnshuffle RMSNorm RReLU ReLU ReLU6
    ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d
    ReplicationPad3d SELU Sequential SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink
    Softsign SyncBatchNorm Tanh Tanhshrink Threshold TransformerDecoder TransformerDecoderLayer
    TransformerEncoder TransformerEncoderLayer Unflatten Unfold Upsample UpsamplingBilinear2d
    UpsamplingNearest2d ZeroPad1d ZeroPad2d ZeroPad3d
    BCEWithLogitsLoss CrossEntropyLoss KLDivLoss L1Loss MSELoss NLLLoss
    """
LAYERS = frozenset(f"torch.nn.{name}" for name in _LAYER_NAMES.split())

# Classes that are parameters (an optimiser) and functions that layers of torch.nn hold.
_OPTIMIZERS = "ASGD Adadelta Adafactor Adagrad Adam AdamW Adamax NAdam RAdam RMSprop Rprop SGD"
REFERENCES = frozenset(f"torch.optim.{name}" for name in _OPTIMIZERS.split()) | {
    "torch.nn.functional.gelu",
    "torch.nn.functional.relu",
}

# What every module has; a module's own attributes are the others.
_OF_ANY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = tuple(name for name in _OF_ANY_MODULE if name.endswith("_hooks"))
_PLAIN = (torch.dtype, torch.device, torch.Size)
_UNLIKE_NUMPY = {torch.bfloat16: torch.int16}


@dataclass(frozen=True)
class ModuleParts:
    """One layer without the layers below it.

    Parameters
    ----------
    training : bool
        Its mode.
    parameters, buffers, modules : list of (name, value)
        What is registered with it; values may be None.
    passing : list of str
        Buffers that are no part of its ``state_dict``.
    attributes : list of (name, value)
        Everything else it holds.
    """

    training: bool
    parameters: list[tuple[str, Any]] = field(default_factory=list)
    buffers: list[tuple[str, Any]] = field(default_factory=list)
    modules: list[tuple[str, Any]] = field(default_factory=list)
    passing: list[str] = field(default_factory=list)
    attributes: list[tuple[str, Any]] = field(default_factory=list)


def is_stored_here(value: Any) -> str | None:
    """Name the kind of a value that only this file can store; None for all others.

    Parameters
    ----------
    value : object

    Returns
    -------
    {"module", "tensor", "torch"} or None
    """
    if isinstance(value, nn.Module):
        return "module"
    if isinstance(value, torch.Tensor):
        return "tensor"
    return "torch" if isinstance(value, _PLAIN) else None


def is_module_class(cls: type) -> bool:
    """Tell whether instances of a class are networks.

    Parameters
    ----------
    cls : type

    Returns
    -------
    bool
    """
    return issubclass(cls, nn.Module)


# -- names -----------------------------------------------------------------------------------------


def torch_name(value: Any) -> str | None:
    """Return the public name of a class or function of torch that files may name, or None.

    Parameters
    ----------
    value : type or callable

    Returns
    -------
    str or None

    Examples
    --------
    >>> from torch import nn
    >>> from hierlearn.networks.storing import torch_name
    >>> torch_name(nn.Linear), torch_name(nn.DataParallel)
    ('torch.nn.Linear', None)
    """
    simple = getattr(value, "__name__", None)
    homes = ("torch.nn", "torch.optim", "torch.nn.functional")
    for name in (f"{home}.{simple}" for home in homes):
        if (name in LAYERS or name in REFERENCES) and torch_class(name) is value:
            return name
    return None


def torch_class(name: str) -> Any:
    """Return what a name on the lists stands for.

    Parameters
    ----------
    name : str
        As :func:`torch_name` returns it.

    Returns
    -------
    type or callable

    Raises
    ------
    KeyError
        If the name is not on the lists.
    """
    if name not in LAYERS and name not in REFERENCES:
        raise KeyError(name)
    home, _, simple = name.rpartition(".")
    homes = {"torch.nn": nn, "torch.optim": torch.optim, "torch.nn.functional": nn.functional}
    return getattr(homes[home], simple)


# -- modules ---------------------------------------------------------------------------------------


def module_parts(module: nn.Module) -> ModuleParts:
    """Take a layer apart.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    ModuleParts

    Raises
    ------
    ValueError
        If functions hang on the layer, or one of its weights has no shape yet.
    """
    state = vars(module)
    if hooked := sorted(name for name in _HOOKS if state[name]):
        raise ValueError(
            f"a network must be without hooks to be saved. Got a {type(module).__name__} with "
            f"{hooked[0].strip('_')} instead; remove them by their handles."
        )
    return ModuleParts(
        module.training,
        list(module._parameters.items()),
        list(module._buffers.items()),
        list(module._modules.items()),
        sorted(module._non_persistent_buffers_set),
        [(name, value) for name, value in state.items() if name not in _OF_ANY_MODULE],
    )


def make_module(cls: type[nn.Module], parts: ModuleParts) -> nn.Module:
    """Put a layer together, without running its constructor.

    Parameters
    ----------
    cls : type
        Its class.
    parts : ModuleParts
        Attributes must have been checked: none may hide a method of the class.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If the parts do not fit the class, or each other.
    """
    module = cls.__new__(cls)
    nn.Module.__init__(module)
    module.training = parts.training
    for name, value in parts.parameters:
        _check_type(value, nn.Parameter, name)
        module.register_parameter(name, value)
    for name, value in parts.buffers:
        _check_type(value, torch.Tensor, name)
        module.register_buffer(name, value, persistent=name not in parts.passing)
    for name, value in parts.modules:
        _check_type(value, nn.Module, name)
        module.register_module(name, value)
    for name, value in parts.attributes:
        if name in _OF_ANY_MODULE or hasattr(module, name):
            raise ValueError(f"a layer must hold each name once. Got {name!r} twice instead.")
        vars(module)[name] = value
    _check_shapes(module)
    return module


def _check_type(value: Any, wanted: type, name: str) -> None:
    if value is not None and not isinstance(value, wanted):
        raise ValueError(
            f"{name!r} of a layer must be a {wanted.__name__}. Got {type(value).__name__} instead."
        )


def _declared_shapes(module: Any) -> dict[str, Sequence[int]]:
    """Return the shapes that a layer's weights must have by its own numbers."""
    if isinstance(module, nn.Linear):
        return {
            "weight": (module.out_features, module.in_features),
            "bias": (module.out_features,),
        }
    if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        channels = (module.out_channels, module.in_channels // module.groups)
        return {"weight": (*channels, *module.kernel_size), "bias": (module.out_channels,)}
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
        names = ("weight", "bias", "running_mean", "running_var")
        return dict.fromkeys(names, (module.num_features,))
    if isinstance(module, nn.LayerNorm):
        return dict.fromkeys(("weight", "bias"), tuple(module.normalized_shape))
    if isinstance(module, nn.GroupNorm):
        return dict.fromkeys(("weight", "bias"), (module.num_channels,))
    if isinstance(module, nn.Embedding):
        return {"weight": (module.num_embeddings, module.embedding_dim)}
    return {}


def _check_shapes(module: nn.Module) -> None:
    """Check the weights of a layer against its own numbers."""
    for name, wanted in _declared_shapes(module).items():
        value = getattr(module, name)
        if value is not None and tuple(value.shape) != tuple(wanted):
            raise ValueError(
                f"{name!r} of a {type(module).__name__} must have shape {tuple(wanted)}. "
                f"Got {tuple(value.shape)} instead."
            )


# -- tensors and what else is torch's --------------------------------------------------------------


def array_of(tensor: torch.Tensor) -> tuple[np.ndarray, dict[str, Any]]:
    """Return a tensor's values as an array, and what it takes to make the tensor of it.

    Parameters
    ----------
    tensor : torch.Tensor
        On any device; dense.

    Returns
    -------
    values : ndarray
        May share memory with a tensor on the CPU.
    how : dict
        Of plain values, for :func:`tensor_of`.

    Raises
    ------
    ValueError
        If the tensor is sparse, quantised, or has no shape yet.
    """
    uninitialised = nn.parameter.is_lazy(tensor)
    if uninitialised or tensor.layout is not torch.strided or tensor.is_quantized:
        raise ValueError(
            f"a tensor must be dense to be saved. Got {type(tensor).__name__} of layout "
            f"{getattr(tensor, 'layout', None)} instead; run the network once, or make it dense."
        )
    dense = tensor.detach().cpu().resolve_conj().resolve_neg()
    strides = dense.stride() if _is_packed(dense.shape, dense.stride()) else None
    how = {
        "dtype": str(dense.dtype).removeprefix("torch."),
        "strides": None if strides is None else list(strides),
        "parameter": isinstance(tensor, nn.Parameter),
        "gradient": bool(tensor.requires_grad),
    }
    plain = dense.contiguous().view(_UNLIKE_NUMPY.get(dense.dtype, dense.dtype))
    return plain.numpy(), how


def tensor_of(values: np.ndarray, how: dict[str, Any]) -> torch.Tensor:
    """Return a tensor on the CPU with the values of an array.

    The values are copied to where torch would have put them: how they are aligned decides how
    they are added up, and so the last bits of what a network returns.

    Parameters
    ----------
    values : ndarray
    how : dict
        As :func:`array_of` gave it.

    Returns
    -------
    torch.Tensor

    Raises
    ------
    ValueError
        If the array is not of the tensor's type, or its layout is not one.
    """
    dtype, given = _dtype(how["dtype"]), torch.from_numpy(values)
    if given.dtype != _UNLIKE_NUMPY.get(dtype, dtype):
        raise ValueError(f"a tensor must be of {dtype}. Got {given.dtype} instead.")
    strides = given.stride() if how["strides"] is None else tuple(how["strides"])
    if not _is_packed(given.shape, strides):
        raise ValueError(f"strides must leave no gaps. Got {strides!r:.80} instead.")
    tensor = torch.empty_strided(given.shape, strides, dtype=dtype)
    tensor.copy_(given.view(dtype))
    if how["parameter"]:
        return nn.Parameter(tensor, requires_grad=bool(how["gradient"]))
    return tensor.requires_grad_(bool(how["gradient"]))


def _is_packed(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Tell whether a tensor's values lie side by side, in whatever order of its axes."""
    if len(shape) != len(strides) or not all(type(step) is int and step >= 0 for step in strides):
        return False
    expected = 1
    for step, length in sorted(zip(strides, shape, strict=True)):
        if length > 1:
            if step != expected:
                return False
            expected *= length
    return max(strides, default=0) < 2**62


def describe(value: Any) -> list[Any]:
    """Return a ``torch.dtype``, ``device`` or ``Size`` as plain values.

    Parameters
    ----------
    value : torch.dtype, torch.device or torch.Size

    Returns
    -------
    list
        For :func:`make_plain`.
    """
    if isinstance(value, torch.dtype):
        return ["dtype", str(value).removeprefix("torch.")]
    # Weights are loaded onto the CPU, wherever they were.
    return ["device", "cpu"] if isinstance(value, torch.device) else ["size", *value]


def make_plain(description: Sequence[Any]) -> Any:
    """Undo :func:`describe`.

    Parameters
    ----------
    description : sequence

    Returns
    -------
    torch.dtype, torch.device or torch.Size

    Raises
    ------
    ValueError
        If it describes none of them.
    """
    kind, *values = description
    if kind == "dtype":
        return _dtype(*values)
    if kind == "device":
        return torch.device("cpu")
    if kind == "size":
        return torch.Size(values)
    raise ValueError(f"a value of torch must be a dtype, device or size. Got {kind!r} instead.")


def _dtype(name: Any) -> torch.dtype:
    dtype = getattr(torch, name, None) if isinstance(name, str) else None
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"dtype must be one of torch's. Got {name!r} instead.")
    return dtype


# -- whether a network fits its data ---------------------------------------------------------------


def check_network(module: nn.Module, input_shape: Sequence[int], n_outputs: int) -> None:
    """Check that a network takes rows of a shape and returns a column for each output.

    The network is run on tensors that have a shape and no values, so that it takes no memory. Only
    chains of torch's own layers are checked, for they are known to run like that.

    Parameters
    ----------
    module : torch.nn.Module
    input_shape : sequence of int
        Shape of one row.
    n_outputs : int

    Raises
    ------
    ValueError
        If it does not.
    """
    if not isinstance(module, nn.Module):
        raise ValueError(f"module_ must be a network. Got {type(module).__name__} instead.")
    if not all(torch_name(type(layer)) for layer in module.modules()):
        return
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    named = [*module.named_parameters(), *module.named_buffers()]
    blank = {name: torch.empty_like(value, device="meta") for name, value in named}
    rows = torch.empty((2, *input_shape), dtype=dtype, device="meta")
    with torch.no_grad():
        outputs = torch.func.functional_call(module, blank, (rows,))
    if tuple(outputs.shape) != (2, n_outputs):
        raise ValueError(
            f"module_ must have {n_outputs} outputs. Got {tuple(outputs.shape[1:])} instead."
        )
