"""Splitting a fitted classifier at a layer: shared trunk, and branches that grow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from torch import nn

from ._base import BaseTorchClassifier
from ._forward import forward
from ._runtime import isolated, resolve_device
from .branch import BranchClassifier
from .split import split_network, split_point

# How branches are fine-tuned, found on a part of CIFAR-100's training data. A branch takes few
# steps, so it affords larger ones; on a frozen trunk, and starting from a network that was trained
# with dropout, it does better without dropout and with more weight decay.
_LR_FACTOR = 2.0
_DROPOUT = 0.0
_WEIGHT_DECAY = 0.3


@dataclass(frozen=True)
class Split:
    """A fitted classifier in two parts.

    Parameters
    ----------
    prefix : Pipeline or None
        Transformers in front of the network, or None.
    network : BaseTorchClassifier
        The fitted network, for its settings.
    trunk, head : torch.nn.Sequential
        Lower and upper layers; they share the network's parameters.
    """

    prefix: Pipeline | None
    network: BaseTorchClassifier
    trunk: nn.Sequential
    head: nn.Sequential

    def features(self, X: Any) -> Any:
        """Return the trunk's output for raw rows, shape (n_samples, ...).

        A trunk without layers gives the rows themselves, which are not copied.
        """
        # Arrays are looked through for NaN and infinity batch by batch, in the cache.
        check = bool(len(self.trunk)) and self.prefix is None and isinstance(X, np.ndarray)
        inputs: Any = self.network._check_X(X, finite=False) if check else self.inputs(X)
        if not len(self.trunk):
            return inputs
        network = self.network
        return forward(self.trunk, inputs, network.device, network.n_jobs, check=check)

    def training_views(self, X: Any, n_views: int | None, seed: int) -> list[Any]:
        """Return the trunk's output for several augmented versions of raw rows.

        Branches learn on what the trunk gives once and for all; without such versions the
        augmentation that the network was trained with would be lost on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Raw rows.
        n_views : int or None
            Versions, the rows as they are being the first. None is two where the network is one
            that augments its training data, else one; no other network has more than one.
        seed : int
            Decides the random changes.

        Returns
        -------
        list of ndarray of shape (n_samples, ...)
        """
        augment = self.network._augmentation()
        inputs, network = self.inputs(X), self.network
        device = resolve_device(network.device, fitted=True)
        views = []
        for number in range(self.n_views(n_views)):
            if number == 0 and not len(self.trunk):
                views.append(inputs)
                continue
            with isolated(seed + number, device, network.n_jobs):
                module = _View(self.trunk, augment, number)
                views.append(forward(module, inputs, network.device, network.n_jobs))
        return views

    def n_views(self, wanted: int | None) -> int:
        """Return how many versions of the training data there are, see :meth:`training_views`."""
        if self.network._augmentation() is None:
            return 1
        return 2 if wanted is None else wanted

    def inputs(self, X: Any) -> Any:
        """Return raw rows as the network takes them, transformed and checked."""
        return self.network._check_X(X if self.prefix is None else self.prefix.transform(X))

    def posteriors(self, features: np.ndarray) -> np.ndarray:
        """Return the whole network's class posteriors from trunk features."""
        return self.network._posteriors_above(self.head, features)

    def branch(self, max_epochs: int | None = None, lr: float | None = None) -> BranchClassifier:
        """Return an unfitted branch: a copy of the head, to be fine-tuned on some classes.

        Parameters
        ----------
        max_epochs : int or None, default=None
            Passes over the branch's samples; None takes the network's own.
        lr : float or None, default=None
            Learning rate; None takes twice the network's own.
        """
        network = self.network
        shared = {
            name: value
            for name, value in network.get_params(deep=False).items()
            if name in BranchClassifier._parameter_constraints
        }
        shared.update(
            max_epochs=network.max_epochs if max_epochs is None else max_epochs,
            lr=network.lr * _LR_FACTOR if lr is None else lr,
            weight_decay=max(network.weight_decay, _WEIGHT_DECAY),
            dropout=_DROPOUT,
            warm_start=False,
            head=self.head,
            head_classes=network.classes_,
            random_state=None,
            verbose=0,
        )
        return BranchClassifier(**shared)


class _View(nn.Module):
    """The trunk, behind one of the versions that augmentation makes of its inputs."""

    def __init__(self, trunk: nn.Module, augment: Any, number: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.augment = augment
        self.number = number

    def forward(self, x: Any) -> Any:
        """Return the trunk's output."""
        return self.trunk(x if self.augment is None else self.augment.view(x, self.number))


def split_classifier(fitted: Any, at: str | None = None) -> Split:
    """Split a fitted torch classifier, or a Pipeline that ends in one.

    Parameters
    ----------
    fitted : TorchClassifier, TorchMLPClassifier or Pipeline
        Its network must be a chain of layers.
    at : str or None, default=None
        The trunk's last layer with weights; None takes the layer with most multiply-adds, see
        :func:`split_point`.

    Returns
    -------
    Split
    """
    is_pipeline = isinstance(fitted, Pipeline)
    network = fitted[-1] if is_pipeline else fitted
    prefix = fitted[:-1] if is_pipeline and len(fitted) > 1 else None
    point = split_point(network.module_, network._input_shape, at)
    trunk, head = split_network(network.module_, point)
    return Split(prefix, network, trunk, head)
