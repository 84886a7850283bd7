"""A whole hierarchy as one network: trunk, gate and branches, trained end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._base import BaseTorchClassifier
from ._data import BatchDataset
from ._runtime import isolated, resolve_device
from ._skorch import train_network

_SMALLEST = 1e-12


class HierarchicalNetwork(nn.Module):
    """Probabilistic averaging over branches: ``p(class) = sum_i p(cluster i) q_i(class)``.

    Parameters
    ----------
    trunk : torch.nn.Module
        Lower layers that gate and branches share.
    gate : torch.nn.Module
        Maps the trunk's output to logits, of all classes, or of the clusters.
    branches : sequence of (torch.nn.Module or None)
        Each maps the trunk's output to logits of its cluster's classes; None knows no more than
        that one of them it is.
    members : sequence of sequence of int
        Class codes of each cluster, ascending, overlaps included.
    labels : ndarray of shape (n_classes,)
        Primary cluster of every class, over which a gate of all classes is summed.
    gate_names_classes : bool
        Which of the two the gate is.
    gate_codes : sequence of int or None, default=None
        Which classes, or clusters, the gate's outputs stand for; None is all. It has seen none of
        a class whose samples weigh nothing.

    References
    ----------
    Yan et al., HD-CNN: Hierarchical deep convolutional neural networks for large scale visual
    recognition, ICCV 2015, eq. 2.
    """

    def __init__(
        self,
        trunk: nn.Module,
        gate: nn.Module,
        branches: Sequence[nn.Module | None],
        members: Sequence[Sequence[int]],
        labels: NDArray[np.int64],
        gate_names_classes: bool,
        gate_codes: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.gate = gate
        self.branches = nn.ModuleList(
            nn.Identity() if branch is None else branch for branch in branches
        )
        self.knows = [branch is not None for branch in branches]
        self.gate_names_classes = gate_names_classes
        self.n_classes = len(labels)
        for cluster, codes in enumerate(members):
            self.register_buffer(f"codes{cluster}", torch.as_tensor(list(codes)))
        self.register_buffer("labels", torch.tensor(labels.tolist()))
        named = labels if gate_names_classes else np.arange(len(branches))
        named = named if gate_codes is None else named[list(gate_codes)]
        self.register_buffer("gate_clusters", torch.tensor(named.tolist()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return log posteriors of all classes and, beside them, of the clusters.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...)

        Returns
        -------
        Tensor of shape (n_samples, n_classes + n_clusters)
        """
        features = self.trunk(x)
        clusters = self.cluster_posteriors(features)
        classes = clusters.new_zeros(len(clusters), self.n_classes)
        for cluster, branch in enumerate(self.branches):
            codes = self.get_buffer(f"codes{cluster}")
            if self.knows[cluster]:
                inside = branch(features).softmax(dim=1)
            else:
                inside = clusters.new_full((len(clusters), len(codes)), 1 / max(len(codes), 1))
            classes = classes.index_add(1, codes, clusters[:, cluster, None] * inside)
        return torch.cat([classes, clusters], dim=1).clamp_min(_SMALLEST).log()

    def cluster_posteriors(self, features: torch.Tensor) -> torch.Tensor:
        """Return what the gate says of the clusters, shape (n_samples, n_clusters)."""
        posteriors: torch.Tensor = self.gate(features).softmax(dim=1)
        if not self.gate_names_classes and posteriors.shape[1] == len(self.branches):
            return posteriors
        clusters = posteriors.new_zeros(len(posteriors), len(self.branches))
        return clusters.index_add(1, self.get_buffer("gate_clusters"), posteriors)


class CoarseConsistencyLoss(nn.Module):
    """Negative log likelihood of the class, and a gate that keeps to the clusters' shares.

    Without the second term, the gate may drift to whatever clusters suit the branches of the
    moment.

    Parameters
    ----------
    shares : Tensor of shape (n_clusters,)
        Share of the training samples in each cluster.
    consistency : float
        Weight of half the squared difference between these and the gate's mean posteriors of a
        batch, ``lambda`` in the paper.
    reduction : {"none"}, default="none"
        The loss of every sample is returned.

    References
    ----------
    Yan et al., HD-CNN, ICCV 2015, eq. 3 (coarse category consistency).
    """

    def __init__(self, shares: torch.Tensor, consistency: float, reduction: str = "none") -> None:
        super().__init__()
        self.register_buffer("shares", shares)
        self.consistency = consistency

    def forward(self, log_posteriors: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of every sample, shape (n_samples,)."""
        shares = self.get_buffer("shares")
        of_class = log_posteriors[:, : -len(shares)]
        drift = shares - log_posteriors[:, -len(shares) :].exp().mean(dim=0)
        loss = nn.functional.nll_loss(of_class, target, reduction="none")
        return loss + self.consistency / 2 * drift.square().sum()


@dataclass(frozen=True)
class EndToEnd:
    """How a hierarchy is trained as a whole; the rest are the base network's settings.

    Parameters
    ----------
    max_epochs : int or None
        Passes over the data; None takes half the base network's.
    lr : float or None
        Learning rate of all layers; None takes a tenth of the base network's.
    consistency : float
        See :class:`CoarseConsistencyLoss`.
    """

    max_epochs: int | None
    lr: float | None
    consistency: float


def train_end_to_end(
    network: HierarchicalNetwork,
    base: BaseTorchClassifier,
    X: Any,
    codes: NDArray[np.int64],
    weight: NDArray[np.float64],
    how: EndToEnd,
    seed: int,
) -> list[dict[str, Any]]:
    """Train trunk, gate and branches together, in place.

    Parameters
    ----------
    network : HierarchicalNetwork
        Changed in place.
    base : BaseTorchClassifier
        Whose settings are used: optimiser, batch size, device, augmentation, ...
    X : ndarray or csr matrix of shape (n_samples, ...)
        Validated rows as the base network takes them.
    codes : ndarray of shape (n_samples,)
        Class codes.
    weight : ndarray of shape (n_samples,)
        Weights, mean one.
    how : EndToEnd
        Length and rate.
    seed : int
        Of batch order, augmentation and dropout.

    Returns
    -------
    list of dict
        A record an epoch.
    """
    device = resolve_device(base.device)
    batch_size = base.batch_size
    if batch_size == "auto":
        batch_size = base._auto_batch_size(len(codes))
    own = base._plan(codes, weight, device, int(batch_size), seed)
    lr = base.lr / 10 if how.lr is None else how.lr
    epochs = max(base.max_epochs // 2, 1) if how.max_epochs is None else how.max_epochs
    criterion = partial(
        CoarseConsistencyLoss,
        shares=_shares(network, codes, weight),
        consistency=how.consistency,
    )
    plan = replace(
        own,
        criterion=criterion,
        n_outputs=network.n_classes + len(network.branches),
        optimizer_params={**own.optimizer_params, "lr": lr},
        max_epochs=epochs,
        patience=None,
    )
    dtype = next(network.parameters()).dtype
    with isolated(seed, device, base.n_jobs):
        return train_network(network.to(device), BatchDataset(X, codes, weight, dtype), None, plan)


def _shares(
    network: HierarchicalNetwork, codes: NDArray[np.int64], weight: NDArray[np.float64]
) -> torch.Tensor:
    """Return the share of the samples in each primary cluster."""
    labels = network.get_buffer("labels").cpu().numpy()
    counts = np.bincount(labels[codes], weights=weight, minlength=len(network.branches))
    return torch.as_tensor(counts / counts.sum(), dtype=next(network.parameters()).dtype)
