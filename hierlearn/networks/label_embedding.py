"""A perceptron that regresses label embeddings, and names the labels that it points at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._caching import MEMORY_CONSTRAINT
from .._progress import begin_stage, expect, work_of_splits
from .._rows import select_rows
from .._validation import Interval, StrOptions, check_weights, draw_seeds
from ..embedding import (
    PMI_VARIANTS,
    embed_labels,
    fit_label_logits,
    fit_shared_logit,
    fit_softmax_scale,
    label_cooccurrence,
    make_search,
    pmi,
)
from ..embedding.search import check_n_labels
from ._base import BaseTorchClassifier
from ._data import BatchDataset
from ._forward import forward
from ._outputs import Finish
from ._runtime import isolated
from ._skorch import TrainingPlan, train_network
from .brief import brief_work
from .cosine_proximity import CosineProximityLoss, CosineScores, towards
from .held_out_classes import Splits, brief_cooccurrence, held_out_rows
from .mlp import _ACTIVATIONS, perceptron_of

# Held-out cosines that calibration looks at.
_MAX_ELEMENTS = 2**26
# Cosines computed at a time.
_MAX_SCORES = 2**24
# Labels that an approximate prediction of several labels looks at.
_N_CANDIDATES = 100
_REMEDY = "give cv rows of your own, or for labels set calibration=None"


class LabelEmbeddingClassifier(BaseTorchClassifier):
    """Multi-layer perceptron that regresses label embeddings under the cosine proximity loss.

    Every label has a vector on the unit sphere, from the pointwise mutual information of labels, so
    that labels that occur together point the same way. The network learns to point where the
    normalised sum of a sample's labels points; labels are ranked by their cosine with its output,
    and cosines are calibrated to probabilities on held-out rows.

    For a multi-label y labels occur together in samples. For one class a sample, which is our
    extension of the paper, the true and the predicted class do, in held-out rows of a softmax
    network that is trained briefly.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(200, 150)
        Units of each hidden layer.
    n_components : int, default=100
        Dimensions of the embedding, at most; see :func:`embed_labels
        <hierlearn.embedding.embed_labels>`.
    variant : {"ppmi", "shifted", "npmi"}, default="ppmi"
        Kind of mutual information, see :func:`pmi <hierlearn.embedding.pmi>`.
    shift : float, default=5.0
        For ``variant="shifted"``: how many times as often as by chance labels must meet.
    calibration : {"temperature", "platt"} or None, default="temperature"
        How cosines become probabilities. ``"temperature"``: all labels share a scale (and, with
        several labels a sample, a threshold). ``"platt"``, for a multi-label y only: each label has
        its own, drawn to the shared ones where it has few samples. None takes cosines as logits,
        and saves the fit on a part of the rows that calibration needs; labels are then ranked as
        well as ever, but probabilities mean nothing.
    cv : None, float, int, splitter or iterable, default=None
        What is held out for calibration and confusions, as in :func:`held_out_scores
        <hierlearn.confusion.held_out_scores>`; None is a fifth of the rows. The final network is
        trained on all rows.
    search : {"exact", "approximate"}, default="exact"
        How ``predict`` and ``nearest_labels`` find labels. The approximate search, a graph of
        neighbours, needs the package usearch and pays above some 100,000 labels; with several
        labels a sample, ``predict`` then looks at the 100 nearest and returns a sparse indicator.
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
        Weights by class label, as in scikit-learn; None for a multi-label y.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the weights of the last fit; embeddings and calibration are
        kept.
    device : str, default="auto"
        ``"auto"`` (CUDA where available), ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.
    mixed_precision : bool or "always", default=True
        Train in bfloat16 where the device is a GPU that supports it; with ``"always"`` on a CPU,
        too.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Floating type of the network; ``"auto"`` is float32, but float64 when the whole training set
        fits in one batch.
    callbacks : sequence or None, default=None
        Further skorch callbacks of the final fit.
    memory : None, str, path-like or joblib.Memory, default=None
        Where every trained network is kept, and found again by this or any other fit that would
        train the same on the same rows. A network that trains for long is kept after epochs, too.
        None keeps nothing.
    n_jobs : int or None, default=None
        CPU threads for torch. None means 1, -1 all cores.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, batch order, dropout, the embedding and all splits.
    verbose : int, default=0
        1 shows on the standard error how far the training is and about how long it will take; 2
        prints a line an epoch on the standard output, too.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels as given; label indices for a multi-label y.
    embeddings_ : ndarray of shape (n_classes, n_found)
        The unit vector of each label.
    cooccurrence_ : csr_array of shape (n_classes, n_classes)
        What the embeddings were made of.
    module_ : torch.nn.Sequential
        The trained network: ``hidden1``, ``activation1``, ..., ``output``, which points at labels,
        and ``cosines``, which scores them.
    history_ : list of dict
        One record an epoch: ``epoch``, ``train_loss``, ``dur`` and perhaps ``valid_loss``.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.
    multilabel_ : bool
        Whether y was a label indicator matrix.

    See Also
    --------
    LabelEmbedder : The embedding alone, as a transformer of y.

    References
    ----------
    Chollet (2016), Information-theoretical label embeddings for large-scale image classification.

    Examples
    --------
    >>> import numpy as np
    >>> from hierlearn import LabelEmbeddingClassifier
    >>> random = np.random.RandomState(0)
    >>> X = random.standard_normal((400, 8))
    >>> Y = (X @ random.standard_normal((8, 12)) > 2).astype(int)
    >>> clf = LabelEmbeddingClassifier((64,), lr=0.01, random_state=0).fit(X[:300], Y[:300])
    >>> labels, cosines = clf.nearest_labels(X[300:], k=2)
    >>> labels.shape
    (100, 2)
    >>> from hierlearn.metrics import average_precision_at_k
    >>> average_precision_at_k(Y[300:], clf.predict_proba(X[300:]), 5) > 0.8
    True
    """

    _beside_flat = True

    _branchable = False

    _keeps_parts = True

    _parameter_constraints: dict = {
        **BaseTorchClassifier._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "variant": [StrOptions(set(PMI_VARIANTS))],
        "shift": [Interval(Real, 0, None, closed="neither")],
        "calibration": [StrOptions({"temperature", "platt"}), None],
        "cv": "no_validation",
        "memory": MEMORY_CONSTRAINT,
        "search": [StrOptions({"exact", "approximate"})],
        "activation": [StrOptions(set(_ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "input_dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (200, 150),
        *,
        n_components: int = 100,
        variant: str = "ppmi",
        shift: float = 5.0,
        calibration: str | None = "temperature",
        cv: Any = None,
        search: str = "exact",
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
        memory: Any = None,
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
        self.n_components = n_components
        self.variant = variant
        self.shift = shift
        self.calibration = calibration
        self.cv = cv
        self.memory = memory
        self.search = search
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout

    # -- fitting -------------------------------------------------------------------------------

    def _weights(
        self, target: Any, classes: np.ndarray, multilabel: bool, sample_weight: Any
    ) -> np.ndarray:
        _check_settings(self, multilabel)
        weight = super()._weights(target, classes, multilabel, sample_weight)
        given = check_weights(sample_weight, target.shape[0])
        self._rows = _Rows(weight > 0, np.ones(len(weight)) if given is None else given)
        return weight

    def _train(self, X: Any, target: Any, weight: np.ndarray, resume: bool) -> None:
        rows = self.__dict__.pop("_rows")
        if resume:
            super()._train(X, target, weight, resume)
            return
        seeds = draw_seeds(self.random_state, 6)[2:].tolist()  # those before are the base's own
        given = rows.given[rows.kept]
        scored = work_of_splits(self.cv)
        briefly = 0.0 if self.multilabel_ else scored * brief_work(self)
        expect(briefly + 1.0 + (0.0 if self.calibration is None else scored))
        begin_stage("embeddings of labels", briefly)
        splits = []
        if self.calibration is not None or not self.multilabel_:
            splits = held_out_rows(self.cv, X, target, rows.kept, seeds[0], remedy=_REMEDY)
        self._embed(X, target, given, splits, seeds[1:3])
        super()._train(X, target, weight, resume)
        if self.calibration is not None:
            self._calibrate(self._held_out(X, target, weight, given, splits, seeds[3]))
        self._search = make_search(self.search, self._seen_embeddings())

    def _embed(
        self, X: Any, target: Any, given: np.ndarray, splits: Splits, seeds: list[int]
    ) -> None:
        """Make the labels' vectors, before any network is trained to point at them."""
        if self.multilabel_:
            self.cooccurrence_ = label_cooccurrence(target, sample_weight=given)
            self._seen = self.cooccurrence_.diagonal() > 0
            n_samples: float | None = given.sum()
        else:
            self.cooccurrence_ = brief_cooccurrence(self, X, target, given, splits, seeds[0])
            self._seen = np.bincount(target, minlength=len(self.classes_)) > 0
            n_samples = None
        information = pmi(self.cooccurrence_, self.variant, n_samples=n_samples, shift=self.shift)
        self.embeddings_ = embed_labels(information, self.n_components, random_state=seeds[1])

    def _seen_embeddings(self) -> np.ndarray:
        return self.embeddings_ if self._seen.all() else self.embeddings_[self._seen]

    def _make_module(self, input_shape: tuple[int, ...], n_outputs: int) -> nn.Module:
        network = perceptron_of(self, input_shape[0], self.embeddings_.shape[1])
        network.add_module("cosines", CosineScores(self.embeddings_, self._seen))
        return network

    def _run(
        self,
        module: nn.Module,
        train: BatchDataset,
        valid: BatchDataset | None,
        plan: TrainingPlan,
    ) -> list[dict[str, Any]]:
        network: Any = module
        plan = replace(plan, criterion=CosineProximityLoss, n_outputs=self.embeddings_.shape[1])
        held = None if valid is None else towards(valid, self.embeddings_)
        return train_network(network[:-1], towards(train, self.embeddings_), held, plan)

    def _held_out(
        self, X: Any, target: Any, weight: np.ndarray, given: np.ndarray, splits: Splits, seed: int
    ) -> _HeldOut:
        """Return cosines of rows that the network behind them was not trained on."""
        cosines, rows = [], []
        n_rows = max(1, _MAX_ELEMENTS // len(self.classes_) // len(splits))
        for (train, test), own in zip(splits, draw_seeds(seed, len(splits)), strict=True):
            begin_stage("calibration on held-out rows", len(train) / len(weight))
            looked_at = test[np.unique(np.linspace(0, len(test) - 1, n_rows).astype(int))]
            seen = select_rows(X, train), target[train], weight[train]
            network = self._network_of(*seen, int(own))
            unseen = select_rows(X, looked_at)
            cosines.append(forward(network, unseen, self.device, self.n_jobs))
            rows.append(looked_at)
        chosen = np.concatenate(rows)
        return _HeldOut(np.concatenate(cosines), target[chosen], given[chosen])

    def _network_of(self, X: Any, target: Any, weight: np.ndarray, seed: int) -> nn.Module:
        """Train a network on some of the rows, as the final one is on all."""
        train, valid, plan = self._set_up(X, target, weight / weight.mean())
        plan = replace(plan, seed=seed, callbacks=(), verbose=0)
        with isolated(plan.seed, plan.device, self.n_jobs):
            module = self._new_module(train).to(dtype=train.dtype).to(device=plan.device)
            module, _ = self._trained(module, train, valid, plan)
        return module.eval()

    def _learnt(self) -> tuple[Any, ...]:
        return (*super()._learnt(), self.embeddings_)

    def _calibrate(self, held_out: _HeldOut) -> None:
        cosines, target, weight = held_out.cosines, held_out.target, held_out.weight
        scale: Any
        offset: Any = 0.0
        if not self.multilabel_:
            scale = fit_softmax_scale(cosines, target, weight)
        else:
            fit = fit_shared_logit if self.calibration == "temperature" else fit_label_logits
            scale, offset = fit(cosines, target, weight)
        scores: Any = self.module_.cosines
        scores.calibrate(scale, offset)

    # -- predicting ----------------------------------------------------------------------------

    def cosines(self, X: Any) -> np.ndarray:
        """Return the cosine of every row's direction with every label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            From -1 to 1; -1 for a label that no training sample had.
        """
        X = self._check_X(X)
        network: Any = self.module_
        plain = nn.Sequential(network[:-1], CosineScores(self.embeddings_, self._seen))
        plain.to(dtype=network.cosines.embeddings.dtype)
        return self._by_rows(X, lambda part: forward(plain, part, self.device, self.n_jobs))

    def nearest_labels(self, X: Any, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels that the network's output is closest to.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        k : int, default=5
            Number of labels, at most those that have training samples.

        Returns
        -------
        labels : ndarray of shape (n_samples, k)
            Class labels, the nearest first; column numbers of a multi-label y.
        cosines : ndarray of shape (n_samples, k)
            Exact, also where the search is approximate.

        Raises
        ------
        ValueError
            If ``k`` is not from 1 to the number of labels with training samples.
        """
        codes, cosines = self._nearest(self._check_X(X), k)
        return self.classes_[codes], cosines

    def _nearest(self, X: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        k = check_n_labels(k, int(self._seen.sum()))
        network: Any = self.module_
        directions = forward(network[:-1], X, self.device, self.n_jobs)
        codes, cosines = self._search.nearest(directions, k)
        return np.flatnonzero(self._seen)[codes], cosines

    def predict(self, X: Any) -> Any:
        """Return the most probable class of every row, or the label indicator.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            A csr_array for labels found by approximate search.
        """
        if self.search == "exact":
            return super().predict(X)
        X = self._check_X(X)
        if not self.multilabel_:
            return self.classes_[self._nearest(X, 1)[0][:, 0]]
        codes, cosines = self._nearest(X, min(_N_CANDIDATES, int(self._seen.sum())))
        scores: Any = self.module_.cosines
        scale, offset = scores.scale.cpu().numpy(), scores.offset.cpu().numpy()
        rows, places = np.nonzero(cosines * scale[codes] + offset[codes] > 0)
        ones = np.ones(len(rows), dtype=np.int64), (rows, codes[rows, places])
        return sparse.csr_array(sparse.coo_array(ones, shape=(len(codes), len(self.classes_))))

    def _posterior_module(self) -> nn.Module:
        check_is_fitted(self, "module_")
        raise ValueError(
            "to_onnx and as_module need a classifier whose answers are its network's alone. "
            f"Got {type(self).__name__} instead; export module_, and do what follows it apart."
        )

    def _answer(self, X: Any, finish: Finish) -> np.ndarray:
        def answer(part: Any) -> np.ndarray:
            return forward(self.module_, part, self.device, self.n_jobs, finish=finish)

        return self._by_rows(self._check_X(X), answer)

    def _logits(self, X: Any) -> np.ndarray:
        return self._by_rows(X, super()._logits)

    def _by_rows(self, X: Any, answer: Callable[[Any], np.ndarray]) -> np.ndarray:
        """Return answers for as many rows at a time as have not too many scores."""
        step = max(1, _MAX_SCORES // len(self.classes_))
        if X.shape[0] <= step:
            return answer(X)
        return np.concatenate(
            [answer(X[start : start + step]) for start in range(0, X.shape[0], step)]
        )


@dataclass(frozen=True)
class _Rows:
    """Of the rows given to ``fit``: which count, and the weights as given."""

    kept: np.ndarray
    given: np.ndarray


@dataclass(frozen=True)
class _HeldOut:
    """What calibration looks at."""

    cosines: np.ndarray
    target: Any
    weight: np.ndarray


def _check_settings(estimator: LabelEmbeddingClassifier, multilabel: bool) -> None:
    if multilabel and estimator.class_weight is not None:
        raise ValueError(
            "class_weight must be None where y is multi-label, for a sample has one direction. Got "
            f"{estimator.class_weight!r} instead; give sample_weight."
        )
    if not multilabel and estimator.calibration == "platt":
        raise ValueError(
            "calibration must be 'temperature' or None where a sample has one class. Got 'platt' "
            "instead, which scales labels one by one, for a multi-label y."
        )
