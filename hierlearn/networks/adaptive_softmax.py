"""A perceptron whose rare classes lie in clusters of reduced dimension."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch

from .._validation import Interval, StrOptions
from ._data import BatchDataset
from .adaptive_output import AdaptiveOutput
from .class_clusters import automatic_cutoffs, check_cutoffs, frequency_ranks
from .many_class import ManyClassClassifier
from .output_layers import OutputLayer


class AdaptiveSoftmaxClassifier(ManyClassClassifier):
    """Multi-layer perceptron with an adaptive softmax, for many classes of unequal frequency.

    The most frequent classes have an output each, beside one for each cluster of rarer classes.
    Rarer clusters read narrower projections of the hidden features. Most samples are of frequent
    classes, so that a training step computes few scores. Classes are ranked by their frequency in
    the training data inside; their labels may be of any dtype and in any order.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units of each hidden layer.
    cutoffs : "auto" or array-like of int, default="auto"
        Ranks at which clusters of rarer classes begin, ascending, from 1 to ``n_classes - 1``.
        ``"auto"`` takes those with which a training step is cheapest, none where there is little to
        gain: then it is a flat softmax, as with an empty list.
    div_value : float, default=4.0
        How much narrower the projection of each cluster is than that of the one before; the first
        is ``div_value`` times as narrow as the last hidden layer.
    activation : {"relu", "tanh", "gelu", "logistic"}, default="relu"
        Activation of the hidden layers.
    dropout, input_dropout : float, default=0.0
        Dropout behind every hidden layer, and of the inputs.
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
        Whether ``fit`` goes on from the weights of the last fit; the ranks are kept.
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
    cutoffs_ : tuple of int
        The cutoffs used.
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
    PartitionSoftmaxClassifier : Clusters of any partitioner, for classes of any frequency.

    References
    ----------
    Grave, Joulin, Cissé, Grangier & Jégou, Efficient softmax approximation for GPUs, ICML 2017.

    Examples
    --------
    >>> from hierlearn import AdaptiveSoftmaxClassifier
    >>> from hierlearn.datasets import make_class_hierarchy
    >>> planted = make_class_hierarchy(100, 3000, n_features=16)
    >>> clf = AdaptiveSoftmaxClassifier((64,), cutoffs=[20, 50], lr=0.01, random_state=0)
    >>> clf = clf.fit(planted.data_train, planted.target_train)
    >>> clf.score(planted.data_test, planted.target_test) > 0.7
    True
    >>> labels, probabilities = clf.predict_top_k(planted.data_test, k=3)
    >>> labels.shape, probabilities.shape
    ((750, 3), (750, 3))
    """

    _parameter_constraints: dict = {
        **ManyClassClassifier._parameter_constraints,
        "cutoffs": [StrOptions({"auto"}), "array-like"],
        "div_value": [Interval(Real, 1, None, closed="left")],
    }
    _parameter_constraints.pop("sparse_updates")

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (200, 150),
        *,
        cutoffs: str | Sequence[int] = "auto",
        div_value: float = 4.0,
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
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
        self.cutoffs = cutoffs
        self.div_value = div_value
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout

    def _arrange(self, train: BatchDataset) -> None:
        n_classes = len(self.classes_)
        self._ranks = frequency_ranks(self._frequencies)
        width = [train.X.shape[1], *self.hidden_layer_sizes][-1]
        if isinstance(self.cutoffs, str):
            descending = np.sort(self._frequencies)[::-1]
            self.cutoffs_ = automatic_cutoffs(descending, width, self.div_value)
        else:
            self.cutoffs_ = check_cutoffs(self.cutoffs, n_classes)
        if width < self.div_value ** len(self.cutoffs_):
            raise ValueError(
                f"div_value must leave the projection of cluster {len(self.cutoffs_)} a unit of "
                f"the {width} of the last hidden layer. Got {self.div_value:g} instead; lower it, "
                "or give fewer cutoffs."
            )

    def _output_layer(self, in_features: int, n_classes: int) -> OutputLayer:
        return AdaptiveOutput(
            in_features, n_classes, self.cutoffs_, self._ranks, div_value=self.div_value
        )
