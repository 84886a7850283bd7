"""What is known about a base before heads are planned: held-out scores and their confusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._caching import FitCache
from .._progress import begin_stage, work_of_splits
from .._validation import Matrix
from ..confusion import HeldOutScores, fit_with_weight, held_out_scores, seed_estimator
from ..networks.augmenting import is_network
from ..partition import confusion_of
from .input import Targets, as_fitted_base


@dataclass(frozen=True)
class Evidence:
    """A fitted base and what it confuses.

    Parameters
    ----------
    base : classifier
        Fitted on all training rows, or as it came.
    held_out : HeldOutScores or None
        Scores of rows that their scorer has not seen; None where nothing is to be learnt.
    confusion : ndarray or csr_array of shape (n_classes, n_classes), or None
        Row = true class.
    probe_shares : tuple of float
        Rows of each fit that was made for the scores only, as shares of all.
    """

    base: Any
    held_out: HeldOutScores | None = None
    confusion: Matrix | None = None
    probe_shares: tuple[float, ...] = ()

    @property
    def posteriors(self) -> NDArray[np.float64] | None:
        """The held-out scores alone, shape (n_held_out, n_classes)."""
        return None if self.held_out is None else self.held_out.scores

    @property
    def weight(self) -> NDArray[np.float64] | None:
        """Weights of the held-out rows."""
        return None if self.held_out is None else self.held_out.sample_weight


def is_prefit(cv: Any) -> bool:
    """Tell whether the caller vouches that the base is fitted and has seen none of the rows."""
    return isinstance(cv, str) and cv == "prefit"


def comes_fitted(base: Any, cv: Any) -> bool:
    """Tell whether the base is to be used as it is; a frozen network may end a Pipeline."""
    if is_prefit(cv) or isinstance(base, FrozenEstimator) or is_network(base):
        return True
    return hasattr(base, "steps") and comes_fitted(base.steps[-1][1], cv)


def gather_evidence(
    base: Any,
    targets: Targets,
    held_out_rows: tuple[Any, Any],
    *,
    needed: bool,
    cv: Any = None,
    confusion: str = "soft",
    confusion_k: int | None = None,
    n_jobs: int | None = None,
    seed: int = 0,
    cache: FitCache | None = None,
) -> Evidence:
    """Fit the base if it is not, and score rows that it has not seen.

    Parameters
    ----------
    base : classifier or torch.nn.Module
        Cloned before it is fitted.
    targets : Targets
        The training rows.
    held_out_rows : tuple of (X, y)
        Rows that the caller holds out, or a pair of None.
    needed : bool
        Whether anything is to be learnt from scores; without, none are made.
    cv, confusion, confusion_k, n_jobs
        As parameters of :class:`SpecialistHeadAugmenter`.
    seed : int
        For splits, and for each ``random_state`` of the base that is None.
    cache : FitCache or None, default=None
        Where fitted bases are looked up, and kept.

    Returns
    -------
    Evidence

    Raises
    ------
    ValueError
        If a base comes fitted and no rows are known to be unseen, or does not suit the targets.
    """
    fitted, given = None, held_out_rows[0] is not None
    if comes_fitted(base, cv):
        fitted = as_fitted_base(base, targets.rows.X, targets.classes, targets.multilabel)
    elif given or not needed:
        fitted = fit_base(base, targets, seed, cache)
    if not needed:
        return Evidence(fitted)
    columns = None if targets.multilabel else targets.classes
    if given:
        found = held_out_scores(fitted, *held_out_rows, cv="prefit", classes=columns)
    else:
        _check_rows_are_unseen(fitted, cv)
        begin_stage("held-out scores", work_of_splits(cv))
        found = held_out_scores(
            base if fitted is None else fitted,
            targets.rows.X,
            targets.y,
            cv=cv,
            sample_weight=targets.rows.weight,
            n_jobs=n_jobs,
            random_state=seed,
            classes=columns,
            memory=cache,
        )
    matrix = confusion_of(found, confusion, confusion_k)
    shares = tuple(len(fold.train) / targets.rows.codes.shape[0] for fold in found.folds)
    final = fit_base(base, targets, seed, cache) if fitted is None else fitted
    return Evidence(final, found, matrix, shares)


def fit_base(base: Any, targets: Targets, seed: int, cache: FitCache | None = None) -> Any:
    """Fit a clone of the base on all training rows."""
    begin_stage("base network on all data", 1.0)
    estimator = seed_estimator(clone(base), seed)
    rows = targets.rows
    return fit_with_weight(estimator, rows.X, targets.y, rows.weight, cache=cache)


def _check_rows_are_unseen(fitted: Any, cv: Any) -> None:
    """Refuse to measure confusions of a fitted base on rows that it may have learnt."""
    if fitted is not None and not is_prefit(cv):
        raise ValueError(
            "A base_estimator that comes fitted needs rows it has not seen, to measure its "
            "confusions on. Got none instead; pass X_val and y_val to fit, or cv='prefit' if it "
            "has seen none of X."
        )
