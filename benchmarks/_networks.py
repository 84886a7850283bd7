"""Networks of the benchmarks that are not one line."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

IMAGE = (3, 32, 32)


def small_cnn(
    n_features: int, n_outputs: int, *, width: int = 32, dropout: float = 0.5
) -> nn.Sequential:
    """Return two convolutions and two fully connected layers, small enough for a CPU.

    For flat rows of 32 x 32 colour images: with 100 outputs 2.1 M multiply-adds.
    """
    channels, height, width_px = IMAGE
    conv2 = 2 * width
    side = (-(-height // 2) // 4) * (-(-width_px // 2) // 4)
    network = nn.Sequential()
    network.add_module("image", nn.Unflatten(1, IMAGE))
    network.add_module("conv1", nn.Conv2d(channels, width, 5, stride=2, padding=2))
    network.add_module("activation1", nn.ReLU())
    network.add_module("pool1", nn.MaxPool2d(2))
    network.add_module("conv2", nn.Conv2d(width, conv2, 3, padding=1))
    network.add_module("activation2", nn.ReLU())
    network.add_module("pool2", nn.MaxPool2d(2))
    network.add_module("dropout2", nn.Dropout(dropout))
    network.add_module("flatten", nn.Flatten())
    network.add_module("hidden", nn.Linear(conv2 * side, 8 * width))
    network.add_module("activation3", nn.ReLU())
    network.add_module("dropout3", nn.Dropout(dropout))
    network.add_module("output", nn.Linear(8 * width, n_outputs))
    return network.to(memory_format=torch.channels_last)  # about half the time of a step on a CPU


def perceptron(
    n_features: int,
    n_outputs: int,
    *,
    width: int = 512,
    dropout: float = 0.5,
    input_dropout: float = 0.0,
) -> nn.Sequential:
    """Return two hidden layers, the second half as wide, with dropout in front of each."""
    network = nn.Sequential()
    network.add_module("input_dropout", nn.Dropout(input_dropout))
    network.add_module("hidden1", nn.Linear(n_features, width))
    network.add_module("activation1", nn.ReLU())
    network.add_module("dropout1", nn.Dropout(dropout))
    network.add_module("hidden2", nn.Linear(width, width // 2))
    network.add_module("activation2", nn.ReLU())
    network.add_module("dropout2", nn.Dropout(dropout))
    network.add_module("output", nn.Linear(width // 2, n_outputs))
    return network


def deep_cnn(input_shape: Sequence[int], n_outputs: int) -> nn.Sequential:
    """Return a plain CNN of about 60 M multiply-adds for 32 x 32 colour images."""
    channels, height, width = input_shape
    network = nn.Sequential()
    for block, (maps, before) in enumerate([(64, channels), (128, 64), (320, 128)], start=1):
        network.add_module(f"conv{block}", nn.Conv2d(before, maps, 3, padding=1))
        network.add_module(f"activation{block}", nn.ReLU())
        network.add_module(f"pool{block}", nn.MaxPool2d(2))
    network.add_module("flatten", nn.Flatten())
    network.add_module("hidden", nn.Linear(320 * (height // 8) * (width // 8), 1024))
    network.add_module("activation4", nn.ReLU())
    network.add_module("output", nn.Linear(1024, n_outputs))
    return network
