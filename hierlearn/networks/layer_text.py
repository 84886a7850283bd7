"""Convolutional networks as short texts, one a layer, in the notation of the papers' tables.

========================================  ====================================================
text                                      layer
========================================  ====================================================
``"conv 5x5|32"``                         32 maps by filters of 5 x 5, padded so that their size
                                          stays (odd filters), then ReLU
``"conv 11x11|64 stride 4 pad 0"``        every fourth position, without padding
``"pool 2"``, ``"pool 3 stride 2"``       maximum over windows, as far apart as they are wide
``"norm"``                                local response normalisation across maps
``"fc 1024"``                             fully connected layer, then ReLU and dropout
========================================  ====================================================

A size is one number or two, ``"5"`` or ``"5x3"`` (height x width). The classifier layer is implied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._validation import check_choice

NETWORKS: dict[str, tuple[str, ...]] = {}
_TABLE_1 = {
    "cnn_1": ("5x5|32", "p", "5x5|32", "p", "5x5|64", "p", "5x5|64", "p", 1024, 512),
    "cnn_2": ("3x3|32", "p", "3x3|32", "p", "3x3|64", "p", "3x3|64", "p", 512, 256),
    "cnn_3": ("7x7|32", "p", "5x5|32", "p", "3x3|64", "p", "3x3|64", "p", 256, 128),
    "cnn_4": (
        *("5x5|32", "p", "3x3|32", "p", "3x3|32", "3x3|64", "p", "3x3|64", "3x3|64", "p"),
        *(512, 128),
    ),
    "cnn_5": (
        *("5x5|32", "p", "3x3|32", "3x3|32", "p", "3x3|32", "3x3|64", "p"),
        *("3x3|64", "3x3|128", "p", 512, 256, 128),
    ),
}
_TABLE_2 = {
    "cnn_tl_1": (4096, 4096),
    "cnn_tl_2": (4096, 2048),
    "cnn_tl_3": (2048, 2048),
    "cnn_tl_4": (2048, 1024),
    "cnn_tl_5": (1024, 1024),
}
_TRANSFER_MAPS = (
    *("conv 11x11|64 stride 4 pad 0", "norm", "pool 2", "conv 5x5|256", "norm", "pool 2"),
    *("conv 3x3|256", "conv 3x3|256", "conv 3x3|256", "pool 2"),
)


def _text_of(entry: Any) -> str:
    if isinstance(entry, int):
        return f"fc {entry}"
    return "pool 2" if entry == "p" else f"conv {entry}"


NETWORKS.update({name: tuple(map(_text_of, row)) for name, row in _TABLE_1.items()})
NETWORKS.update(
    {name: (*_TRANSFER_MAPS, *map(_text_of, units)) for name, units in _TABLE_2.items()}
)


@dataclass(frozen=True)
class Conv:
    """A convolution and its ReLU.

    Parameters
    ----------
    size : tuple of two int
        Height and width of the filters.
    maps : int
        Number of filters.
    stride : int, default=1
        Distance of the positions.
    pad : int or None, default=None
        Rows and columns of zeros on each side; None keeps the size of the maps at stride 1, where
        the filters' sides are odd.
    """

    size: tuple[int, int]
    maps: int
    stride: int = 1
    pad: int | None = None

    @property
    def padding(self) -> tuple[int, int]:
        """Rows and columns of zeros on each side."""
        if self.pad is not None:
            return self.pad, self.pad
        return (self.size[0] - 1) // 2, (self.size[1] - 1) // 2

    def __str__(self) -> str:
        stride = "" if self.stride == 1 else f" stride {self.stride}"
        pad = "" if self.pad is None else f" pad {self.pad}"
        return f"conv {_size_text(self.size)}|{self.maps}{stride}{pad}"


@dataclass(frozen=True)
class Pool:
    """Maximum over windows of ``size``, ``stride`` apart; None is as far apart as they are wide."""

    size: tuple[int, int]
    stride: int | None = None

    def __str__(self) -> str:
        height, width = self.size
        stride = "" if self.stride is None else f" stride {self.stride}"
        return f"pool {height if height == width else _size_text(self.size)}{stride}"


@dataclass(frozen=True)
class Norm:
    """Local response normalisation across maps."""

    def __str__(self) -> str:
        return "norm"


@dataclass(frozen=True)
class FullyConnected:
    """A hidden layer of ``units``, its ReLU and its dropout."""

    units: int

    def __str__(self) -> str:
        return f"fc {self.units}"


Layer = Conv | Pool | Norm | FullyConnected

_PATTERN = re.compile(
    r"conv (?P<conv>\d+(x\d+)?)\s*\|\s*(?P<maps>\d+)"
    r"( stride (?P<conv_stride>\d+))?( pad (?P<pad>\d+))?"
    r"|pool (?P<pool>\d+(x\d+)?)( stride (?P<pool_stride>\d+))?"
    r"|(?P<norm>norm)"
    r"|fc (?P<fc>\d+)"
)


def parse_layers(network: str | Sequence[str]) -> tuple[Layer, ...]:
    """Return the layers that a name or a description stands for.

    Parameters
    ----------
    network : str or sequence of str
        ``"cnn_1"`` to ``"cnn_5"``, ``"cnn_tl_1"`` to ``"cnn_tl_5"``, or layer texts.

    Returns
    -------
    tuple of Conv, Pool, Norm or FullyConnected

    Raises
    ------
    ValueError
        If the name is unknown, a text is malformed, or a map layer follows a fully connected one.

    Examples
    --------
    >>> from hierlearn.networks.layer_text import parse_layers
    >>> parse_layers(["conv 3x3|8", "fc 20"])
    (Conv(size=(3, 3), maps=8, stride=1, pad=None), FullyConnected(units=20))
    """
    if isinstance(network, str):
        network = NETWORKS[check_choice(network, NETWORKS, "network")]
    layers = tuple(_parse(text) for text in network)
    flat = False
    for layer in layers:
        if flat and not isinstance(layer, FullyConnected):
            raise ValueError(
                "network must have its fully connected layers last. Got "
                f"'{layer}' after one instead; move it up."
            )
        flat = flat or isinstance(layer, FullyConnected)
    return layers


def _parse(text: Any) -> Layer:
    words = " ".join(text.lower().split()) if isinstance(text, str) else ""
    found = _PATTERN.fullmatch(words)
    if found is None:
        raise _malformed(text)
    part = found.groupdict()
    if any(
        value and re.search(r"(?<!\d)0+(?!\d)", value)
        for key, value in part.items()
        if key != "pad"
    ):
        raise _malformed(text)
    if part["conv"]:
        pad = None if part["pad"] is None else int(part["pad"])
        return Conv(_size(part["conv"]), int(part["maps"]), int(part["conv_stride"] or 1), pad)
    if part["pool"]:
        stride = part["pool_stride"]
        return Pool(_size(part["pool"]), None if stride is None else int(stride))
    return Norm() if part["norm"] else FullyConnected(int(part["fc"]))


def _malformed(text: Any) -> ValueError:
    return ValueError(
        "network must hold layers such as 'conv 5x5|32', 'conv 3x3|64 stride 2 pad 1', 'pool 2', "
        f"'norm' and 'fc 1024', sizes from 1 up. Got {text!r} instead."
    )


def _size(text: str) -> tuple[int, int]:
    sides = [int(side) for side in re.findall(r"\d+", text)]
    return sides[0], sides[-1]


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def scaled_layers(network: str | Sequence[str], factor: float) -> tuple[str, ...]:
    """Return the description of a network with so many times the maps and units.

    Parameters
    ----------
    network : str or sequence of str
    factor : float
        On the width of every layer; no width falls below one.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from hierlearn.networks.layer_text import scaled_layers
    >>> scaled_layers(("conv 3x3|8", "pool 2", "fc 20"), 1.5)
    ('conv 3x3|12', 'pool 2', 'fc 30')
    """
    return tuple(str(_scaled(layer, factor)) for layer in parse_layers(network))


def _scaled(layer: Layer, factor: float) -> Layer:
    if isinstance(layer, Conv):
        return replace(layer, maps=max(1, round(layer.maps * factor)))
    if isinstance(layer, FullyConnected):
        return replace(layer, units=max(1, round(layer.units * factor)))
    return layer
