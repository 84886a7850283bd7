"""A network that points at its labels: cosine proximity as loss, cosines to labels as scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import nn

from ..embedding import sum_of_labels
from ._data import BatchDataset

# A label without a training sample scores as one that points the other way.
_UNSEEN = -1.0


class CosineProximityLoss(nn.Module):
    """One minus the cosine between output and target, for each row.

    A target of zeros, that of a sample without labels, has no direction: its loss is one, its
    gradient zero.

    Parameters
    ----------
    reduction : {"none"}, default="none"
        As other losses of torch have it; weights are applied outside.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.cosine_proximity import CosineProximityLoss
    >>> CosineProximityLoss()(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([1.])
    """

    def __init__(self, reduction: str = "none") -> None:
        super().__init__()

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the loss of every row."""
        return 1 - F.cosine_similarity(output, target, dim=1)


class CosineScores(nn.Module):
    """Scores of all labels: scaled cosines between a row and the labels' embeddings.

    Parameters
    ----------
    embeddings : ndarray of shape (n_labels, n_components)
        Unit rows. They are parameters that are not trained.
    seen : ndarray of shape (n_labels,), dtype bool
        Which labels have training samples. The cosine of any other counts as -1.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from hierlearn.networks.cosine_proximity import CosineScores
    >>> scores = CosineScores(np.eye(2), np.array([True, True]))
    >>> scores(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    tensor([[0.6000, 0.8000]], dtype=torch.float64)
    """

    seen: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, embeddings: np.ndarray, seen: np.ndarray) -> None:
        super().__init__()
        values = torch.as_tensor(np.array(embeddings))
        self.embeddings = nn.Parameter(values, requires_grad=False)
        self.register_buffer("seen", torch.as_tensor(np.array(seen)))
        self.register_buffer("scale", torch.ones(len(values), dtype=values.dtype))
        self.register_buffer("offset", torch.zeros(len(values), dtype=values.dtype))

    def calibrate(self, scale: Any, offset: Any) -> None:
        """Set what cosines are multiplied by and what is added, for all labels or each."""
        self.scale.copy_(torch.as_tensor(scale).expand_as(self.scale))
        self.offset.copy_(torch.as_tensor(offset).expand_as(self.offset))

    def cosines(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the cosines to all labels, shape (n, n_labels)."""
        found = F.linear(F.normalize(rows, dim=1), self.embeddings)
        return torch.where(self.seen, found, _UNSEEN)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits of all labels, shape (n, n_labels)."""
        return self.cosines(rows) * self.scale + self.offset


class _Directions:
    """Targets that are computed batch by batch: sums of label embeddings, normalised.

    Parameters
    ----------
    target : ndarray of shape (n_samples,), or indicator, dense or csr
        Class codes, or labels.
    embeddings : ndarray of shape (n_labels, n_components)
    """

    def __init__(self, target: Any, embeddings: np.ndarray) -> None:
        self.target = target
        self.embeddings = embeddings
        self.shape = (target.shape[0], embeddings.shape[1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        labels = self.target[rows]
        if labels.ndim == 1:
            return self.embeddings[labels]
        return sum_of_labels(sparse.csr_array(labels), self.embeddings)


def towards(data: BatchDataset, embeddings: np.ndarray) -> BatchDataset:
    """Return the same rows with the directions of their labels as targets.

    Parameters
    ----------
    data : BatchDataset
        With class codes or a label indicator.
    embeddings : ndarray of shape (n_labels, n_components)

    Returns
    -------
    BatchDataset
    """
    return BatchDataset(data.X, _Directions(data.target, embeddings), data.weight, data.dtype)
