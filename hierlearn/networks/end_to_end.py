"""Fine-tuning the members of a family together, the layers they share included."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._base import BaseTorchClassifier
from .branching import Split
from .hierarchical import EndToEnd, HierarchicalNetwork, train_end_to_end


@dataclass(frozen=True)
class TunedParts:
    """A hierarchy after training it as a whole.

    Parameters
    ----------
    split : Split
        With a trunk of its own; its head is still the base network's.
    gate : BaseTorchClassifier
        With the tuned weights.
    branches : tuple of (BaseTorchClassifier or None)
        Likewise.
    """

    split: Split
    gate: BaseTorchClassifier
    branches: tuple[Any, ...]


def tune_together(
    split: Split,
    gate: BaseTorchClassifier,
    branches: Sequence[Any],
    classes: NDArray[Any],
    labels: NDArray[np.int64],
    gate_names_classes: bool,
    X: Any,
    codes: NDArray[np.int64],
    weight: NDArray[np.float64] | None,
    how: EndToEnd,
    seed: int,
) -> TunedParts:
    """Train copies of trunk, gate and branches end to end; the originals stay as they are.

    Parameters
    ----------
    split : Split
        The base network in two parts.
    gate : BaseTorchClassifier
        Fitted on the trunk's output.
    branches : sequence of (BaseTorchClassifier or None)
        One a cluster, fitted on the trunk's output; None knows no more than that it is one of the
        cluster's classes.
    classes : ndarray of shape (n_classes,)
        Class labels.
    labels : ndarray of shape (n_classes,)
        Primary cluster of every class.
    gate_names_classes : bool
        Whether the gate names the class, or the cluster. Its labels do not tell: they may be whole
        numbers in both cases.
    X : array-like of shape (n_samples, ...)
        Raw rows.
    codes : ndarray of shape (n_samples,)
        Class codes.
    weight : ndarray of shape (n_samples,) or None
        Weights of the samples.
    how : EndToEnd
        Length and rate.
    seed : int
        Of everything random.

    Returns
    -------
    TunedParts
    """
    network = HierarchicalNetwork(
        copy.deepcopy(split.trunk),
        copy.deepcopy(_on_maps(gate)),
        [None if branch is None else copy.deepcopy(_on_maps(branch)) for branch in branches],
        [_codes_of(branch, cluster, classes, labels) for cluster, branch in enumerate(branches)],
        labels,
        gate_names_classes,
        _positions(gate.classes_, classes) if gate_names_classes else gate.classes_.tolist(),
    )
    network.to(_dtype(split))
    rows = split.inputs(X)
    even = split.network._weights(codes, classes, False, weight)
    train_end_to_end(network, split.network, rows, codes, even, how, seed)
    network.eval()
    tuned = [
        _with_weights(branch, head) if network.knows[cluster] else branch
        for cluster, (branch, head) in enumerate(zip(branches, network.branches, strict=True))
    ]
    own = replace(split, trunk=cast(nn.Sequential, network.trunk))
    return TunedParts(own, _with_weights(gate, network.gate), tuple(tuned))


def _dtype(split: Split) -> torch.dtype:
    return next(split.network.module_.parameters()).dtype


def _on_maps(classifier: BaseTorchClassifier) -> nn.Module:
    """Return a classifier's network as it takes the trunk's output, which may have to be flat."""
    if len(classifier._input_shape) > 1:
        return classifier.module_
    return nn.Sequential(nn.Flatten(), classifier.module_)


def _with_weights(classifier: BaseTorchClassifier, tuned: nn.Module) -> BaseTorchClassifier:
    """Return a fitted classifier with other weights; everything else is shared."""
    copied = copy.copy(classifier)
    copied.module_ = tuned if len(classifier._input_shape) > 1 else cast(nn.Sequential, tuned)[1]
    return copied


def _codes_of(
    branch: Any, cluster: int, classes: NDArray[Any], labels: NDArray[np.int64]
) -> list[int]:
    """Return the codes of the classes that a branch tells apart."""
    if branch is None:
        return np.flatnonzero(labels == cluster).tolist()
    return _positions(branch.classes_, classes)


def _positions(known: NDArray[Any], classes: NDArray[Any]) -> list[int]:
    """Return the codes of some classes."""
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    return [code_of[label] for label in known.tolist()]
