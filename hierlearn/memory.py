"""Memory of a network, layer by layer, as the decomposition paper's appendix counts it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["MemoryRow", "MemoryTable", "memory_table"]

# Bytes of a number in single precision, and numbers of a megabyte of 2**20 bytes.
_BYTES = 4
_MEGABYTE = 2**20
# Digits that the appendix prints; a row that would print as nothing is printed, and added up, as
# the smallest figure there is.
_DIGITS = 2
_SMALLEST = 0.01
# Layers whose output is their input, seen otherwise, or is theirs in training only.
_VIEWS = ("Flatten", "Dropout", "Dropout2d", "Identity")


@dataclass(frozen=True)
class MemoryRow:
    """What one layer takes for one image.

    Parameters
    ----------
    name : str
        Name of the layer, "input" for the image itself.
    output_shape : tuple of int
        Shape of what it returns.
    data : float
        Megabytes (2**20 bytes) of what it returns, in single precision.
    parameters : float
        Megabytes of its weights, in single precision.
    multiply_adds : float
        Of one image.
    """

    name: str
    output_shape: tuple[int, ...]
    data: float
    parameters: float
    multiply_adds: float


@dataclass(frozen=True)
class MemoryTable:
    """Memory of all layers of a network; print it.

    Parameters
    ----------
    rows : tuple of MemoryRow
        In the order in which an image passes them.
    """

    rows: tuple[MemoryRow, ...]

    @property
    def data(self) -> float:
        """Megabytes of all layers' outputs for one image."""
        return sum(row.data for row in self.rows)

    @property
    def parameters(self) -> float:
        """Megabytes of all weights."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> float:
        """Multiply-adds of one image."""
        return sum(row.multiply_adds for row in self.rows)

    def total(self, batch_size: int = 1) -> float:
        """Return the megabytes of the weights and the outputs for a batch.

        Parameters
        ----------
        batch_size : int, default=1
            Images at a time.

        Returns
        -------
        total : float
            Megabytes.
        """
        return self.parameters + batch_size * self.data

    @property
    def printed_data(self) -> float:
        """Megabytes of data as the appendix adds them up: no layer takes less than 0.01."""
        return round(sum(_as_printed(row.data) for row in self.rows), _DIGITS)

    @property
    def printed_parameters(self) -> float:
        """Megabytes of the weights to two digits."""
        return round(self.parameters, _DIGITS)

    def printed_total(self, batch_size: int = 1) -> float:
        """Return the sum of the printed figures, which is what the paper's totals are.

        Parameters
        ----------
        batch_size : int, default=1
            Images at a time.

        Returns
        -------
        total : float
            Megabytes.
        """
        return round(self.printed_parameters + batch_size * self.printed_data, _DIGITS)

    def __str__(self) -> str:
        lines: list[tuple[str, ...]] = [("layer", "output", "data MB", "params MB", "mult-adds")]
        lines += [
            (
                row.name,
                " x ".join(map(str, row.output_shape)),
                f"{_as_printed(row.data):.2f}",
                f"{row.parameters:.2f}",
                f"{row.multiply_adds:,.0f}",
            )
            for row in self.rows
        ]
        totals = f"{self.printed_data:.2f}", f"{self.printed_parameters:.2f}"
        lines.append(("total", "", *totals, f"{self.multiply_adds:,.0f}"))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )


def _as_printed(megabytes: float) -> float:
    """Return a row's figure as it enters the appendix's sums."""
    return max(megabytes, _SMALLEST) if megabytes else 0.0


def memory_table(
    network: Any = "cnn_tl_1",
    input_shape: Sequence[int] = (3, 224, 224),
    n_outputs: int = 1000,
    *,
    biases: bool = False,
) -> MemoryTable:
    """Count the memory that a network takes to classify an image.

    The input and every layer's output count, those of ReLU, normalisation and pooling included; the
    last layer and the softmax behind it share a row, "prob", as in the paper.

    Parameters
    ----------
    network : str, sequence of str, torch.nn.Module or fitted classifier, default="cnn_tl_1"
        A name or a description as in :class:`hierlearn.TorchCNNClassifier`, a module, or one of
        our fitted networks, whose own shapes are then taken.
    input_shape : sequence of int, default=(3, 224, 224)
        Channels, height and width of the images.
    n_outputs : int, default=1000
        Number of classes of a network that is named or described.
    biases : bool, default=False
        Whether biases count. The paper counts weights only.

    Returns
    -------
    MemoryTable
        Print it for a table.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Tables 12 to 16.

    Examples
    --------
    >>> from hierlearn.memory import memory_table
    >>> table = memory_table("cnn_tl_1")  # their Table 14
    >>> table.printed_parameters, table.printed_data, table.printed_total()
    (232.03, 6.29, 238.32)
    >>> print(memory_table(("conv 3x3|8", "pool 2", "fc 20"), (3, 32, 32), 10))
    layer        output       data MB  params MB  mult-adds
    input        3 x 32 x 32     0.01       0.00          0
    conv1        8 x 32 x 32     0.03       0.00    221,184
    activation1  8 x 32 x 32     0.03       0.00          0
    pool1        8 x 16 x 16     0.01       0.00          0
    fc1          20              0.01       0.16     40,960
    activation2  20              0.01       0.00          0
    prob         10              0.01       0.00        200
    total                        0.11       0.16    262,344
    """
    from .networks.pricing import layer_costs

    module, shape = _module_of(network, tuple(input_shape), n_outputs)
    layers = layer_costs(module, shape)
    modules = dict(module.named_modules())
    rows = [MemoryRow("input", shape, _megabytes(math.prod(shape)), 0.0, 0)]
    for number, layer in enumerate(layers, start=1):
        if layer.kind in _VIEWS or layer.output_shape is None:
            continue
        bias = getattr(modules[layer.name], "bias", None)
        n_biases = 0 if biases or bias is None else bias.numel()
        rows.append(
            MemoryRow(
                "prob" if number == len(layers) else layer.name,
                layer.output_shape,
                _megabytes(math.prod(layer.output_shape)),
                _megabytes(layer.parameters - n_biases),
                layer.multiply_adds,
            )
        )
    return MemoryTable(tuple(rows))


def _megabytes(n_numbers: float) -> float:
    return n_numbers * _BYTES / _MEGABYTE


def _module_of(network: Any, input_shape: tuple[int, ...], n_outputs: int) -> Any:
    """Return the module to price and the shape of its input."""
    from .networks.convolutional import weightless

    if hasattr(network, "module_"):
        return network.module_, network._input_shape
    if isinstance(network, str | list | tuple):
        return weightless(input_shape, n_outputs, network), input_shape
    return network, input_shape
