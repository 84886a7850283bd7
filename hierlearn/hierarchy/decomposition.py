"""The hierarchical decomposition of one large classification problem into small ones."""

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
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._caching import MEMORY_CONSTRAINT, FitCache, as_cache
from .._input import check_rows, reads_batches, unfrozen
from .._log_proba import LogProbaMixin
from .._progress import CallbackSupportMixin, begin_stage, expect, reports, work_of_splits
from .._validation import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    draw_seeds,
    fit_context,
    num_samples,
)
from ..confusion import (
    HeldOutScores,
    fit_with_weight,
    held_out_scores,
    seed_estimator,
    stratified_holdout,
)
from ..cost import CostReport, decomposition_cost
from ..partition import (
    PARTITIONERS,
    LabelPartition,
    TrainingRows,
    confusion_of,
    extend_by_confusion,
    learn_partition,
    with_fewer_clusters,
)
from ..summary import SummaryMixin
from .choosing import candidates_of, partition_statistics, selects, with_backbones
from .exporting import hierarchy_module
from .family import FamilyPlan
from .family_training import branches_from, choose_members, fit_family
from .input import (
    check_prefit,
    check_settings,
    check_target,
    check_training_input,
)
from .mixing import MixingChoice, choose_mixing
from .routing import route

_CONFUSIONS = {"hard", "soft", "top_k", "co_detection"}
_MIN_CLASSES_TO_DEEPEN = 4
# Rows predicted at a time: enough for every cluster to have some, few enough to stay in a cache.
_BLOCK_ROWS = 8192


