"""From a partition to the plan of its heads."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from ..partition import LabelPartition


def members_of(partition: LabelPartition) -> tuple[tuple[int, ...], ...]:
    """Return the codes of every cluster's labels, overlaps included."""
    clusters = range(partition.n_clusters)
    return tuple(tuple(partition.members(cluster).tolist()) for cluster in clusters)


def check_sizes(sizes: Sequence[Any], name: str) -> tuple[int, ...]:
    """Return sizes of layers as ints.

    Raises
    ------
    ValueError
        If one is not a positive integer.
    """
    given = list(sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in given):
        raise ValueError(
            f"{name} must hold positive integers, such as (64, 64). Got {sizes!r} instead."
        )
    return tuple(int(size) for size in given)


def check_attach_shape(shape: tuple[int, ...], maps: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the features that heads read.

    Raises
    ------
    ValueError
        If there are to be convolutional maps on features that are no maps.
    """
    if maps and len(shape) != 3:
        raise ValueError(
            "head_maps need an attach point with features of shape (channels, height, width). Got "
            f"{shape} instead; name a convolutional layer by attach_at, or leave head_maps empty."
        )
    return shape
