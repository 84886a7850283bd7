"""What specialist heads look like and cost, before there are any."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

# Group-specific maps are 3 x 3 convolutions, each followed by pooling of 2 while there is room.
KERNEL = 3
POOL = 2


@dataclass(frozen=True)
class HeadLayer:
    """What one layer of a head costs a sample; the fields are those of a network's layer."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    multiply_adds: int = 0
    parameters: int = 0


@dataclass(frozen=True)
class HeadPlan:
    """The shape of one head for every cluster.

    Parameters
    ----------
    members : tuple of tuple of int
        Codes of the labels that each head is wired to.
    widths : tuple of tuple of int
        Units of each head's fully connected layers; all heads have as many layers, or none.
    maps : tuple of int, default=()
        Convolutional maps of each head in front of those layers, the same for all heads.

    Examples
    --------
    >>> plan = HeadPlan(members=((0, 1), (2,)), widths=((8, 4), (6, 3)))
    >>> plan.n_heads, plan.multiply_adds((10,))
    (2, (120, 81))
    """

    members: tuple[tuple[int, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    maps: tuple[int, ...] = ()

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return len(self.members)

    @property
    def is_linear(self) -> bool:
        """Whether the heads have no hidden layer: their output weights read the features."""
        return not self.widths[0]

    @property
    def features(self) -> tuple[int, ...]:
        """Units in each head's last layer; its outputs where it has no hidden layer."""
        if self.is_linear:
            return tuple(len(codes) for codes in self.members)
        return tuple(widths[-1] for widths in self.widths)

    def multiply_adds(self, attach_shape: Sequence[int]) -> tuple[int, ...]:
        """Return what each head costs for one sample, its output weights included.

        Parameters
        ----------
        attach_shape : sequence of int
            Shape of the features that the heads read, without the batch dimension.

        Returns
        -------
        multiply_adds : tuple of int
            One for each head.
        """
        return self._summed(attach_shape, "multiply_adds")

    def parameters(self, attach_shape: Sequence[int]) -> tuple[int, ...]:
        """Return how many weights and biases each head has, its output weights included.

        Parameters
        ----------
        attach_shape : sequence of int
            Shape of the features that the heads read, without the batch dimension.

        Returns
        -------
        parameters : tuple of int
            One for each head.
        """
        return self._summed(attach_shape, "parameters")

    def _summed(self, attach_shape: Sequence[int], field: str) -> tuple[int, ...]:
        heads = range(self.n_heads)
        return tuple(
            sum(getattr(layer, field) for layer in self.layers(attach_shape, head))
            for head in heads
        )

    def layers(self, attach_shape: Sequence[int], head: int) -> list[HeadLayer]:
        """Return what each layer of one head costs, from the first maps to its output weights.

        Parameters
        ----------
        attach_shape : sequence of int
            Shape of the features that the heads read, without the batch dimension.
        head : int
            Number of the head.

        Returns
        -------
        layers : list of HeadLayer
            From the first to the last.
        """
        found: list[HeadLayer] = []
        shape = tuple(attach_shape)
        for number, n_maps in enumerate(self.maps, start=1):
            price, _ = maps_multiply_adds((n_maps,), shape)
            size = (KERNEL**2 * shape[0] + 1) * n_maps
            shape = (n_maps, *shape[1:])
            found.append(HeadLayer(f"maps{number}", "Conv2d", shape, price, size))
            found.append(HeadLayer(f"maps{number}.activation", "ReLU", shape))
            if (smaller := (n_maps, *pooled(*shape[1:]))) != shape:
                shape = smaller
                found.append(HeadLayer(f"maps{number}.pool", "MaxPool2d", shape))
        n_inputs = math.prod(shape)
        for number, width in enumerate(self.widths[head], start=1):
            price = n_inputs * width
            found.append(HeadLayer(f"hidden{number}", "Linear", (width,), price, price + width))
            found.append(HeadLayer(f"hidden{number}.activation", "ReLU", (width,)))
            n_inputs = width
        n_labels = len(self.members[head])
        price = n_inputs * n_labels
        return [*found, HeadLayer("output", "Linear", (n_labels,), price, price)]

    def of(self, heads: Sequence[int]) -> HeadPlan:
        """Return the plan of some of the heads.

        Parameters
        ----------
        heads : sequence of int
            Their numbers.

        Returns
        -------
        plan : HeadPlan
            These heads only, in this order.
        """
        members, widths = (tuple(part[h] for h in heads) for part in (self.members, self.widths))
        return HeadPlan(members, widths, self.maps)


def _pairs(sizes: Sequence[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(sizes))


def stack_multiply_adds(n_inputs: int, widths: Sequence[int], n_outputs: int) -> int:
    """Count the multiply-adds of a stack of fully connected layers.

    Parameters
    ----------
    n_inputs : int
        Features that the stack reads.
    widths : sequence of int
        Units of its hidden layers.
    n_outputs : int
        Units of its last layer.

    Returns
    -------
    multiply_adds : int
        For one sample.

    Examples
    --------
    >>> stack_multiply_adds(10, (8, 4), 2)
    120
    """
    return sum(a * b for a, b in _pairs((n_inputs, *widths, n_outputs)))


def maps_multiply_adds(maps: Sequence[int], attach_shape: Sequence[int]) -> tuple[int, int]:
    """Count the multiply-adds of one head's maps, and the values they hand on.

    Parameters
    ----------
    maps : sequence of int
        Numbers of maps.
    attach_shape : sequence of int
        ``(channels, height, width)`` where there are maps, else any shape.

    Returns
    -------
    multiply_adds, n_values : int
        Of one sample.

    Examples
    --------
    >>> maps_multiply_adds((4,), (3, 8, 8))
    (6912, 64)
    >>> maps_multiply_adds((), (3, 8, 8))
    (0, 192)
    """
    if not maps:
        return 0, math.prod(attach_shape)
    channels, height, width = attach_shape
    total = 0
    for n_maps in maps:
        total += KERNEL**2 * channels * n_maps * height * width
        channels, (height, width) = n_maps, pooled(height, width)
    return total, channels * height * width


def pooled(height: int, width: int) -> tuple[int, int]:
    """Return the size of maps after pooling, which stops where there is no room."""
    return (height // POOL, width // POOL) if min(height, width) >= POOL else (height, width)