class HierarchicalDecompositionClassifier(
    SummaryMixin,
    CallbackSupportMixin,
    LogProbaMixin,
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Decompose a many-class problem into a hierarchy of small classifiers, learnt from confusions.

    A flat base classifier is scored on held-out data; the classes it confuses are grouped by a
    partitioner. The hierarchy classifier then names a sample's cluster, a class assignment
    classifier of that cluster names its class, and the posteriors are multiplied::

        X -> base (flat) -> held-out scores -> confusion -> partition (+ overlap by gamma)
        p(y | x) = mixing * flat(y | x) + (1 - mixing) * sum_i p(cluster i | x) q_i(y | x)

    Parameters
    ----------
    base_estimator : classifier, default=None
        The flat classifier; any scikit-learn classifier. None is
        ``TorchMLPClassifier()``.
    partitioner : estimator, str or LabelPartition, default=None
        Groups the classes: a partitioner, its name (``"spectral"``, ``"linkage"``, ...), or a
        ready partition. None is spectral clustering into about ``sqrt(n_classes)`` clusters.
    gamma : float or None, default=None
        Overlap factor of eq. 1: the larger, the more classes are in several clusters. None is no
        overlap. The primary clusters, on which the hierarchy classifier works, stay the same.
    overlap_rule : {"any", "all"}, default="any"
        Whether eq. 1 has to hold for any or for all classes of the cluster.
    confusion : {"soft", "hard", "top_k", "co_detection"}, default="soft"
        What counts as confusion; ``"soft"``, mean posteriors, needs the least held-out data.
    confusion_k : int or None, default=None
        The k of ``"top_k"`` and ``"co_detection"``.
    hierarchy_estimator : classifier, "auto", "branch" or None, default="auto"
        Names the cluster. None sums the base's own class posteriors over each cluster, with no
        further training; a classifier is trained on the primary clusters; ``"branch"`` fine-tunes
        a copy of the base network's upper layers on all classes, as the branches below it are on
        some, and sums those posteriors. ``"auto"`` is ``"branch"`` where the fine classifiers are
        branches and with ``fine_tune``, else None.
    fine_estimator : classifier, "branch" or None, default=None
        Class assignment classifier, cloned for and trained on every cluster; a
        :class:`NetworkSelector` chooses one for each, by the rows that ``mixing="auto"`` is chosen
        by, too. ``"branch"`` shares the base network's lower layers, frozen, and fine-tunes a copy
        of its upper layers on the cluster's samples. None is that where the base is one of our
        networks (or a Pipeline ending in one), and a clone of any other base.
    branch_at : str or None, default=None
        Name of the last layer with weights that branches share. None is the one that holds most
        of the multiply-adds.
    branch_epochs : int or None, default=None
        Epochs of fine-tuning; None takes the base network's ``max_epochs``, divided by the number
        of views.
    branch_lr : float or None, default=None
        Learning rate of fine-tuning; None takes twice the base network's.
    branch_views : int or None, default=None
        Augmented versions of the training data whose trunk outputs are kept for branches (and
        :class:`OnTrunk` members) to learn from; each is a further pass in every epoch. None is
        two where the base network augments its training data, else one.
    fine_tune : bool, default=False
        Whether the shared layers, the hierarchy classifier and the branches are then trained
        together on all data, with the probabilistic average over the branches as the output
        (HD-CNN). All members must be branches, or torch classifiers in :class:`OnTrunk`. The base
        network keeps its own layers, so that predictions that mix it in (``mixing``) run both.
    fine_tune_epochs : int or None, default=None
        Passes over the data; None takes half the base network's ``max_epochs``.
    fine_tune_lr : float or None, default=None
        Learning rate; None takes a tenth of the base network's.
    consistency : float, default=20.0
        What holds the hierarchy classifier to the clusters' shares while fine-tuning, HD-CNN's
        ``lambda``.
    routing : {"soft", "hard"}, int or float in (0, 1), default=3
        Which clusters are evaluated: all, the most probable one, the k most probable ones, or
        those of at least a probability. Three are nearly as accurate as all, at a cost that does
        not grow with their number.
    mixing : "auto" or float in [0, 1], default="auto"
        Weight of the flat base's posterior. 0 is the paper's pure hierarchy. ``"auto"`` chooses it
        on held-out data, and keeps to the flat network unless the gain there exceeds its standard
        error; this trains a second family, on the training part of each split.
    max_depth : int, default=1
        Levels of decomposition. Above 1 a cluster of four or more classes is itself given to a
        decomposition, with ``max_depth - 1``.
    cv : None, float, int, "prefit", splitter or iterable, default=None
        How data are held out, see :func:`hierlearn.confusion.held_out_scores`: None is one
        stratified fifth, an int that many folds. ``"prefit"`` takes a fitted ``base_estimator``
        and trusts that X and y were not used for it.
    refit : bool, default=True
        Whether the base is fitted anew on all data once its held-out scores are known. False keeps
        the one fitted on the training part of the first split, which takes about half the time; the
        members above it learn from all data either way.
    memory : None, str, path-like or joblib.Memory, default=None
        Where every trained network is kept, and found again by this or any other fit that would
        train the same on the same rows: after an interruption, or for other values of ``gamma``,
        ``routing`` or ``mixing``. Networks that train for long are kept after epochs, too. Nothing
        is found again of a fit without a ``random_state``. None keeps nothing.
    n_jobs : int or None, default=None
        Splits and clusters trained at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds splits, clustering and every member whose own ``random_state`` is None.
    verbose : int, default=0
        Shows stages, finished networks and the time left on the standard error when positive.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    class_counts_ : ndarray of shape (n_classes,)
        Number of training samples of each class.
    base_estimator_ : classifier
        The flat classifier, fitted on all data unless ``refit=False``.
    held_out_ : HeldOutScores
        Scores that the confusion was computed from, and the estimators that gave them. Left out
        of pickles and copies.
    confusion_ : ndarray or csr_array of shape (n_classes, n_classes)
        Confusion, row = true class.
    partitioner_ : estimator or None
        The fitted partitioner; None where a LabelPartition was given.
    partition_ : LabelPartition
        Clusters of classes, overlap included.
    hierarchy_estimator_ : classifier or None
        The fitted hierarchy classifier.
    fine_estimators_ : tuple of (classifier or None)
        One class assignment classifier per cluster.
    mixing_ : float
        Weight of the flat posterior in use.
    mixing_choice_ : MixingChoice or None
        The held-out evidence, with ``mixing="auto"``.
    route_frequencies_ : ndarray of shape (n_clusters,)
        Share of the held-out samples that visits each cluster, by the final hierarchy classifier.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    sec. 3 (partition: Algorithm 1, overlap: eq. 1, confidence: eq. 2). Yan et al., HD-CNN:
    Hierarchical deep convolutional neural networks for large scale visual recognition, ICCV 2015
    (``fine_tune``, soft routing and routing by a probability).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from hierlearn import HierarchicalDecompositionClassifier, TorchMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = HierarchicalDecompositionClassifier(
    ...     TorchMLPClassifier((32,), max_epochs=10), routing="hard", random_state=0
    ... )
    >>> clf.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.85
    True
    >>> clf.partition_.n_clusters
    3
    """

    _keeps_parts = True

    _parameter_constraints: dict = {
        "base_estimator": [HasMethods(["fit", "predict"]), None],
        "partitioner": [
            HasMethods(["fit"]),
            StrOptions(set(PARTITIONERS)),
            LabelPartition,
            None,
        ],
        "gamma": [Interval(Real, 0, None, closed="neither"), None],
        "overlap_rule": [StrOptions({"any", "all"})],
        "confusion": [StrOptions(_CONFUSIONS)],
        "confusion_k": [Interval(Integral, 1, None, closed="left"), None],
        "hierarchy_estimator": [
            HasMethods(["fit", "predict"]),
            StrOptions({"auto", "branch"}),
            None,
        ],
        "fine_estimator": [HasMethods(["fit", "predict"]), StrOptions({"branch"}), None],
        "branch_at": [str, None],
        "branch_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "branch_lr": [Interval(Real, 0, None, closed="neither"), None],
        "branch_views": [Interval(Integral, 1, None, closed="left"), None],
        "fine_tune": ["boolean"],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "fine_tune_lr": [Interval(Real, 0, None, closed="neither"), None],
        "consistency": [Interval(Real, 0, None, closed="left")],
        "routing": [
            StrOptions({"hard", "soft"}),
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
        ],
        "mixing": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "max_depth": [Interval(Integral, 1, None, closed="left")],
        "cv": "no_validation",
        "refit": ["boolean"],
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
        gamma: float | None = None,
        overlap_rule: str = "any",
        confusion: str = "soft",
        confusion_k: int | None = None,
        hierarchy_estimator: Any = "auto",
        fine_estimator: Any = None,
        branch_at: str | None = None,
        branch_epochs: int | None = None,
        branch_lr: float | None = None,
        branch_views: int | None = None,
        fine_tune: bool = False,
        fine_tune_epochs: int | None = None,
        fine_tune_lr: float | None = None,
        consistency: float = 20.0,
        routing: str | float = 3,
        mixing: str | float = "auto",
        max_depth: int = 1,
        cv: Any = None,
        refit: bool = True,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.base_estimator = base_estimator
        self.partitioner = partitioner
        self.gamma = gamma
        self.overlap_rule = overlap_rule
        self.confusion = confusion
        self.confusion_k = confusion_k
        self.hierarchy_estimator = hierarchy_estimator
        self.fine_estimator = fine_estimator
        self.branch_at = branch_at
        self.branch_epochs = branch_epochs
        self.branch_lr = branch_lr
        self.branch_views = branch_views
        self.fine_tune = fine_tune
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_lr = fine_tune_lr
        self.consistency = consistency
        self.routing = routing
        self.mixing = mixing
        self.max_depth = max_depth
        self.cv = cv
        self.refit = refit
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=False)
    @reports
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the partition and train the hierarchy on it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. A base that is a Pipeline gets X as it is (texts, data frames, ...).
        y : array-like of shape (n_samples,)
            Class labels of any dtype.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, handed to every member, to the confusion and to the choice of ``mixing``.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        UnsupportedTargetError
            If y is multi-label or continuous.
        PartitionError
            If the partition is for other classes than those of y.
        ValueError
            If X, y or a parameter is malformed, or y holds one class only.
        """
        base = self._base()
        check_settings(self, base)
        X, y, weight = check_training_input(self, base, X, y, sample_weight)
        self.classes_, codes = check_target(y, weight, held_out=not self._is_prefit())
        self.class_counts_ = np.bincount(codes, minlength=len(self.classes_))
        if self._is_prefit():
            check_prefit(self, base, codes)
        data = TrainingRows(X, codes, weight)
        seeds = draw_seeds(self.random_state, 4).tolist()
        expect(self._expected_work())
        cache = as_cache(self.memory)

        held_out = self._score_held_out(base, data, seeds[0], cache)
        self._learn_partition(held_out, data, seeds[1])
        plan = replace(self._plan(seeds[2]), cache=cache)
        data, sources = with_backbones(data, (plan.hierarchy_estimator, plan.fine_estimator))
        plan = replace(plan, sources=sources)
        plan = self._choose_members(held_out, data, plan, seeds[3])
        self.mixing_, self.mixing_choice_ = self._choose_mixing(held_out, data, plan, seeds[3])
        self._train(base, held_out, data, plan, seeds[3])
        return self

    # -- stages of fit -------------------------------------------------------------------------

    def _score_held_out(
        self, base: Any, data: TrainingRows, seed: int, cache: FitCache | None
    ) -> HeldOutScores:
        """Score the base on rows it has not seen."""
        begin_stage("held-out scores", work_of_splits(self.cv))
        held_out = held_out_scores(
            base,
            data.X,
            self.classes_[data.codes],
            cv=self.cv,
            sample_weight=data.weight,
            n_jobs=self.n_jobs,
            random_state=seed,
            classes=self.classes_,
            memory=cache,
        )
        self.held_out_ = held_out
        self._probe_sizes = tuple(len(fold.train) for fold in held_out.folds)
        return held_out

    def _learn_partition(self, held_out: HeldOutScores, data: TrainingRows, seed: int) -> None:
        """Set the confusion and the partition learnt from it, overlap included."""
        begin_stage("partition")
        self.confusion_ = confusion_of(held_out, self.confusion, self.confusion_k)
        self.partitioner_, primary = learn_partition(
            self.partitioner, self.confusion_, held_out, data, seed
        )
        self.partition_ = extend_by_confusion(
            primary, self.confusion_, gamma=self.gamma, rule=self.overlap_rule
        )

    def _train(
        self, base: Any, held_out: HeldOutScores, data: TrainingRows, plan: FamilyPlan, seed: int
    ) -> None:
        """Fit the base and the members above it on all data."""
        self.base_estimator_ = self._final_base(base, held_out, data, seed, plan.cache)
        begin_stage(f"{self.partition_.n_clusters} class assignment classifiers", 1.0)
        temperature = float(np.mean([fold.temperature for fold in held_out.folds]))
        self._family = fit_family(self.base_estimator_, self.partition_, data, plan, temperature)
        gate = self._family.gate
        self.hierarchy_estimator_ = None if gate is None else gate.estimator
        self.fine_estimators_ = tuple(member.estimator for member in self._family.fine)
        seen = data.take(held_out.indices)
        self._held_out_gate = self._family.gate_posteriors(seen), seen.weight
        self.route_frequencies_ = self._route_frequencies()

    @property
    def _reads_batches(self) -> bool:
        return reads_batches(self._base())

    def _base(self) -> Any:
        if self.base_estimator is not None:
            return self.base_estimator
        from ..networks import TorchMLPClassifier

        return TorchMLPClassifier()

    def _plan(self, seed: int) -> FamilyPlan:
        return FamilyPlan(
            hierarchy_estimator=self._gate_setting(),
            fine_estimator=self._fine_setting(),
            branch_at=self.branch_at,
            branch_epochs=self.branch_epochs,
            branch_lr=self.branch_lr,
            n_jobs=self.n_jobs,
            seed=seed,
            deepen=self._deepen if self.max_depth > 1 else None,
            tuning=self._tuning(),
            branch_views=self.branch_views,
        )

    def _tuning(self) -> Any:
        if not self.fine_tune:
            return None
        from ..networks.hierarchical import EndToEnd

        return EndToEnd(self.fine_tune_epochs, self.fine_tune_lr, self.consistency)

    def _gate_setting(self) -> Any:
        """Return ``hierarchy_estimator`` with "auto" resolved."""
        if self.hierarchy_estimator != "auto":
            return self.hierarchy_estimator
        fine = self.fine_estimator
        wanted = self.fine_tune or fine is None or isinstance(fine, str)
        return "branch" if wanted and branches_from(self._base()) else None

    def _fine_setting(self) -> Any:
        """Return ``fine_estimator``, with None resolved where it stands for a clone of the base."""
        if self.fine_estimator is not None or branches_from(self._base()):
            return self.fine_estimator
        # As the user gave it: the fitted one has a seed already, the same for all its clones.
        return unfrozen(self._base())

    def _deepen(self, fine_estimator: Any, codes: NDArray[np.int64]) -> Any:
        """Return the decomposition of a cluster; the fine estimator itself where it is small."""
        counts = np.bincount(codes)
        counts = counts[counts > 0]
        if len(counts) < _MIN_CLASSES_TO_DEEPEN or counts.min() < 2:
            return fine_estimator
        return clone(self).set_params(
            base_estimator=fine_estimator,
            partitioner=with_fewer_clusters(self.partitioner, len(counts)),
            fine_estimator=None,
            hierarchy_estimator="auto",
            branch_at=None,
            confusion_k=self.confusion_k and min(self.confusion_k, len(counts)),
            max_depth=self.max_depth - 1,
            fine_tune=False,
            cv=None,
            n_jobs=None,
            random_state=None,
            verbose=0,
        )

    def _choose_members(
        self, held_out: HeldOutScores, data: TrainingRows, plan: FamilyPlan, seed: int
    ) -> FamilyPlan:
        """Let a NetworkSelector choose, by rows that the base of the first split has not seen."""
        if not selects(plan.fine_estimator):
            return plan
        fold = held_out.folds[0]
        train, test = _parts(fold, data, seed)
        rows = np.sort(np.concatenate([train, test]))
        choices = choose_members(
            fold.estimator,
            self.partition_,
            data.take(rows),
            np.isin(rows, test),
            plan,
            partition_statistics(self.partition_, self.confusion_, data),
            fold.temperature,
        )
        return replace(plan, choices=choices)

    def _choose_mixing(
        self, held_out: HeldOutScores, data: TrainingRows, plan: FamilyPlan, seed: int
    ) -> tuple[float, MixingChoice | None]:
        """Weigh flat against hierarchy, by families that have not seen the rows judged on."""
        if self.mixing != "auto":
            return float(self.mixing), None
        parts = []
        for fold in held_out.folds:
            train, test = _parts(fold, data, seed)
            share = len(train) / len(data.codes)
            begin_stage("hierarchy on the training part, to choose the mixing weight", share)
            family = fit_family(
                fold.estimator, self.partition_, data.take(train), plan, fold.temperature
            )
            unseen = data.take(test)
            parts.append((*family.both_posteriors(unseen, self.routing), unseen.codes, test))
        flat, hierarchy, codes, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
        weight = None if data.weight is None else data.weight[rows]
        choice = choose_mixing(flat, hierarchy, codes, weight)
        return choice.weight, choice

    def _is_prefit(self) -> bool:
        return isinstance(self.cv, str) and self.cv == "prefit"

    def _final_base(
        self,
        base: Any,
        held_out: HeldOutScores,
        data: TrainingRows,
        seed: int,
        cache: FitCache | None,
    ) -> Any:
        """Return the fitted base that the members stand on."""
        if self._is_prefit():
            return base
        if not self.refit:
            return held_out.folds[0].estimator
        begin_stage("base network on all data", 1.0)
        estimator = seed_estimator(clone(base), seed)
        labels = self.classes_[data.codes]
        return fit_with_weight(estimator, data.X, labels, data.weight, cache=cache)

    def _route_frequencies(self) -> NDArray[np.float64]:
        gate, weight = self._held_out_gate
        return np.average(route(gate, self.routing) > 0, axis=0, weights=weight)

    def _expected_work(self) -> float:
        """Return the work of a fit, in fits of the base on all rows; a family is taken to be one.

        So is one round of all clusters with one candidate.
        """
        scored = work_of_splits(self.cv)
        judged = (scored or 1.0) if self.mixing == "auto" else 0.0
        tried = len(candidates_of(self.fine_estimator)) if selects(self.fine_estimator) else 0
        return scored + judged + tried + float(self.refit and not self._is_prefit()) + 1.0

    # -- predicting ----------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return class posteriors: eq. 2 along the routes taken, mixed with the flat network's.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one; columns in the order of ``classes_``.
        """
        X = self._check_X(X, finite=False)
        found = np.zeros((num_samples(X), len(self.classes_)))
        for rows in self._blocks(X):
            if rows is None:
                self._posteriors(X, found)
            else:
                self._posteriors(X[rows], found[rows])
        return found

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        X = self._check_X(X, finite=False)
        parts = [
            self._posteriors(X if rows is None else X[rows]).argmax(axis=1)
            for rows in self._blocks(X)
        ]
        return self.classes_[np.concatenate(parts)]

    def _posteriors(self, X: Any, out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        try:
            return self._family.mixed_posteriors(X, self.routing, self.mixing_, out)
        except ValueError:
            check_rows(self, self._base(), X)  # says it as for other bases
            raise

    def _blocks(self, X: Any) -> Sequence[slice | None]:
        """Return which rows are predicted at a time; None is all of them."""
        n_rows = num_samples(X)
        if n_rows <= _BLOCK_ROWS or not self._family.works_in_blocks:
            return [None]
        return [slice(start, start + _BLOCK_ROWS) for start in range(0, n_rows, _BLOCK_ROWS)]

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return cluster posteriors, what the hierarchy classifier says.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_clusters)
            Columns in the order of the clusters of ``partition_``; rows sum to one.
        """
        X = self._check_X(X)
        return self._family.gate_posteriors(X)

    def decision_path(self, X: Any) -> sparse.csr_array:
        """Return which clusters every row visits under ``routing``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        csr_array of bool, shape (n_samples, n_clusters)
            The visits that routing asks for; with ``mixing_ == 1`` predictions do without them.
        """
        X = self._check_X(X)
        return sparse.csr_array(route(self._family.gate_posteriors(X), self.routing) > 0)

    def rerouted(
        self, routing: str | float | None = None, mixing: float | None = None
    ) -> HierarchicalDecompositionClassifier:
        """Return this fitted hierarchy with other prediction settings; nothing is trained.

        Parameters
        ----------
        routing : {"soft", "hard"}, int, float or None, default=None
            Which clusters are evaluated; None keeps the present routing.
        mixing : float in [0, 1] or None, default=None
            Weight of the flat posterior; None keeps the present weight, which ``mixing="auto"``
            chose for the routing of the fit.

        Returns
        -------
        HierarchicalDecompositionClassifier
            A copy that shares the fitted members.
        """
        check_is_fitted(self)
        copied = copy.copy(self)
        if routing is not None:
            copied.routing = routing
        if mixing is not None:
            copied.mixing = mixing
        copied._validate_params()
        if copied.mixing != "auto":
            copied.mixing_ = float(copied.mixing)
        copied.route_frequencies_ = copied._route_frequencies()
        return copied

    def to_onnx(
        self, path: Any, routing: str | float | None = None, *, input_dtype: str = "float32"
    ) -> None:
        """Write the hierarchy as an ONNX file, from rows to class posteriors.

        The file takes ``rows``, (n_samples, ...) as in ``fit`` for any number of samples, and gives
        ``probabilities`` (n_samples, n_classes), those of ``predict_proba`` in single precision.
        Unless routing is soft, a class assignment classifier runs for the rows that visit it, and
        not at all where there are none. Metadata hold, as JSON, ``classes``, ``classes_dtype``,
        ``row_shape`` and ``routing``.

        Parameters
        ----------
        path : str or path-like
            File to write.
        routing : {"soft", "hard"}, int, float or None, default=None
            Which clusters are evaluated, see :meth:`rerouted`; None keeps the present routing.
        input_dtype : {"float32", "uint8"}, default="float32"
            Type of the rows that the file takes.

        Raises
        ------
        ValueError
            If a member or the base is no torch network, or a layer cannot be converted.
        MissingExtraError
            If onnx is not installed, or a layer needs onnxscript, which is not.
        """
        from ..networks.export import write_onnx

        check_is_fitted(self)
        write_onnx(self, path, input_dtype=input_dtype, routing=routing)

    def _posterior_module(self, routing: str | float | None = None) -> Any:
        """Return what ``predict_proba`` computes as one torch module, sharing the networks."""
        check_is_fitted(self)
        rerouted = self if routing is None else self.rerouted(routing)
        return hierarchy_module(self._family, rerouted.routing, self.mixing_)

    def cost_report(self) -> CostReport:
        """Price the flat base and the hierarchy, under the routes that held-out samples take.

        Returns
        -------
        CostReport
            Multiply-adds and parameters; print it.
        """
        check_is_fitted(self)
        return decomposition_cost(self)

    def _check_X(self, X: Any, finite: bool = True) -> Any:
        """Return validated X; without ``finite`` NaN may be left for the network to find."""
        check_is_fitted(self)
        as_is = not finite and self._takes_as_is(X)
        return X if as_is else check_rows(self, self._base(), X)

    def _takes_as_is(self, X: Any) -> bool:
        """Tell whether validation would do nothing that the base's own network does not."""
        network = unfrozen(self.base_estimator_)
        takes = getattr(network, "_takes_as_is", None)
        named = hasattr(self, "feature_names_in_")
        if takes is None or named or self._family.split is None or not takes(X):
            return False
        return X.shape[1:] == self._row_shape

    def __getstate__(self) -> dict[str, Any]:
        # The held-out scores and the networks behind them are evidence, not part of the model, and
        # may be larger than all the rest.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "held_out_"}

    @property
    def _n_features_out(self) -> int:
        return self.partition_.n_clusters

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        base = get_tags(self._base())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        tags.input_tags.three_d_array = base.input_tags.three_d_array
        tags.classifier_tags.multi_label = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _parts(fold: Any, data: TrainingRows, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a split's rows to train on and to judge by, neither of the latter seen by its base."""
    if len(fold.train):
        return fold.train, fold.test
    # Prefit: no row is known to the base, so any part may be held out.
    return stratified_holdout(data.codes, random_state=seed)
