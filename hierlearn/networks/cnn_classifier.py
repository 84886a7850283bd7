"""Convolutional networks as scikit-learn classifiers of images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.utils.data import Dataset

from .._given import as_numbers, validate_data
from .._rows import RowView
from .._validation import Interval
from ._base import BaseTorchClassifier
from ._data import BatchDataset
from ._target import check_finite
from .augmentation import Augmentation
from .auxiliary import AuxiliaryHeads
from .convolutional import cnn
from .images import as_images, check_input_shape, flat_shape
from .layer_text import parse_layers
from .lazy_rows import LazyRows, labels_of, lazy_rows
from .standardise import Standardise

# Images that mean and deviation are measured on where they are read one by one.
_MEASURED = 2000
# Rows a batch while they are measured.
_ROWS = 256


class TorchCNNClassifier(BaseTorchClassifier):
    """Convolutional network, trained by torch, as a scikit-learn classifier of images.

    The networks of Chennupati et al. are known by name. Their training is ``max_epochs=40,
    optimizer="sgd", lr=0.01, momentum=0.9, lr_schedule="constant"`` with dropout 0.5, neither batch
    normalisation nor augmentation; with the defaults here fewer epochs reach as much.

    Parameters
    ----------
    network : str or sequence of str, default="cnn_1"
        ``"cnn_1"`` to ``"cnn_5"`` (their Table 1), ``"cnn_tl_1"`` to ``"cnn_tl_5"`` (their Table 2,
        for images of 224 x 224), or a description in their notation, a text for each layer:
        ``("conv 5x5|32", "pool 2", "conv 3x3|64 stride 2", "norm", "fc 1024")``. Convolutions keep
        the size of their maps unless they say ``"pad 0"``; ReLU follows each convolution and fully
        connected layer, dropout each of the latter; the classifier layer is implied. Images of any
        size and number of channels are taken: pooling does nothing along a side that is down to one
        pixel.
    input_shape : tuple of int, default=None
        Channels, height and width of an image, (height, width) for one channel. Needed where X is
        flat, one row of pixels a sample; flat X without it is taken for images of one line. None
        takes the shape of the images.
    batch_norm : bool, default=False
        Whether batch normalisation stands between each convolution and its ReLU.
    augment : sequence of {"flip", "crop"}, default=()
        Random changes of the images in training: mirrored left to right; shifted by up to an eighth
        of each side, repeating the outermost pixels.
    dropout : float, default=0.5
        Probability of dropping a unit of a fully connected hidden layer during training.
    standardise : bool, default=True
        Whether the network begins by subtracting each channel's mean and dividing by its deviation,
        measured on the training data (on 2,000 images spread over it where they are read from
        disk). With it, bytes from 0 to 255 are as good as floats. False takes the values as they
        are, bytes as 0 to 255.
    loader : callable, default=None
        From an item of X to an image, where X is a list of paths.
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
        The trained network: ``standardise``, ``conv1``, ``activation1``, ``pool1``, ...,
        ``output``.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss`` and
        ``auxiliary_loss``.
    n_features_in_ : int
        Number of values in an image.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X was flat and had string column names.
    multilabel_ : bool
        Whether y was a label indicator matrix.

    See Also
    --------
    TorchClassifier : Any torch network.

    Notes
    -----
    X has shape (n, channels, height, width), (n, height, width) for one channel, or, flat,
    (n, channels * height * width), of any numeric type. It may also stay on disk and be read batch
    by batch: a list of paths with a ``loader``, a torch ``Dataset`` of images or (image, label)
    pairs (with y None the labels are taken from the pairs), or skorch's ``SliceDataset``, which
    scikit-learn's splitters can cut. These images must be of one size.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Tables 1 and 2, sec. 4.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import TorchCNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = TorchCNNClassifier(
    ...     ("conv 3x3|16", "pool 2", "conv 3x3|32", "pool 2"),
    ...     input_shape=(8, 8), max_epochs=8, lr=0.01, random_state=0,
    ... )
    >>> clf.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.85
    True
    """

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "network": [str, list, tuple],
        "input_shape": [list, tuple, None],
        "batch_norm": ["boolean"],
        "augment": [list, tuple],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "standardise": ["boolean"],
        "loader": [callable, None],
        "auxiliary": [AuxiliaryHeads, None],
    }

    def __init__(
        self,
        network: str | Sequence[str] = "cnn_1",
        *,
        input_shape: Sequence[int] | None = None,
        batch_norm: bool = False,
        augment: Sequence[str] = (),
        dropout: float = 0.5,
        standardise: bool = True,
        loader: Callable[[Any], Any] | None = None,
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
        self.network = network
        self.input_shape = input_shape
        self.batch_norm = batch_norm
        self.augment = augment
        self.dropout = dropout
        self.standardise = standardise
        self.loader = loader
        self.auxiliary = auxiliary

    # -- the network -----------------------------------------------------------------------------

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        network = cnn(
            input_shape,
            n_outputs,
            network=self.network,
            batch_norm=self.batch_norm,
            dropout=self.dropout,
        )
        if self.standardise:
            first = OrderedDict(standardise=Standardise(input_shape[0]))
            network = nn.Sequential(OrderedDict([*first.items(), *network.named_children()]))
        # Convolutions on a CPU take about half the time with channels last.
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _prepare_module(self, module: nn.Module, train: BatchDataset) -> None:
        first = module.get_submodule("standardise") if self.standardise else None
        if not isinstance(first, Standardise):
            return
        n_rows = len(train)
        n_measured = min(n_rows, _MEASURED) if isinstance(train.X, LazyRows) else n_rows
        rows = np.linspace(0, n_rows - 1, n_measured).astype(int)
        batches = (
            train.__getitems__(list(part)) for part in np.array_split(rows, -(-n_measured // _ROWS))
        )
        first.measure((images, weight) for images, (_, weight, *_) in batches)

    def _augmentation(self) -> Augmentation | None:
        changes = Augmentation(self.augment)
        return changes if changes.names else None

    # -- what X may be ---------------------------------------------------------------------------

    def _check_X_y(self, X: Any, y: Any) -> tuple[Any, Any]:
        parse_layers(self.network)  # a wrong name is said before the images are looked at
        given = check_input_shape(self.input_shape)
        if y is None and isinstance(X, Dataset):
            y = labels_of(X)
        y = validate_data(self, y=y, multi_output=True)
        images = self._images(X, given, reset=not self._goes_on())
        check_consistent_length(images, y)
        return images, y

    def _check_X(self, X: Any, finite: bool = True) -> Any:
        if self._takes_as_is(X) or self._takes_as_is(X, (vars(self).get("n_features_in_", 0),)):
            if finite:
                check_finite(X)
            return X.reshape(len(X), *self._input_shape)
        check_is_fitted(self, "module_")
        return self._images(X, self._input_shape, reset=False)

    def _lazy_rows(self, X: Any) -> LazyRows | None:
        """Return X as rows that are read batch by batch; None where it is an array."""
        return lazy_rows(X, self.loader, check_input_shape(self.input_shape))

    def _images(self, X: Any, wanted: tuple[int, ...] | None, *, reset: bool) -> Any:
        """Return validated X, of shape (n, channels, height, width)."""
        if isinstance(X, RowView):
            check_finite(X)
            first = self._images(X.source[:1], wanted, reset=reset)
            return X.reshape(len(X), *first.shape[1:])
        images: Any = lazy_rows(X, self.loader, wanted)
        if images is None:
            X = _as_array(X)
            if len(X.shape) < 3:
                return self._flat_images(X, wanted, reset)
            X = as_numbers(X, self._checked_array)
            check_finite(X)
            images = as_images(X, wanted)
        elif wanted is not None and images.shape[1:] != tuple(wanted):
            as_images(np.empty((1, *images.shape[1:])), wanted)  # says what is wrong
        if reset:
            validate_data(self, images, skip_check_array=True)  # forgets the names of columns
            self.n_features_in_ = int(np.prod(images.shape[1:]))
        return images

    def _checked_array(self, X: Any) -> Any:
        return check_array(X, allow_nd=True, ensure_all_finite=False, estimator=self)

    def _flat_images(self, X: Any, wanted: tuple[int, ...] | None, reset: bool) -> np.ndarray:
        X = validate_data(self, X, reset=reset, ensure_all_finite=False)
        check_finite(X)
        shape = flat_shape(X.shape[1]) if wanted is None else wanted
        if X.shape[1] != np.prod(shape):
            raise ValueError(
                f"input_shape must have as many values as a row of X. Got {tuple(shape)}, "
                f"{np.prod(shape)} values, and rows of {X.shape[1]} instead; change input_shape."
            )
        return X.reshape(len(X), *shape)

    # -- the rest of the contract ----------------------------------------------------------------

    def _takes_nd(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags


def _as_array(X: Any) -> Any:
    """Return what has no shape, such as a list of images, as one array; all else as it is."""
    if hasattr(X, "shape"):
        return X
    try:
        return np.asarray(X)
    except ValueError:
        raise ValueError(
            "X must hold images of one size. Got a list of images of several sizes instead; resize "
            "them."
        ) from None
