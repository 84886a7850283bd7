"""Multi-layer perceptrons."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import nn

from .._validation import Interval, StrOptions
from ._base import BaseTorchClassifier
from .auxiliary import AuxiliaryHeads

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "logistic": nn.Sigmoid,
}


def mlp(
    n_features: int,
    n_outputs: int,
    *,
    hidden_layer_sizes: Sequence[int] = (200, 150),
    activation: str = "relu",
    dropout: float = 0.0,
    input_dropout: float = 0.0,
) -> nn.Sequential:
    """Return a multi-layer perceptron as a chain of named layers.

    Layers are named ``hidden1``, ``activation1``, ``dropout1``, ``hidden2``, ..., ``output``, and
    ``input_dropout`` in front of them.

    Parameters
    ----------
    n_features : int
        Inputs.
    n_outputs : int
        Units of the last layer.
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units of each hidden layer.
    activation : {"relu", "tanh", "gelu", "logistic"}, default="relu"
        Activation of the hidden layers.
    dropout, input_dropout : float, default=0.0
        Dropout behind every hidden layer, and of the inputs.

    Returns
    -------
    torch.nn.Sequential
        The network, untrained.

    Examples
    --------
    >>> from hierlearn.networks import mlp
    >>> list(dict(mlp(4, 3, hidden_layer_sizes=(8,)).named_children()))
    ['hidden1', 'activation1', 'output']
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if input_dropout > 0:
        layers["input_dropout"] = nn.Dropout(input_dropout)
    width = n_features
    for index, size in enumerate(hidden_layer_sizes, start=1):
        layers[f"hidden{index}"] = nn.Linear(width, size)
        layers[f"activation{index}"] = _ACTIVATIONS[activation]()
        if dropout > 0:
            layers[f"dropout{index}"] = nn.Dropout(dropout)
        width = size
    layers["output"] = nn.Linear(width, n_outputs)
    return nn.Sequential(layers)


class TorchMLPClassifier(BaseTorchClassifier):
    """Multi-layer perceptron, trained by torch, as a scikit-learn classifier.

    The single large network of Chennupati et al. is ``hidden_layer_sizes=(200, 150)``, the default;
    their hierarchy and class assignment networks are ``(25, 10)``.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units in each hidden layer; empty for multinomial logistic regression.
    activation : {"relu", "tanh", "gelu", "logistic"}, default="relu"
        Activation of the hidden layers.
    dropout : float, default=0.0
        Probability of dropping a hidden unit during training.
    input_dropout : float, default=0.0
        Probability of dropping a feature during training.
    auxiliary : AuxiliaryHeads, default=None
        Heads at inner layers that help to train the network and are then discarded, see
        :class:`hierlearn.AuxiliaryHeads`.
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
        Weights by class label, as in scikit-learn; see :class:`TorchClassifier` for multi-label y.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
    mixed_precision : bool or "always", default=True
        Train in bfloat16 where the device is a GPU that supports it; with ``"always"`` on a CPU,
        too, which pays for convolutions where it has instructions for it (AMX).
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
        Class labels as given; label indices for a multi-label y.
    module_ : torch.nn.Sequential
        The trained network: ``hidden1``, ``activation1``, ..., ``output``.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss`` and
        ``auxiliary_loss``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.
    multilabel_ : bool
        Whether y was a label indicator matrix.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 4.1.1 (network sizes).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import TorchMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = TorchMLPClassifier((50,), max_epochs=10, random_state=0).fit(X[:1500], y[:1500])
    >>> clf.score(X[1500:], y[1500:]) > 0.85
    True
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
        "auxiliary": [AuxiliaryHeads, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (200, 150),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        auxiliary: AuxiliaryHeads | None = None,
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
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.auxiliary = auxiliary

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        return perceptron_of(self, input_shape[0], n_outputs)


def perceptron_of(estimator: Any, n_features: int, n_outputs: int) -> nn.Sequential:
    """Return the perceptron that an estimator's parameters describe.

    Raises
    ------
    ValueError
        If ``hidden_layer_sizes`` holds anything but positive integers.
    """
    sizes: list[int] = list(estimator.hidden_layer_sizes)
    if not all(isinstance(size, Integral) and size > 0 for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must hold positive integers, such as (200, 150). Got "
            f"{estimator.hidden_layer_sizes!r} instead."
        )
    return mlp(
        n_features,
        n_outputs,
        hidden_layer_sizes=[int(size) for size in sizes],
        activation=estimator.activation,
        dropout=estimator.dropout,
        input_dropout=estimator.input_dropout,
    )
