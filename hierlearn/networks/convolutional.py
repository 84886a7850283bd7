"""Convolutional networks of the paper's Tables 1 and 2, or of any description."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from ._runtime import isolated
from .layer_text import Conv, FullyConnected, Norm, Pool, parse_layers


def cnn(
    input_shape: Sequence[int],
    n_outputs: int,
    *,
    network: str | Sequence[str] = "cnn_1",
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> nn.Sequential:
    """Return a convolutional network as a chain of named layers.

    Layers are named ``conv1``, (``batch_norm1``,) ``activation1``, (``norm1``,) ``pool1``,
    ``conv2``, ..., ``flatten``, ``fc1``, ``activation5``, ``dropout1``, ..., ``output``, each kind
    by its own number; activations go by all layers with weights.

    Parameters
    ----------
    input_shape : sequence of three int
        Channels, height and width of the images.
    n_outputs : int
        Units of the classifier layer.
    network : str or sequence of str, default="cnn_1"
        A name or a description, see :mod:`hierlearn.networks.layer_text`.
    batch_norm : bool, default=False
        Whether batch normalisation stands between each convolution and its ReLU.
    dropout : float, default=0.5
        Probability of dropping a unit of a fully connected hidden layer during training.

    Returns
    -------
    torch.nn.Sequential
        The network, untrained.

    Raises
    ------
    ValueError
        If the description is malformed, or a filter is larger than the map it runs over.

    Notes
    -----
    A pooling window is cut to the map where that is smaller, so that small images pass networks of
    many poolings: along a side that is down to one pixel, pooling does nothing.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Tables 1 and 2. Response normalisation ("norm") has the constants of Krizhevsky et al. (2012).

    Examples
    --------
    >>> from hierlearn.networks import cnn
    >>> from hierlearn.networks.pricing import network_cost
    >>> list(dict(cnn((3, 8, 8), 10, network=["conv 3x3|4", "pool 2"]).named_children()))
    ['conv1', 'activation1', 'pool1', 'flatten', 'output']
    >>> multiply_adds, parameters = network_cost(cnn((3, 32, 32), 100), (3, 32, 32))
    >>> print(f"{multiply_adds / 1e6:.1f} million")
    14.8 million
    """
    build = _Builder(tuple(input_shape), batch_norm, dropout)
    for layer in parse_layers(network):
        build.add(layer)
    return build.finished(n_outputs)


def weightless(
    input_shape: Sequence[int], n_outputs: int, network: str | Sequence[str]
) -> nn.Sequential:
    """Return a network of shapes only, on torch's ``meta`` device, to be priced.

    Parameters
    ----------
    input_shape : sequence of three int
        Channels, height and width of the images.
    n_outputs : int
        Units of the classifier layer.
    network : str or sequence of str
        A name or a description.

    Returns
    -------
    torch.nn.Sequential

    Examples
    --------
    >>> from hierlearn.networks.convolutional import weightless
    >>> weightless((3, 224, 224), 1000, "cnn_tl_1").fc1.weight.shape
    torch.Size([4096, 9216])
    """
    with isolated(0, torch.device("cpu")), torch.device("meta"):
        return cnn(input_shape, n_outputs, network=network)


class _Builder:
    """Add layer after layer, following the shape of what each returns."""

    def __init__(self, shape: tuple[int, ...], batch_norm: bool, dropout: float) -> None:
        self.channels, *self.sides = shape
        self.batch_norm = batch_norm
        self.dropout = dropout
        self.units: int | None = None  # of the last layer, once there are no maps any more
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()
        self._counts: dict[str, int] = {}

    def add(self, layer: Conv | Pool | Norm | FullyConnected) -> None:
        if isinstance(layer, Conv):
            self._add_conv(layer)
        elif isinstance(layer, Pool):
            self._add_pool(layer)
        elif isinstance(layer, Norm):
            self._append("norm", nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
        else:
            self._add_fc(layer)

    def finished(self, n_outputs: int) -> nn.Sequential:
        self._flatten()
        assert self.units is not None
        self.layers["output"] = nn.Linear(self.units, n_outputs)
        return nn.Sequential(self.layers)

    def _append(self, kind: str, layer: nn.Module) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self.layers[f"{kind}{self._counts[kind]}"] = layer

    def _add_conv(self, layer: Conv) -> None:
        padded = [side + 2 * pad for side, pad in zip(self.sides, layer.padding, strict=True)]
        if any(side < filter_ for side, filter_ in zip(padded, layer.size, strict=True)):
            raise ValueError(
                "network must have filters no larger than the maps they run over. Got "
                f"'{layer}' over maps of {_by(self.sides)} instead; take a smaller filter, drop "
                "'pad' or a stride, or give larger images."
            )
        conv = nn.Conv2d(
            *(self.channels, layer.maps, layer.size, layer.stride, layer.padding),
            bias=not self.batch_norm,  # batch normalisation adds its own
        )
        self._append("conv", conv)
        if self.batch_norm:
            self._append("batch_norm", nn.BatchNorm2d(layer.maps))
        self._append("activation", nn.ReLU())
        self.channels = layer.maps
        self.sides = [
            (side - filter_) // layer.stride + 1
            for side, filter_ in zip(padded, layer.size, strict=True)
        ]

    def _add_pool(self, layer: Pool) -> None:
        size = [min(pool, side) for pool, side in zip(layer.size, self.sides, strict=True)]
        stride = size if layer.stride is None else [layer.stride] * 2
        self._append("pool", nn.MaxPool2d(tuple(size), tuple(stride)))
        self.sides = [
            (side - window) // step + 1
            for side, window, step in zip(self.sides, size, stride, strict=True)
        ]

    def _add_fc(self, layer: FullyConnected) -> None:
        self._flatten()
        assert self.units is not None
        self._append("fc", nn.Linear(self.units, layer.units))
        self._append("activation", nn.ReLU())
        if self.dropout > 0:
            self._append("dropout", nn.Dropout(self.dropout))
        self.units = layer.units

    def _flatten(self) -> None:
        if self.units is None:
            self.layers["flatten"] = nn.Flatten()
            self.units = self.channels * self.sides[0] * self.sides[1]


def _by(sides: Sequence[int]) -> str:
    return " x ".join(map(str, sides))
