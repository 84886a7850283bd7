"""The right classifier for every cluster, from a list of candidates (Algorithm 2)."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .._caching import MEMORY_CONSTRAINT, as_cache
from .._input import as_read_by, check_rows
from .._log_proba import LogProbaMixin
from .._progress import CallbackSupportMixin, begin_stage, expect, reports
from .._tasks import run_tasks
from .._validation import (
    Interval,
    StrOptions,
    check_posteriors,
    check_two_classes,
    draw_seeds,
    fit_context,
)
from .candidates import default_candidates, name_candidates
from .cluster_statistics import size_statistics
from .cluster_task import ClusterTask, Selection
from .competition import Rules, compare_all, leave_untrained, train_one
from .halving import halve
from .meta_model import META_MODELS, MetaModel, check_costs, fit_meta_model, rows_to_explore
from .selection_table import SelectionTable

__all__ = ["ClusterTask", "NetworkSelector"]


def _winner_has(method: str) -> Any:
    """Tell whether the winner, or before ``fit`` every candidate, has a method."""

    def check(self: NetworkSelector) -> bool:
        if hasattr(self, "best_estimator_"):
            return hasattr(self.best_estimator_, method)
        return all(
            isinstance(estimator, str) or hasattr(estimator, method)
            for _, estimator in self._named() or []
        )

    return check


class NetworkSelector(CallbackSupportMixin, LogProbaMixin, ClassifierMixin, BaseEstimator):
    """Choose among candidate classifiers by how they do on held-out rows.

    Alone it is the best of its candidates. As ``fine_estimator`` of a
    :class:`HierarchicalDecompositionClassifier` it chooses for each cluster apart, and with
    ``strategy="meta"`` learns from some clusters which candidate suits the others, from figures
    of the cluster's part of the confusion matrix.

    Parameters
    ----------
    candidates : list of classifier, list of (str, classifier), dict or None, default=None
        What to choose from: networks, Pipelines, any scikit-learn classifiers, of several kinds at
        once. In a hierarchy also ``"flat"``, the flat base among the cluster's classes, at no
        cost, and ``"branch"``, a copy of the base's upper layers. None is
        :class:`TorchMLPClassifier` with none to two hidden layers.
    strategy : {"exhaustive", "meta", "halving"}, default="exhaustive"
        ``"exhaustive"`` trains every candidate on every cluster. ``"meta"`` does so on some
        clusters and lets a meta-model choose for the rest, where the chosen one alone is trained.
        ``"halving"`` is scikit-learn's successive halving: all candidates train a little (epochs
        where all have ``max_epochs``, else rows), the better third trains more; with fewer than
        three epochs, or six rows a class, it is ``"exhaustive"``.
    table : SelectionTable, path or None, default=None
        Earlier experience, or the file it was saved in, with the same candidates by name. Read by
        ``"meta"`` only, which explores nothing with ten clusters or more in it.
    explore : float, default=0.25
        Share of the clusters, from the smallest to the largest, on which ``"meta"`` trains all
        candidates where the table has too little; at least one.
    meta_model : {"score", "shape", "winner"}, default="score"
        What ``"meta"`` learns: each candidate's score, less the mean of all; the number of layers
        and of units of the winner, for perceptrons (the paper's regression); or the winner's name
        (its classification).
    cost_weight : float, default=0.0
        What a tenfold of multiply-adds has to gain in score: candidates are judged by
        ``score - cost_weight * log10(multiply_adds)``. Counted is what the candidate itself does
        for a sample, not what it shares with others (the trunk, a backbone, the flat base). Where
        it is not 0, :func:`estimator_cost` has to be able to price every candidate.
    validation_fraction : float, default=0.2
        Share of the rows held out to judge by, class by class; equal rows stay together.
    refit : bool, default=True
        Whether the winner is trained again on all rows.
    scoring : str, callable or None, default=None
        What is judged by; None is accuracy.
    memory : None, str, path-like or joblib.Memory, default=None
        Where trained candidates are kept, and found again by this or any other fit that would train
        the same on the same rows; None keeps nothing. In a hierarchy, the hierarchy's ``memory``
        serves as well.
    n_jobs : int or None, default=None
        Clusters decided at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seeds hold-outs and every candidate whose own ``random_state`` is None.
    verbose : int, default=0
        Shows stages, finished clusters and the time left on the standard error when positive.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    best_estimator_ : classifier
        The winner, fitted.
    best_name_ : str
        Its name.
    best_index_ : int
        Its place among the candidates.
    candidate_names_ : list of str
        The names of all.
    scores_ : dict of str to float
        Held-out score by candidate; NaN where it was not trained to be compared, and with
        ``"halving"`` where it dropped out.
    costs_ : dict of str to float
        Multiply-adds of one prediction by candidate; NaN where not trained or not known.
    statistics_ : dict of str to float
        Figures of the cluster, see :func:`cluster_statistics`; alone, its sizes.
    trained_ : tuple of Training
        Every training run, with rows, epochs, multiply-adds and seconds.
    fit_seconds_ : float
        Their seconds in all.
    source_ : None, str or transformer
        What ``best_estimator_`` reads: X, or what a hierarchy or a backbone makes of it.
    meta_model_ : MetaModel or None
        What chose, with ``strategy="meta"``; None where all candidates were trained.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, when X had string column names.

    See Also
    --------
    SelectionTable : What was found for each cluster, to be kept and learnt from.

    References
    ----------
    Chennupati, Nooka, Sah & Ptucha, Adaptive hierarchical decomposition of large deep networks,
    Algorithm 2 and sec. 3.4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from hierlearn import NetworkSelector
    >>> X, y = load_iris(return_X_y=True)
    >>> stump, linear = DecisionTreeClassifier(max_depth=1), LogisticRegression(max_iter=500)
    >>> clf = NetworkSelector([("stump", stump), ("linear", linear)], random_state=0).fit(X, y)
    >>> clf.best_name_
    'linear'
    """

    _keeps_parts = True

    _parameter_constraints: dict = {
        "candidates": [list, tuple, Mapping, None],
        "strategy": [StrOptions({"exhaustive", "meta", "halving"})],
        "table": [SelectionTable, str, os.PathLike, None],
        "explore": [Interval(Real, 0, 1, closed="both")],
        "meta_model": [StrOptions(set(META_MODELS))],
        "cost_weight": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "refit": ["boolean"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "memory": MEMORY_CONSTRAINT,
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        candidates: Any = None,
        *,
        strategy: str = "exhaustive",
        table: SelectionTable | str | os.PathLike | None = None,
        explore: float = 0.25,
        meta_model: str = "score",
        cost_weight: float = 0.0,
        validation_fraction: float = 0.2,
        refit: bool = True,
        scoring: Any = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.candidates = candidates
        self.strategy = strategy
        self.table = table
        self.explore = explore
        self.meta_model = meta_model
        self.cost_weight = cost_weight
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.scoring = scoring
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting -------------------------------------------------------------------------------

    @fit_context(prefer_skip_nested_validation=False)
    @reports
    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the candidates and keep the best.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data. Where a candidate is a Pipeline, X goes to all as it is.
        y : array-like of shape (n_samples,)
            Class labels of any dtype.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, handed to every candidate and counted in its score.

        Returns
        -------
        self : object
            The estimator, fitted.

        Raises
        ------
        UnsupportedTargetError
            If y is multi-label or continuous.
        ValueError
            If X, y or a parameter is malformed, y holds one class only, a candidate cannot learn
            from the data, or one is "flat" or "branch".
        """
        from .input import check_training_input  # which needs the family, which needs this module

        strictest = self._strictest(self._candidates())
        X, y, weight = check_training_input(self, strictest, X, y, sample_weight)
        counted = y if weight is None else y[weight > 0]
        check_two_classes(np.unique(counted))
        rows = _OwnRows(X)
        seed = int(draw_seeds(self.random_state, 1)[0])
        statistics = size_statistics(np.unique(counted, return_counts=True)[1])
        (member,) = self._select([ClusterTask(y, weight, seed, statistics, rows.of)], self.n_jobs)
        member.source_ = rows.fitted(member.source_)
        self.__dict__.update(vars(member))
        return self

    def fit_clusters(
        self, tasks: Sequence[ClusterTask], n_jobs: int | None = None
    ) -> list[NetworkSelector]:
        """Choose and train a classifier for each of several clusters.

        Parameters
        ----------
        tasks : sequence of ClusterTask
            The clusters.
        n_jobs : int or None, default=None
            Clusters decided at a time; None is the estimator's own ``n_jobs``.

        Returns
        -------
        list of NetworkSelector
            A fitted selector for each cluster. This one is left as it is.

        Raises
        ------
        ValueError
            As ``fit`` does.
        """
        self._validate_params()
        return self._select(tasks, self.n_jobs if n_jobs is None else n_jobs)

    def choose_clusters(
        self, tasks: Sequence[ClusterTask], n_jobs: int | None = None
    ) -> list[NetworkSelector]:
        """Choose as :meth:`fit_clusters` does, and leave the training to :meth:`refit_clusters`.

        Parameters
        ----------
        tasks : sequence of ClusterTask
            The clusters.
        n_jobs : int or None, default=None
            Clusters decided at a time; None is the estimator's own ``n_jobs``.

        Returns
        -------
        list of NetworkSelector
            A selector for each cluster with its choice, and without ``best_estimator_``.
        """
        self._validate_params()
        return self._select(tasks, self.n_jobs if n_jobs is None else n_jobs, final=False)

    @reports
    def refit_clusters(
        self,
        choices: Sequence[NetworkSelector],
        tasks: Sequence[ClusterTask],
        n_jobs: int | None = None,
    ) -> list[NetworkSelector]:
        """Train what was chosen already on other rows of the same clusters.

        Parameters
        ----------
        choices : sequence of NetworkSelector
            From :meth:`choose_clusters` or :meth:`fit_clusters`, one a cluster.
        tasks : sequence of ClusterTask
            The clusters, with the rows to train on.
        n_jobs : int or None, default=None
            Clusters trained at a time; None is the estimator's own ``n_jobs``.

        Returns
        -------
        list of NetworkSelector
            With the scores that the choices were made by, and all training runs.
        """
        rules = self._rules()
        selections = run_tasks(
            train_one,
            [(task, rules, c.best_index_) for c, task in zip(choices, tasks, strict=True)],
            n_jobs=self.n_jobs if n_jobs is None else n_jobs,
            stage="chosen networks",
        )
        members = []
        for choice, task, selection in zip(choices, tasks, selections, strict=True):
            kept = replace(
                selection,
                scores=choice.scores_,
                costs={**choice.costs_, choice.best_name_: selection.costs[choice.best_name_]},
                trained=(*choice.trained_, *selection.trained),
            )
            members.append(self._member(task, rules, kept, choice.meta_model_))
        return members

    @reports
    def _select(
        self, tasks: Sequence[ClusterTask], n_jobs: int | None, *, final: bool = True
    ) -> list[NetworkSelector]:
        rules = self._rules()
        if not final:
            rules = replace(rules, refit=False)
        if self.strategy == "meta":
            members = self._learn_to_choose(tasks, rules, n_jobs, final)
        else:
            members = self._compare(tasks, rules, n_jobs)
        for member in [] if final else members:
            del member.best_estimator_
        return members

    def _compare(
        self, tasks: Sequence[ClusterTask], rules: Rules, n_jobs: int | None
    ) -> list[NetworkSelector]:
        """Train candidates on every cluster."""
        decide = halve if self.strategy == "halving" else compare_all
        n_candidates = len(rules.candidates)
        expect(n_candidates)
        begin_stage(f"{n_candidates} candidates for {len(tasks)} clusters", n_candidates)
        selections = run_tasks(
            decide, [(task, rules) for task in tasks], n_jobs=n_jobs, stage="clusters"
        )
        return [
            self._member(task, rules, selection, None)
            for task, selection in zip(tasks, selections, strict=True)
        ]

    def _learn_to_choose(
        self, tasks: Sequence[ClusterTask], rules: Rules, n_jobs: int | None, final: bool
    ) -> list[NetworkSelector]:
        """Train all candidates on some clusters, and the chosen one on the others."""
        names = [name for name, _ in rules.candidates]
        table = self._experience(names)
        sizes = [len(task.y) for task in tasks]
        explored = rows_to_explore(sizes, self.explore, len(table.complete))
        share = len(explored) / len(tasks)  # a round of all clusters with one candidate is 1
        expect(len(names) * share + 1 - share)
        tried = f"{len(names)} candidates for {len(explored)} of {len(tasks)} clusters"
        begin_stage(tried, len(names) * share)
        compared = run_tasks(
            compare_all, [(tasks[i], rules) for i in explored], n_jobs=n_jobs, stage="clusters"
        )
        found: dict[int, Selection] = dict(zip(explored, compared, strict=True))
        for i, selection in found.items():
            table = table.with_selection(tasks[i].statistics, selection)
        model = fit_meta_model(
            table, rules.candidates, kind=self.meta_model, cost_weight=self.cost_weight
        )
        rest = [i for i in range(len(tasks)) if i not in found]
        begin_stage(f"one candidate for {len(rest)} clusters", 1 - share)
        chosen = [model.choose(tasks[i].statistics) for i in rest]
        train = train_one if final else leave_untrained
        trained = run_tasks(
            train,
            [(tasks[i], rules, j) for i, j in zip(rest, chosen, strict=True)],
            n_jobs=n_jobs,
            stage="chosen networks",
        )
        found.update(zip(rest, trained, strict=True))
        return [
            self._member(task, rules, found[i], model if i in rest else None)
            for i, task in enumerate(tasks)
        ]

    def _experience(self, names: list[str]) -> SelectionTable:
        if self.table is None:
            return SelectionTable(tuple(names))
        table = self.table
        if not isinstance(table, SelectionTable):
            table = SelectionTable.load(table)
        table = table.for_candidates(names)
        check_costs(table, self.cost_weight)  # before anything is trained
        return table

    def _member(
        self, task: ClusterTask, rules: Rules, selection: Selection, model: MetaModel | None
    ) -> NetworkSelector:
        """Return a fitted copy; the unfitted candidates are shared, not copied."""
        names = [name for name, _ in rules.candidates]
        member = type(self)(**self.get_params(deep=False))
        member.candidate_names_ = names
        member.best_estimator_ = selection.estimator
        member.best_index_ = selection.index
        member.best_name_ = names[selection.index]
        member.source_ = selection.source
        member.scores_ = selection.scores
        member.costs_ = selection.costs
        member.statistics_ = dict(task.statistics)
        member.trained_ = selection.trained
        member.fit_seconds_ = sum(training.seconds for training in selection.trained)
        member.meta_model_ = model
        member.classes_ = np.asarray(getattr(selection.estimator, "classes_", np.unique(task.y)))
        return member

    # -- candidates ----------------------------------------------------------------------------

    def _candidates(self) -> list[tuple[str, Any]]:
        if self.candidates is None:
            return default_candidates()
        return name_candidates(self.candidates, self._get_param_names())

    def _rules(self) -> Rules:
        return Rules(
            candidates=self._candidates(),
            scorer=None if self.scoring is None else get_scorer(self.scoring),
            validation_fraction=self.validation_fraction,
            cost_weight=self.cost_weight,
            refit=self.refit,
            cache=as_cache(self.memory),
        )

    def _strictest(self, candidates: list[tuple[str, Any]]) -> Any:
        """Return the candidate that says what X may be: a Pipeline, or the one that bears least."""
        estimators = [estimator for _, estimator in candidates if not isinstance(estimator, str)]
        if not estimators:
            name, given = candidates[0]
            raise ValueError(
                f"candidates may hold {given!r} only in the fine_estimator of a "
                f"HierarchicalDecompositionClassifier. Got it as {name!r} elsewhere; leave it out, "
                "or give a classifier."
            )
        for estimator in estimators:
            if hasattr(estimator, "steps"):
                return estimator
        return min(estimators, key=lambda e: get_tags(e).input_tags.allow_nan)

    def _named(self) -> list[tuple[str, Any]] | None:
        """Return the candidates by name; None for the default ones, or where they are malformed."""
        if self.candidates is None:
            return None
        try:
            return name_candidates(self.candidates, self._get_param_names())
        except ValueError:
            return None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with ``deep`` also the candidates and theirs.

        Parameters
        ----------
        deep : bool, default=True
            Whether to add each candidate under its name, and ``name__parameter`` for each of its
            parameters.

        Returns
        -------
        dict
            Values by parameter name.
        """
        params = super().get_params(deep=False)
        for name, estimator in (self._named() or []) if deep else []:
            params[name] = estimator
            if hasattr(estimator, "get_params"):
                inner = estimator.get_params(deep=True).items()
                params.update({f"{name}__{key}": value for key, value in inner})
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, candidates by name, or ``name__parameter`` of a candidate.

        Parameters
        ----------
        **params : dict
            Names and values.

        Returns
        -------
        self : object
            The selector itself.
        """
        if "candidates" in params:
            self.candidates = params.pop("candidates")
        named = dict(self._named() or [])
        replaced = {name: params.pop(name) for name in list(params) if name in named}
        if replaced:
            self.candidates = list({**named, **replaced}.items())
        return super().set_params(**params)

    # -- predicting ----------------------------------------------------------------------------

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the winner's predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(self._read(X))

    @available_if(_winner_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the winner's class posteriors, where it has any.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``.
        """
        check_is_fitted(self)
        best = self.best_estimator_
        return check_posteriors(best.predict_proba(self._read(X)), best)

    @available_if(_winner_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the winner's decision values, where it has any.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            As the winner gives them.
        """
        check_is_fitted(self)
        best = self.best_estimator_
        return check_posteriors(best.decision_function(self._read(X)), best)

    def _read(self, X: Any) -> Any:
        """Return X as the winner reads it."""
        if hasattr(self, "n_features_in_"):
            X = check_rows(self, self._strictest(self._candidates()), X)
        if isinstance(self.source_, str):
            raise ValueError(
                f"X must come from the hierarchy here, for {self.best_name_!r} reads the base's "
                f"{self.source_!r}. Got raw rows instead; ask the hierarchy, or best_estimator_."
            )
        if self.source_ is None:
            return as_read_by(self.best_estimator_, X)
        return self.source_.transform(X)

    def _source(self) -> Any:
        """Return what the winner reads; before ``fit`` that is not known."""
        return getattr(self, "source_", None)

    def _on_source(self) -> Any:
        """Return the winner, which takes the source's output."""
        return getattr(self, "best_estimator_", self)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimators = [e for _, e in self._named() or [] if not isinstance(e, str)]
        inputs = [get_tags(estimator).input_tags for estimator in estimators]
        # The default candidates are networks, which take sparse matrices, and no NaN.
        tags.input_tags.sparse = all(each.sparse for each in inputs)
        tags.input_tags.allow_nan = bool(inputs) and all(each.allow_nan for each in inputs)
        tags.input_tags.three_d_array = bool(inputs) and all(each.three_d_array for each in inputs)
        tags.classifier_tags.multi_label = False
        return tags


class _OwnRows:
    """What the candidates read where there is no hierarchy: X, or what a transformer makes of it.

    A source that only a hierarchy has, such as its trunk, is X.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, ...)
    """

    def __init__(self, X: Any) -> None:
        self.X = X
        self._fitted: list[tuple[Any, Any]] = []

    def of(self, source: Any) -> Any:
        """Return the rows as a source gives them."""
        fitted = self.fitted(source)
        return self.X if fitted is None else fitted.transform(self.X)

    def fitted(self, source: Any) -> Any:
        """Return a transformer fitted on X; None where X itself is read."""
        if source is None or isinstance(source, str):
            return None
        for known, fitted in self._fitted:
            if known is source or known == source:
                return fitted
        self._fitted.append((source, copy.copy(source).fit(self.X)))
        return self._fitted[-1][1]
