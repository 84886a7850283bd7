"""Reading a network at two layers while it runs: where heads attach, and below its classifier."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from .split import chain, is_chain, split_point

INPUT = "input"
"""Name of the attach point below the first layer."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# What may stand between the last convolution and the fully connected layers and still is trunk.
_TRUNK_TAIL = (
    *(nn.ReLU, nn.GELU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.Identity),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    _DropoutNd,
)


class Tapped(NamedTuple):
    """What a network computes for a batch.

    Attributes
    ----------
    logits : Tensor of shape (n, n_outputs) or None
        Its outputs; None where they were not asked for.
    attach : Tensor of shape (n, ...)
        The features at the attach point.
    own : Tensor of shape (n, n_hidden)
        What its classifier layer reads: the last hidden layer of its own stack.
    """

    logits: Any
    attach: torch.Tensor
    own: torch.Tensor


@dataclass(frozen=True)
class TapPoints:
    """Where a network is read.

    Parameters
    ----------
    attach : str or int
        Name of the layer whose output the heads read. In a chain of layers, how many of them lie
        below the heads: 0 is the input.
    classifier : str
        Name of the last layer, an ``nn.Linear``.
    """

    attach: str | int
    classifier: str

    @property
    def at_input(self) -> bool:
        """Whether the heads read what the network itself reads."""
        return self.attach in (0, INPUT)


class TappedNetwork(nn.Module):
    """A trained network, shared and never changed, whose inner features can be read.

    A chain of layers (nested ``nn.Sequential``) is run layer by layer. Of any other module the
    features are caught by hooks that live for one call, so that nothing of them is left in the
    module, in pickles or in copies.

    Parameters
    ----------
    module : torch.nn.Module
        Maps a batch to logits; its last layer is an ``nn.Linear``.
    points : TapPoints
        See :func:`tap_points`.
    """

    def __init__(self, module: nn.Module, points: TapPoints) -> None:
        super().__init__()
        self.module = module
        self.points = points

    @property
    def classifier(self) -> nn.Linear:
        """The network's last layer."""
        layer: Any = self.module.get_submodule(self.points.classifier)
        return layer

    def forward(self, x: torch.Tensor, with_logits: bool = True) -> Tapped:
        """Propagate a batch and return its features, and its logits if these are needed.

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            A batch.
        with_logits : bool, default=True
            Whether the logits are needed.

        Returns
        -------
        Tapped
            What was read on the way.
        """
        if isinstance(self.points.attach, int):
            return self._run_chain(x, self.points.attach, with_logits)
        return self._run_hooked(x, self.points.attach)

    def _run_chain(self, x: torch.Tensor, point: int, with_logits: bool) -> Tapped:
        layers = [layer for _, layer in chain(self.module)]
        attach = x
        for position, layer in enumerate(layers[:-1]):
            if position == point:
                attach = x
                x = x.clone()  # a layer above may work in place, on what the heads read
            x = layer(x)
        if point == len(layers) - 1:
            attach = x
        return Tapped(layers[-1](x) if with_logits else None, attach, x)

    def _run_hooked(self, x: torch.Tensor, attach: str) -> Tapped:
        found: dict[str, torch.Tensor] = {"attach": x}
        caller = threading.get_ident()  # another thread may run the same module meanwhile

        def keep_output(layer: Any, inputs: Any, output: torch.Tensor) -> None:
            if threading.get_ident() == caller:
                found["attach"] = output.clone()  # a later layer may work in place

        def keep_input(layer: Any, inputs: tuple) -> None:
            if threading.get_ident() == caller:
                found["own"] = inputs[0]

        handles = [self.classifier.register_forward_pre_hook(keep_input)]
        if attach != INPUT:
            handles.append(self.module.get_submodule(attach).register_forward_hook(keep_output))
        try:
            logits = self.module(x)
        finally:
            for handle in handles:
                handle.remove()
        return Tapped(logits, found["attach"], found["own"])


