"""Specialist heads on a trained network: more capacity where it is confused."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._input import check_rows
from .._validation import HasMethods, Interval, StrOptions, draw_seeds, fit_context
from ..confusion import HeldOutScores, fit_with_weight, held_out_scores, seed_estimator
from ..cost import LayerRow, estimator_cost, network_rows
from ..networks import HeadPlan, TorchClassifier, TorchMLPClassifier
from ..networks._outputs import LogitsMixin
from ..networks.augmenting import (
    HeadTraining,
    OpenBase,
    augment,
    augmented_logits,
    fine_tune,
    head_features,
    is_network,
    labels_seen,
    open_base,
    visit_frequencies,
)
from ..partition import (
    PARTITIONERS,
    LabelPartition,
    TrainingRows,
    confusion_of,
    extend_by_confusion,
)
from .allocation import ALLOCATIONS, BaseShape, capacity_shares, head_widths
from .input import as_fitted_base, check_base, check_held_out, check_input, check_outputs
from .plan import check_attach_shape, check_sizes, members_of
from .report import AugmentationReport, augmentation_report, head_rows
from .rounds import MIN_CLASSES_TO_GROUP, given_partitions, learn_partitions

_CONFUSIONS = {"hard", "soft", "top_k", "co_detection"}
_FINE_TUNING_LR = 0.1


class SpecialistHeadAugmenter(
    LogitsMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Add specialist heads to a trained network, one for every cluster of labels it confuses.

    The labels that a network confuses on held-out data are grouped. Every group is given a small
    stack of layers of its own, in parallel with the network's own, that reads the network's inner
    features and is wired to the group's output units only. The network's weights stay as they are;
    its classifier layer is trained anew together with the heads::

        u = the network's last hidden layer, v = its features at the attach point
        logit_j = w_j . u + b_j + sum over clusters c with label j of q_cj . head_c(v)

    Parameters
    ----------
    base_estimator : TorchClassifier, TorchMLPClassifier, Pipeline, nn.Module or None, default=None
        The network, or a Pipeline that ends in one. Unfitted ones are fitted first. A fitted one
        comes in a ``FrozenEstimator``, or with ``cv="prefit"``. A ``torch.nn.Module`` counts as
        fitted; its outputs are the sorted classes of y. None is ``TorchMLPClassifier()``.
    partitioner : estimator, str, LabelPartition, sequence of LabelPartition or None, default=None
        Groups the labels: a partitioner, its name, a ready partition, or one for every round. None
        is spectral clustering into about ``sqrt(n_classes)`` clusters (one cluster below four
        classes).
    attach_at : str or None, default=None
        Name of the layer whose output the heads read, or ``"input"``. None is the last convolution
        with its activation and pooling, or without convolutions the layer with most multiply-adds.
    head_sizes : sequence of int or None, default=None
        Units in the layers of a head. None is ``(512, 512)``, the paper's, or with a ``budget`` two
        layers as wide as it affords. ``()`` is a linear head, which under ``evaluate=k`` is the
        cheapest way to give labels more features.
    head_maps : sequence of int, default=()
        Group-specific convolutional maps in front of those layers: 3 x 3, each followed by ReLU and
        pooling. Needs an attach point with features of shape (channels, height, width).
    classifier : {"reinitialise", "warm", "keep"}, default="reinitialise"
        What becomes of the classifier layer: drawn anew and trained with the heads (the paper),
        trained on from its weights, or kept, so that heads add to the base's logits.
    allocation : {"equal", "cardinality", "data", "difficulty"}, default="equal"
        How capacity is shared out among the heads: alike, or by each cluster's labels, training
        samples, or held-out confusion. ``head_sizes`` or ``budget`` set the total.
    budget : float or None, default=None
        Multiply-adds of the whole, as expected under ``evaluate``, over the base's; 1.03 spends
        three per cent on the heads. None sets no limit.
    evaluate : "all", int or float, default="all"
        Which heads are evaluated for a sample: all, the k whose labels have most of the base's
        posterior mass, or those with at least that mass (for a multi-label y, expected number of
        labels). The other labels keep the base's logits.
    n_rounds : int, default=1
        How often the network is augmented. Each round groups labels that share no head so far,
        keeps the heads there are, and retrains the classifier layer. 0 retrains it alone.
    gamma : float or None, default=None
        Overlap factor of clusters, see :func:`hierlearn.partition.extend_by_confusion`.
    confusion : {"soft", "hard", "top_k", "co_detection"}, default="soft"
        What counts as confusion. ``"top_k"`` and ``"co_detection"`` are the paper's; ``"hard"`` is
        for multi-class y only.
    confusion_k : int or None, default=None
        The k of the two; None is five.
    head_epochs : int or None, default=None
        Epochs of a round; None takes the base network's ``max_epochs``.
    head_lr : float or None, default=None
        Learning rate of the heads; None takes the base network's.
    head_weight_decay : float or None, default=None
        Weight decay of the heads; None takes the base network's.
    head_dropout : float, default=0.0
        Probability of dropping an input or a unit of a head in training.
    base_dropout : bool, default=True
        Whether the frozen base's dropout stays on while heads are trained, if it has any. The base
        is surer of rows that it has learnt than of new ones; with dropout heads see features more
        like those of new rows.
    fine_tune : bool, default=False
        Whether everything, a copy of the base included, is trained further afterwards.
    fine_tune_epochs : int or None, default=None
        None takes ``head_epochs``.
    fine_tune_lr : float or None, default=None
        None takes a tenth of the heads' learning rate.
    cv : None, float, int, "prefit", splitter or iterable, default=None
        How rows are held out to measure confusions on where ``fit`` is given no ``X_val``, see
        :func:`hierlearn.confusion.held_out_scores`. The base is then fitted twice, on a part of
        the rows and on all. ``"prefit"`` says that ``base_estimator`` is fitted and has seen none
        of the rows.
    n_jobs : int or None, default=None
        Splits scored at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds splits, clustering, heads and a base whose own ``random_state`` is None.
    verbose : int, default=0
        Print a line a stage when positive, a line an epoch above 1.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; label indices for a multi-label y.
    multilabel_ : bool
        Whether y was a label indicator.
    base_estimator_ : classifier
        The fitted base, its weights untouched.
    confusion_ : ndarray or csr_array of shape (n_classes, n_classes), or None
        Held-out confusion, row = true label; None where nothing had to be learnt from it.
    held_out_ : HeldOutScores or None
        The scores it was computed from. Left out of pickles.
    partitioner_ : estimator or None
        The fitted partitioner of the first round.
    partitions_ : tuple of LabelPartition
        One for every round.
    plans_ : tuple of HeadPlan
        Widths and labels of the heads of every round.
    network_ : torch.nn.Module
        The augmented network; shares the base's layers unless ``fine_tune``.
    history_ : list of list of dict
        One record an epoch, for every round and for fine-tuning.
    route_frequencies_ : tuple of ndarray of shape (n_clusters,)
        Share of the held-out samples for which each head is evaluated, for every round.
    class_counts_ : ndarray of shape (n_classes,)
        Training samples of each class, by weight.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.

    See Also
    --------
    HierarchicalDecompositionClassifier : Branches of the network, routed by a gate.
    hierlearn.controls.compare : Whether the heads, and the partition, earn their place.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), Self-informed neural network structure learning,
    sec. 3 (heads), eq. 3 and 4 (confusion, co-detection), sec. 6 (allocation, attach point,
    repetition, conditional computation).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import SpecialistHeadAugmenter, TorchMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> base = TorchMLPClassifier((64, 32), lr=0.01, max_epochs=10)
    >>> clf = SpecialistHeadAugmenter(base, head_sizes=(16,), random_state=0)
    >>> clf.fit(X[:1500] / 16, y[:1500]).score(X[1500:] / 16, y[1500:]) > 0.85
    True
    >>> len(clf.partition_)
    3
    """

    _parameter_constraints: dict = {
        "base_estimator": "no_validation",
        "partitioner": [
            HasMethods(["fit"]),
            StrOptions(set(PARTITIONERS)),
            LabelPartition,
            list,
            tuple,
            None,
        ],
        "attach_at": [str, None],
        "head_sizes": ["array-like", None],
        "head_maps": ["array-like"],
        "classifier": [StrOptions({"reinitialise", "warm", "keep"})],
        "allocation": [StrOptions(set(ALLOCATIONS))],
        "budget": [Interval(Real, 1, None, closed="neither"), None],
        "evaluate": [
            StrOptions({"all"}),
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, None, closed="neither"),
        ],
        "n_rounds": [Interval(Integral, 0, None, closed="left")],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "confusion": [StrOptions(_CONFUSIONS)],
        "confusion_k": [Interval(Integral, 1, None, closed="left"), None],
        "head_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "head_lr": [Interval(Real, 0, None, closed="neither"), None],
        "head_weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "head_dropout": [Interval(Real, 0, 1, closed="left")],
        "base_dropout": ["boolean"],
        "fine_tune": ["boolean"],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "fine_tune_lr": [Interval(Real, 0, None, closed="neither"), None],
        "cv": "no_validation",
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        base_estimator: Any = None,
        partitioner: Any = None,
        *,
        attach_at: str | None = None,
        head_sizes: Sequence[int] | None = None,
        head_maps: Sequence[int] = (),
        classifier: str = "reinitialise",
        allocation: str = "equal",
        budget: float | None = None,
        evaluate: str | int | float = "all",
        n_rounds: int = 1,
        gamma: float | None = None,
        confusion: str = "soft",
        confusion_k: int | None = None,
        head_epochs: int | None = None,
        head_lr: float | None = None,
        head_weight_decay: float | None = None,
        head_dropout: float = 0.0,
        base_dropout: bool = True,
        fine_tune: bool = False,
        fine_tune_epochs: int | None = None,
        fine_tune_lr: float | None = None,
        cv: Any = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.base_estimator = base_estimator
        self.partitioner = partitioner
        self.attach_at = attach_at
        self.head_sizes = head_sizes
        self.head_maps = head_maps
        self.classifier = classifier
        self.allocation = allocation
        self.budget = budget
        self.evaluate = evaluate
        self.n_rounds = n_rounds
        self.gamma = gamma
        self.confusion = confusion
        self.confusion_k = confusion_k
        self.head_epochs = head_epochs
        self.head_lr = head_lr
        self.head_weight_decay = head_weight_decay
        self.head_dropout = head_dropout
        self.base_dropout = base_dropout
        self.fine_tune = fine_tune
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_lr = fine_tune_lr
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
    ) -> Self:
        """Learn which labels are confused, and train a head for each group of them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. A base that is a Pipeline gets X as it is (texts, data frames, ...).
        y : array-like of shape (n_samples,) or indicator matrix of shape (n_samples, n_labels)
            Class labels of any dtype, or a multi-label indicator (dense or sparse).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, for the base, the confusion and the heads.
        X_val : {array-like, sparse matrix} of shape (n_held_out, n_features), default=None
            Rows that neither the base nor the heads learn from; confusions are measured on them.
            The base is then fitted once.
        y_val : array-like of shape (n_held_out,) or (n_held_out, n_labels), default=None
            Their labels.

        Returns
        -------
        self : object

        Raises
        ------
        PartitionError
            If the partition is for other classes than those of y.
        ValueError
            If X, y or a parameter is malformed, a label never occurs, the attach point does not
            exist, or the heads cost more than ``budget``.
        """
        base = self._base()
        check_base(base)
        rows = check_input(self, self._tagged(base), X, y, sample_weight)
        X, target, self.classes_, self.multilabel_, weight = rows
        held_out_rows = check_held_out(
            self, self._tagged(base), X_val, y_val, self.classes_, self.multilabel_
        )
        data = TrainingRows(X, target, weight)
        self.class_counts_ = self._class_counts(data)
        seeds = draw_seeds(self.random_state, 4 + 2 * max(self.n_rounds, 1)).tolist()

        held_out, fitted = self._score_held_out(base, data, held_out_rows, seeds[0])
        self.base_estimator_ = self._fit_base(base, data, seeds[0]) if fitted is None else fitted
        self._learn_partitions(held_out, data, seeds[4::2])
        self._opened = self._open()
        self._plan_heads(held_out)
        self._train(data, seeds[5::2], seeds[1])
        return self

    # -- stages of fit -------------------------------------------------------------------------

    def _base(self) -> Any:
        return TorchMLPClassifier() if self.base_estimator is None else self.base_estimator

    def _tagged(self, base: Any) -> Any:
        """Return what says which X the base accepts; a bare network takes rows of any shape."""
        return TorchClassifier(type(base)) if is_network(base) else base

    def _is_fitted(self, base: Any) -> bool:
        prefit = isinstance(self.cv, str) and self.cv == "prefit"
        return prefit or isinstance(base, FrozenEstimator) or is_network(base)

    def _class_counts(self, data: TrainingRows) -> NDArray[np.float64]:
        weight = np.ones(data.codes.shape[0]) if data.weight is None else data.weight
        if self.multilabel_:
            return np.ravel(weight @ data.codes)
        return np.bincount(data.codes, weight, len(self.classes_)).astype(np.float64)

    def _labels(self, data: TrainingRows) -> Any:
        """Return y as it was given to ``fit``."""
        return data.codes if self.multilabel_ else self.classes_[data.codes]

    def _needs_evidence(self) -> bool:
        """Tell whether anything is to be learnt from held-out scores."""
        learnt = given_partitions(self.partitioner) is None and (
            self.partitioner is not None or len(self.classes_) >= MIN_CLASSES_TO_GROUP
        )
        decided = self.evaluate != "all" or self.allocation == "difficulty"
        return self.n_rounds > 0 and (learnt or decided or self.gamma is not None)

    def _score_held_out(
        self, base: Any, data: TrainingRows, held_out_rows: tuple[Any, Any], seed: int
    ) -> tuple[HeldOutScores | None, Any]:
        """Score rows that the base has not seen; return the base, too, if it is fitted by then."""
        self.held_out_, self.confusion_ = None, None
        self._probe_shares: tuple[float, ...] = ()
        X_val, y_val = held_out_rows
        fitted = None
        if self._is_fitted(base):
            fitted = as_fitted_base(base, data.X, self.classes_, self.multilabel_)
        elif X_val is not None:
            fitted = self._fit_base(base, data, seed)
        if not self._needs_evidence():
            return None, fitted
        self._say("held-out scores")
        if X_val is not None:
            found = held_out_scores(fitted, X_val, y_val, cv="prefit", classes=self._columns())
        else:
            self._check_rows_are_unseen(fitted)
            found = held_out_scores(
                base if fitted is None else fitted,
                data.X,
                self._labels(data),
                cv=self.cv,
                sample_weight=data.weight,
                n_jobs=self.n_jobs,
                random_state=seed,
                classes=self._columns(),
            )
        self.held_out_ = found
        # What the splits' fits were worth, of a fit on all rows; outlives the scores in pickles.
        n_samples = data.codes.shape[0]
        self._probe_shares = tuple(len(fold.train) / n_samples for fold in found.folds)
        self.confusion_ = confusion_of(found, self.confusion, self.confusion_k)
        return found, fitted

    def _columns(self) -> NDArray[Any] | None:
        return None if self.multilabel_ else self.classes_

    def _check_rows_are_unseen(self, fitted: Any) -> None:
        """Refuse to measure confusions of a fitted base on rows that it may have learnt."""
        if fitted is not None and not (isinstance(self.cv, str) and self.cv == "prefit"):
            raise ValueError(
                "A base_estimator that comes fitted needs rows it has not seen, to measure its "
                "confusions on. Got none instead; pass X_val and y_val to fit, or cv='prefit' if "
                "it has seen none of X."
            )

    def _fit_base(self, base: Any, data: TrainingRows, seed: int) -> Any:
        self._say("base network")
        estimator = seed_estimator(clone(base), seed)
        return fit_with_weight(estimator, data.X, self._labels(data), data.weight)

    def _learn_partitions(
        self, held_out: HeldOutScores | None, data: TrainingRows, seeds: Sequence[int]
    ) -> None:
        """Set the partition of every round, overlap included."""
        self._say("partition")
        self.partitioner_, primary = learn_partitions(
            self.partitioner, self.n_rounds, self.confusion_, held_out, data, self.classes_, seeds
        )
        self.partitions_ = primary
        if self.gamma is not None:
            self.partitions_ = tuple(
                extend_by_confusion(partition, self.confusion_, gamma=self.gamma)
                for partition in primary
            )

    @property
    def partition_(self) -> LabelPartition:
        """The partition of the first round."""
        check_is_fitted(self)
        if not self.partitions_:
            raise AttributeError("There is no partition with n_rounds=0.")
        return self.partitions_[0]

    def _open(self) -> OpenBase:
        fitted = self.base_estimator_
        while isinstance(fitted, FrozenEstimator):
            fitted = fitted.estimator
        opened = open_base(fitted, self.attach_at)
        check_outputs(opened.tapped.classifier.out_features, len(self.classes_))
        return opened

    def _plan_heads(self, held_out: HeldOutScores | None) -> None:
        """Set the widths of every head, by allocation and budget, before any is trained."""
        self.route_frequencies_ = tuple(
            self._frequencies(partition, held_out) for partition in self.partitions_
        )
        self._n_labels_seen = self._labels_seen(None if held_out is None else held_out.scores)
        self.plans_ = tuple(
            self._plan(partition, frequencies)
            for partition, frequencies in zip(
                self.partitions_, self.route_frequencies_, strict=True
            )
        )

    def _labels_seen(self, posteriors: NDArray[Any] | None) -> float:
        """Return how many labels lie in the clusters evaluated for a sample, on average."""
        if self.evaluate == "all" or posteriors is None:
            return float(len(self.classes_))
        members = [members_of(partition) for partition in self.partitions_]
        return labels_seen(posteriors, members, self.evaluate)

    def _frequencies(
        self, partition: LabelPartition, held_out: HeldOutScores | None
    ) -> NDArray[np.float64]:
        if self.evaluate == "all" or held_out is None:
            return np.ones(partition.n_clusters)
        members = members_of(partition)
        return visit_frequencies(held_out.scores, members, self.evaluate, held_out.sample_weight)

    def _plan(self, partition: LabelPartition, frequencies: NDArray[np.float64]) -> HeadPlan:
        opened, members = self._opened, members_of(partition)
        maps = check_sizes(self.head_maps, "head_maps")
        shape = BaseShape(
            multiply_adds=opened.multiply_adds()[0],
            n_own=opened.n_own,
            attach_shape=check_attach_shape(opened.attach_shape, maps),
            retrains_classifier=self.classifier != "keep" and self.evaluate != "all",
        )
        shares = capacity_shares(self.allocation, partition, self.class_counts_, self.confusion_)
        sizes = None if self.head_sizes is None else check_sizes(self.head_sizes, "head_sizes")
        budget = None if self.budget is None else 1 + (self.budget - 1) / self.n_rounds
        n_members = [len(codes) for codes in members]
        widths = head_widths(sizes, n_members, shares, frequencies, shape, budget, maps)
        return HeadPlan(members, widths, maps)

    def _train(self, data: TrainingRows, seeds: Sequence[int], tuning_seed: int) -> None:
        """Train the heads round by round, then everything if asked to."""
        n_heads = sum(plan.n_heads for plan in self.plans_)
        self._say(f"{n_heads} heads")
        opened = self._opened
        rows = opened.rows(data.X)
        weight = opened.classifier._weights(
            data.codes, self.classes_, self.multilabel_, data.weight
        )
        how = self._training()
        self.network_, self.history_ = augment(
            opened, self.plans_, rows, data.codes, weight, how, seeds
        )
        if self.fine_tune:
            self._say("fine-tuning")
            how = self._tuning(how)
            self.network_, history = fine_tune(
                self.network_, opened, rows, data.codes, weight, how, tuning_seed
            )
            self.history_ = [*self.history_, history]

    def _training(self) -> HeadTraining:
        network = self._opened.classifier
        decay = self.head_weight_decay
        return HeadTraining(
            max_epochs=network.max_epochs if self.head_epochs is None else self.head_epochs,
            lr=network.lr if self.head_lr is None else self.head_lr,
            weight_decay=network.weight_decay if decay is None else decay,
            dropout=self.head_dropout,
            classifier=self.classifier,
            evaluate=self.evaluate,
            base_dropout=self.base_dropout,
            verbose=max(int(self.verbose) - 1, 0),
        )

    def _tuning(self, how: HeadTraining) -> HeadTraining:
        epochs, lr = self.fine_tune_epochs, self.fine_tune_lr
        return replace(
            how,
            max_epochs=how.max_epochs if epochs is None else epochs,
            lr=how.lr * _FINE_TUNING_LR if lr is None else lr,
        )

    def _say(self, stage: str) -> None:
        if self.verbose:
            print(f"[{time.strftime('%H:%M:%S')}] {type(self).__name__}: {stage}", flush=True)

    # -- predicting ----------------------------------------------------------------------------

    def _check_X(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._opened.rows(check_rows(self, self._tagged(self._base()), X))

    def _logits(self, X: Any) -> np.ndarray:
        return augmented_logits(self.network_, self._opened, X)

    def transform(self, X: Any) -> NDArray[Any]:
        """Return what the heads see: their last hidden layers, side by side.

        Of linear heads it is what they add to their labels' logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_head_features)
            In the order of rounds and clusters; zeros of a head that is not evaluated.
        """
        return head_features(self.network_, self._opened, self._check_X(X))

    def rerouted(self, evaluate: str | int | float) -> SpecialistHeadAugmenter:
        """Return this fitted augmenter evaluating other heads; nothing is trained.

        Parameters
        ----------
        evaluate : "all", int or float
            As the parameter of the same name.

        Returns
        -------
        SpecialistHeadAugmenter
            A copy that shares the network.
        """
        check_is_fitted(self)
        copied = copy.copy(self)
        copied.evaluate = evaluate
        copied._validate_params()
        copied.network_ = copy.copy(self.network_)
        copied.network_.evaluate = evaluate
        held_out = getattr(self, "held_out_", None)
        copied.route_frequencies_ = tuple(
            copied._frequencies(partition, held_out) for partition in self.partitions_
        )
        copied._n_labels_seen = copied._labels_seen(None if held_out is None else held_out.scores)
        return copied

    def cost_report(self, X: Any = None) -> AugmentationReport:
        """Price the base and the augmented network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows whose routing the expected multiply-adds are for; None is the routing of the
            held-out rows.

        Returns
        -------
        AugmentationReport
            Multiply-adds and parameters; print it.
        """
        check_is_fitted(self)
        frequencies, n_seen = self._routing(X)
        return augmentation_report(
            estimator_cost(self._opened.classifier),
            self.plans_,
            frequencies,
            self._opened.attach_shape,
            self._opened.n_own,
            n_seen,
            self.classifier,
            self.evaluate,
        )

    def _routing(self, X: Any) -> tuple[tuple[NDArray[np.float64], ...], float]:
        """Return how often each head is evaluated, and how many labels that concerns."""
        if X is None:
            return self.route_frequencies_, self._n_labels_seen
        posteriors = self._opened.classifier.predict_proba(self._check_X(X))
        frequencies = tuple(
            visit_frequencies(posteriors, members_of(partition), self.evaluate)
            for partition in self.partitions_
        )
        return frequencies, self._labels_seen(posteriors)

    def _cost_rows(self) -> list[LayerRow]:
        """Return the rows of :func:`hierlearn.cost.layer_table`."""
        opened, tapped = self._opened, self._opened.tapped
        shape = opened.classifier._input_shape
        rows = list(network_rows(tapped.module, shape, section="base"))
        size = tapped.classifier.weight.element_size()
        if self.classifier != "keep" and self.evaluate != "all":
            n_outputs, seen = len(self.classes_), self._n_labels_seen
            price = (opened.n_own * n_outputs, (opened.n_own + 1) * n_outputs, size * n_outputs)
            own = LayerRow("classifier", "output", "Linear", (n_outputs,), *price)
            rows.append(replace(own, share=seen / n_outputs))
        rounds = zip(self.plans_, self.route_frequencies_, strict=True)
        for number, (plan, shares) in enumerate(rounds, start=1):
            prefix = f"round {number} / " if len(self.plans_) > 1 else ""
            rows += head_rows(plan, opened.attach_shape, shares, size, prefix)
        return rows

    # -- the rest of the contract --------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return sum(sum(plan.features) for plan in self.plans_)

    def __getstate__(self) -> dict[str, Any]:
        # The held-out scores are evidence, not part of the model. Weights leave the GPU on their
        # way into a file, so that any machine can open it.
        state = super().__getstate__()
        if "network_" in state:
            state["network_"].cpu()
        return {name: value for name, value in state.items() if name != "held_out_"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        base = get_tags(self._tagged(self._base())).input_tags
        tags.input_tags.sparse = base.sparse
        tags.input_tags.allow_nan = base.allow_nan
        tags.input_tags.three_d_array = base.three_d_array
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = []
        return tags
