"""A perceptron that learns from sampled negatives."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import torch

from .._validation import Interval, StrOptions
from ._data import BatchDataset
from .class_clusters import frequency_ranks
from .many_class import ManyClassClassifier
from .output_layers import OutputLayer
from .sampled_output import SampledOutput


class SampledSoftmaxClassifier(ManyClassClassifier):
    """Multi-layer perceptron with a flat softmax that learns from sampled negatives.

    A training step computes the scores of the classes of its batch and of some others, drawn at
    random. Predictions are those of a flat softmax, and cost as much.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units of each hidden layer.
    n_negatives : int, default=1024
        Classes drawn for each batch, shared by its rows. With as many as there are classes, or
        more, the loss is computed exactly.
    sampling : {"log_uniform", "uniform"}, default="log_uniform"
        Whether a class of frequency rank r is drawn about as often as 1 / r, or all as often.
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
        Whether ``fit`` goes on from the weights of the last fit; ranks by frequency are kept.
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
        Seed of initial weights, batch order, dropout, negatives and the validation split.
    verbose : int, default=0
        1 shows on the standard error how far the training is and about how long it will take; 2
        prints a line an epoch on the standard output, too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels as given.
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
    PartitionSoftmaxClassifier : Fast in prediction, too.

    References
    ----------
    Jean, Cho, Memisevic & Bengio, On using very large target vocabulary for neural machine
    translation, ACL 2015, sec. 3.

    Examples
    --------
    >>> from hierlearn import SampledSoftmaxClassifier
    >>> from hierlearn.datasets import make_class_hierarchy
    >>> planted = make_class_hierarchy(100, 3000, n_features=16)
    >>> clf = SampledSoftmaxClassifier((64,), n_negatives=50, lr=0.01, random_state=0)
    >>> clf = clf.fit(planted.data_train, planted.target_train)
    >>> clf.score(planted.data_test, planted.target_test) > 0.7
    True
    """

    _parameter_constraints: dict = {
        **ManyClassClassifier._parameter_constraints,
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "sampling": [StrOptions({"log_uniform", "uniform"})],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (200, 150),
        *,
        n_negatives: int = 1024,
        sampling: str = "log_uniform",
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
        self.n_negatives = n_negatives
        self.sampling = sampling
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.sparse_updates = sparse_updates

    def _arrange(self, train: BatchDataset) -> None:
        self._ranks = frequency_ranks(self._frequencies)

    def _output_layer(self, in_features: int, n_classes: int) -> OutputLayer:
        ranks = self._ranks if self.sampling == "log_uniform" else None
        return SampledOutput(in_features, n_classes, self.n_negatives, ranks)

    def _touched_share(self, layer: Any, batch_size: int) -> float:
        return (batch_size + self.n_negatives) / layer.n_classes
