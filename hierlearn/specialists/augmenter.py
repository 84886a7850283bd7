"""Specialist heads on a trained network: more capacity where it is confused."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._caching import MEMORY_CONSTRAINT, FitCache, as_cache
from .._input import check_rows, reads_batches
from .._progress import CallbackSupportMixin, begin_stage, expect, reports, work_of_splits
from .._validation import HasMethods, Interval, StrOptions, draw_seeds, fit_context
from ..cost import LayerRow, estimator_cost
from ..networks import TorchClassifier, TorchMLPClassifier
from ..networks._outputs import LogitsMixin
from ..networks.augmenting import (
    HeadTraining,
    augment,
    augmented_logits,
    base_posteriors,
    fine_tune,
    head_features,
    is_network,
    open_base,
    visits,
)
from ..networks.export import write_onnx
from ..networks.export_modules import augmented_posteriors
from ..partition import PARTITIONERS, LabelPartition, TrainingRows
from ..summary import SummaryMixin
from .allocation import ALLOCATIONS
from .evidence import Evidence, comes_fitted, gather_evidence
from .held_out_check import warn_if_worse
from .input import (
    Targets,
    check_base,
    check_confusion_settings,
    check_held_out,
    check_input,
)
from .plan import HeadSettings, check_sizes, members_of, plan_heads
from .report import AugmentationReport, augmentation_report, cost_rows
from .rounds import MIN_CLASSES_TO_GROUP, given_partitions, learn_partitions
from .routing import Routing, check_evaluate, check_some_visit, expected_routing

_CONFUSIONS = {"hard", "soft", "top_k", "co_detection"}
_FINE_TUNING_LR = 0.1


class SpecialistHeadAugmenter(
    SummaryMixin,
    CallbackSupportMixin,
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
        fitted, and is copied; its outputs are the classes of y in sorted order, and what heads take
        from "the base network's" settings are the defaults of :class:`TorchClassifier`. None is
        ``TorchMLPClassifier()``.
    partitioner : estimator, str, LabelPartition, sequence of LabelPartition or None, default=None
        Groups the labels: a partitioner, its name, a ready partition, or one for every round. None
        is spectral clustering into about ``sqrt(n_classes)`` clusters (one cluster below four
        classes).
    attach_at : str or None, default=None
        Name of the layer whose output the heads read, or ``"input"``. None is the last convolution
        with its activation and pooling, or without convolutions the layer with most multiply-adds.
    head_sizes : sequence of int or None, default=None
        Units in the layers of a head. None is ``(512, 512)``, the paper's, meant for networks of
        millions of multiply-adds, or with a ``budget`` two layers as wide as it affords. ``()`` is
        a linear head, which under ``evaluate=k`` is the cheapest way to give labels more features.
    head_maps : sequence of int, default=()
        Group-specific convolutional maps in front of those layers: 3 x 3, each followed by ReLU and
        pooling. Needs an attach point with features of shape (channels, height, width).
    classifier : {"reinitialise", "warm", "keep"}, default="reinitialise"
        What becomes of the classifier layer: drawn anew and trained with the heads (the paper),
        trained on from its weights, or kept, so that heads add to the base's logits. With few
        epochs or a low learning rate a layer drawn anew stays behind the one it replaces; the other
        two start from the base's logits.
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
        How often the network is augmented. Each round leaves confusions of labels that share a head
        already out of account, so that it groups others as far as there are any; it keeps the heads
        there are, and retrains the classifier layer. 0 retrains that alone.
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
    memory : None, str, path-like or joblib.Memory, default=None
        Where fitted bases and the heads of every round are kept, and found again by this or any
        other fit that would train the same on the same rows. Networks that train for long are kept
        after epochs, too. Nothing is found again of a fit without a ``random_state``. None keeps
        nothing.
    n_jobs : int or None, default=None
        Splits scored at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds splits, clustering, heads and a base whose own ``random_state`` is None.
    verbose : int, default=0
        Shows stages, finished networks and the time left on the standard error when positive, and
        a line an epoch of the heads on the standard output above 1.

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
    route_frequencies_ : tuple of ndarray of shape (n_clusters,), or None
        Share of the held-out samples (of the training samples where none are held out) for which
        each head is evaluated, for every round. None after rerouting a model that was loaded.
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

    _keeps_parts = True

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
        "memory": MEMORY_CONSTRAINT,
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
        memory: Any = None,
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
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    @reports
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
            The estimator, fitted.

        Raises
        ------
        PartitionError
            If the partition is for other classes than those of y.
        ValueError
            If X, y or a parameter is malformed, a label never occurs, the attach point does not
            exist, or the heads cost more than ``budget``.

        Warns
        -----
        UserWarning
            If the augmented network ranks ``X_val`` worse than its base does.
        """
        self.__dict__.pop("network_", None)  # a fit that fails leaves nothing half new
        base = self._base()
        check_base(base)
        targets = check_input(self, self._tagged(base), X, y, sample_weight)
        held_out_rows = check_held_out(self, self._tagged(base), X_val, y_val, targets)
        check_confusion_settings(self.confusion, self.confusion_k, targets)
        self.classes_, self.multilabel_ = targets.classes, targets.multilabel
        self.class_counts_ = targets.counts
        seeds = draw_seeds(self.random_state, 4 + 2 * max(self.n_rounds, 1)).tolist()

        cache = as_cache(self.memory)
        evidence = self._gather(base, targets, held_out_rows, seeds[0], cache)
        self._learn_partitions(evidence, targets.rows, seeds[4::2])
        self._plan_heads(evidence, targets.rows.X)
        self._train(targets, seeds[5::2], seeds[1], cache)
        if held_out_rows[0] is not None and evidence.held_out is not None:
            after = self.predict_proba(held_out_rows[0])
            warn_if_worse(evidence.held_out.scores, after, evidence.held_out.y)
        return self

    # -- stages of fit -------------------------------------------------------------------------

    @property
    def _reads_batches(self) -> bool:
        return is_network(self._base()) or reads_batches(self._base())

    def _base(self) -> Any:
        return TorchMLPClassifier() if self.base_estimator is None else self.base_estimator

    def _tagged(self, base: Any) -> Any:
        """Return what says which X the base accepts; a bare network takes rows of any shape."""
        return TorchClassifier(type(base)) if is_network(base) else base

    def _gather(
        self,
        base: Any,
        targets: Targets,
        held_out_rows: tuple[Any, Any],
        seed: int,
        cache: FitCache | None,
    ) -> Evidence:
        """Set the fitted base, its held-out scores and their confusion."""
        fitted, given = comes_fitted(base, self.cv), held_out_rows[0] is not None
        scored = 0.0 if fitted or given else work_of_splits(self.cv)
        expect(float(not fitted) + scored + self.n_rounds + float(self.fine_tune))
        evidence = gather_evidence(
            base,
            targets,
            held_out_rows,
            needed=self._needs_evidence(given=held_out_rows[0] is not None),
            cv=self.cv,
            confusion=self.confusion,
            confusion_k=self.confusion_k,
            n_jobs=self.n_jobs,
            seed=seed,
            cache=cache,
        )
        self.base_estimator_ = evidence.base
        self.held_out_, self.confusion_ = evidence.held_out, evidence.confusion
        self._probe_shares = evidence.probe_shares
        self._opened = open_base(evidence.base, self.attach_at)
        return evidence

    def _needs_evidence(self, given: bool) -> bool:
        """Tell whether anything is to be learnt from held-out scores; rows may be given."""
        learnt = given_partitions(self.partitioner) is None and (
            self.partitioner is not None or len(self.classes_) >= MIN_CLASSES_TO_GROUP
        )
        decided = self.allocation == "difficulty" or self.gamma is not None
        routed = given and self.evaluate != "all"
        return self.n_rounds > 0 and (learnt or decided or routed)

    def _learn_partitions(
        self, evidence: Evidence, rows: TrainingRows, seeds: Sequence[int]
    ) -> None:
        """Set the partition of every round, overlap included."""
        begin_stage("partition")
        self.partitioner_, self.partitions_ = learn_partitions(
            self.partitioner,
            self.n_rounds,
            evidence.confusion,
            evidence.held_out,
            rows,
            self.classes_,
            seeds,
            self.gamma,
        )
        check_evaluate(self.evaluate, self.partitions_)

    @property
    def partition_(self) -> LabelPartition:
        """The partition of the first round."""
        check_is_fitted(self, "network_")
        if not self.partitions_:
            raise AttributeError("There is no partition with n_rounds=0.")
        return self.partitions_[0]

    def _plan_heads(self, evidence: Evidence, X: Any) -> None:
        """Set the widths of every head, by allocation and budget, before any is trained."""
        settings = HeadSettings(
            sizes=check_sizes(self.head_sizes, "head_sizes"),
            maps=check_sizes(self.head_maps, "head_maps"),
            allocation=self.allocation,
            budget=self.budget,
            reads_own_stack=self.classifier != "keep" and self._evaluated() != "all",
        )
        if evidence.held_out is None and self._evaluated() != "all":
            self._route(self._opened.posteriors(X))
        else:
            self._route(evidence.posteriors, evidence.weight)
        check_some_visit(self.evaluate, self.route_frequencies_)
        self.plans_ = plan_heads(
            self.partitions_,
            self.route_frequencies_ or (),
            self._opened,
            settings,
            self.class_counts_,
            self.confusion_,
        )

    def _route(
        self,
        posteriors: NDArray[np.float64] | None,
        weight: NDArray[np.float64] | None = None,
    ) -> None:
        """Set how often each head is evaluated; unknown where there are no posteriors."""
        self._routing = expected_routing(self.partitions_, self.evaluate, posteriors, weight)
        self.route_frequencies_ = None if self._routing is None else self._routing.frequencies

    def _train(
        self, targets: Targets, seeds: Sequence[int], tuning_seed: int, cache: FitCache | None
    ) -> None:
        """Train the heads round by round, then everything if asked to."""
        n_heads = sum(plan.n_heads for plan in self.plans_)
        alone = len(self.plans_) < 2  # of several rounds each is a stage
        begin_stage(f"{n_heads} heads", self.n_rounds if alone else 0.0)
        opened, data = self._opened, targets.rows
        rows = opened.rows(data.X)
        weight = opened.classifier._weights(
            data.codes, self.classes_, self.multilabel_, data.weight
        )
        how = self._training()
        self.network_, self.history_ = augment(
            opened, self.plans_, rows, data.codes, weight, how, seeds, cache
        )
        if self.fine_tune:
            begin_stage("fine-tuning", 1.0)
            how = self._tuning(how)
            self.network_, history = fine_tune(
                self.network_, opened, rows, data.codes, weight, how, tuning_seed, cache
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
            evaluate=self._evaluated(),
            base_dropout=self.base_dropout,
            verbose=int(self.verbose),
        )

    def _tuning(self, how: HeadTraining) -> HeadTraining:
        epochs, lr = self.fine_tune_epochs, self.fine_tune_lr
        return replace(
            how,
            max_epochs=how.max_epochs if epochs is None else epochs,
            lr=how.lr * _FINE_TUNING_LR if lr is None else lr,
        )

    def _evaluated(self) -> str | int | float:
        """Return ``evaluate``; without heads the whole classifier layer is all there is."""
        if not self.n_rounds or self.evaluate == "all":
            return "all"
        return int(self.evaluate) if isinstance(self.evaluate, Integral) else float(self.evaluate)

    # -- predicting ----------------------------------------------------------------------------

    def _check_X(self, X: Any) -> Any:
        check_is_fitted(self, "network_")
        return self._opened.rows(check_rows(self, self._tagged(self._base()), X))

    def _logits(self, X: Any) -> np.ndarray:
        return augmented_logits(self.network_, self._opened, X)

    def _answer(self, X: Any, finish: Any) -> np.ndarray:
        check_is_fitted(self, "network_")
        opened = self._opened
        named = hasattr(self, "feature_names_in_") or opened.prefix is not None
        if named or not opened.classifier._takes_as_is(X) or X.shape[1:] != self._row_shape:
            return super()._answer(X, finish)
        try:
            return augmented_logits(self.network_, opened, X, finish, check=True)
        except ValueError:
            check_rows(self, self._tagged(self._base()), X)  # says it as for other bases
            raise

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

    def decision_path(self, X: Any) -> sparse.csr_array:
        """Return which heads are evaluated for every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        csr_array of bool, shape (n_samples, n_heads)
            In the order of rounds and clusters.
        """
        posteriors = base_posteriors(self.network_, self._opened, self._check_X(X))
        evaluate = self.network_.evaluate
        rounds = [visits(posteriors, members_of(each), evaluate) for each in self.partitions_]
        return sparse.csr_array(np.hstack([np.zeros((len(posteriors), 0), dtype=bool), *rounds]))

    def rerouted(self, evaluate: str | int | float) -> SpecialistHeadAugmenter:
        """Return this fitted augmenter evaluating other heads; nothing is trained.

        Heads do best as they were trained: those trained on the samples of their own cluster know
        little of others.

        Parameters
        ----------
        evaluate : "all", int or float
            As the parameter of the same name.

        Returns
        -------
        SpecialistHeadAugmenter
            A copy that shares the network.

        Raises
        ------
        ValueError
            Unless ``classifier="keep"``, for logits of a classifier layer drawn anew and the
            base's do not compare.
        """
        check_is_fitted(self, "network_")
        if self.network_.classifier is not None:
            raise ValueError(
                "classifier must be 'keep' for heads to be evaluated otherwise than they were "
                f"trained, as corrections to the base's logits. Got {self.classifier!r} instead; "
                "fit with the evaluate that you want."
            )
        copied = copy.copy(self)
        copied.evaluate = evaluate
        copied._validate_params()
        check_evaluate(evaluate, self.partitions_)
        copied.network_ = copy.copy(self.network_)
        copied.network_.evaluate = copied._evaluated()
        # Copies, like pickles, do without the held-out scores; this one still routes by them.
        held_out = getattr(self, "held_out_", None)
        copied.held_out_ = held_out
        if held_out is None:
            copied._route(None)
        else:
            copied._route(held_out.scores, held_out.sample_weight)
        return copied

    def to_onnx(
        self,
        path: Any,
        evaluate: str | int | float | None = None,
        *,
        input_dtype: str = "float32",
    ) -> None:
        """Write the augmented network as an ONNX file, from rows to class posteriors.

        The file takes ``rows``, (n_samples, ...) as in ``fit`` for any number of samples, and gives
        ``probabilities`` (n_samples, n_classes), those of ``predict_proba`` in single precision.
        Unless all heads are evaluated, one runs for the rows that visit it, and not at all where
        there are none. Metadata hold, as JSON, ``classes``, ``classes_dtype``, ``multilabel``,
        ``row_shape`` and ``evaluate``.

        Parameters
        ----------
        path : str or path-like
            File to write.
        evaluate : "all", int, float or None, default=None
            Which heads are evaluated, see :meth:`rerouted`; None keeps the present ones.
        input_dtype : {"float32", "uint8"}, default="float32"
            Type of the rows that the file takes.

        Raises
        ------
        ValueError
            If the base is a Pipeline, or a layer cannot be converted.
        MissingExtraError
            If onnx is not installed, or a layer needs onnxscript, which is not.
        """
        check_is_fitted(self, "network_")
        write_onnx(self, path, input_dtype=input_dtype, evaluate=evaluate)

    def _posterior_module(self, evaluate: str | int | float | None = None) -> Any:
        """Return what ``predict_proba`` computes as one torch module, sharing the network."""
        check_is_fitted(self, "network_")
        rerouted = self if evaluate is None else self.rerouted(evaluate)
        return augmented_posteriors(rerouted.network_, self._opened)

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
        check_is_fitted(self, "network_")
        return augmentation_report(
            estimator_cost(self._opened.classifier),
            self._opened,
            self.plans_,
            self._routing_of(X),
            *self._as_trained(),
        )

    def _routing_of(self, X: Any) -> Routing:
        """Return how often each head is evaluated: for these rows, or those held out."""
        if X is not None:
            posteriors = base_posteriors(self.network_, self._opened, self._check_X(X))
            routing = expected_routing(self.partitions_, self.network_.evaluate, posteriors)
        else:
            routing = self._routing
        if routing is None:
            raise ValueError(
                "X must be given to count routing by: an augmenter that is rerouted without its "
                "held-out scores knows none. Got None instead; pass some rows."
            )
        return routing

    def _cost_rows(self) -> list[LayerRow]:
        """Return the rows of :func:`hierlearn.cost.layer_table`."""
        check_is_fitted(self, "network_")
        return cost_rows(self._opened, self.plans_, self._routing_of(None), *self._as_trained())

    def _as_trained(self) -> tuple[str, str | int | float]:
        """Return ``classifier`` and ``evaluate`` of the network, whatever was set since."""
        kept = self.network_.classifier is None
        return ("keep" if kept else "warm"), self.network_.evaluate

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
