"""Which rows a label embedding holds out, and the classes that a brief network confuses on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy import sparse

from .._caching import as_cache
from .._validation import draw_seeds
from ..confusion import SPARSE_ABOVE, confusion_from_scores, held_out_scores
from ..confusion.plans import plan_splits
from ..embedding import confusion_cooccurrence
from ..exceptions import HoldOutError
from .brief import best_scores, brief_settings
from .mlp import TorchMLPClassifier
from .partition_softmax import PartitionSoftmaxClassifier

Splits = list[tuple[np.ndarray, np.ndarray]]


def held_out_rows(
    cv: Any, X: Any, target: Any, kept: np.ndarray, seed: int, *, remedy: str
) -> Splits:
    """Return (train, test) among the rows that have weight, numbered without the others.

    Parameters
    ----------
    cv : None, float, int, splitter or iterable of (train, test)
        Rows of an iterable are numbered as given to ``fit``.
    X : array or sparse matrix of shape (n_kept, ...)
    target : ndarray of shape (n_kept,), or indicator
        Class codes, or labels.
    kept : ndarray of shape (n_samples,), dtype bool
        Which rows given to ``fit`` have weight.
    seed : int
    remedy : str
        What to do where nothing can be held out.

    Raises
    ------
    HoldOutError
        If there is nothing to hold out.
    ValueError
        If ``cv`` is none of the accepted kinds.
    """
    if isinstance(cv, str) and cv == "prefit":
        raise ValueError(
            "cv must hold out rows to train on the others. Got 'prefit' instead, for classifiers "
            "around a fitted one; leave it None."
        )
    codes = sparse.csr_array(target) if target.ndim == 2 else target
    named = isinstance(cv, Iterable) and not isinstance(cv, str) and not hasattr(cv, "split")
    if not named:
        try:
            return plan_splits(cv, X, target, codes, seed)
        except HoldOutError:
            raise HoldOutError(
                "y must have two samples of some class, or a row whose labels all occur in other "
                f"rows, so that a row can be held out. Got none such instead; {remedy}."
            ) from None
    place = np.cumsum(kept) - 1
    pairs = plan_splits(cv, None, None, kept, seed)
    found = [(place[train[kept[train]]], place[test[kept[test]]]) for train, test in pairs]
    splits = [(train, test) for train, test in found if train.size and test.size]
    if not splits:
        raise HoldOutError(
            "cv must name rows that weigh something, to train on and to hold out. Got zero weights "
            "on all of one side instead; name other rows."
        )
    return splits


def brief_cooccurrence(
    estimator: Any, X: Any, codes: np.ndarray, weight: np.ndarray, splits: Splits, seed: int
) -> sparse.csr_array:
    """Return how classes are confused by a softmax network that is trained for a few epochs.

    Parameters
    ----------
    estimator : LabelEmbeddingClassifier
        The network gets its settings.
    X : array or sparse matrix of shape (n_samples, ...)
    codes : ndarray of shape (n_samples,)
        Class codes.
    weight : ndarray of shape (n_samples,)
    splits : list of (train, test)
        The network is trained on the one and looked at on the other.
    seed : int

    Returns
    -------
    csr_array of shape (n_classes, n_classes)
        Confusions either way.
    """
    n_classes = len(estimator.classes_)
    confuse = _confusion if n_classes <= SPARSE_ABOVE else _confusion_of_many
    confusions = [
        confuse(estimator, X, codes, weight, split, int(own))
        for split, own in zip(splits, draw_seeds(seed, len(splits)), strict=True)
    ]
    total = sum(confusions[1:], start=confusions[0])
    return confusion_cooccurrence(total)


def _settings(estimator: Any, seed: int) -> dict[str, Any]:
    shared = TorchMLPClassifier().get_params().keys() & estimator.get_params().keys()
    return {
        **{name: getattr(estimator, name) for name in shared},
        **brief_settings(estimator, seed),
    }


def _confusion(
    estimator: Any, X: Any, codes: np.ndarray, weight: np.ndarray, split: Any, seed: int
) -> Any:
    network = TorchMLPClassifier(**_settings(estimator, seed))
    known = np.arange(len(estimator.classes_))
    found = held_out_scores(
        network,
        X,
        codes,
        cv=[split],
        sample_weight=weight,
        classes=known,
        random_state=seed,
        memory=estimator.memory,
    )
    return confusion_from_scores(
        found.scores, found.y, sample_weight=found.sample_weight, sparse=True
    )


def _confusion_of_many(
    estimator: Any, X: Any, codes: np.ndarray, weight: np.ndarray, split: Any, seed: int
) -> Any:
    """Look at the best scores only: all of them would fill memory, and have no zeros."""
    test = split[1]
    network = PartitionSoftmaxClassifier(**_settings(estimator, seed))
    given = network, X, codes, weight, split, len(estimator.classes_)
    cache = as_cache(estimator.memory)
    if cache is None:
        found = best_scores(*given)
    else:
        found = cache.part("fold", given, lambda: best_scores(*given))
    return confusion_from_scores(found, codes[test], sample_weight=weight[test], sparse=True)
