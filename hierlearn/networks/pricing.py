"""What a network costs, layer by layer, known without running it.

Networks are followed on torch's ``meta`` device, where tensors have shapes and no data, so that
nothing is computed and nothing but shapes is needed.

A custom layer may say itself what it costs, by an attribute or a method ``multiply_adds`` (called
with the shape of its input, without the batch dimension). Its own layers are then not looked at.
Without one, the matrix products and convolutions that its ``forward`` calls are counted. A layer
that looks at values, and so cannot be followed without data, also has a method ``output_shape``
(called likewise), and is not run.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

# Told by what they compute: a subclass with a forward of its own may compute something else.
_BY_OUTPUT = {layer.forward for layer in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)}
_BY_INPUT = {
    layer.forward for layer in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
}


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs a sample.

    Parameters
    ----------
    name : str
        Dotted name in the network; empty for the network itself.
    kind : str
        Name of the layer's class.
    output_shape : tuple of int or None
        Shape of what it returns, without the batch dimension; None for a layer that does not run.
    multiply_adds : float
        Multiply-adds of its products with weights, over all its calls. Whatever else it computes,
        as activations, pooling and normalisation do, counts as nothing.
    parameters : int
        Its own weights and biases; those shared with an earlier layer count there.
    activation_bytes : int
        Memory that it fills with its outputs, over all its calls; nothing for one that works in
        place or returns a view of its input, as ``nn.Flatten`` does, and as ``nn.Dropout`` does
        in prediction.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    multiply_adds: float
    parameters: int
    activation_bytes: int


def layer_costs(module: nn.Module, input_shape: Sequence[int]) -> tuple[LayerCost, ...]:
    """Price every layer of a network for a batch of one sample.

    Parameters
    ----------
    module : torch.nn.Module
        Any module, as it is in prediction. It is neither run nor changed.
    input_shape : sequence of int
        Shape of one sample, without the batch dimension.

    Returns
    -------
    tuple of LayerCost
        In the order in which the layers run, a layer that is called twice once; then the layers
        that hold parameters and do not run. A layer made of others has a row where it holds
        parameters or computes products beside theirs. Over all rows, parameters add up to the
        module's.

    Raises
    ------
    ValueError
        If the module cannot be followed without data.

    Examples
    --------
    >>> from hierlearn.networks import mlp
    >>> from hierlearn.networks.pricing import layer_costs
    >>> for layer in layer_costs(mlp(10, 3, hidden_layer_sizes=(20,)), (10,)):
    ...     print(layer.name, layer.multiply_adds, layer.parameters, layer.activation_bytes)
    hidden1 200 220 80
    activation1 0 0 80
    output 60 63 12
    """
    shadow = _shadow(module)
    dtype = next((p.dtype for p in shadow.parameters() if p.is_floating_point()), torch.float32)
    sample = torch.empty((1, *input_shape), device="meta", dtype=dtype)
    meter = _Meter(shadow, sample)
    try:
        # Without gradients attention takes a short cut that cannot be followed.
        with torch.enable_grad(), meter.counter:
            shadow(sample)
    except Exception as error:
        name, kind = meter.running
        raise ValueError(
            f"module must run on tensors without data to be priced. Got {type(error).__name__} in "
            f"layer {name!r} ({kind}) instead; keep its tensors in buffers, or give it methods "
            "multiply_adds(input_shape) and output_shape(input_shape)."
        ) from error
    return tuple(_rows(shadow, meter.tallies))


def network_cost(module: nn.Module, input_shape: Sequence[int]) -> tuple[float, int]:
    """Return the multiply-adds of one sample and the number of parameters of a network.

    Parameters
    ----------
    module : torch.nn.Module
    input_shape : sequence of int
        Shape of one sample.

    Returns
    -------
    multiply_adds, parameters : int
        Products with weights count as multiply-adds, see :func:`layer_costs`; every weight and
        bias counts as a parameter.

    Examples
    --------
    >>> from hierlearn.networks import mlp
    >>> network_cost(mlp(10, 3, hidden_layer_sizes=(20,)), (10,))
    (260, 283)
    """
    layers = layer_costs(module, input_shape)
    multiply_adds = sum(layer.multiply_adds for layer in layers)
    return multiply_adds, sum(layer.parameters for layer in layers)


def beside_flat(estimator: Any) -> tuple[float, int]:
    """Price a network with one unit a class instead of the output layer that it has.

    Parameters
    ----------
    estimator : BaseTorchClassifier
        Fitted; its ``module_`` is a chain with a layer ``output``.

    Returns
    -------
    multiply_adds, parameters : int
    """
    network: Any = estimator.module_
    layers = [(name, layer) for name, layer in network.named_children()]
    below = layers[: [name for name, _ in layers].index("output")]
    products, numbers = (0.0, 0)
    if below:
        products, numbers = network_cost(nn.Sequential(OrderedDict(below)), estimator._input_shape)
    n_classes, width = len(estimator.classes_), network.output.in_features
    return products + width * n_classes, numbers + (width + 1) * n_classes


def _shadow(module: nn.Module) -> nn.Module:
    """Return a copy in prediction mode on the meta device; the weights are not copied."""
    memo: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        empty = torch.empty_like(tensor, device="meta", requires_grad=False)
        if isinstance(tensor, nn.Parameter):
            empty = nn.Parameter(empty, requires_grad=empty.is_floating_point())
        memo[id(tensor)] = empty
    shadow = copy.deepcopy(module, memo).eval()
    for layer in shadow.modules():
        if _declares(layer) and hasattr(layer, "output_shape"):
            vars(layer)["forward"] = partial(_blank_output, layer.output_shape)
    return shadow


def _blank_output(output_shape: Any, *inputs: Any, **others: Any) -> torch.Tensor:
    """Stand in for a ``forward`` that cannot run without data."""
    x = next(_tensors((inputs, others)))
    return x.new_empty((len(x), *output_shape(tuple(x.shape[1:]))))


@dataclass
class _Tally:
    """What the calls of one layer have cost so far."""

    multiply_adds: float = 0
    activation_bytes: int = 0
    output_shape: tuple[int, ...] | None = None


class _Meter:
    """Hooks on every layer of a network that note what its calls cost.

    Parameters
    ----------
    network : torch.nn.Module
        On the meta device.
    sample : Tensor
        The network's input, which fills no layer's memory.

    Attributes
    ----------
    tallies : dict of str to _Tally
        By name, in the order in which layers began to run; without the layers of a layer that
        declares its own price.
    running : tuple of str
        Name and kind of the layer that ran last.
    """

    def __init__(self, network: nn.Module, sample: torch.Tensor) -> None:
        self.counter = FlopCounterMode(display=False)
        self.tallies: dict[str, _Tally] = {}
        self.running = ("", type(network).__name__)
        self._filled = {StorageWeakRef(sample.untyped_storage())}
        # Of each layer being run: the flops when it began, and those of its parts since.
        self._open: list[list[int]] = []
        self._declaring = 0
        for name, layer in network.named_modules():
            layer.register_forward_pre_hook(partial(self._begin, name))
            layer.register_forward_hook(partial(self._end, name), with_kwargs=True)

    def _begin(self, name: str, layer: nn.Module, inputs: tuple) -> None:
        self.running = (name, type(layer).__name__)
        self._open.append([self.counter.get_total_flops(), 0])
        if not self._declaring:
            self.tallies.setdefault(name, _Tally())
        self._declaring += _declares(layer)

    def _end(self, name: str, layer: Any, inputs: tuple, others: dict, output: Any) -> None:
        before, of_parts = self._open.pop()
        flops = self.counter.get_total_flops() - before
        if self._open:
            self._open[-1][1] += flops
        self._declaring -= _declares(layer)
        if self._declaring:
            return
        tally = self.tallies[name]
        known = _known_multiply_adds(layer, (inputs, others), output)
        tally.multiply_adds += (flops - of_parts) // 2 if known is None else known
        tally.activation_bytes += self._newly_filled(output)
        tally.output_shape = next((tuple(x.shape[1:]) for x in _tensors(output)), None)

    def _newly_filled(self, output: Any) -> int:
        """Return the bytes of an output in memory that no layer has been charged for."""
        n_bytes = 0
        for tensor in _tensors(output):
            storage = StorageWeakRef(tensor.untyped_storage())
            if storage not in self._filled:
                self._filled.add(storage)
                n_bytes += tensor.numel() * tensor.element_size()
        return n_bytes


def _declares(layer: nn.Module) -> bool:
    return hasattr(layer, "multiply_adds")


def _known_multiply_adds(layer: Any, inputs: Any, output: Any) -> float | None:
    """Return the multiply-adds of one call of a declaring or a common layer; None of others."""
    x = next(_tensors(inputs), None)
    if _declares(layer):
        declared = layer.multiply_adds
        return declared(() if x is None else tuple(x.shape[1:])) if callable(declared) else declared
    forward = type(layer).forward
    if forward in _BY_OUTPUT:  # each output position meets all the weights of its channel
        return layer.weight.numel() * (output.numel() // layer.weight.shape[0])
    if forward in _BY_INPUT and x is not None:
        return layer.weight.numel() * (x.numel() // layer.weight.shape[0])
    return None


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in what a layer takes or returns."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


def _rows(network: nn.Module, tallies: dict[str, _Tally]) -> Iterator[LayerCost]:
    """Yield what there is to say of the layers that ran, then of those that did not."""
    layers = dict(network.named_modules())
    parameters = dict.fromkeys(tallies, 0)
    counted: set[int] = set()
    for name, layer in layers.items():
        for parameter in layer.parameters(recurse=False):
            if id(parameter) not in counted:
                counted.add(id(parameter))
                owner = _owner(name, layers, tallies)
                parameters[owner] = parameters.get(owner, 0) + parameter.numel()
    for name, n_parameters in parameters.items():
        layer, tally = layers[name], tallies.get(name, _Tally())
        is_leaf = _declares(layer) or not any(True for _ in layer.children())
        if is_leaf or n_parameters or tally.multiply_adds or tally.activation_bytes:
            yield LayerCost(
                name,
                type(layer).__name__,
                tally.output_shape,
                tally.multiply_adds,
                n_parameters,
                tally.activation_bytes,
            )


def _owner(name: str, layers: dict[str, nn.Module], tallies: dict[str, _Tally]) -> str:
    """Return the layer in whose row the parameters of a layer are counted.

    It is the layer itself. If it does not run, as a ParameterList does not, or runs within a layer
    that declares its price, it is the nearest layer around it that computes with the parameters.
    """
    if name in tallies:
        return name
    around = name
    while around:
        around = around.rpartition(".")[0]
        if around in tallies and (_declares(layers[around]) or tallies[around].multiply_adds):
            return around
    return name
