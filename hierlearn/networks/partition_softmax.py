"""A perceptron that names a cluster of classes, and the class within it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch

from .._validation import HasMethods, Interval
from ..partition import LabelPartition, class_means
from ._data import BatchDataset
from .class_clusters import clusters_of_means, default_n_clusters
from .class_partition import learn_classes
from .many_class import ManyClassClassifier
from .output_layers import OutputLayer
from .sampled_output import SampledOutput
from .two_level_output import TwoLevelOutput


class PartitionSoftmaxClassifier(ManyClassClassifier):
    """Multi-layer perceptron with a two-level softmax over clusters of classes.

    The probability of a class is that of its cluster times that of the class within the cluster. A
    training step computes the scores of all clusters, and within the true ones only; a prediction
    looks into the clusters that can still hold the most probable class, and is exact.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units of each hidden layer.
    partitioner : str, partitioner, LabelPartition, mapping or None, default=None
        What makes the clusters. None clusters the means of the classes by k-means. A partitioner
        of features gets X and y; one of confusions the confusions of a network with such clusters,
        trained for a few epochs, on rows held out from it; names are those of
        :func:`hierlearn.partition.resolve_partitioner`. Where clusters overlap, classes are in
        their primary ones.
    n_clusters : int or None, default=None
        Number of clusters of ``partitioner=None``. None is about four times the square root of
        the number of classes, up to twice as many from 25,000 classes on, and one, which is a flat
        softmax, where that has fewer than 2**20 weights: there clusters save little, and can cost
        accuracy.
    activation : {"relu", "tanh", "gelu", "logistic"}, default="relu"
        Activation of the hidden layers.
    dropout, input_dropout : float, default=0.0
        Dropout behind every hidden layer, and of the inputs.
    sparse_updates : bool or "auto", default="auto"
        Whether a step moves only the output weights that its batch touches, averages and weight
        decay included. ``"auto"`` does where there are many and a batch touches less than half of
        them. Needs ``optimizer="adamw"``.
    max_epochs : int, default=20
        Passes over the training data.
    batch_size : int or "auto", default="auto"
        Rows a step. ``"auto"`` is about a hundredth of the data, a power of two from 64 to 256.
    optimizer : {"adamw", "adam", "sgd"} or torch.optim.Optimizer class, default="adamw"
        How the weights are moved.
    lr : float, default=1e-3
        (Peak) learning rate.
    weight_decay : float, default=0.01
        Weight decay of the optimiser.
    momentum : float, default=0.9
        Momentum, used by ``optimizer="sgd"`` only.
    lr_schedule : {"one_cycle", "cosine", "constant"}, default="one_cycle"
        How the learning rate moves over the run.
    early_stopping : bool, default=False
        Hold out ``validation_fraction`` of the data, stop when its loss has not improved for
        ``n_iter_no_change`` epochs and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the data held out by ``early_stopping``.
    n_iter_no_change : int, default=5
        Patience of ``early_stopping`` in epochs.
    class_weight : dict, "balanced" or None, default=None
        Weights by class label, as in scikit-learn.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit; the clusters are kept.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
    mixed_precision : bool or "always", default=True
        Train the hidden layers in bfloat16 where the device is a GPU that supports it; with
        ``"always"`` on a CPU, too.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Floating type of the network; ``"auto"`` is float32, but float64 when the whole training set
        fits in one batch.
    callbacks : sequence or None, default=None
        Further skorch callbacks.
    n_jobs : int or None, default=None
        CPU threads for torch. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batch order, dropout and the validation split.
    verbose : int, default=0
        1 shows on the standard error how far the training is and about how long it will take; 2
        prints a line an epoch on the standard output, too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels as given.
    partition_ : LabelPartition
        The clusters.
    module_ : torch.nn.Sequential
        The trained network: ``hidden1``, ``activation1``, ..., ``output``, which returns the
        log-probabilities of all classes.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.
    multilabel_ : bool
        Always False.

    See Also
    --------
    AdaptiveSoftmaxClassifier : Clusters by frequency.

    References
    ----------
    Goodman, Classes for fast maximum entropy training, ICASSP 2001.

    Examples
    --------
    >>> from hierlearn import PartitionSoftmaxClassifier
    >>> from hierlearn.datasets import make_class_hierarchy
    >>> planted = make_class_hierarchy(100, 3000, n_features=16)
    >>> clf = PartitionSoftmaxClassifier((64,), n_clusters=10, lr=0.01, random_state=0)
    >>> clf = clf.fit(planted.data_train, planted.target_train)
    >>> clf.partition_.n_clusters
    10
    >>> clf.score(planted.data_test, planted.target_test) > 0.7
    True
    """

    _parameter_constraints: dict = {
        **ManyClassClassifier._parameter_constraints,
        "partitioner": [str, LabelPartition, dict, HasMethods("fit"), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (200, 150),
        *,
        partitioner: Any = None,
        n_clusters: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        sparse_updates: bool | str = "auto",
        max_epochs: int = 20,
        batch_size: int | str = "auto",
        optimizer: str | type[torch.optim.Optimizer] = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        momentum: float = 0.9,
        lr_schedule: str = "one_cycle",
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict | str | None = None,
        warm_start: bool = False,
        device: str = "auto",
        mixed_precision: bool | str = True,
        dtype: str = "auto",
        callbacks: Sequence[Any] | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            max_epochs=max_epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            momentum=momentum,
            lr_schedule=lr_schedule,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            class_weight=class_weight,
            warm_start=warm_start,
            device=device,
            mixed_precision=mixed_precision,
            dtype=dtype,
            callbacks=callbacks,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.hidden_layer_sizes = hidden_layer_sizes
        self.partitioner = partitioner
        self.n_clusters = n_clusters
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.sparse_updates = sparse_updates

    def _arrange(self, train: BatchDataset) -> None:
        seed = int(torch.randint(np.iinfo(np.int32).max, ()))
        if self.partitioner is None:
            self.partition_ = self._by_means(train, seed)
        elif self.n_clusters is not None:
            raise ValueError(
                "n_clusters must be None where a partitioner is given, which has its own. Got "
                f"{self.n_clusters} instead; set it there."
            )
        else:
            self.partition_ = learn_classes(self, train, seed)

    def _by_means(self, train: BatchDataset, seed: int) -> LabelPartition:
        n_classes, n_clusters = len(self.classes_), self.n_clusters
        if n_clusters is None:
            in_features = (train.X.shape[1], *self.hidden_layer_sizes)[-1]
            n_clusters = default_n_clusters(n_classes, in_features)
        if n_clusters > n_classes:
            raise ValueError(
                f"n_clusters must be at most the number of classes, {n_classes}. Got {n_clusters} "
                "instead; leave it out, or lower it."
            )
        means = class_means(train.X, train.target, n_classes, train.weight)
        return LabelPartition(self.classes_, clusters_of_means(means, n_clusters, seed))

    def _output_layer(self, in_features: int, n_classes: int) -> OutputLayer:
        if self.partition_.n_clusters == 1:
            return SampledOutput(in_features, n_classes, n_classes)  # all are looked at: flat
        return TwoLevelOutput(in_features, self.partition_.labels)

    def _touched_share(self, layer: Any, batch_size: int) -> float:
        n_clusters = self.partition_.n_clusters
        return 1 - (1 - 1 / n_clusters) ** batch_size