def tap_points(module: nn.Module, input_shape: Sequence[int], at: str | None = None) -> TapPoints:
    """Find where heads attach to a network and which layer is its classifier.

    Parameters
    ----------
    module : torch.nn.Module
        A trained network.
    input_shape : sequence of int
        Shape of one sample.
    at : str or None, default=None
        Dotted name of the layer whose output the heads read, or ``"input"``. In a chain the
        normalisation, activation and dropout that follow it belong to it. None takes, in a chain,
        the last layer with a convolution and the activation, pooling and dropout that follow, or
        without convolutions the layer with most multiply-adds.

    Returns
    -------
    TapPoints
        Names and shapes of the two.

    Raises
    ------
    ValueError
        If there is no such layer, None is given for a network that is no chain, or the last layer
        is not an ``nn.Linear``.
    """
    if is_chain(module):
        return _chain_points(module, input_shape, at)
    names = [name for name, _ in module.named_modules() if name]
    if at is None or (at != INPUT and at not in names):
        raise ValueError(
            "attach_at must name a layer of the network, which is no torch.nn.Sequential, or be "
            f"'input'. Got {at!r} instead; its layers are {names}."
        )
    classifier, reached = _probe(module, input_shape, at)
    if not reached:
        raise ValueError(
            f"attach_at must name a layer that runs before the last one. Got {at!r} instead, which "
            "does not run, gives no tensor or is the last; choose another layer."
        )
    return TapPoints(at, classifier)


def _chain_points(module: nn.Module, input_shape: Sequence[int], at: str | None) -> TapPoints:
    layers = chain(module)
    classifier, last = layers[-1]
    if not isinstance(last, nn.Linear):
        raise ValueError(_no_classifier(type(last).__name__))
    if at == INPUT:
        return TapPoints(0, classifier)
    convolutions = [i for i, (_, layer) in enumerate(layers[:-1]) if _convolves(layer)]
    if at is None and convolutions:
        return TapPoints(_past(layers, convolutions[-1] + 1, _TRUNK_TAIL), classifier)
    point = split_point(module, input_shape, at, name="attach_at")
    return TapPoints(_past(layers, point, (_DropoutNd,)) if point else 0, classifier)


def _convolves(layer: nn.Module) -> bool:
    return any(isinstance(inner, _CONVOLUTIONS) for inner in layer.modules())


def _past(layers: list[tuple[str, nn.Module]], point: int, kinds: tuple[type, ...]) -> int:
    """Return how many layers lie below the heads if those of these kinds are taken in, too."""
    while point < len(layers) - 1 and isinstance(layers[point][1], kinds):
        point += 1
    return point


def _probe(module: nn.Module, input_shape: Sequence[int], at: str) -> tuple[str, bool]:
    """Run a copy on one row of zeros; return its classifier, and whether ``at`` ran before it."""
    probe = copy.deepcopy(module).eval()
    ran: list[tuple[str, Any]] = []
    for name, layer in probe.named_modules():
        if name:
            layer.register_forward_hook(lambda _, __, out, name=name: ran.append((name, out)))
    parameter = next(probe.parameters())
    x = torch.zeros((1, *input_shape), device=parameter.device, dtype=parameter.dtype)
    with torch.no_grad():
        output = probe(x)
    names = [name for name, out in ran if out is output]
    linear = [name for name in names if isinstance(probe.get_submodule(name), nn.Linear)]
    if not linear:
        raise ValueError(_no_classifier(names[-1] if names else type(module).__name__))
    before = ran[: [name for name, _ in ran].index(linear[-1])]
    reached = any(name == at and isinstance(out, torch.Tensor) for name, out in before)
    return linear[-1], at == INPUT or reached


def _no_classifier(got: str) -> str:
    return (
        "The network must end in a torch.nn.Linear that gives its logits, for that layer is "
        f"trained anew beside the heads. Got {got} as the last layer instead; leave softmax or "
        "sigmoid to the loss."
    )
