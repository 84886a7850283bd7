"""Auxiliary classifiers: heads at inner layers that help to train a network, then are discarded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator

from .._validation import Interval, StrOptions
from ..partition import LabelPartition


class AuxiliaryHeads(BaseEstimator):
    """What auxiliary classifiers a network carries while it is trained.

    Given as ``auxiliary`` to :class:`TorchMLPClassifier`, :class:`TorchCNNClassifier` or
    :class:`TorchClassifier`. Each head reads the output of one layer; its loss, times ``weight``,
    is added to the network's own, so that the layers below get a gradient that has not come all the
    way down. After ``fit`` the heads are gone: the network has the layers, the weights and the cost
    of one trained without them.

    Parameters
    ----------
    at : str or sequence of str, default="auto"
        Dotted names of the layers that are read, such as ``("conv3", "conv6")``. In a chain of
        layers the normalisation and activation that follow a layer belong to it. ``"auto"`` is two
        layers with weights, a third and two thirds of the way up.
    target : "classes", LabelPartition or dict, default="classes"
        What the heads learn: the classes of y, or to name the primary cluster of a sample's class.
        A dict goes from cluster to its classes, see :meth:`LabelPartition.from_dict`, or from class
        to the name of its cluster. Clusters of a multi-label y are those of any of a sample's
        labels. A partition may know more classes
        than y has, so that one serves all folds.
    weight : float, default=0.3
        Factor on the loss of each head.
    hidden_layer_sizes : sequence of int, default=()
        Units in the hidden layers (ReLU) of each head; empty for a linear head.
    pool_size : int, default=1
        Side of the grid that maps are averaged to before a head reads them; 1 is one mean a
        channel. Maps are (channels, ...); features without maps are read as they are.

    See Also
    --------
    hierlearn.SpecialistHeadAugmenter : Heads that stay, wired to clusters of the outputs.

    Notes
    -----
    Heads draw their initial weights from a seed of their own, so that the network starts from the
    weights, and sees the batches, that it would without them; with ``weight=0`` it also ends where
    it would. With ``warm_start=True`` every fit draws new heads. Early stopping looks at the
    network's own loss. ``history_`` has the mean loss of the heads, before ``weight``, as
    ``auxiliary_loss``.

    References
    ----------
    Szegedy et al., Going deeper with convolutions (2015), sec. 5: two auxiliary classifiers in
    intermediate layers of GoogLeNet, weight 0.3, discarded at inference. Lee, Xie, Gallagher, Zhang
    & Tu, Deeply-supervised nets (2015).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import AuxiliaryHeads, TorchMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = TorchMLPClassifier(
    ...     (32, 32, 32), auxiliary=AuxiliaryHeads(at=["hidden1"]), max_epochs=10, random_state=0
    ... )
    >>> clf.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.8
    True
    >>> [name for name, _ in clf.module_.named_children() if "hidden" not in name]
    ['activation1', 'activation2', 'activation3', 'output']
    >>> sorted(clf.history_[0])
    ['auxiliary_loss', 'dur', 'epoch', 'train_loss']
    """

    _parameter_constraints: dict = {
        "at": [str, list, tuple],
        "target": [StrOptions({"classes"}), LabelPartition, dict],
        "weight": [Interval(Real, 0, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "pool_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        at: str | Sequence[str] = "auto",
        *,
        target: str | LabelPartition | Mapping[str, Any] = "classes",
        weight: float = 0.3,
        hidden_layer_sizes: Sequence[int] = (),
        pool_size: int = 1,
    ) -> None:
        self.at = at
        self.target = target
        self.weight = weight
        self.hidden_layer_sizes = hidden_layer_sizes
        self.pool_size = pool_size
